//! Reads the values inside a packet.
//!
//! *Invariant: nothing here panics or allocates by a length that is larger than the packet.*

use super::WireError;

/// A packet that is read from its front.
#[derive(Clone, Copy)]
pub(super) struct Parse<'a> {
    rest: &'a [u8],
    /// What kind of packet, for errors.
    what: &'static str,
}

impl<'a> Parse<'a> {
    /// Reads `bytes`, which should be `what`.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Parse { rest: bytes, what }
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The error of a packet that ends too early.
    pub fn cut(&self) -> WireError {
        WireError::Protocol(format!("{} is cut short", self.what))
    }

    /// The next `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or_else(|| self.cut())?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.cut())?;
        self.rest = tail;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Two bytes, little endian.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes, little endian.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Bytes up to a zero, which is taken too.
    pub fn until_zero(&mut self) -> Result<&'a [u8], WireError> {
        let end = self.rest.iter().position(|b| *b == 0).ok_or_else(|| self.cut())?;
        let text = self.bytes(end)?;
        self.u8()?;
        Ok(text)
    }

    /// A length-encoded number; `None` for the mark of NULL.
    pub fn number(&mut self) -> Result<Option<u64>, WireError> {
        let first = self.u8()?;
        Ok(Some(match first {
            0xFB => return Ok(None),
            0xFC => u64::from(self.u16()?),
            0xFD => {
                let [a, b, c] = self.array()?;
                u64::from(u32::from_le_bytes([a, b, c, 0]))
            }
            0xFE => u64::from_le_bytes(self.array()?),
            0xFF => return Err(WireError::Protocol(format!("{} holds an impossible length", self.what))),
            small => u64::from(small),
        }))
    }

    /// A length-encoded string; `None` for NULL.
    pub fn string(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        match self.number()? {
            None => Ok(None),
            Some(n) => {
                let n = usize::try_from(n).map_err(|_| self.cut())?;
                self.bytes(n).map(Some)
            }
        }
    }
}

/// Appends a length-encoded string.
pub(super) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let n = bytes.len() as u64;
    let le = n.to_le_bytes();
    let [a, b, c, ..] = le;
    match n {
        0..=0xFA => out.push(a),
        0xFB..=0xFFFF => out.extend_from_slice(&[0xFC, a, b]),
        0x1_0000..=0xFF_FFFF => out.extend_from_slice(&[0xFD, a, b, c]),
        _ => {
            out.push(0xFE);
            out.extend_from_slice(&le);
        }
    }
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_at_every_length_class() {
        for n in [0usize, 1, 0xFA, 0xFB, 0xFFFF, 0x1_0000, 0xFF_FFFF, 0x100_0000] {
            let text = vec![7u8; n];
            let mut out = Vec::new();
            put_string(&mut out, &text);
            let mut parse = Parse::new("a string", &out);
            assert_eq!(parse.string().unwrap().unwrap(), text.as_slice());
            assert!(parse.rest().is_empty());
        }
    }

    #[test]
    fn a_length_beyond_the_packet_is_an_error() {
        for bytes in [
            &[0xFEu8, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1][..],
            &[0xFF, 1, 2],
            &[0xFC, 1],
            &[5, 1, 2],
            &[],
        ] {
            assert!(Parse::new("a string", bytes).string().is_err());
        }
        assert_eq!(Parse::new("a string", &[0xFB]).string().unwrap(), None);
    }
}
