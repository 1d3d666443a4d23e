//! The change log of a server as a stream of transactions.
//!
//! The stream keeps its place by what it has read: the set of GTIDs after each transaction, the file and offset after each
//! event. Now and then it takes a mark (the server's clock, then the end of its log) and reads on until it is there: then
//! everything before that moment has been handed over.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use super::event::{CHECKSUM, Event, Kind, malformed};
use super::group::{Group, Groups};
use super::notes::{self, SystemZone};
use super::payload::Head;
use super::place::{advance, heartbeat, rotate};
use super::semisync::SemiSync;
use super::unlogged::Watch;
use super::{COUNTED_WITHIN, format, host};
use crate::cluster::mysql::clock::{ClockState, StreamDates, Where};
use crate::cluster::mysql::core::Core;
use crate::cluster::mysql::gtid::{Gtid, Place};
use crate::cluster::mysql::wire::{Conn, Dump, DumpRequest, DumpStart, Version, WireError};
use crate::cluster::{Changes, ClusterError, LogEvent, Mark, Txn};
use crate::model::clock::Millis;

/// How often the server says that nothing happened.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How often the stream takes a mark.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// How long a refusal of the stream is waited for before it counts as accepted.
const FIRST: Duration = Duration::from_secs(5);
/// And for so long once it has begun.
const SETTLED: Duration = Duration::from_millis(200);

/// One reader's place in the log.
pub(super) struct Stream {
    core: Arc<Core>,
    control: Conn,
    dump: Dump,
    groups: Groups,
    /// Everything before this was handed over, but for `ready`.
    at: Where,
    /// The place of the last event.
    read: Place,
    /// Transactions are known by their places only.
    by_place: bool,
    /// The place in `at` is that of its transactions: a dump by GTIDs begins further ahead, and sends nothing of what is there.
    placed: bool,
    /// What ends up to this offset was archived: the dump could not begin there. 0 for nothing.
    skip: u64,
    ready: Option<Ready>,
    dates: StreamDates,
    marked: Instant,
    /// How many places others had dated when the last mark was taken.
    dated: u64,
    /// What the server's clock showed, and when.
    server_clock: (Millis, Instant),
    /// Since when the server counts less than was handed out.
    behind: Option<Instant>,
    /// After a damaged event the stream was opened once more.
    again: bool,
    semi_sync: SemiSync,
    /// What the server takes in without logging it.
    unlogged: Watch,
    /// The time zone of the server, when it was asked for.
    zone: Option<SystemZone>,
}

/// A dump, a connection beside it, and how they begin.
struct Opened {
    dump: Dump,
    control: Conn,
    by_place: bool,
    /// Where reading begins.
    read: Place,
    skip: u64,
    unlogged: Watch,
}

/// A transaction that was not handed out yet.
struct Ready {
    group: Group,
    gtid: Option<Gtid>,
    behind: Place,
}

/// Opens the stream behind a place.
pub(super) fn open(core: &Arc<Core>, after: &Mark, anchors: &[Mark]) -> Result<Stream, ClusterError> {
    let mut at = Where::of(&after.position)?;
    let opened = connect(core, &mut at)?;
    let Opened { dump, control, .. } = opened;
    let now = Instant::now();
    let head = Head {
        flavor: dump.conn().info().flavor,
        version: dump.conn().info().version,
        checksum: false,
    };
    let dates = StreamDates::begin(&mut core.commit_clock.hold(), after, anchors)?;
    let mut stream = Stream {
        core: Arc::clone(core),
        control,
        dump,
        groups: Groups::new(head, &core.options.spool),
        read: opened.read,
        by_place: opened.by_place,
        placed: opened.by_place,
        skip: opened.skip,
        at,
        ready: None,
        dates,
        marked: now.checked_sub(MARK_EVERY).unwrap_or(now),
        dated: 0,
        server_clock: (after.moment.at, now),
        behind: None,
        again: false,
        semi_sync: SemiSync::new(core.options.semi_sync),
        unlogged: opened.unlogged,
        zone: None,
    };
    stream.first()?;
    Ok(stream)
}

