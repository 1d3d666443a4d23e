//! What is asked of a server about its log: where it is, how far it reaches back, whether it fits.

use crate::cluster::ClusterError;
use crate::cluster::mysql::clock::Where;
use crate::cluster::mysql::gtid::{Gtid, GtidSet, Place};
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, DumpStart, Flavor, WireError};
use crate::model::clock::Millis;
use crate::model::position::Position;

/// The server's clock.
pub(super) fn server_now(conn: &mut Conn) -> Result<Millis, WireError> {
    let row = conn.row("SELECT CAST(FLOOR(UNIX_TIMESTAMP(NOW(6)) * 1000) AS SIGNED)")?;
    let now = row.and_then(|r| r.opt(0)).and_then(|t| t.parse().ok());
    now.map(Millis)
        .ok_or_else(|| WireError::Protocol("the server does not tell the time".to_owned()))
}

/// Where the server's log is now; without a log the place has no file.
pub(super) fn position(conn: &mut Conn) -> Result<Position, WireError> {
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
        });
    };
    let (file, offset) = (row.text(0), row.number(1));
    // Read behind the place: it has at least what is before it.
    let gtid = match flavor {
        Flavor::MariaDb => one(conn, "SELECT @@global.gtid_binlog_pos")?,
        Flavor::MySql => row.text(4),
    };
    let gtid: String = gtid.chars().filter(|c| !c.is_whitespace()).collect();
    Ok(Position::Binlog { gtid, file, offset })
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
    Ok(())
}

/// Where a stream behind a place starts on this server, if this server continues that history.
///
/// With GTIDs any of several `hosts` may be the one; without, a file's name and an offset mean something on one host only.
pub(super) fn start(conn: &mut Conn, after: &Where, hosts: usize) -> Result<DumpStart, ClusterError> {
    check_settings(conn)?;
    let by_gtid = conn.info().flavor == Flavor::MariaDb || ask(conn, "SELECT @@global.gtid_mode")? == "ON";
    if after.place.file.is_empty() && after.set.is_empty() {
        // There was no log then.
        return Err(gone(after, &oldest(conn)?));
    }
    if !by_gtid {
        return by_file(conn, after, hosts);
    }
    let now = place(conn)?;
    if !now.set.contains_all(&after.set) {
        return Err(other_server(conn, after, &now));
    }
    let oldest = oldest(conn)?;
    if !after.set.contains_all(&oldest.set) {
        return Err(gone(after, &oldest));
    }
    Ok(DumpStart::Gtid(after.set.to_string()))
}

fn by_file(conn: &mut Conn, after: &Where, hosts: usize) -> Result<DumpStart, ClusterError> {
    if hosts > 1 {
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
        let now = place(conn)?;
        return Err(other_server(conn, after, &now));
    }
    Ok(DumpStart::File {
        name: after.place.file.clone(),
        offset: after.place.offset.max(4),
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
        place: Place { file, offset: 4 },
    })
}

/// The comment of the table by which restores write themselves into the log.
pub(super) fn comment_of_restores(conn: &mut Conn) -> Result<String, ClusterError> {
    ask(
        conn,
        "SELECT table_comment FROM information_schema.tables WHERE table_schema = '_brine' AND table_name = 'restores'",
    )
}

/// The place behind a statement that was written behind `before`; `None` when that part of the log is gone.
pub(super) fn find_statement(conn: &mut Conn, before: &Where, sql: &str) -> Result<Option<Where>, ClusterError> {
    const AT_ONCE: usize = 1000;
    let doing = |e: WireError| e.doing("looking for a restore in the binary log");
    let files = conn.rows("SHOW BINARY LOGS").map_err(doing)?;
    let files = files.iter().map(|row| row.text(0));
    let mut own = None;
    for file in files.skip_while(|f| *f != before.place.file) {
        let mut from = match file == before.place.file {
            true => before.place.offset.max(4),
            false => 4,
        };
        loop {
            let page = format!(
                "SHOW BINLOG EVENTS IN {} FROM {from} LIMIT {AT_ONCE}",
                text::string(&file)
            );
            let rows = conn.rows(&page).map_err(doing)?;
            for row in &rows {
                let (kind, info) = (row.text(2), row.text(5));
                if kind == "Gtid" {
                    // "BEGIN GTID 0-1-5 cid=7", or "SET @@SESSION.GTID_NEXT= 'uuid:5'".
                    let words = info.split([' ', '\'']);
                    own = words.filter(|w| w.contains('-')).find_map(Gtid::parse);
                } else if info.contains(sql) {
                    let mut found = before.clone();
                    found.place = Place {
                        file,
                        offset: row.number(4),
                    };
                    if let Some(own) = &own {
                        found.set.add(own);
                    }
                    return Ok(Some(found));
                }
            }
            match rows.last() {
                Some(last) if rows.len() == AT_ONCE => from = last.number(4),
                _ => break,
            }
        }
    }
    Ok(None)
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
        asked: after.position(),
        oldest: oldest.position(),
    }
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
