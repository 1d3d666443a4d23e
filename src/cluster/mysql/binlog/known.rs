//! Whether a server is the one that an archive's log came from: its own log must hold the transaction that was archived last.
//!
//! Numbers alone do not tell: every MariaDB server of domain 0 that has counted far enough has a `0-1-4711`, and a log that was
//! reset counts from 1 again. The transaction of that name must be of the same server and of the same second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::ClusterError;
use crate::cluster::mysql::clock::Where;
use crate::cluster::mysql::core::Core;
use crate::cluster::mysql::gtid::{Gtid, GtidSet};
use crate::cluster::mysql::wire::{Conn, Dump, DumpRequest, DumpStart, Flavor, WireError};
use crate::model::position::Position;

use super::event::{Event, Header};
use super::gtid_event::GtidEvent;
use super::{host, payload};

/// For so long the server may look for the place.
const FOUND_WITHIN: Duration = Duration::from_secs(20);
/// So many transactions are looked at: the one that is looked for should be the first.
const LOOKED_AT: usize = 1000;

/// An error when the server's log has another transaction in the place of `last`, which came behind `from` and `earlier`.
/// None where that cannot be told: the log no longer reaches back, or there are no GTIDs.
pub(in crate::cluster::mysql) fn recognise(
    core: &Arc<Core>,
    from: &Position,
    earlier: &[String],
    last: &[u8],
) -> Result<(), ClusterError> {
    let archived = Name::of(last)?;
    let Some(gtid) = &archived.gtid else { return Ok(()) };
    let mut before = Where::of(from)?;
    earlier
        .iter()
        .filter_map(|id| Gtid::parse(id))
        .for_each(|gtid| before.set.add(&gtid));
    if before.set.contains(gtid) {
        return Ok(());
    }
    let mut conn = core.connect()?;
    let asking = |e: WireError| e.doing("looking whether this is the server that was archived");
    if host::by_place(&mut conn).map_err(asking)? || !may_have(&mut conn, gtid, &before.set)? {
        return Ok(());
    }
    let flavor = conn.info().flavor;
    let request = DumpRequest {
        server_id: 0,
        start: DumpStart::Gtid(before.set.to_string()),
        heartbeat: Duration::from_secs(1),
        semi_sync: false,
    };
    let there = conn.dump(&request).and_then(|mut dump| find(&mut dump, gtid));
    match there {
        Ok(Some(there)) if !there.is_of(&archived) => Err(differs(core, flavor, from, gtid, &archived, &there)),
        Ok(_) => Ok(()),
        // What it means that the log does not begin there is found out when it is to be read.
        Err(WireError::Server { code: 1236, .. }) => Ok(()),
        Err(e) => Err(asking(e)),
    }
}

/// Whether the server counts the transaction at all, and still has what comes behind the place.
fn may_have(conn: &mut Conn, gtid: &Gtid, before: &GtidSet) -> Result<bool, ClusterError> {
    let now = host::place(conn)?;
    let oldest = host::oldest(conn)?;
    Ok(now.set.contains(gtid) && now.set.contains_all(before) && before.contains_all(&oldest.set))
}

/// A transaction as its first event names it.
struct Name {
    gtid: Option<Gtid>,
    server_id: u32,
    stamp: u32,
}

impl Name {
    /// Of an archived one.
    fn of(record: &[u8]) -> Result<Name, ClusterError> {
        Name::of_event(&payload::first(record)?)
    }

    fn of_event(event: &Event<'_>) -> Result<Name, ClusterError> {
        Ok(Name {
            gtid: GtidEvent::parse(event)?.gtid,
            server_id: event.header.server_id,
            stamp: event.header.timestamp,
        })
    }

    /// Replicas keep both as they are at the source.
    fn is_of(&self, other: &Name) -> bool {
        (self.server_id, self.stamp) == (other.server_id, other.stamp)
    }
}

/// The transaction of this number, whoever wrote it; `None` when it does not come.
fn find(dump: &mut Dump, gtid: &Gtid) -> Result<Option<Name>, WireError> {
    let end = Instant::now() + FOUND_WITHIN;
    let mut seen = 0;
    while seen < LOOKED_AT && Instant::now() < end {
        let Some(raw) = dump.next(Duration::from_secs(1))? else {
            continue;
        };
        let Some(header) = Header::parse(raw).filter(|h| h.kind.is_gtid()) else {
            continue;
        };
        seen += 1;
        // With or without a checksum behind it: what is read stands at the beginning.
        let name = Event::unchecked(raw, false).and_then(|event| Name::of_event(&event));
        let name = name.map_err(|e| WireError::Protocol(e.to_string()))?;
        if name.gtid.as_ref().is_some_and(|there| is_same_number(there, gtid)) {
            return Ok(Some(Name {
                server_id: header.server_id,
                ..name
            }));
        }
    }
    Ok(None)
}

fn is_same_number(a: &Gtid, b: &Gtid) -> bool {
    match (a, b) {
        (Gtid::Maria { domain, seq, .. }, Gtid::Maria { domain: d, seq: s, .. }) => (domain, seq) == (d, s),
        (a, b) => a == b,
    }
}

fn differs(core: &Core, flavor: Flavor, from: &Position, gtid: &Gtid, archived: &Name, there: &Name) -> ClusterError {
    let second = |stamp: u32| crate::model::clock::Millis(i64::from(stamp) * 1000).utc().to_rfc3339();
    if flavor == Flavor::MySql {
        // It is the server of that UUID: its log was reset, and counts from 1 again.
        return ClusterError::LogGone {
            asked: Box::new(from.clone()),
            oldest: Box::new(Position::Binlog {
                gtid: gtid.to_string(),
                file: String::new(),
                offset: 0,
                begun: Some(there.stamp),
                unlogged: None,
            }),
        };
    }
    let hosts: Vec<String> = core.options.endpoints.iter().map(ToString::to_string).collect();
    ClusterError::OtherServer(format!(
        "{} is not the server that was archived, or its log was reset: its transaction {gtid} is of {} (server id {}), the archived \
         one of {} (server id {}); name the right server in the configuration, or accept this one with `brine cluster adopt` and \
         take a new snapshot",
        hosts.join(", "),
        second(there.stamp),
        there.server_id,
        second(archived.stamp),
        archived.server_id,
    ))
}
