//! The journal's file: made private, migrated, checked after a crash, set aside when damaged, copied daily.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{Journal, JournalError, Reader, word};
use crate::jobs::lease::{Lease, open_private};
use crate::model::clock::{Clock, Millis};
use crate::model::job::LineLevel;

const FILE: &str = "journal.db";
const COPY: &str = "journal.copy.db";
/// The schema that this brine reads and writes.
const VERSION: i64 = 1;
/// A log that has grown beyond this in a burst is cut back.
const WAL_KEPT: i64 = 4 * 1024 * 1024;
/// How long one connection waits for another.
const PATIENCE: Duration = Duration::from_secs(5);
/// The copy is renewed at this age.
const COPY_AGE_MS: i64 = Millis::DAY;

/// Why a journal was not taken as it was.
enum Trouble {
    Damaged(String),
    Other(JournalError),
}

pub(super) fn open(lease: Lease, clock: Arc<dyn Clock>) -> Result<Journal, JournalError> {
    let path = lease.dir().join(FILE);
    let mut told = Vec::new();
    let (writer, epoch) = take_or_begin_anew(&path, &lease, clock.now(), &mut told)?;
    let conn = connect(&path).map_err(sql(&path, "opening"))?;
    conn.pragma_update(None, "query_only", true)
        .map_err(sql(&path, "opening"))?;
    let reader = Reader {
        path,
        conn: Mutex::new(conn),
    };
    let journal = Journal {
        reader,
        writer: Mutex::new(writer),
        copied: Mutex::default(),
        epoch,
        clock,
        lease,
    };
    for text in told {
        journal.tell(LineLevel::Warning, None, &text)?;
    }
    Ok(journal)
}

/// Takes the journal that is there; one that is lost or damaged makes way for a new one, and `told` says so.
fn take_or_begin_anew(
    path: &Path,
    lease: &Lease,
    now: Millis,
    told: &mut Vec<String>,
) -> Result<(Connection, i64), JournalError> {
    if is_missing(path) {
        set_aside(path, now)?;
        if lease.dir().join(COPY).exists() {
            told.push(format!(
                "the journal {} was gone, and a new one was begun; backups are not affected, the list of jobs starts \
                 anew (an earlier copy: {COPY})",
                path.display()
            ));
        }
    }
    let why = match take(path, lease) {
        Ok(taken) => return Ok(taken),
        Err(Trouble::Other(e)) => return Err(e),
        Err(Trouble::Damaged(why)) => why,
    };
    let kept = set_aside(path, now)?;
    told.push(format!(
        "the journal was damaged ({why}) and a new one was begun; backups are not affected, the list of jobs starts \
         anew; the damaged file is kept as {kept}"
    ));
    take(path, lease).map_err(|trouble| match trouble {
        Trouble::Other(e) => e,
        Trouble::Damaged(why) => io(path, "begun anew")(std::io::Error::other(why)),
    })
}

/// An empty file is what power loss leaves of one that was just made, unless its log holds what it lacks.
fn is_missing(path: &Path) -> bool {
    let is_empty = |p: &Path| fs::metadata(p).map_or(true, |m| m.len() == 0);
    !path.exists() || (is_empty(path) && is_empty(&with_suffix(path, "-wal")))
}

pub(super) fn open_reader(state_dir: &Path) -> Result<Option<Reader>, JournalError> {
    let path = state_dir.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let conn = connect(&path).map_err(sql(&path, "opening"))?;
    conn.pragma_update(None, "query_only", true)
        .map_err(sql(&path, "opening"))?;
    match version(&conn).map_err(sql(&path, "opening"))? {
        VERSION => Ok(Some(Reader {
            path,
            conn: Mutex::new(conn),
        })),
        // A holder has just made the file and not yet filled it.
        0 => Ok(None),
        version => Err(JournalError::Newer { path, version }),
    }
}

fn sql(path: &Path, doing: &'static str) -> impl Fn(rusqlite::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Sql {
        path: path.clone(),
        doing,
        source,
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(PATIENCE)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    Ok(conn)
}

fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA user_version", [], |r| r.get(0))
}

