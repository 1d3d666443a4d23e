//! What only the server knows while its log is read, kept with the transaction as events of brine's own: which time zone
//! `SYSTEM` was for a statement that ran in it, and the text of a statement in a charset that brine cannot read.
//!
//! Their kind is one that readers pass over where they do not know it.

use crate::cluster::ClusterError;
use crate::cluster::mysql::schema::zone::Zone;
use crate::cluster::mysql::wire::{Conn, WireError};

use super::event::{Event, Header, Kind, build};
use super::payload;

/// What such an event begins with.
const ZONE: &[u8] = b"brine: SYSTEM is ";
const TEXT: &[u8] = b"brine: the text is ";

/// The zone of the server that is read.
pub(super) struct SystemZone {
    server_id: u32,
    /// Since when it runs: the zone is chosen when a server starts.
    since: u64,
    /// None where it does not tell.
    zone: Option<Zone>,
}

impl SystemZone {
    /// Asks for it.
    pub fn ask(conn: &mut Conn) -> Result<SystemZone, WireError> {
        let up = conn
            .row("SHOW GLOBAL STATUS LIKE 'Uptime'")?
            .map_or(0, |row| row.number(1));
        let now = conn.row("SELECT UNIX_TIMESTAMP(), @@GLOBAL.server_id")?;
        let (now, id) = now.map_or((0, 0), |row| (row.number(0), row.number(1)));
        Ok(SystemZone {
            server_id: u32::try_from(id).unwrap_or_default(),
            since: now.saturating_sub(up),
            zone: Zone::told(conn)?,
        })
    }

    /// Adds it to a transaction that this server wrote since it runs.
    pub fn note(&self, record: &mut Vec<u8>) -> Result<(), ClusterError> {
        let Some(zone) = &self.zone else { return Ok(()) };
        let first = payload::first(record)?.header;
        if first.server_id != self.server_id || u64::from(first.timestamp) < self.since {
            return Ok(());
        }
        let zone = serde_json::to_vec(zone).map_err(|e| payload::malformed(e.to_string()))?;
        add(record, ZONE, &zone)
    }
}

/// Adds the text of a transaction's statement.
pub(super) fn add_text(record: &mut Vec<u8>, text: &str) -> Result<(), ClusterError> {
    add(record, TEXT, text.as_bytes())
}

fn add(record: &mut Vec<u8>, what: &[u8], note: &[u8]) -> Result<(), ClusterError> {
    let head = payload::parse(record)?.head;
    let header = Header {
        kind: Kind::IGNORABLE,
        log_pos: 0,
        flags: 0,
        ..payload::first(record)?.header
    };
    build(header, &[what, note].concat(), head.checksum, record);
    Ok(())
}

/// The text that was kept, if it is such an event.
pub(super) fn text<'a>(event: &Event<'a>) -> Option<&'a str> {
    std::str::from_utf8(of(event, TEXT)?).ok()
}

fn of<'a>(event: &Event<'a>, what: &[u8]) -> Option<&'a [u8]> {
    (event.kind() == Kind::IGNORABLE).then(|| event.body.strip_prefix(what))?
}

/// The zone that was kept with a transaction.
pub fn noted(events: &[Event<'_>]) -> Result<Option<Zone>, ClusterError> {
    let zone = events.iter().find_map(|event| of(event, ZONE));
    zone.map(|zone| serde_json::from_slice(zone).map_err(|e| payload::malformed(e.to_string())))
        .transpose()
}
