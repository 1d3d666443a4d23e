//! The packets that end an answer: OK, ERR, EOF.

use super::parse::Parse;
use super::{Done, WireError};

/// More results of the same statement follow.
pub(super) const MORE_RESULTS: u16 = 8;

/// An OK packet: what was done, and the status flags.
pub(super) fn ok(packet: &[u8]) -> Result<(Done, u16), WireError> {
    let mut parse = Parse::new("an OK packet", packet);
    parse.u8()?;
    let affected = parse.number()?.unwrap_or(0);
    parse.number()?;
    let status = parse.u16()?;
    let warnings = parse.u16()?;
    Ok((Done { affected, warnings }, status))
}

/// An EOF packet: warnings, and the status flags.
pub(super) fn eof(packet: &[u8]) -> Result<(u16, u16), WireError> {
    let mut parse = Parse::new("an EOF packet", packet);
    parse.u8()?;
    let warnings = parse.u16()?;
    Ok((warnings, parse.u16()?))
}

/// Whether a packet, not a continued one, is EOF. (A row that begins with 0xFE is at least 16 MiB long.)
pub(super) fn is_eof(packet: &[u8]) -> bool {
    packet.first() == Some(&0xFE) && packet.len() < 9
}

/// An ERR packet as an error. Before the login the SQLSTATE may be missing.
pub(super) fn err(packet: &[u8]) -> WireError {
    let mut parse = Parse::new("an ERR packet", packet);
    let Ok(code) = parse.u8().and_then(|_| parse.u16()) else {
        return parse.cut();
    };
    let (state, message) = match parse.rest() {
        [b'#', a, b, c, d, e, message @ ..] => (lossy(&[*a, *b, *c, *d, *e]), message),
        message => ("HY000".to_owned(), message),
    };
    WireError::Server {
        code,
        state,
        message: lossy(message),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_packet_is_read_with_and_without_state() {
        let with = err(b"\xff\x15\x04#28000Access denied");
        assert_eq!(with.to_string(), "the server says 1045 (28000): Access denied");
        let without = err(b"\xff\x10\x04Too many connections");
        assert_eq!(
            without.to_string(),
            "the server says 1040 (HY000): Too many connections"
        );
        assert!(matches!(err(b"\xff\x15"), WireError::Protocol(_)));
    }
}
