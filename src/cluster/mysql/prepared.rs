//! XA transactions that are prepared: they outlive their sessions, and hold their locks until somebody decides.

use super::text::hex;
use super::wire::{Conn, Row, WireError};
use crate::cluster::ClusterError;

/// Refuses a server that has any: what they hold could not be moved, and their rows would be in neither what is restored nor
/// in its way back.
pub(super) fn none(conn: &mut Conn) -> Result<(), ClusterError> {
    // Where they are not shown, the switch finds them, and goes back.
    let ids = ids(conn).map_err(|e| e.doing("looking for prepared XA transactions"))?;
    if ids.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = ids
        .iter()
        .take(5)
        .map(|id| format!("XA COMMIT {id} or XA ROLLBACK {id}"))
        .collect();
    Err(ClusterError::Unsupported {
        what: format!(
            "{} XA transaction(s) are prepared on this server and wait for a decision; they hold their rows and tables",
            ids.len()
        ),
        hint: format!("decide first: {}", shown.join("; ")),
    })
}

/// Those of a server. MySQL shows them only with a privilege of their own: none without it.
pub(super) fn ids(conn: &mut Conn) -> Result<Vec<String>, WireError> {
    let rows = match conn.rows("XA RECOVER") {
        Ok(rows) => rows,
        Err(WireError::Server { .. }) => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let of = |row: &Row| {
        let (gtrid, bqual) = (row.number(1), row.number(2));
        let data = row.bytes(3).unwrap_or_default();
        id(row.number(0), usize::try_from(gtrid), usize::try_from(bqual), data)
    };
    Ok(rows.iter().map(of).collect())
}

/// As the statements name it.
fn id<E>(format: u64, gtrid: Result<usize, E>, bqual: Result<usize, E>, data: &[u8]) -> String {
    let (gtrid, bqual) = (gtrid.unwrap_or(usize::MAX), bqual.unwrap_or(0));
    let (first, rest) = data.split_at(gtrid.min(data.len()));
    let second = rest.get(..bqual).unwrap_or(rest);
    format!("X'{}',X'{}',{format}", hex(first), hex(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_named_by_its_bytes() {
        let named = |g: usize, b: usize, data: &[u8]| id::<()>(1, Ok(g), Ok(b), data);
        assert_eq!(named(2, 1, b"a'c"), "X'6127',X'63',1");
        assert_eq!(named(3, 0, b"abc"), "X'616263',X'',1");
        assert_eq!(named(9, 9, b"abc"), "X'616263',X'',1");
    }
}
