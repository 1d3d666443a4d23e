//! XA transactions: how the log names them.

use super::event::{Event, malformed};
use crate::cluster::ClusterError;

/// The id in an XA_PREPARE event, as statements of the log write it: MariaDB logs no `XA START` before it. `None` for one that
/// was committed in one phase.
pub fn prepared(event: &Event<'_>) -> Result<Option<String>, ClusterError> {
    match event.body.first() {
        Some(0) => id(event.body)
            .map(Some)
            .ok_or_else(|| malformed("an XA transaction's id is cut short")),
        _ => Ok(None),
    }
}

fn id(body: &[u8]) -> Option<String> {
    let number = |at: usize| -> Option<u32> { Some(u32::from_le_bytes(body.get(at..at + 4)?.try_into().ok()?)) };
    let (format, global, branch) = (number(1)?, number(5)? as usize, number(9)? as usize);
    let hex = |from: usize, len: usize| -> Option<String> {
        let bytes = body.get(from..from.checked_add(len)?)?;
        Some(bytes.iter().map(|b| format!("{b:02x}")).collect())
    };
    let (branch, global) = (hex(13_usize.checked_add(global)?, branch)?, hex(13, global)?);
    Some(format!("x'{global}',x'{branch}',{format}"))
}

/// An XA id however it is spaced and cased.
pub fn plain(id: &str) -> String {
    id.chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::event::Kind;
    use super::super::rows::tests as rows;
    use super::*;

    #[test]
    fn both_steps_name_it_alike() {
        let body = |one_phase: u8| [&[one_phase][..], &[7, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0], b"aBc"].concat();
        let of = |body: &[u8]| prepared(&Event::parse(&rows::event(Kind::XA_PREPARE, body), false).unwrap());
        assert_eq!(of(&body(0)).unwrap().unwrap(), plain("X'6142', X'63', 7"));
        assert_eq!(of(&body(1)).unwrap(), None);
        assert!(of(&body(0)[..14]).is_err());
    }
}