/// A dump from the server that continues the history, and a connection beside it. Where GTIDs decide, it may be another host
/// than the one that the place was read from: its files are its own, and the place in them is learned from the dump.
fn connect(core: &Arc<Core>, at: &mut Where) -> Result<Opened, ClusterError> {
    let mut start = None;
    let mut control = core.connect_where(&mut |conn| {
        start = Some(host::start(conn, at, &core.options)?);
        Ok(true)
    })?;
    let start = start.unwrap_or_else(|| DumpStart::Gtid(at.set.to_string()));
    let unlogged = Watch::begin(&mut control, at)?;
    let (mut read, mut skip, mut by_place) = (at.place.clone(), 0, true);
    match &start {
        DumpStart::Gtid(_) => {
            at.place = Place::unknown();
            (read, by_place) = (Place::unknown(), false);
        }
        DumpStart::File { offset, .. } if *offset < read.offset => {
            (skip, read.offset) = (read.offset, *offset);
        }
        DumpStart::File { .. } => {}
    }
    let conn = core.connect_beside(&mut control)?;
    let request = DumpRequest {
        server_id: core.options.server_id,
        start,
        heartbeat: HEARTBEAT,
        semi_sync: false,
    };
    let dump = conn.dump(&request).map_err(|e| e.doing("asking for the binary log"))?;
    Ok(Opened {
        dump,
        control,
        by_place,
        read,
        skip,
        unlogged,
    })
}

/// What reading one event gave.
enum Step {
    /// Nothing within the time.
    Nothing,
    /// One that is none of a transaction, or not its last.
    More,
    /// A transaction is ready.
    Ready,
}

impl Stream {
    /// Reads until the server has shown that it accepts the place: it looks for it before it describes its format, or soon
    /// after.
    fn first(&mut self) -> Result<(), ClusterError> {
        let end = Instant::now() + FIRST;
        while Instant::now() < end && !self.groups.is_open() && self.ready.is_none() {
            let described = self.groups.has_format();
            let wait = if described { SETTLED } else { FIRST };
            if matches!(self.read_event(wait)?, Step::Nothing) && described {
                return Ok(());
            }
        }
        Ok(())
    }

    fn read_event(&mut self, wait: Duration) -> Result<Step, ClusterError> {
        match self.read_event_once(wait) {
            Err(_) if self.dump.has_paused() => {
                self.semi_sync.put_off();
                self.open_here(false)?;
                Ok(Step::More)
            }
            Err(e @ ClusterError::Malformed { .. }) => {
                if self.again {
                    return Err(e);
                }
                // It may have been damaged on its way: what the log really holds is seen by reading it again.
                self.again = true;
                let opened = connect(&self.core, &mut self.at)?;
                (self.dump, self.control, self.zone) = (opened.dump, opened.control, None);
                (self.read, self.skip, self.by_place) = (opened.read, opened.skip, opened.by_place);
                self.unlogged = opened.unlogged;
                self.placed = opened.by_place;
                self.dates.forget_target();
                self.groups.forget();
                Ok(Step::More)
            }
            other => other,
        }
    }

    /// Opens the dump again on the same server, behind what was handed out.
    fn open_here(&mut self, semi_sync: bool) -> Result<(), ClusterError> {
        let conn = self.core.connect_beside(&mut self.control)?;
        let Place { file: name, offset } = self.at.place.clone();
        let request = DumpRequest {
            server_id: self.core.options.server_id,
            start: DumpStart::File { name, offset },
            heartbeat: HEARTBEAT,
            semi_sync,
        };
        self.dump = conn.dump(&request).map_err(|e| e.doing("asking for the binary log"))?;
        self.read = self.at.place.clone();
        self.ready = None;
        self.groups.forget();
        self.dates.forget_target();
        Ok(())
    }

