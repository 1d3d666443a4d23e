//! Servers that do not tell names apart by their case (`lower_case_table_names` 1 and 2).
//!
//! Such a server logs statements with names as they were typed and rows with names as it keeps them, and takes both for the
//! same. What is restored elsewhere, or replayed, would not be. So brine works only with servers that tell names apart.

use super::wire::{Conn, WireError};
use crate::cluster::ClusterError;

const NAME: &str = "lower_case_table_names";
const MEND: &str = "move the data by a dump into a server that was made with lower_case_table_names = 0";

/// What is wrong with the server's setting, and what helps; `None` for a server that tells names apart.
fn fault(conn: &mut Conn) -> Result<Option<String>, WireError> {
    let row = conn.row("SELECT @@lower_case_table_names")?;
    let value = row.map_or(0, |row| row.number(0));
    Ok((value != 0).then(|| format!("{NAME} is {value}: the server takes `Orders` and `orders` for one table")))
}

/// The same for `cluster check` and before a restore: what was found and what mends it.
pub(super) fn finding(conn: &mut Conn) -> Result<Option<(&'static str, String, &'static str)>, WireError> {
    Ok(fault(conn)?.map(|found| (NAME, found, MEND)))
}

/// Refuses such a server; `act` is what cannot be done.
pub(super) fn refuse(conn: &mut Conn, act: &str) -> Result<(), ClusterError> {
    let fault = fault(conn).map_err(|e| e.doing("reading the server's settings"))?;
    fault.map_or(Ok(()), |found| {
        Err(ClusterError::Unsupported {
            what: format!("{found}, and {act} exactly"),
            hint: MEND.to_owned(),
        })
    })
}
