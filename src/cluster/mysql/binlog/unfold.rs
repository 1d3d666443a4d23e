//! Compressed events and transactions, made into what they would be without compression.
//!
//! MariaDB (`log_bin_compress`) compresses statements and the rows of rows events with zlib; MySQL
//! (`binlog_transaction_compression`) whole transactions with zstd.

use std::io::Read;

use crate::cluster::ClusterError;

use super::event::{Cursor, Event, HEADER, Header, Kind, build, malformed};
use super::rows;

/// No event is larger than this.
const LIMIT: u64 = 1 << 30;

/// The plain form of a compressed event; `None` for one that is plain already.
pub(super) fn event(event: &Event<'_>, checksum: bool) -> Result<Option<Vec<u8>>, ClusterError> {
    let (kind, body) = match event.kind() {
        Kind::QUERY_COMPRESSED => (Kind::QUERY, query(event)),
        Kind(n @ 166..=168) => (Kind(n - 166 + Kind::WRITE_ROWS_V1.0), rows_event(event)),
        Kind(n @ 169..=171) => (Kind(n - 169 + Kind::WRITE_ROWS.0), rows_event(event)),
        _ => return Ok(None),
    };
    let body = body.ok_or_else(|| malformed(format!("a compressed event (kind {}) is damaged", event.kind().0)))?;
    let mut out = Vec::new();
    build(Header { kind, ..event.header }, &body, checksum, &mut out);
    Ok(Some(out))
}

/// The statement stands behind its settings and its database.
fn query(event: &Event<'_>) -> Option<Vec<u8>> {
    let mut at = Cursor::new(event.body);
    at.take(8)?;
    let db = usize::from(at.u8()?);
    at.take(2)?;
    let settings = usize::from(at.u16()?);
    at.take(settings + db + 1)?;
    front_and_inflated(event.body, at.rest())
}

fn rows_event(event: &Event<'_>) -> Option<Vec<u8>> {
    let opened = rows::rows_at(event.kind(), event.body)?;
    front_and_inflated(event.body, opened.rows.rest())
}

/// What stands before the compressed rest, and the rest inflated.
fn front_and_inflated(body: &[u8], rest: &[u8]) -> Option<Vec<u8>> {
    let mut out = body.get(..body.len() - rest.len())?.to_vec();
    let mut at = Cursor::new(rest);
    // The number of bytes of the length that follows (highest byte first), and which compression: 0 is zlib.
    let head = at.u8()?;
    if head & 0x80 == 0 || head >> 4 & 7 != 0 {
        return None;
    }
    let len = at.take(usize::from(head & 7).min(8))?;
    let len = len.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
    if len > LIMIT {
        return None;
    }
    let before = out.len() as u64;
    let mut inflated = flate2::read::ZlibDecoder::new(at.rest()).take(len + 1);
    inflated.read_to_end(&mut out).ok()?;
    (out.len() as u64 == before + len).then_some(out)
}

/// The events of a transaction that MySQL compressed as a whole, without checksums.
pub(super) fn transaction<'a>(event: &Event<'a>) -> Result<Unpacked<'a>, ClusterError> {
    unpack(event.body).ok_or_else(damaged)
}

fn damaged() -> ClusterError {
    malformed("a compressed transaction is damaged")
}

/// Unpacks one event after the other, so that no more than one is in memory.
pub(super) struct Unpacked<'a> {
    plain: Plain<'a>,
    /// Bytes that were said to be there and were not read yet.
    left: Option<u64>,
}

enum Plain<'a> {
    Stored(&'a [u8]),
    Zstd(Box<zstd::stream::read::Decoder<'static, &'a [u8]>>),
}

impl Read for Plain<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Plain::Stored(bytes) => bytes.read(buf),
            Plain::Zstd(decoder) => decoder.read(buf),
        }
    }
}

fn unpack(body: &[u8]) -> Option<Unpacked<'_>> {
    let mut at = Cursor::new(body);
    let (mut packed, mut method, mut left) = (None, 0, None);
    loop {
        let field = at.lenenc()?;
        if field == 0 {
            break;
        }
        let len = usize::try_from(at.lenenc()?).ok()?;
        let mut value = Cursor::new(at.take(len)?);
        match field {
            1 => packed = Some(usize::try_from(value.lenenc()?).ok()?),
            2 => method = value.lenenc()?,
            3 => left = Some(value.lenenc()?),
            _ => {}
        }
    }
    let packed = at.take(packed?)?;
    let plain = match method {
        255 => Plain::Stored(packed),
        0 => Plain::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(packed).ok()?)),
        _ => return None,
    };
    Some(Unpacked { plain, left })
}

