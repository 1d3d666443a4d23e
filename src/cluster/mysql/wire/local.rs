//! LOAD DATA LOCAL.

use super::WireError;
use super::conn::{Conn, Done};
use crate::cluster::BatchSource;

impl Conn {
    /// Runs a `LOAD DATA LOCAL INFILE` and gives it what `source` gives, whatever file it names. LOCAL implies IGNORE: the
    /// caller compares the rows and looks at the warnings. When the source stops, the connection is ended, and with it the
    /// statement: nothing of it stays.
    pub fn load_local(&mut self, _sql: &str, _source: &mut dyn BatchSource) -> Result<Done, WireError> {
        Err(WireError::Protocol("not written yet".to_owned()))
    }
}
