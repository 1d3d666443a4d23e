//! What is asked of a server about its log: where it is, how far it reaches back, whether it fits.

use std::time::{Duration, Instant};

use super::event::{Header, Kind};
use super::unlogged;
use crate::cluster::ClusterError;
use crate::cluster::mysql::case;
use crate::cluster::mysql::check::log_holes;
use crate::cluster::mysql::clock::Where;
use crate::cluster::mysql::gtid::{GtidSet, Place, Unlogged};
use crate::cluster::mysql::options::MysqlOptions;
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, DumpRequest, DumpStart, Flavor, WireError};
use crate::model::clock::Millis;
use crate::model::position::Position;

/// The first event of a file stands here.
const FIRST: u64 = 4;
/// For so long a server may need to describe a file.
const DESCRIBED_WITHIN: Duration = Duration::from_secs(10);

/// The server's clock.
pub(super) fn server_now(conn: &mut Conn) -> Result<Millis, WireError> {
    let row = conn.row("SELECT CAST(FLOOR(UNIX_TIMESTAMP(NOW(6)) * 1000) AS SIGNED)")?;
    let now = row.and_then(|r| r.opt(0)).and_then(|t| t.parse().ok());
    now.map(Millis)
        .ok_or_else(|| WireError::Protocol("the server does not tell the time".to_owned()))
}

/// Where the server's log is now; without a log the place has no file.
pub(super) fn position(conn: &mut Conn) -> Result<Position, WireError> {
    let by_place = by_place(conn)?;
    // Before the place: what comes in between counts as unlogged behind it.
    let unlogged = unlogged::now(conn)?.text();
    let info = conn.info();
    let (flavor, sql) = match info.flavor {
        Flavor::MySql if info.version >= (8, 2, 0) => (Flavor::MySql, "SHOW BINARY LOG STATUS"),
        flavor => (flavor, "SHOW MASTER STATUS"),
    };
    let Some(row) = conn.row(sql)? else {
        return Ok(Position::Binlog {
            gtid: String::new(),
            file: String::new(),
            offset: 0,
            begun: None,
            unlogged,
        });
    };
    let (file, offset) = (row.text(0), row.number(1));
    // Read behind the place: it has at least what is before it.
    let gtid = match flavor {
        Flavor::MariaDb => one(conn, "SELECT @@global.gtid_binlog_pos")?,
        // A server that gives none may still have a set of when it did, which says nothing about what comes now.
        Flavor::MySql if by_place => String::new(),
        Flavor::MySql => row.text(4),
    };
    let gtid: String = gtid.chars().filter(|c| !c.is_whitespace()).collect();
    Ok(Position::Binlog {
        gtid,
        file,
        offset,
        begun: None,
        unlogged,
    })
}

/// Whether transactions are known by file and offset only: MySQL, unless it names each of them.
pub(in crate::cluster::mysql) fn by_place(conn: &mut Conn) -> Result<bool, WireError> {
    Ok(conn.info().flavor == Flavor::MySql && one(conn, "SELECT @@global.gtid_mode")? != "ON")
}

/// When a file of the log was begun, by its first event. No statement tells it.
pub(super) fn file_begun(conn: Conn, file: &str) -> Result<u32, WireError> {
    let mut dump = conn.dump(&DumpRequest {
        server_id: 0,
        start: DumpStart::File {
            name: file.to_owned(),
            offset: FIRST,
        },
        heartbeat: Duration::from_secs(1),
        semi_sync: false,
    })?;
    let end = Instant::now() + DESCRIBED_WITHIN;
    while Instant::now() < end {
        let left = end.saturating_duration_since(Instant::now());
        if let Some(header) = dump.next(left)?.and_then(Header::parse)
            && header.kind == Kind::FORMAT_DESCRIPTION
        {
            return Ok(header.timestamp);
        }
    }
    Err(WireError::Protocol(format!(
        "the server does not describe its log {file}"
    )))
}

/// The same, taken apart.
pub(super) fn place(conn: &mut Conn) -> Result<Where, ClusterError> {
    let position = position(conn).map_err(|e| e.doing("reading the position of the binary log"))?;
    Where::of(&position)
}

