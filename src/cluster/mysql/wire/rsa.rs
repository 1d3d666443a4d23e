//! Looks at a server's public key before it is used: the library that encrypts with it trusts its form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Whether `pem` is an RSA key of 2048 to 8192 bits in a `PUBLIC KEY` block, as MySQL and MariaDB send it.
pub(super) fn is_public_key(pem: &[u8]) -> bool {
    modulus_bytes(pem).is_some_and(|n| (256..=1024).contains(&n))
}

/// The length of the modulus without leading zeros.
fn modulus_bytes(pem: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(pem).ok()?.trim();
    let body = text
        .strip_prefix("-----BEGIN PUBLIC KEY-----")?
        .strip_suffix("-----END PUBLIC KEY-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    // SEQUENCE { SEQUENCE { OID, NULL }, BIT STRING { 0, SEQUENCE { INTEGER modulus, INTEGER exponent } } }
    let (outer, after) = value(&der, 0x30)?;
    let (_, bits) = value(outer, 0x30)?;
    let (bits, rest) = value(bits, 0x03)?;
    let (key, no_more) = value(bits.strip_prefix(&[0])?, 0x30)?;
    let (modulus, exponent) = value(key, 0x02)?;
    let (exponent, end) = value(exponent, 0x02)?;
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let is_odd = modulus.last().is_some_and(|b| b & 1 == 1);
    let is_whole = after.is_empty() && rest.is_empty() && no_more.is_empty() && end.is_empty();
    let starts = modulus.first().is_some_and(|b| *b >= 0x80);
    (is_whole && is_odd && starts && (1..=8).contains(&exponent.len())).then_some(modulus.len())
}

/// The content of the DER value with this tag, and what follows it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    if *found != tag {
        return None;
    }
    let (first, rest) = rest.split_first()?;
    let (len, rest) = match *first {
        short @ 0..=0x7F => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => {
            let [a, b] = *rest.first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes([a, b])), rest.get(2..)?)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}
