//! Writing the marker of a restore, and finding the exact place behind it.
//!
//! A restore beside leaves the server open: others commit around the marker. What the server says of its position before and
//! after has some of them and lacks others, so the place is read off the log itself, from the position before to the marker.

use crate::cluster::mysql::clock::Where;
use crate::cluster::mysql::core::Core;
use crate::cluster::mysql::gtid::{Gtid, GtidSet, Place, Unlogged};
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, Flavor, Row, WireError};
use crate::cluster::{ClusterError, Mark};
use crate::model::crash::crash_point;
use crate::model::position::{Moment, Position};

use super::{host, marker, stamped};

/// So many files are looked through at most.
const FILES: usize = 8;

/// Writes the marker into the log (whatever the session's `sql_log_bin` is; it is put back), and dates it: the stream
/// hands out the same mark as `LogEvent::Restored`. The table `_brine.restores` must exist. Before it is written, `note`
/// gets the mark with the place before it, by which [`written_marker`] finds it again.
pub(in crate::cluster::mysql) fn write_marker(
    core: &Core,
    conn: &mut Conn,
    id: &str,
    note: &mut dyn FnMut(&mut Conn, &Mark) -> Result<(), ClusterError>,
) -> Result<Mark, ClusterError> {
    let doing = |e: WireError| e.doing("writing the restore into the binary log");
    let mut state = core.commit_clock.hold();
    let now = host::server_now(conn).map_err(doing)?;
    let before = host::place(conn)?;
    let by_place = host::by_place(conn).map_err(doing)?;
    let at = state.date_marker(now);
    let noted = Mark {
        moment: Moment::of_tso(at),
        position: before.position(),
    };
    note(conn, &noted)?;
    let logged = conn
        .row("SELECT @@sql_log_bin")
        .map_err(doing)?
        .is_some_and(|r| r.number(0) == 1);
    conn.run("SET SESSION sql_log_bin = 1").map_err(doing)?;
    let statement = marker::statement(id, at);
    let written = conn.run(&statement);
    crash_point("mysql.restore.marker-written");
    if !logged {
        conn.run("SET SESSION sql_log_bin = 0").map_err(doing)?;
    }
    written.map_err(doing)?;
    let position = behind(core, conn, before, by_place, &statement)?;
    state.place_marker(at, &position)?;
    Ok(Mark { position, ..noted })
}

/// The mark of a marker that was noted and then perhaps written, by a run that died there; `None` when it was not written.
pub(in crate::cluster::mysql) fn written_marker(
    core: &Core,
    conn: &mut Conn,
    id: &str,
    noted: &Mark,
) -> Result<Option<Mark>, ClusterError> {
    let Some(at) = noted.moment.tso else {
        return Ok(None);
    };
    if host::comment_of_restores(conn)? != marker::comment(id, at) {
        return Ok(None);
    }
    let mut state = core.commit_clock.hold();
    let by_place = host::by_place(conn).map_err(|e| e.doing("looking for a restore in the binary log"))?;
    let before = Where::of(&noted.position)?;
    let position = behind(core, conn, before, by_place, &marker::statement(id, at))?;
    state.place_marker(at, &position)?;
    let moment = noted.moment;
    Ok(Some(Mark { moment, position }))
}

/// The place behind a marker that was written behind `before`.
fn behind(
    core: &Core,
    conn: &mut Conn,
    before: Where,
    by_place: bool,
    statement: &str,
) -> Result<Position, ClusterError> {
    let after = host::place(conn)?;
    let behind = match around(conn, &before.place, &after.place, statement) {
        Ok(Some(around)) => around.place_of(before, after),
        // There is no log, or the account may not read it.
        Ok(None) | Err(WireError::Server { .. }) => after,
        Err(e) => return Err(e.doing("looking for a restore in the binary log")),
    };
    let mut position = behind.position();
    if by_place {
        position = stamped(core, position)?;
    }
    Ok(position)
}

/// The transactions around a marker.
struct Around {
    /// Before it, itself included.
    before: Vec<Gtid>,
    /// Behind it.
    after: Vec<Gtid>,
    /// Where it ends.
    end: Place,
}

impl Around {
    /// The place behind the marker, from the server's word before and after.
    fn place_of(self, before: Where, after: Where) -> Where {
        let set = match &after.set {
            // What MySQL counted when it was asked afterwards is all that is before, and some that is not.
            GtidSet::MySql(_) => {
                let mut set = after.set.clone();
                self.after.iter().for_each(|gtid| set.remove(gtid));
                self.before.iter().for_each(|gtid| set.add(gtid));
                set
            }
            GtidSet::Empty => GtidSet::Empty,
            GtidSet::Maria(_) => {
                let mut set = before.set;
                let new = |set: &GtidSet, gtid: &Gtid| !set.contains(gtid);
                for gtid in &self.before {
                    if new(&set, gtid) {
                        set.add(gtid);
                    }
                }
                set
            }
        };
        Where {
            set,
            place: self.end,
            unlogged: Unlogged::Unknown,
            begun: None,
        }
    }
}

/// Reads the log between two places; `None` when the marker is not there.
fn around(conn: &mut Conn, from: &Place, to: &Place, statement: &str) -> Result<Option<Around>, WireError> {
    let flavor = conn.info().flavor;
    let mut found = Around {
        before: Vec::new(),
        after: Vec::new(),
        end: Place::unknown(),
    };
    for (file, start) in files(conn, from, to)? {
        let sql = format!("SHOW BINLOG EVENTS IN {} FROM {start}", text::string(&file));
        for row in conn.rows(&sql)? {
            if row.text(2).starts_with("Gtid") && row.text(2) != "Gtid_list" {
                let list = match found.end.file.is_empty() {
                    true => &mut found.before,
                    false => &mut found.after,
                };
                list.extend(named(&row, flavor));
            } else if row.text(5).contains(statement) {
                found.end = Place {
                    file: file.clone(),
                    offset: row.number(4),
                };
            }
        }
    }
    Ok((!found.end.file.is_empty()).then_some(found))
}

/// The files from one place to the other, and where to begin in each.
fn files(conn: &mut Conn, from: &Place, to: &Place) -> Result<Vec<(String, u64)>, WireError> {
    if from.file == to.file {
        return Ok(vec![(from.file.clone(), from.offset)]);
    }
    let all = conn.rows("SHOW BINARY LOGS")?;
    let rest = all.iter().map(|r| r.text(0)).skip_while(|f| *f != from.file);
    let between = rest.take(FILES).map(|file| match file == from.file {
        true => (file, from.offset),
        false => (file, 4),
    });
    Ok(between.collect())
}

/// The name in `SET @@SESSION.GTID_NEXT= 'uuid:7'` or `BEGIN GTID 0-1-7`.
fn named(row: &Row, flavor: Flavor) -> Option<Gtid> {
    let info = row.text(5);
    match flavor {
        Flavor::MySql => Gtid::parse(info.split('\'').nth(1)?),
        Flavor::MariaDb => info.split_whitespace().find_map(Gtid::parse),
    }
}