fn one(conn: &mut Conn, sql: &str) -> Result<String, WireError> {
    Ok(conn.row(sql)?.map(|row| row.text(0)).unwrap_or_default())
}

fn ask(conn: &mut Conn, sql: &str) -> Result<String, ClusterError> {
    one(conn, sql).map_err(|e| e.doing("reading the settings of the binary log"))
}

/// Refuses servers whose log cannot be archived.
pub(super) fn check_settings(conn: &mut Conn) -> Result<(), ClusterError> {
    let refuse = |what: String, hint: &str| {
        Err(ClusterError::Unsupported {
            what,
            hint: hint.to_owned(),
        })
    };
    case::refuse(conn, "its log cannot be replayed")?;
    if ask(conn, "SELECT @@global.log_bin")? != "1" {
        return refuse(
            "the server keeps no binary log, so there is nothing to archive".to_owned(),
            "write these lines under [mysqld] into its my.cnf and restart it: server_id = 1, log_bin = binlog, \
             binlog_format = ROW, binlog_row_image = FULL",
        );
    }
    let format = ask(conn, "SELECT @@global.binlog_format")?;
    if format != "ROW" {
        return refuse(
            format!(
                "the server logs statements (binlog_format is {format}); only changes of rows can be restored exactly"
            ),
            "SET GLOBAL binlog_format = 'ROW', write it into my.cnf too, and let applications connect again",
        );
    }
    let image = ask(conn, "SELECT @@global.binlog_row_image")?;
    if !image.starts_with("FULL") {
        return refuse(
            format!("the server logs parts of rows (binlog_row_image is {image})"),
            "SET GLOBAL binlog_row_image = 'FULL', write it into my.cnf too, and let applications connect again",
        );
    }
    match log_holes(conn).map_err(|e| e.doing("reading what the binary log leaves out"))? {
        Some((found, mend)) => refuse(format!("the server's log is not whole: {found}"), mend),
        None => Ok(()),
    }
}

/// Where a stream behind a place starts on this server, if this server continues that history.
///
/// With GTIDs any of several hosts may be the one; without, a file's name and an offset mean something on one host only.
pub(super) fn start(conn: &mut Conn, after: &Where, options: &MysqlOptions) -> Result<DumpStart, ClusterError> {
    check_settings(conn)?;
    if after.place.file.is_empty() && after.set.is_empty() {
        // There was no log then.
        return Err(gone(after, &oldest(conn)?));
    }
    if after.unlogged == Unlogged::More {
        return Err(unlogged::lacks(after, "since then"));
    }
    let by_place = by_place(conn).map_err(|e| e.doing("reading the settings of the binary log"))?;
    if by_place && after.set.is_empty() {
        return by_file(conn, after, options);
    }
    if by_place || after.begun.is_some() {
        // GTIDs were turned on or off since: neither name of the place is one that is still used.
        return Err(gone(after, &oldest(conn)?));
    }
    let now = place(conn)?;
    if !now.set.contains_all(&after.set) {
        return Err(lacking(conn, after, &now)?);
    }
    let oldest = oldest(conn)?;
    if !after.set.contains_all(&oldest.set) {
        return Err(gone(after, &oldest));
    }
    Ok(DumpStart::Gtid(after.set.to_string()))
}

fn by_file(conn: &mut Conn, after: &Where, options: &MysqlOptions) -> Result<DumpStart, ClusterError> {
    if options.endpoints.len() > 1 {
        return Err(ClusterError::Unsupported {
            what: "the server has no GTIDs, so it cannot be told which of several hosts continues the history"
                .to_owned(),
            hint: "name one host only, or set gtid_mode = ON on all of them".to_owned(),
        });
    }
    let files = conn
        .rows("SHOW BINARY LOGS")
        .map_err(|e| e.doing("listing the binary logs"))?;
    let found = files.iter().find(|row| row.text(0) == after.place.file);
    let Some(size) = found.map(|row| row.number(1)) else {
        return Err(gone(after, &oldest(conn)?));
    };
    if size < after.place.offset {
        // That it is the server of the archive is known by its UUID: its log was reset.
        return Err(gone(after, &oldest(conn)?));
    }
    // To what lies further on the stream skips itself.
    let offset = after.place.offset.max(FIRST);
    Ok(DumpStart::File {
        name: after.place.file.clone(),
        offset: if offset > u64::from(options.reach) {
            FIRST
        } else {
            offset
        },
    })
}

