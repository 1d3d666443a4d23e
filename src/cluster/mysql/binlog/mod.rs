//! The binary log: read as a stream, dated, summed up, kept as it is.

mod charset;
pub mod event;
mod format;
mod group;
mod gtid_event;
mod host;
pub mod marker;
pub mod payload;
pub mod query;
pub mod rows;
mod stream;
mod summary;
mod unfold;

pub use gtid_event::{AlterPhase, GtidEvent};
pub use summary::is_own;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::clock::Where;
use super::core::Core;
use super::gtid::{Gtid, GtidSet};
use super::wire::{Conn, Flavor};
use crate::cluster::{Changes, ClusterError, Mark};
use crate::model::crash::crash_point;
use crate::model::position::{Moment, Position};

/// For so long a server may need to count what it has already sent.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);

/// A mark at or after everything that was acknowledged before.
pub(super) fn mark(core: &Arc<Core>) -> Result<Mark, ClusterError> {
    let end = Instant::now() + COUNTED_WITHIN;
    loop {
        let mut state = core.commit_clock.hold();
        let read = |conn: &mut Conn| Ok((host::server_now(conn)?, host::position(conn)?));
        let (now, position) = core.ask("reading the position of the binary log", read)?;
        // MySQL sends a transaction some moments before it counts it as executed.
        if state.is_behind(&Where::of(&position)?) && Instant::now() < end {
            drop(state);
            thread::sleep(Duration::from_millis(2));
            continue;
        }
        let moment = state.date_place(now, &position)?;
        return Ok(Mark { moment, position });
    }
}

/// Writes the marker of a restore into the log of a server that is closed to everyone else (whatever the session's
/// `sql_log_bin` is; it is put back), and dates it: the stream hands out the same mark as `LogEvent::Restored`.
/// The table `_brine.restores` must exist. Before it is written, `note` gets the mark with the place before it; with that
/// [`written_marker`] finds it again.
pub(super) fn write_marker(
    core: &Core,
    conn: &mut Conn,
    id: &str,
    note: &mut dyn FnMut(&mut Conn, &Mark) -> Result<(), ClusterError>,
) -> Result<Mark, ClusterError> {
    let doing = |e: super::wire::WireError| e.doing("writing the restore into the binary log");
    let mut state = core.commit_clock.hold();
    let now = host::server_now(conn).map_err(doing)?;
    let before = host::place(conn)?;
    let at = state.date_marker(now);
    let mut mark = Mark {
        moment: Moment::of_tso(at),
        position: before.position(),
    };
    note(conn, &mark)?;
    let logged = conn
        .row("SELECT @@sql_log_bin")
        .map_err(doing)?
        .is_some_and(|r| r.number(0) == 1);
    conn.run("SET SESSION sql_log_bin = 1").map_err(doing)?;
    let written = conn.run(&marker::statement(id, at));
    crash_point("mysql.restore.marker-written");
    if !logged {
        conn.run("SET SESSION sql_log_bin = 0").map_err(doing)?;
    }
    written.map_err(doing)?;
    mark.position = behind_marker(conn, before)?;
    state.place_marker(at, &mark.position)?;
    Ok(mark)
}

/// The mark of a marker that was `noted` and then perhaps written: `None` when it was not.
pub(super) fn written_marker(
    core: &Core,
    conn: &mut Conn,
    id: &str,
    noted: &Mark,
) -> Result<Option<Mark>, ClusterError> {
    let Some(at) = noted.moment.tso else {
        return Ok(None);
    };
    let comment = host::comment_of_restores(conn)?;
    if comment != marker::comment(id, at) {
        return Ok(None);
    }
    let position = match host::find_statement(conn, &Where::of(&noted.position)?, &marker::statement(id, at))? {
        Some(found) => found.position(),
        // That part of the log is gone. Nobody else writes into a closed server.
        None => host::place(conn)?.position(),
    };
    core.commit_clock.hold().place_marker(at, &position)?;
    Ok(Some(Mark {
        moment: noted.moment,
        position,
    }))
}

/// The place behind the marker. MariaDB tells its GTID; MySQL's set after it has nothing else, because nobody else may write.
fn behind_marker(conn: &mut Conn, before: Where) -> Result<Position, ClusterError> {
    let mut after = host::place(conn)?;
    if conn.info().flavor == Flavor::MariaDb && after.set != before.set {
        let row = conn
            .row("SELECT @@last_gtid")
            .map_err(|e| e.doing("reading the GTID of a statement"))?;
        let own = row.and_then(|r| Gtid::parse(&r.text(0)));
        let mut set = match before.set {
            GtidSet::MySql(_) => GtidSet::Empty,
            set => set,
        };
        if let Some(own) = own {
            set.add(&own);
            after.set = set;
        }
    }
    Ok(after.position())
}

/// The stream behind a place.
pub(super) fn changes(core: &Arc<Core>, after: &Mark, anchors: &[Mark]) -> Result<Box<dyn Changes>, ClusterError> {
    Ok(Box::new(stream::open(core, after, anchors)?))
}

/// These servers keep their log by their own settings; nothing is asked of them.
pub(super) fn keep_log(_core: &Arc<Core>, _from: Option<&Position>) -> Result<(), ClusterError> {
    Ok(())
}
