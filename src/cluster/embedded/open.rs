//! Opening and creating: who holds the store, whether it lost anything, and what is left to clean up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::cluster::{ClusterError, TableDef};
use crate::model::clock::Clock;
use crate::model::table::TableName;
use crate::model::tso::Tso;

use super::catalog::Catalog;
use super::commit::{self, CommitState, Queue};
use super::core::{Core, OpenTxns, Visible};
use super::door::Door;
use super::estimates::Estimates;
use super::guard::{self, Found, Guard};
use super::history::History;
use super::record::Tip;
use super::session::{Session, create_table};
use super::snapshot::random_id;
use super::store::{Space, Store, failed};
use super::trim::LogWindow;
use super::tso::Oracle;
use super::{private_dir, record, restore};

const IDENTITY: &[u8] = b"identity";
const CREATED: &[u8] = b"created";

/// How an embedded cluster is opened.
#[derive(Clone)]
pub struct Options {
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// How far back old moments can be read; `None` is without limit.
    pub history: Option<Duration>,
    /// Open a store that is known to have lost commits.
    pub accept_loss: bool,
    /// Memory for cached blocks of the store.
    pub cache_bytes: u64,
}

impl Options {
    /// A history of 24 hours and a cache of 32 MiB.
    pub fn new(clock: Arc<dyn Clock>) -> Options {
        Options {
            clock,
            history: Some(Duration::from_secs(24 * 60 * 60)),
            accept_loss: false,
            cache_bytes: 32 << 20,
        }
    }

    /// The same with another history window.
    pub fn with_history(self, history: Option<Duration>) -> Options {
        Options { history, ..self }
    }
}

/// Opens the store in a directory, or creates it.
pub(super) fn open(dir: &Path, options: &Options) -> Result<Arc<Core>, ClusterError> {
    private_dir(dir).map_err(failed(format!("creating {}", dir.display())))?;
    let (known, unknown) = match guard::read(dir) {
        Err(_) if options.accept_loss => (None, true),
        known => (known?, false),
    };
    let store_dir = dir.join("store");
    if !Store::exists(&store_dir) && !options.accept_loss {
        refuse_loss(dir, known.as_ref(), Tip::START)?;
    }
    private_dir(&store_dir).map_err(failed(format!("creating {}", store_dir.display())))?;
    let store = Store::open(&store_dir, options.cache_bytes).map_err(|e| refused(dir, e))?;
    write_holder(dir);
    let core = Arc::new(assemble(dir, store, options, known, unknown)?);
    clean(&core)?;
    create_system(&core)?;
    Ok(core)
}

/// The error of a store that did not open, with what can be done.
fn refused(dir: &Path, error: super::store::OpenError) -> ClusterError {
    if matches!(error, super::store::OpenError::Locked) {
        let holder = std::fs::read_to_string(dir.join("holder")).unwrap_or_default();
        let holder = crate::model::text::safe(holder.trim(), 200);
        return ClusterError::Locked {
            path: dir.display().to_string(),
            holder: if holder.is_empty() {
                holder
            } else {
                format!(": {holder}")
            },
        };
    }
    failed(format!(
        "the store in {} does not open; restore the cluster from its backup, or save what can be read: copy the \
         directory, move the newest store/*.jnl file away and open it again accepting the loss",
        dir.display()
    ))(error)
}

/// Tells a second process who is here. Only for its message: the lock is the store's own.
fn write_holder(dir: &Path) {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let text = format!("process {} on {}", std::process::id(), host.trim());
    let _ = std::fs::write(dir.join("holder"), text);
}

/// An error when the store ends before what is known to have been durable.
fn refuse_loss(dir: &Path, known: Option<&Found>, tip: Tip) -> Result<(), ClusterError> {
    match known {
        Some(known) if known.tip.ts > tip.ts => Err(ClusterError::WentBack {
            path: dir.display().to_string(),
            has: tip.ts,
            expected: known.tip.ts,
        }),
        _ => Ok(()),
    }
}

/// Checks that the store is the one that the high-water mark was written for, and holds all it held.
fn check(dir: &Path, store: &Store, known: &Found, identity: &str, tip: Tip) -> Result<(), ClusterError> {
    refuse_loss(dir, Some(known), tip)?;
    let other = |why: &str| ClusterError::Malformed {
        what: "the store",
        why: format!("{}: {why}; restore it from a backup, or accept the loss", dir.display()),
    };
    if known.identity != identity {
        return Err(other("it is not the store that was here before"));
    }
    let Some(bytes) = store.get(Space::Log, &known.tip.ts.0.to_be_bytes())? else {
        // Trimmed; or nothing was committed yet.
        return Ok(());
    };
    if record::parse(&bytes)?.tip(known.tip.ts) != known.tip {
        return Err(other("its history is not the one that was here before"));
    }
    Ok(())
}

/// The end of the change log is written in one batch with the last record, so they agree or something is lost.
fn check_log_end(dir: &Path, store: &Store, tip: Tip, oldest: Tso) -> Result<(), ClusterError> {
    if tip.ts <= oldest {
        return Ok(());
    }
    let last = store.get(Space::Log, &tip.ts.0.to_be_bytes())?;
    let end = last.map(|bytes| record::parse(&bytes).map(|parsed| parsed.tip(tip.ts)));
    if end.transpose()? == Some(tip) {
        return Ok(());
    }
    Err(ClusterError::Malformed {
        what: "the store",
        why: format!(
            "{}: the change log has lost its end; restore the cluster from a backup, or accept the loss",
            dir.display()
        ),
    })
}