/// Opens, checks, migrates, and raises the epoch.
fn take(path: &Path, lease: &Lease) -> Result<(Connection, i64), Trouble> {
    // Made here and not by SQLite, so that it is private from its first byte; its side files follow its mode.
    open_private(path).map_err(|e| Trouble::Other(io(path, "opened")(e)))?;
    let trouble = |doing| move |e| trouble(path, doing, e);
    let mut conn = connect(path).map_err(trouble("opening"))?;
    let found = version(&conn).map_err(trouble("reading its version"))?;
    if found > VERSION {
        let path = path.to_owned();
        return Err(Trouble::Other(JournalError::Newer { path, version: found }));
    }
    conn.pragma_update(None, "journal_mode", "WAL")
        .and_then(|()| conn.pragma_update(None, "journal_size_limit", WAL_KEPT))
        .map_err(trouble("opening"))?;
    if lease.was_unclean() {
        check(&conn)
            .map_err(trouble("checking"))?
            .map_or(Ok(()), |why| Err(Trouble::Damaged(why)))?;
    }
    let tx = conn
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(trouble("taking over"))?;
    if found == 0 {
        tx.execute_batch(include_str!("schema.sql"))
            .map_err(trouble("making its tables"))?;
    }
    let epoch = raise_epoch(&tx, lease).map_err(|e| match e {
        // By its version the tables are there, yet they are not.
        rusqlite::Error::QueryReturnedNoRows => Trouble::Damaged("the lease's row is missing".to_owned()),
        e if e.to_string().contains("no such") => Trouble::Damaged(e.to_string()),
        e => trouble("taking over")(e),
    })?;
    tx.commit().map_err(trouble("taking over"))?;
    if found == 0 {
        // The file's own name must survive power loss, too.
        let synced = fs::File::open(lease.dir()).and_then(|dir| dir.sync_all());
        synced.map_err(|e| Trouble::Other(io(path, "made lasting")(e)))?;
    }
    Ok((conn, epoch))
}

fn raise_epoch(tx: &rusqlite::Transaction<'_>, lease: &Lease) -> rusqlite::Result<i64> {
    let holder = lease.holder();
    tx.query_row(
        "UPDATE lease SET epoch = epoch + 1, pid = ?1, host = ?2, boot_id = ?3, what = ?4, started = ?5
         RETURNING epoch",
        (
            holder.pid,
            &holder.host,
            &holder.boot_id,
            word(holder.what)?,
            holder.started.0,
        ),
        |r| r.get(0),
    )
}

fn trouble(path: &Path, doing: &'static str, e: rusqlite::Error) -> Trouble {
    match e.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Trouble::Damaged(e.to_string()),
        _ => Trouble::Other(sql(path, doing)(e)),
    }
}

fn io(path: &Path, doing: &'static str) -> impl Fn(std::io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io {
        path: path.clone(),
        doing,
        source,
    }
}

/// What is wrong with the file, if anything.
fn check(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let said: String = conn.query_row("PRAGMA quick_check(1)", [], |r| r.get(0))?;
    Ok((said != "ok").then(|| crate::model::text::safe(&said, 200)))
}

/// Renames what there is of a journal out of the way, and gives the new name.
fn set_aside(path: &Path, now: Millis) -> Result<String, JournalError> {
    let stamp = now.utc().format("%Y%m%d%H%M%S");
    let free = (0..1000)
        .map(|n| format!("journal.damaged-{stamp}-{n}.db"))
        .find(|name| !path.with_file_name(name).exists())
        .unwrap_or_else(|| format!("journal.damaged-{stamp}.db"));
    for side in ["", "-wal", "-shm"] {
        let from = with_suffix(path, side);
        let to = with_suffix(&path.with_file_name(&free), side);
        match fs::rename(&from, to) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(&from, "set aside")(e)),
            _ => {}
        }
    }
    Ok(free)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(super) fn save_copy_daily(journal: &Journal) -> Result<bool, JournalError> {
    let dir = journal.lease.dir();
    let copy = dir.join(COPY);
    let now = journal.clock.now();
    let mut copied = journal.copied.lock();
    if copied
        .or_else(|| modified(&copy))
        .is_some_and(|at| (0..COPY_AGE_MS).contains(&now.since(at)))
    {
        return Ok(false);
    }
    let new = dir.join("journal.copy.db.new");
    let io = |doing| io(&copy, doing);
    match fs::remove_file(&new) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io("replaced")(e)),
        _ => {}
    }
    let file = open_private(&new).map_err(io("made"))?;
    copy_into(journal, &new).map_err(sql(&copy, "saving a copy"))?;
    file.sync_all().map_err(io("written out"))?;
    fs::rename(&new, &copy).map_err(io("put in place"))?;
    *copied = Some(now);
    Ok(true)
}

fn modified(path: &Path) -> Option<Millis> {
    let at = fs::metadata(path)
        .ok()?
        .modified()
        .ok()?
        .duration_since(std::time::UNIX_EPOCH)
        .ok()?;
    i64::try_from(at.as_millis()).ok().map(Millis)
}

fn copy_into(journal: &Journal, new: &Path) -> rusqlite::Result<()> {
    let mut target = connect(new)?;
    let source = journal.reader.conn.lock();
    let copying = rusqlite::backup::Backup::new(&source, &mut target)?;
    copying.run_to_completion(1000, Duration::ZERO, None)
}

#[cfg(test)]
#[path = "care_tests.rs"]
mod tests;
