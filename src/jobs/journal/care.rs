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
    let now = clock.now();
    let mut told = Vec::new();
    // An empty file is what power loss leaves of one that was just made.
    if fs::metadata(&path).map_or(true, |m| m.len() == 0) {
        set_aside(&path, now)?;
        if lease.dir().join(COPY).exists() {
            told.push(format!(
                "the journal {} was gone, and a new one was begun; backups are not affected, the list of jobs starts \
                 anew (yesterday's copy: {COPY})",
                path.display()
            ));
        }
    }
    let (writer, epoch) = match take(&path, &lease) {
        Ok(taken) => taken,
        Err(Trouble::Other(e)) => return Err(e),
        Err(Trouble::Damaged(why)) => {
            let kept = set_aside(&path, now)?;
            told.push(format!(
                "the journal was damaged ({why}) and a new one was begun; backups are not affected, the list of jobs \
                 starts anew; the damaged file is kept as {kept}"
            ));
            take(&path, &lease).map_err(|t| match t {
                Trouble::Other(e) => e,
                Trouble::Damaged(why) => JournalError::Io {
                    path: path.clone(),
                    doing: "begun anew",
                    source: std::io::Error::other(why),
                },
            })?
        }
    };
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
    open_private(path).map_err(|source| {
        Trouble::Other(JournalError::Io {
            path: path.to_owned(),
            doing: "opened",
            source,
        })
    })?;
    let trouble = |doing| {
        move |e: rusqlite::Error| match e.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Trouble::Damaged(e.to_string()),
            _ => Trouble::Other(sql(path, doing)(e)),
        }
    };
    let mut conn = connect(path).map_err(trouble("opening"))?;
    let found = version(&conn).map_err(trouble("reading its version"))?;
    if found > VERSION {
        return Err(Trouble::Other(JournalError::Newer {
            path: path.to_owned(),
            version: found,
        }));
    }
    conn.pragma_update(None, "journal_mode", "WAL")
        .map_err(trouble("opening"))?;
    conn.pragma_update(None, "journal_size_limit", WAL_KEPT)
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
    let holder = lease.holder();
    let epoch = tx
        .query_row(
            "UPDATE lease SET epoch = epoch + 1, pid = ?1, host = ?2, boot_id = ?3, what = ?4, started = ?5 RETURNING epoch",
            (holder.pid, &holder.host, &holder.boot_id, word(holder.what).map_err(trouble("taking over"))?, holder.started.0),
            |r| r.get(0),
        )
        .map_err(|e| match e {
            // The tables are there by its version, yet the lease's row is not.
            rusqlite::Error::QueryReturnedNoRows => Trouble::Damaged("the lease's row is missing".to_owned()),
            e if found == VERSION && is_schema_gone(&e) => Trouble::Damaged(e.to_string()),
            e => trouble("taking over")(e),
        })?;
    tx.commit().map_err(trouble("taking over"))?;
    if found == 0 {
        // The file's own name must survive power loss, too.
        let synced = fs::File::open(lease.dir()).and_then(|dir| dir.sync_all());
        synced.map_err(|source| {
            Trouble::Other(JournalError::Io {
                path: path.to_owned(),
                doing: "made lasting",
                source,
            })
        })?;
    }
    Ok((conn, epoch))
}

fn is_schema_gone(e: &rusqlite::Error) -> bool {
    e.to_string().contains("no such")
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
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(JournalError::Io {
                    path: from,
                    doing: "set aside",
                    source: e,
                });
            }
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
    let io = |doing| {
        let path = copy.clone();
        move |source| JournalError::Io {
            path: path.clone(),
            doing,
            source,
        }
    };
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
mod tests {
    use super::*;
    use crate::jobs::lease::HolderKind;
    use crate::model::clock::SystemClock;
    use std::os::unix::fs::PermissionsExt as _;

    fn journal(dir: &Path) -> Journal {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Journal::open(Lease::acquire(dir, HolderKind::Agent, &clock).unwrap(), clock).unwrap()
    }

    /// As after kill -9: the note of the holder stays.
    fn crash(dir: &Path, journal: Journal) {
        drop(journal);
        fs::write(dir.join("runner.json"), "{}").unwrap();
    }

    #[test]
    fn every_holder_has_a_higher_epoch_and_files_are_private() {
        let dir = tempfile::tempdir().unwrap();
        for expected in 1..=3 {
            let j = journal(dir.path());
            assert_eq!(j.epoch(), expected);
            assert!(j.reader().messages(10).unwrap().is_empty());
            assert_eq!(j.save_copy_daily().unwrap(), expected == 1);
            for entry in fs::read_dir(dir.path()).unwrap() {
                let entry = entry.unwrap();
                assert_eq!(
                    entry.metadata().unwrap().permissions().mode() & 0o777,
                    0o600,
                    "{:?}",
                    entry.path()
                );
            }
        }
    }

    #[test]
    fn a_replaced_holder_writes_nothing_more() {
        let dir = tempfile::tempdir().unwrap();
        let old = journal(dir.path());
        let raw = connect(&dir.path().join(FILE)).unwrap();
        raw.execute("UPDATE lease SET epoch = epoch + 1", []).unwrap();
        let e = old.tell(LineLevel::Info, None, "late").unwrap_err();
        assert!(matches!(e, JournalError::Fenced { ours: 1, now: 2 }), "{e:?}");
        assert!(old.reader().messages(10).unwrap().is_empty());
    }

    #[test]
    fn a_damaged_journal_is_set_aside_and_said() {
        for damage in [
            b"this is not a database, it never was one; not at all".to_vec(),
            Vec::new(),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let j = journal(dir.path());
            j.save_copy_daily().unwrap();
            crash(dir.path(), j);
            let path = dir.path().join(FILE);
            if damage.is_empty() {
                fs::remove_file(&path).unwrap();
            } else {
                fs::write(&path, &damage).unwrap();
            }
            let j = journal(dir.path());
            let told = j.reader().messages(10).unwrap();
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].text.contains("a new one was begun"), "{told:?}");
            let kept = fs::read_dir(dir.path())
                .unwrap()
                .filter_map(|e| fs::read(e.unwrap().path()).ok())
                .any(|b| b == damage);
            assert!(damage.is_empty() || kept, "the damaged file is kept");
        }
    }

    #[test]
    fn flipped_bytes_are_found_after_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let j = journal(dir.path());
        for n in 0..400 {
            j.tell(LineLevel::Info, None, &format!("message {n} {}", "x".repeat(100)))
                .unwrap();
        }
        crash(dir.path(), j);
        let path = dir.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes.iter_mut().skip(middle).take(4096).for_each(|b| *b = 0xa5);
        fs::write(&path, bytes).unwrap();
        let told = journal(dir.path()).reader().messages(10).unwrap();
        assert!(told.len() == 1 && told[0].text.contains("damaged"), "{told:?}");
    }

    #[test]
    fn a_newer_journal_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        drop(journal(dir.path()));
        connect(&dir.path().join(FILE))
            .unwrap()
            .pragma_update(None, "user_version", VERSION + 1)
            .unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let lease = Lease::acquire(dir.path(), HolderKind::Agent, &clock).unwrap();
        assert!(matches!(
            Journal::open(lease, clock),
            Err(JournalError::Newer { version: 2, .. })
        ));
        assert!(matches!(Reader::open(dir.path()), Err(JournalError::Newer { .. })));
    }
}
