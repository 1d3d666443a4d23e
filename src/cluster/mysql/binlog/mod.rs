//! The binary log: read as a stream, dated, summed up, kept as it is.

mod charset;
pub mod event;
mod format;
mod group;
mod gtid_event;
mod host;
mod known;
pub mod marker;
pub mod notes;
pub mod payload;
mod place;
pub mod query;
pub mod rows;
pub mod savepoints;
mod semisync;
mod stream;
mod summary;
mod unfold;
mod unlogged;
mod written;
pub mod xa;

pub use gtid_event::{AlterPhase, GtidEvent};
pub use summary::is_own;

pub(super) use host::by_place;
pub(super) use known::recognise;
pub(super) use unlogged::at_snapshot as unlogged_at_snapshot;
pub(super) use written::{write_marker, written_marker};

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::clock::Where;
use super::core::Core;
use super::wire::Conn;
use crate::cluster::{Changes, ClusterError, Mark};
use crate::model::position::Position;

/// For so long a server may need to count what it has already sent.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);

/// A mark at or after everything that was acknowledged before.
pub(super) fn mark(core: &Arc<Core>) -> Result<Mark, ClusterError> {
    let end = Instant::now() + COUNTED_WITHIN;
    loop {
        let mut state = core.commit_clock.hold();
        let read = |conn: &mut Conn| Ok((host::server_now(conn)?, host::position(conn)?, host::by_place(conn)?));
        let (now, mut position, by_place) = core.ask("reading the position of the binary log", read)?;
        if by_place {
            position = stamped(core, position)?;
        }
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

/// A place with the time at which its file was begun, which tells it from another of its name. For servers without GTIDs.
pub(super) fn stamped(core: &Core, position: Position) -> Result<Position, ClusterError> {
    let mut at = Where::of(&position)?;
    if !at.place.file.is_empty() {
        let begun = host::file_begun(core.connect()?, &at.place.file);
        at.begun = Some(begun.map_err(|e| e.doing("asking when a file of the binary log was begun"))?);
    }
    Ok(at.position())
}

/// Refuses a server whose log cannot be archived.
pub(super) fn check_log(core: &Core) -> Result<(), ClusterError> {
    host::check_settings(&mut core.connect()?)
}

/// An error when no host's log goes on behind a place.
pub(super) fn continues(core: &Core, end: &Position) -> Result<(), ClusterError> {
    let mut at = Where::of(end)?;
    core.connect_where(&mut |conn| {
        host::start(conn, &at, &core.options)?;
        unlogged::Watch::begin(conn, &mut at)?;
        Ok(true)
    })?;
    Ok(())
}

/// The stream behind a place.
pub(super) fn changes(core: &Arc<Core>, after: &Mark, anchors: &[Mark]) -> Result<Box<dyn Changes>, ClusterError> {
    Ok(Box::new(stream::open(core, after, anchors)?))
}

/// These servers keep their log by their own settings; nothing is asked of them.
pub(super) fn keep_log(_core: &Arc<Core>, _from: Option<&Position>) -> Result<(), ClusterError> {
    Ok(())
}
