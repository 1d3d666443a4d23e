//! LOAD DATA LOCAL.

use super::conn::{Conn, Done};
use super::rows::{self, Head};
use super::{WireError, answer};
use crate::cluster::BatchSource;

/// What one packet of the file holds: far below any max_allowed_packet.
const PIECE: usize = 256 << 10;

impl Conn {
    /// Runs a `LOAD DATA LOCAL INFILE` and gives it what `source` gives, whatever file it names. LOCAL implies IGNORE: the
    /// caller compares the rows and looks at the warnings. When the source stops, the connection is ended, and with it the
    /// statement: a transactional table keeps nothing of it.
    pub fn load_local(&mut self, sql: &str, source: &mut dyn BatchSource) -> Result<Done, WireError> {
        self.none_under_way()?;
        self.send(sql)?;
        self.begin_answer()?;
        self.exchange(|stream| {
            if !matches!(rows::head(stream)?, Head::File) {
                return Err(WireError::Protocol("the statement asked for no file".to_owned()));
            }
            while let Some(batch) = source.next()? {
                // An empty packet would end the file.
                for piece in batch.chunks(PIECE) {
                    stream.write(&[piece])?;
                }
            }
            stream.write(&[])?;
            stream.flush()?;
            match rows::head(stream)? {
                Head::Done(done, status) if status & answer::MORE_RESULTS == 0 => Ok(done),
                _ => Err(WireError::Protocol("a load was answered by something else".to_owned())),
            }
        })
    }
}