    /// Lets commits wait for the stream, when it is wanted and they would not have to wait for anything old.
    fn ask_for_semi_sync(&mut self) {
        let between = self.ready.is_none() && !self.groups.is_open() && self.skip == 0;
        let known = self.placed && self.at.place.offset <= u64::from(self.core.options.reach);
        let asks = self.semi_sync.is_due() && !self.dump.is_semi_sync() && between && known;
        // When it fails the stream goes on as it was, and asks again later.
        if asks && self.open_here(true).is_err() {
            self.semi_sync.put_off();
        }
    }

    fn read_event_once(&mut self, wait: Duration) -> Result<Step, ClusterError> {
        let raw = match self.dump.next(wait) {
            Ok(Some(raw)) => raw,
            Ok(None) => return Ok(Step::Nothing),
            Err(e) => return Err(explain(e, &self.at, &mut self.control)),
        };
        let header = super::event::Header::parse(raw).ok_or_else(|| malformed("it is shorter than a header"))?;
        match header.kind {
            Kind::FORMAT_DESCRIPTION => {
                let (version, checksum) = format::read(raw)?;
                self.groups.forget();
                self.groups.set_head(Head {
                    flavor: self.dump.conn().info().flavor,
                    version: numbers(&version),
                    checksum,
                });
                if self.by_place {
                    self.begin_file(header.timestamp)?;
                }
                return Ok(Step::More);
            }
            Kind::ROTATE | Kind::HEARTBEAT => {
                let event = Event::parse(raw, ends_in_checksum(raw))?;
                if header.kind == Kind::ROTATE {
                    self.groups.forget();
                    rotate(&mut self.read, &event)?;
                } else {
                    heartbeat(&mut self.read, &event);
                    self.placed = true;
                }
                self.settle();
                return Ok(Step::More);
            }
            _ => {}
        }
        let event = Event::parse(raw, self.groups.checksum())?;
        let part = self.groups.is_open() || header.kind.is_gtid();
        advance(&mut self.read, &event, part || self.skip > 0);
        if self.skip > 0 {
            match self.read.offset.cmp(&self.skip) {
                Ordering::Less => {}
                Ordering::Equal => self.skip = 0,
                // No event ends at the place: it is another file of this name.
                Ordering::Greater => return Err(made_anew(&self.at, &mut self.control)),
            }
            return Ok(Step::More);
        }
        let fed = self.groups.feed(&event)?;
        if self.dump.is_awaited() {
            let said = self.dump.acknowledge(&self.read.file, self.read.offset);
            said.map_err(|e| e.doing("telling the server what has come"))?;
        }
        match fed {
            Some(group) => {
                self.prepare(group)?;
                Ok(Step::Ready)
            }
            None => {
                self.settle();
                Ok(Step::More)
            }
        }
    }

    /// Between transactions the place moves to what was read; into a new file when it is known when that was begun, where
    /// that matters.
    fn settle(&mut self) {
        let unknown = self.by_place && self.read.file != self.at.place.file;
        if !self.groups.is_open() && self.skip == 0 && !unknown {
            self.at.place = self.read.clone();
        }
    }

    /// A file is described that was begun at this second. A server whose log was reset gives old names to new files.
    fn begin_file(&mut self, begun: u32) -> Result<(), ClusterError> {
        if self.read.file == self.at.place.file && self.at.begun.is_some_and(|known| known != begun) {
            return Err(made_anew(&self.at, &mut self.control));
        }
        if self.skip == 0 {
            self.at.place = self.read.clone();
        }
        self.at.begun = Some(begun);
        Ok(())
    }

    /// A transaction that its GTID places before what was read already would count as part of places that do not have it.
    fn prepare(&mut self, group: Group) -> Result<(), ClusterError> {
        let gtid = group.gtid.gtid.clone().filter(|_| !self.by_place);
        if let Some(gtid) = gtid.as_ref().filter(|gtid| self.at.set.contains(gtid)) {
            return Err(ClusterError::Malformed {
                what: "the change log",
                why: format!(
                    "transaction {gtid} comes behind {}: GTIDs do not grow. Give each server that is written to its own \
                     gtid_domain_id and set gtid_strict_mode = 1, then take a new snapshot",
                    self.at.set
                ),
            });
        }
        self.ready = Some(Ready {
            gtid,
            behind: self.read.clone(),
            group,
        });
        Ok(())
    }