/// `unknown`: nobody can say any more how far the store had come.
fn assemble(
    dir: &Path,
    store: Store,
    options: &Options,
    known: Option<Found>,
    unknown: bool,
) -> Result<Core, ClusterError> {
    let identity = identity(&store)?;
    let tip = commit::load_tip(&store)?;
    let log = LogWindow::load(&store)?;
    let mut floor = tip.ts;
    let whole = check_log_end(dir, &store, tip, log.oldest()).and_then(|()| match &known {
        Some(known) => check(dir, &store, known, &identity, tip),
        None => Ok(()),
    });
    match whole {
        Ok(()) if !unknown => {}
        Err(e) if !options.accept_loss => return Err(e),
        _ => {
            // What was lost is a gap: nobody may stream across it, and no timestamp is used twice.
            let reached = known.map_or_else(|| Tso::from_millis(options.clock.now()), |k| k.tip.ts);
            floor = floor.max(reached).next();
            log.cut(floor, &store)?;
        }
    }
    let history = History::load(&store)?;
    let safepoint = history.safepoint();
    store.collecting.safepoint.store(safepoint.0, Ordering::SeqCst);
    let dir: PathBuf = dir.to_owned();
    Ok(Core {
        catalog: RwLock::new(Catalog::load(&store)?),
        commit: Mutex::new(CommitState::new(Oracle::open(&store, floor)?, tip)),
        queue: Queue::default(),
        visible: Visible::new(tip.ts.max(safepoint)),
        txns: OpenTxns::default(),
        door: Door::load(&store)?,
        history: Arc::new(history),
        log,
        estimates: Estimates::load(&store)?,
        guard: Mutex::new(Guard::new(&dir, identity.clone())),
        restores: Mutex::default(),
        created: AtomicU64::new(created(&store)?.unwrap_or_default().0),
        collecting: Mutex::new(()),
        clock: options.clock.clone(),
        window: options.history,
        identity,
        store,
        dir,
    })
}

fn identity(store: &Store) -> Result<String, ClusterError> {
    if let Some(bytes) = store.get(Space::Meta, IDENTITY)? {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let identity = random_id()?;
    let mut batch = store.batch();
    batch.put(Space::Meta, IDENTITY, identity.as_bytes());
    batch.commit()?;
    Ok(identity)
}

/// When the creation of the cluster was finished.
fn created(store: &Store) -> Result<Option<Tso>, ClusterError> {
    let Some(bytes) = store.get(Space::Meta, CREATED)? else {
        return Ok(None);
    };
    let bytes = bytes.first_chunk().ok_or_else(|| ClusterError::Malformed {
        what: "the time of creation",
        why: "it does not have 8 bytes".to_owned(),
    })?;
    Ok(Some(Tso(u64::from_be_bytes(*bytes))))
}

/// Removes what crashes left behind: files that nothing refers to, old restores, their spilled runs.
fn clean(core: &Core) -> Result<(), ClusterError> {
    let mut used = restore::clean(&core.store, core.clock.now())?;
    used.extend(core.catalog.read().ids());
    for id in core.store.row_ids() {
        if !used.contains(&id) {
            core.store.delete_rows(id)?;
            core.estimates.forget(id);
        }
    }
    match std::fs::remove_dir_all(core.dir.join("spill")) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed("removing old spilled runs")(e)),
        _ => Ok(()),
    }
}

/// Creates the system tables of a new cluster. A crash in between is finished by the next open.
fn create_system(core: &Arc<Core>) -> Result<(), ClusterError> {
    if created(&core.store)?.is_some() {
        return Ok(());
    }
    let since = core.mark()?.moment.last_tso();
    let tables = [
        (
            TableName::new("mysql", "user"),
            r#"{"columns":["host","user","plugin"],"key":"user@host"}"#,
            [("app@%", "caching_sha2_password"), ("root@localhost", "auth_socket")],
        ),
        (
            TableName::new("mysql", "global_variables"),
            r#"{"columns":["name","value"],"key":"name"}"#,
            [("character_set_server", "utf8mb4"), ("max_connections", "151")],
        ),
    ];
    for (name, schema, rows) in tables {
        let def = TableDef {
            name: name.clone(),
            schema: schema.to_owned(),
            system: true,
        };
        match create_table(core, def, None) {
            Ok(_) | Err(ClusterError::TableExists(_)) => {}
            Err(e) => return Err(e),
        }
        let session = Session::open(core, "system")?;
        let mut tx = session.begin()?;
        for (key, value) in rows {
            tx.put(&name, key.as_bytes(), value.as_bytes())?;
        }
        tx.commit()?;
    }
    let mut batch = core.store.batch();
    batch.put(Space::Meta, CREATED, since.0.to_be_bytes());
    batch.commit()?;
    core.created.store(since.0, Ordering::SeqCst);
    Ok(())
}