/// Where the server's log begins, as far as it tells.
pub(super) fn oldest(conn: &mut Conn) -> Result<Where, ClusterError> {
    let first = conn
        .row("SHOW BINARY LOGS")
        .map_err(|e| e.doing("listing the binary logs"))?;
    let file = first.map(|row| row.text(0)).unwrap_or_default();
    let gtid = match conn.info().flavor {
        Flavor::MySql => ask(conn, "SELECT @@global.gtid_purged")?,
        // Without the privilege the dump itself will say whether the log reaches back.
        Flavor::MariaDb => gtid_list(conn, &file).unwrap_or_default(),
    };
    Ok(Where {
        set: GtidSet::parse(&gtid).unwrap_or(GtidSet::Empty),
        place: Place { file, offset: FIRST },
        begun: None,
        unlogged: Unlogged::Unknown,
    })
}

/// The comment of the table by which restores write themselves into the log.
pub(super) fn comment_of_restores(conn: &mut Conn) -> Result<String, ClusterError> {
    ask(
        conn,
        "SELECT table_comment FROM information_schema.tables WHERE table_schema = '_brine' AND table_name = 'restores'",
    )
}

/// What MariaDB wrote at the beginning of a file: the last GTID of each domain before it.
fn gtid_list(conn: &mut Conn, file: &str) -> Option<String> {
    let sql = format!("SHOW BINLOG EVENTS IN {} LIMIT 5", text::string(file));
    let rows = conn.rows(&sql).ok()?;
    let list = rows.iter().find(|row| row.text(2) == "Gtid_list")?.text(5);
    Some(list.trim_matches(['[', ']']).to_owned())
}

pub(super) fn gone(after: &Where, oldest: &Where) -> ClusterError {
    ClusterError::LogGone {
        asked: Box::new(after.position()),
        oldest: Box::new(oldest.position()),
    }
}

/// The server's log does not have all that was archived.
fn lacking(conn: &mut Conn, after: &Where, now: &Where) -> Result<ClusterError, ClusterError> {
    if conn.info().flavor == Flavor::MySql {
        let own = ask(conn, "SELECT @@server_uuid")?;
        if !now.set.contains_all(&after.set.counted_by(&own)) {
            // It lacks what it has counted itself: its log was reset, or an older state of it was put back.
            return Ok(gone(after, &oldest(conn)?));
        }
    }
    Ok(other_server(conn, after, now))
}

fn other_server(conn: &Conn, after: &Where, now: &Where) -> ClusterError {
    ClusterError::OtherServer(format!(
        "{} does not continue the history that was archived: its log is at {}, and the archive ends at {}; \
         it lags behind, or it is another server (then `brine cluster adopt` accepts it, and a new snapshot is needed)",
        conn.endpoint(),
        now.position(),
        after.position()
    ))
}

/// What the server's refusal of a stream means.
pub(super) fn refused(e: WireError, after: &Where, oldest: &Where) -> ClusterError {
    let WireError::Server {
        code: 1236, message, ..
    } = &e
    else {
        return e.doing("reading the binary log");
    };
    let says = |words: &[&str]| words.iter().any(|w| message.contains(w));
    if says(&[
        "purged",
        "Could not find first log file",
        "Could not find GTID state",
        "could not find next log",
    ]) {
        return gone(after, oldest);
    }
    if says(&[
        "not in the master's binlog",
        "missing the GTID",
        "diverged",
        "more GTIDs than",
        "impossible position",
        "> file size",
    ]) {
        return ClusterError::OtherServer(format!(
            "the server does not continue the history that was archived up to {}: {message}; if it is the right one \
             (`brine cluster adopt` accepts it), a new snapshot is needed",
            after.position()
        ));
    }
    e.doing("reading the binary log")
}
