//! The time zone `SYSTEM` in the log: a statement says that it ran in it, and nothing says which zone that was. So it is asked
//! of the server while that can tell, and kept with the transaction.

use crate::cluster::ClusterError;
use crate::cluster::mysql::schema::zone::Zone;
use crate::cluster::mysql::wire::{Conn, WireError};

use super::event::{Event, Header, Kind, build};
use super::payload;

/// What such an event of ours begins with. Readers pass over events of its kind that they do not know.
const NOTE: &[u8] = b"brine: SYSTEM is ";

/// The zone of the server that is read.
pub(super) struct SystemZone {
    server_id: u32,
    /// Since when it runs: the zone is chosen when a server starts.
    since: u64,
    zone: Zone,
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
            zone: Zone::system(conn)?,
        })
    }

    /// Adds it to a transaction that this server wrote since it runs.
    pub fn note(&self, record: &mut Vec<u8>) -> Result<(), ClusterError> {
        let head = payload::parse(record)?.head;
        let first = payload::first(record)?.header;
        if first.server_id != self.server_id || u64::from(first.timestamp) < self.since {
            return Ok(());
        }
        let zone = serde_json::to_vec(&self.zone).map_err(|e| payload::malformed(e.to_string()))?;
        let header = Header {
            kind: Kind::IGNORABLE,
            log_pos: 0,
            flags: 0,
            ..first
        };
        build(header, &[NOTE, &zone].concat(), head.checksum, record);
        Ok(())
    }
}

/// The zone that was kept with a transaction.
pub fn noted(events: &[Event<'_>]) -> Result<Option<Zone>, ClusterError> {
    let of_ours = |event: &Event<'_>| Some(event.body.strip_prefix(NOTE)?.to_vec());
    let ignorable = events.iter().filter(|event| event.kind() == Kind::IGNORABLE);
    let zone = ignorable.filter_map(of_ours).next();
    zone.map(|zone| serde_json::from_slice(&zone).map_err(|e| payload::malformed(e.to_string())))
        .transpose()
}