    /// The clock, if nobody holds it for longer.
    fn hold(core: &Core, until: Instant) -> Option<MutexGuard<'_, ClockState>> {
        core.commit_clock
            .hold_within(until.saturating_duration_since(Instant::now()))
    }

    /// Takes a mark if it is time to.
    fn aim(&mut self, until: Instant) -> Result<(), ClusterError> {
        if self.dates.has_target() {
            return Ok(());
        }
        let due = self.marked.elapsed() >= MARK_EVERY;
        let Some(mut state) = Self::hold(&self.core, until) else {
            return Ok(());
        };
        if !due && state.dated() == self.dated {
            return Ok(());
        }
        let now = host::server_now(&mut self.control).map_err(|e| e.doing("reading the server's clock"))?;
        self.unlogged.look(&mut self.control, &self.at)?;
        let end = host::place(&mut self.control)?;
        self.unlogged.judge(&self.at, &end)?;
        self.server_clock = (now, Instant::now());
        // When the server does not yet count what was handed out, it will in a moment.
        if self.dates.aim(&mut state, now, &end).is_some() {
            self.marked = Instant::now();
            self.dated = state.dated();
            self.behind = None;
        } else if self.behind.get_or_insert_with(Instant::now).elapsed() > COUNTED_WITHIN {
            // Its log was reset while it was read. A stream that is opened anew finds out what that means.
            return Err(ClusterError::OtherServer(format!(
                "the server's log ends at {}, and it was read up to {}: it was reset",
                end.position(),
                self.at.position()
            )));
        }
        Ok(())
    }

    /// The mark, when it is reached: before `ready`, if that is behind it.
    fn reached(&mut self) -> Result<Option<LogEvent>, ClusterError> {
        let is_there = match &self.ready {
            Some(next) => self.dates.is_beyond_target(next.gtid.as_ref(), &next.behind),
            None => !self.groups.is_open() && self.dates.is_at_target(&self.at),
        };
        let Some((moment, end)) = is_there.then(|| self.dates.reach()).flatten() else {
            return Ok(None);
        };
        self.unlogged.has_come(&self.at)?;
        let mut at = self.at.clone();
        if at.set == end.set && !at.set.is_empty() && !at.place.reaches(&end.place) {
            // The server skipped to where it is without saying so.
            at.place = end.place;
        }
        let position = at.position();
        Ok(Some(LogEvent::Reached(Mark { moment, position })))
    }

    /// Hands `ready` out, if there is something to hand out.
    fn hand(&mut self, until: Instant) -> Result<Option<LogEvent>, ClusterError> {
        let Some(next) = self.ready.take() else { return Ok(None) };
        let summary = &next.group.summary;
        if summary.own && summary.restored.is_none() {
            self.pass(&next);
            return Ok(None);
        }
        let core = Arc::clone(&self.core);
        let Some(mut state) = Self::hold(&core, until) else {
            self.ready = Some(next);
            return Ok(None);
        };
        if let Some(at) = summary.restored {
            let moment = self.dates.restored(&mut state, at);
            self.pass(&next);
            let position = self.at.position();
            return Ok(Some(LogEvent::Restored(Mark { moment, position })));
        }
        let (seen, when) = self.server_clock;
        let server_now = seen.plus(when.elapsed().as_millis() as i64);
        let stamp = match next.group.gtid.committed_micros {
            Some(micros) => Millis((micros / 1000) as i64),
            None => Millis(i64::from(next.group.stamp) * 1000),
        };
        let commit = self
            .dates
            .date(&mut state, next.gtid.as_ref(), &next.behind, stamp, server_now);
        drop(state);
        let mut next = next;
        self.note(&mut next.group)?;
        self.pass(&next);
        Ok(Some(LogEvent::Txn(Txn {
            commit,
            position: self.at.position(),
            id: name(&next),
            deltas: next.group.summary.deltas,
            ddl: next.group.summary.ddl,
            lack: next.group.summary.lack.map(Box::new),
            step: next.group.summary.step.map(Box::new),
            payload: next.group.payload,
            pieces: next.group.pieces,
        })))
    }

    /// Keeps with a transaction what only the server can tell.
    fn note(&mut self, group: &mut Group) -> Result<(), ClusterError> {
        let in_one = group.pieces.is_none();
        if let Some(unread) = group.summary.unread.take() {
            let flavor = self.control.info().flavor;
            let mut kept = false;
            if let Some(text) = unread.read(&mut self.control)? {
                if in_one {
                    notes::add_text(&mut group.payload, &text)?;
                }
                kept = unread.is_kept_by(&text, flavor)?;
                group.summary.reads_as(unread.ddl(text, flavor)?);
            }
            if !kept {
                group.summary.cannot_be_read();
            }
        }
        if group.summary.in_system_zone && in_one {
            let zone = match self.zone.take() {
                Some(zone) => zone,
                None => SystemZone::ask(&mut self.control).map_err(|e| e.doing("asking for the server's time zone"))?,
            };
            self.zone.insert(zone).note(&mut group.payload)?;
        }
        Ok(())
    }

    /// The place moves behind a transaction.
    fn pass(&mut self, next: &Ready) {
        if let Some(gtid) = &next.gtid {
            self.at.set.add(gtid);
        }
        self.at.place = next.behind.clone();
        (self.placed, self.again) = (true, false);
    }
}

