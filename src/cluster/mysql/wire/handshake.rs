//! The greeting of a server and our answer.

use super::parse::{Parse, put_string};
use super::{Flavor, Version, WireError};
use mysql_common::constants::CapabilityFlags as Cap;

/// The collation of the session until `SET NAMES`: utf8mb4_general_ci, which every server has.
const COLLATION: u8 = 45;
/// What we ask of every server.
const WANTED: Cap = Cap::CLIENT_LONG_FLAG
    .union(Cap::CLIENT_LOCAL_FILES)
    .union(Cap::CLIENT_PROTOCOL_41)
    .union(Cap::CLIENT_TRANSACTIONS)
    .union(Cap::CLIENT_SECURE_CONNECTION)
    .union(Cap::CLIENT_MULTI_RESULTS)
    .union(Cap::CLIENT_PLUGIN_AUTH)
    .union(Cap::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA)
    .union(Cap::CLIENT_CONNECT_ATTRS);
/// Without these the server is too old to talk to.
const NEEDED: Cap = Cap::CLIENT_PROTOCOL_41
    .union(Cap::CLIENT_SECURE_CONNECTION)
    .union(Cap::CLIENT_PLUGIN_AUTH);
/// MariaDB's bit for bulk execution, in the upper word.
pub(super) const MARIADB_BULK: u32 = 1 << 2;

/// What a server says first.
#[derive(Debug)]
pub(super) struct Greeting {
    pub flavor: Flavor,
    pub version: Version,
    pub version_text: String,
    pub connection_id: u32,
    pub capabilities: Cap,
    /// MariaDB's further capabilities.
    pub extended: u32,
    /// 20 bytes for the scramble.
    pub nonce: Vec<u8>,
    pub plugin: String,
}

impl Greeting {
    /// Reads it.
    pub fn read(packet: &[u8]) -> Result<Greeting, WireError> {
        let mut p = Parse::new("the greeting", packet);
        if p.u8()? != 10 {
            return Err(WireError::Protocol("the greeting is of another protocol".to_owned()));
        }
        let version_text = text(p.until_zero()?);
        let connection_id = p.u32()?;
        let mut nonce = p.bytes(8)?.to_vec();
        p.u8()?;
        let low = u32::from(p.u16()?);
        p.bytes(3)?;
        let capabilities = Cap::from_bits_truncate(low | u32::from(p.u16()?) << 16);
        let nonce_len = usize::from(p.u8()?);
        p.bytes(6)?;
        let extended = p.u32()?;
        if !capabilities.contains(NEEDED) {
            return Err(WireError::Protocol(format!("{version_text} is too old")));
        }
        let more = p.bytes(nonce_len.saturating_sub(8).max(13))?;
        nonce.extend_from_slice(more.get(..12).unwrap_or(more));
        let plugin = text(p.until_zero().unwrap_or_else(|_| p.rest()));
        let is_maria =
            version_text.to_ascii_lowercase().contains("mariadb") || !capabilities.contains(Cap::CLIENT_LONG_PASSWORD);
        Ok(Greeting {
            flavor: if is_maria { Flavor::MariaDb } else { Flavor::MySql },
            version: version(&version_text),
            version_text: version_text.strip_prefix("5.5.5-").unwrap_or(&version_text).to_owned(),
            connection_id,
            capabilities,
            extended: if is_maria { extended } else { 0 },
            nonce,
            plugin,
        })
    }

    /// What both sides can.
    pub fn agreed(&self, tls: bool) -> Cap {
        let mut wanted = WANTED;
        if tls {
            wanted |= Cap::CLIENT_SSL;
        }
        if self.flavor == Flavor::MySql {
            wanted |= Cap::CLIENT_LONG_PASSWORD;
        }
        wanted & self.capabilities
    }

    /// The fields that begin both the TLS request and the answer.
    pub fn head(&self, tls: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&self.agreed(tls).bits().to_le_bytes());
        out.extend_from_slice(&(1u32 << 30).to_le_bytes());
        out.push(COLLATION);
        out.extend_from_slice(&[0; 19]);
        out.extend_from_slice(&(self.extended & MARIADB_BULK).to_le_bytes());
        out
    }

    /// Our answer.
    pub fn answer(&self, tls: bool, user: &str, plugin: &str, proof: &[u8]) -> Vec<u8> {
        let agreed = self.agreed(tls);
        let mut out = self.head(tls);
        out.extend_from_slice(user.as_bytes());
        out.push(0);
        // A proof is at most 32 bytes, so both forms of its length are the same byte.
        put_string(&mut out, proof);
        out.extend_from_slice(plugin.as_bytes());
        out.push(0);
        if agreed.contains(Cap::CLIENT_CONNECT_ATTRS) {
            let mut attributes = Vec::new();
            for (name, value) in [
                ("_client_name", "brine"),
                ("_client_version", env!("CARGO_PKG_VERSION")),
                ("program_name", "brine"),
            ] {
                put_string(&mut attributes, name.as_bytes());
                put_string(&mut attributes, value.as_bytes());
            }
            put_string(&mut out, &attributes);
        }
        out
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The numbers of a version. MariaDB up to 10.11 puts `5.5.5-` before its own.
fn version(text: &str) -> Version {
    let own = match text.strip_prefix("5.5.5-") {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => rest,
        _ => text,
    };
    let mut numbers = own
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("5.5.5-10.11.19-MariaDB-0+deb12u1-log"), (10, 11, 19));
        assert_eq!(version("11.8.3-MariaDB-0+deb13u1"), (11, 8, 3));
        assert_eq!(version("9.7.0"), (9, 7, 0));
        assert_eq!(version("8.0.36-28"), (8, 0, 36));
        assert_eq!(version("x"), (0, 0, 0));
    }
}