impl Unpacked<'_> {
    /// Reads the next event into `raw`; false behind the last one.
    pub fn next(&mut self, raw: &mut Vec<u8>) -> Result<bool, ClusterError> {
        raw.clear();
        // One huge event must not keep its memory.
        raw.shrink_to(1 << 20);
        let cut = || malformed("an event in a compressed transaction is cut");
        match self.fill(raw, HEADER)? {
            0 if self.left.is_none_or(|left| left == 0) => return Ok(false),
            HEADER => {}
            _ => return Err(cut()),
        }
        let size = Header::parse(raw).map_or(0, |h| h.size as usize);
        let rest = size
            .checked_sub(HEADER)
            .filter(|_| size as u64 <= LIMIT)
            .ok_or_else(cut)?;
        if self.fill(raw, rest)? != rest {
            return Err(cut());
        }
        let whole = raw.len() as u64;
        self.left = match self.left {
            Some(left) => Some(left.checked_sub(whole).ok_or_else(damaged)?),
            None => None,
        };
        Ok(true)
    }

    /// Appends up to so many bytes.
    fn fill(&mut self, raw: &mut Vec<u8>, len: usize) -> Result<usize, ClusterError> {
        (&mut self.plain)
            .take(len as u64)
            .read_to_end(raw)
            .map_err(|_| damaged())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0x80 | 2];
        out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        let mut encoder = flate2::write::ZlibEncoder::new(out, flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn rows_and_statements_are_inflated() {
        let plain = rows::tests::rows(Kind::UPDATE_ROWS_V1, 4, 5);
        let body = &Event::parse(&plain, false).unwrap().body.to_vec();
        let mut packed = body[..11].to_vec();
        packed.extend(zlib(&body[11..]));
        let raw = rows::tests::event(Kind::UPDATE_ROWS_COMPRESSED_V1, &packed);
        let compressed = Event::parse(&raw, false).unwrap();
        assert_eq!(event(&compressed, false).unwrap(), Some(plain.clone()));
        assert_eq!(event(&Event::parse(&plain, false).unwrap(), false).unwrap(), None);

        let mut front = vec![0; 13];
        front[8] = 2;
        front.extend_from_slice(b"db\0");
        let mut packed = front.clone();
        packed.extend(zlib(b"CREATE TABLE t (a int)"));
        let raw = rows::tests::event(Kind::QUERY_COMPRESSED, &packed);
        front.extend_from_slice(b"CREATE TABLE t (a int)");
        let want = rows::tests::event(Kind::QUERY, &front);
        assert_eq!(event(&Event::parse(&raw, false).unwrap(), false).unwrap(), Some(want));
    }

    fn unpacked(raw: &[u8]) -> Result<Vec<Vec<u8>>, ClusterError> {
        let mut inner = transaction(&Event::parse(raw, false)?)?;
        let (mut out, mut event) = (Vec::new(), Vec::new());
        while inner.next(&mut event)? {
            out.push(event.clone());
        }
        Ok(out)
    }

    #[test]
    fn transactions_are_unpacked() {
        let inner = [rows::tests::map(1, "d", "t"), rows::tests::rows(Kind::WRITE_ROWS, 1, 0)].concat();
        let packed = zstd::encode_all(&inner[..], 1).unwrap();
        let mut body = vec![2, 1, 0, 3, 1, inner.len() as u8, 1, 1, packed.len() as u8, 0];
        body.extend_from_slice(&packed);
        let raw = rows::tests::event(Kind::TRANSACTION_PAYLOAD, &body);
        let unpacked = unpacked(&raw).unwrap();
        assert_eq!((unpacked.len(), unpacked.concat()), (2, inner.clone()));

        let mut short = body.clone();
        short[5] -= 1;
        let raw = rows::tests::event(Kind::TRANSACTION_PAYLOAD, &short);
        assert!(super::tests::unpacked(&raw).is_err(), "more than was said");
        short[5] += 2;
        let raw = rows::tests::event(Kind::TRANSACTION_PAYLOAD, &short);
        assert!(super::tests::unpacked(&raw).is_err(), "less than was said");
        let cut = zstd::encode_all(&inner[..30], 1).unwrap();
        let mut body = vec![2, 1, 0, 1, 1, cut.len() as u8, 0];
        body.extend_from_slice(&cut);
        let raw = rows::tests::event(Kind::TRANSACTION_PAYLOAD, &body);
        assert!(super::tests::unpacked(&raw).is_err(), "an event is cut");
    }

    proptest! {
        #[test]
        fn any_bytes_are_unfolded_or_refused(body in proptest::collection::vec(any::<u8>(), 0..80), kind in 160u8..175) {
            let raw = rows::tests::event(Kind(kind), &body);
            let parsed = Event::parse(&raw, false).unwrap();
            let _ = event(&parsed, true);
            let _ = unpacked(&raw);
        }
    }
}