impl Changes for Stream {
    fn next(&mut self, wait: Duration) -> Result<Option<LogEvent>, ClusterError> {
        let until = Instant::now() + wait;
        loop {
            self.aim(until)?;
            if let Some(event) = self.reached()? {
                self.semi_sync.is_at_the_end();
                return Ok(Some(event));
            }
            self.ask_for_semi_sync();
            if self.ready.is_some() {
                if let Some(event) = self.hand(until)? {
                    return Ok(Some(event));
                }
                if self.ready.is_none() {
                    // It was brine's own.
                    continue;
                }
            } else {
                let left = until.saturating_duration_since(Instant::now());
                self.read_event(left)?;
            }
            // A transaction may be left: the clock is held by somebody.
            if Instant::now() >= until {
                return Ok(None);
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.dates.end(&mut self.core.commit_clock.hold());
    }
}

fn name(next: &Ready) -> String {
    match &next.gtid {
        Some(gtid) => gtid.to_string(),
        None => next.behind.to_string(),
    }
}

fn explain(e: WireError, at: &Where, control: &mut Conn) -> ClusterError {
    let oldest = match e.code() {
        Some(1236) => host::oldest(control).ok(),
        _ => None,
    };
    host::refused(e, at, oldest.as_ref().unwrap_or(at))
}

/// The file of the place is there, and it is not the one that was read.
fn made_anew(at: &Where, control: &mut Conn) -> ClusterError {
    match host::oldest(control) {
        Ok(oldest) => host::gone(at, &oldest),
        Err(e) => e,
    }
}

/// Major, minor and patch of a version's text.
fn numbers(version: &str) -> Version {
    let mut parts = version
        .split(|c: char| !c.is_ascii_digit())
        .map(|p| p.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

/// Whether the last four bytes are the checksum of those before. Asked only of events that come outside of files, before
/// it is known what the file has.
fn ends_in_checksum(raw: &[u8]) -> bool {
    let Some((covered, sum)) = raw.len().checked_sub(CHECKSUM).and_then(|at| raw.split_at_checked(at)) else {
        return false;
    };
    <[u8; CHECKSUM]>::try_from(sum).is_ok_and(|sum| u32::from_le_bytes(sum) == crc32fast::hash(covered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(numbers("10.11.19-MariaDB-0+deb12u1-log"), (10, 11, 19));
        assert_eq!(numbers("9.7.4-2"), (9, 7, 4));
        assert_eq!(numbers(""), (0, 0, 0));
    }
}
