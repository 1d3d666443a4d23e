//! Sealing behind the writer: batches are compressed and checksummed in a thread of their own, in their order, while the next
//! one is collected.
//!
//! *Invariant: what [`Sealing::finish`] gives back holds every batch that was put, in the order in which they were put.*

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::archive::{ArchiveError, Result};
use crate::storage::{ErrorKind, StorageError};

use super::frame::FrameKind;
use super::writer::{ByteSink, SealedWriter};

/// So many batches may wait; with the one in work and the one that is collected they bound the memory.
const WAITING: usize = 2;
/// What a buffer keeps of its memory: one giant batch must not keep its own.
const KEPT: usize = 1 << 20;

/// A sealed file that grows by batches of payload.
pub(in crate::archive) struct Sealing<S: ByteSink> {
    /// Until the first batch.
    file: Option<SealedWriter<S>>,
    behind: Option<Behind<S>>,
}

struct Behind<S: ByteSink> {
    batches: Sender<Vec<u8>>,
    /// Buffers that were sealed, to be filled again.
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<Result<SealedWriter<S>>>,
}

impl<S: ByteSink + Send + 'static> Sealing<S> {
    /// Goes on with a file that was begun.
    pub(in crate::archive) fn new(file: SealedWriter<S>) -> Self {
        Sealing {
            file: Some(file),
            behind: None,
        }
    }

    /// Takes a batch and leaves an empty buffer in its place.
    ///
    /// # Errors
    ///
    /// Those of earlier batches too. After an error there is no file any more.
    pub(in crate::archive) fn put(&mut self, batch: &mut Vec<u8>) -> Result<()> {
        let behind = match &mut self.behind {
            Some(behind) => behind,
            none => none.insert(Behind::start(self.file.take().ok_or_else(lost)?)?),
        };
        let empty = behind.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(KEPT));
        if behind.batches.send(std::mem::replace(batch, empty)).is_ok() {
            return Ok(());
        }
        // Its thread has ended, with an error.
        let ended = self.behind.take().map(Behind::end);
        Err(ended.and_then(Result::err).unwrap_or_else(lost))
    }

    /// The file, with all batches in it.
    pub(in crate::archive) fn finish(self) -> Result<SealedWriter<S>> {
        match self.behind {
            Some(behind) => behind.end(),
            None => self.file.ok_or_else(lost),
        }
    }
}

impl<S: ByteSink + Send + 'static> Behind<S> {
    fn start(mut file: SealedWriter<S>) -> Result<Self> {
        let (batches, work) = bounded::<Vec<u8>>(WAITING);
        let (done, empty) = bounded(WAITING);
        let seal = move || {
            for mut batch in work {
                file.put(FrameKind::Payload, &batch)?;
                batch.clear();
                batch.shrink_to(KEPT);
                // Where there are enough of them it is not needed.
                let _ = done.try_send(batch);
            }
            Ok(file)
        };
        let thread = std::thread::Builder::new().name("seal".to_owned());
        let thread = thread
            .spawn(seal)
            .map_err(|e| StorageError::new(ErrorKind::Other, "start a thread for", "compressing").because(e))?;
        Ok(Behind { batches, empty, thread })
    }

    fn end(self) -> Result<SealedWriter<S>> {
        drop(self.batches);
        match self.thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn lost() -> ArchiveError {
    StorageError::new(ErrorKind::Other, "go on with", "a file that could not be written").into()
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::super::header::{ArchiveId, ObjectKind, SALT_LEN};
    use super::*;

    /// Takes so many bytes and is full then.
    struct Small(usize);

    impl ByteSink for Small {
        fn push(&mut self, bytes: &[u8]) -> std::result::Result<(), StorageError> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or_else(|| StorageError::new(ErrorKind::Full, "write", "a small file"))?;
            Ok(())
        }
    }

    fn file<S: ByteSink>(sink: S) -> SealedWriter<S> {
        let (archive, salt) = (ArchiveId([3; 16]), [7; SALT_LEN]);
        SealedWriter::new(sink, ObjectKind::Segment, archive, "x", salt, 1, Level::default()).unwrap()
    }

    fn batch(n: u32) -> Vec<u8> {
        (0..5000u32).flat_map(|i| (i.wrapping_mul(n)).to_le_bytes()).collect()
    }

    #[test]
    fn a_file_is_the_same_however_it_is_sealed() {
        let mut one = file(Vec::new());
        let mut two = Sealing::new(file(Vec::new()));
        for n in 1..40 {
            one.put(FrameKind::Payload, &batch(n)).unwrap();
            let mut buffer = batch(n);
            two.put(&mut buffer).unwrap();
            assert!(buffer.is_empty());
        }
        let two = two.finish().unwrap();
        assert_eq!((one.written(), one.frames()), (two.written(), two.frames()));
        assert_eq!(one.finish().unwrap().0, two.finish().unwrap().0);
    }

    #[test]
    fn an_error_comes_with_a_later_batch_or_at_the_end() {
        let mut full = Sealing::new(file(Small(20_000)));
        let error = (1..1000).find_map(|n| full.put(&mut batch(n)).err()).unwrap();
        assert!(
            matches!(&error, ArchiveError::Storage(e) if e.kind == ErrorKind::Full),
            "{error}"
        );
        assert!(full.put(&mut batch(1)).is_err() && full.finish().is_err());
        let mut full = Sealing::new(file(Small(200)));
        full.put(&mut batch(1)).unwrap();
        assert!(full.finish().is_err());
    }
}
