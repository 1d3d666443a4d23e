//! Records on their way: batches, who takes them and who gives them.

/// Takes batches of whole records; a batch is what [`Restorer::load`](super::Restorer::load) gets back, unchanged and in order.
///
/// An error ends the read that called it and comes back from there unchanged.
pub trait BatchSink {
    /// Takes one batch, 1 byte to a few MiB (one larger record makes a larger batch), holding `rows` records.
    fn put(&mut self, batch: &[u8], rows: u64) -> Result<(), Stop>;
}

/// Gives batches of whole records, in the order in which they were put.
pub trait BatchSource {
    /// The next batch, or `None` at the end.
    fn next(&mut self) -> Result<Option<Vec<u8>>, Stop>;
}

/// The other side of a [`BatchSink`] or [`BatchSource`] wants to stop; its own error is inside.
#[derive(Debug, thiserror::Error)]
#[error("stopped by the other side")]
pub struct Stop(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Batches that are in memory.
pub(super) struct Given<'a>(pub std::slice::Iter<'a, Vec<u8>>);

impl BatchSource for Given<'_> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        Ok(self.0.next().cloned())
    }
}
