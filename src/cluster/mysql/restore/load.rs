//! The rows of a table: created lean, filled over several connections, then its keys.

use crossbeam_channel::{Receiver, bounded};
use parking_lot::{Condvar, Mutex};

use crate::cluster::mysql::schema::generated;
use crate::cluster::mysql::schema::table::{TableKind, TableSchema};
use crate::cluster::mysql::schema::tables;
use crate::cluster::mysql::snapshot::record;
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::Conn;
use crate::cluster::{BatchSource, ClusterError, Loaded};
use crate::model::checksum::TableChecksum;
use crate::model::crash::crash_point;
use crate::model::table::TableName;

use super::insert::Inserter;
use super::session::Pool;

/// Connections that write one table: while one waits for its commit, the other keeps the server busy.
const WRITERS: usize = 2;
/// Batches that wait for a free writer.
const WAITING: usize = 2;
/// While so many bytes are waiting or being written, no more are read: a row may have a GiB.
const IN_FLIGHT: usize = 16 << 20;

/// Whether a table gets its keys after its rows: what InnoDB builds faster from all rows at once.
fn lean(schema: &TableSchema) -> bool {
    schema.kind == TableKind::Base && schema.engine.eq_ignore_ascii_case("InnoDB")
}

/// Whether rows must come in the order of their numbers: an ARCHIVE table with AUTO_INCREMENT.
fn ascending(schema: &TableSchema) -> bool {
    schema.engine.eq_ignore_ascii_case("ARCHIVE")
}

/// Whether the order of the rows means something: without a primary key the server numbers rows as they come, and a later
/// `ALTER TABLE ... ADD id INT AUTO_INCREMENT PRIMARY KEY` in the log takes that order.
fn keeps_order(schema: &TableSchema) -> bool {
    schema.primary_key.is_empty()
}

/// Creates the table where it is not there. `name` is where it is built.
pub(super) fn create(conn: &mut Conn, schema: &TableSchema, name: &TableName) -> Result<(), ClusterError> {
    let statement = match schema.kind {
        TableKind::Sequence => sequence(&schema.create, name)?,
        TableKind::Base | TableKind::Versioned => {
            // A table that only takes ever higher numbers must not begin behind them.
            let create = match ascending(schema) {
                true => tables::settled(&schema.create),
                false => schema.create.clone(),
            };
            generated::held(schema, &create)?.statement(&name.db, &name.table, lean(schema))
        }
    };
    let use_db = format!("USE {}", text::ident(&name.db));
    match conn.run_all(&[&use_db, &statement]) {
        // It was made before a crash.
        Err(e) if e.code() == Some(1050) => Ok(()),
        other => other.map_err(|e| e.doing(format!("creating {name}"))),
    }
}

/// `SHOW CREATE SEQUENCE` under another name.
fn sequence(create: &str, name: &TableName) -> Result<String, ClusterError> {
    let options = create
        .strip_prefix("CREATE SEQUENCE ")
        .and_then(|rest| crate::cluster::mysql::schema::create::leading_name(rest))
        .map(|(_, options)| options);
    let options = options.ok_or_else(|| ClusterError::Malformed {
        what: "a sequence's definition",
        why: "it does not begin with CREATE SEQUENCE and a name".to_owned(),
    })?;
    Ok(format!(
        "CREATE SEQUENCE {}{options}",
        text::table(&name.db, &name.table)
    ))
}

/// Makes it anew and empty.
pub(super) fn recreate(conn: &mut Conn, schema: &TableSchema, name: &TableName) -> Result<(), ClusterError> {
    let drop = format!("DROP TABLE IF EXISTS {}", text::table(&name.db, &name.table));
    conn.run(&drop).map_err(|e| e.doing(format!("emptying {name}")))?;
    create(conn, schema, name)
}

/// Fills a table that was just created, and adds its keys. `name` is where it is built.
pub(super) fn fill(
    pool: &Pool,
    schema: &TableSchema,
    name: &TableName,
    source: &mut dyn BatchSource,
) -> Result<Loaded, ClusterError> {
    let flight = &Flight::default();
    let sum = std::thread::scope(|scope| {
        let (give, take) = bounded::<Vec<u8>>(WAITING);
        let writers = if ascending(schema) || keeps_order(schema) {
            1
        } else {
            WRITERS
        };
        let writers: Vec<_> = (0..writers)
            .map(|_| {
                let take = take.clone();
                scope.spawn(move || write(pool, schema, name, &take, flight))
            })
            .collect();
        drop(take);
        let mut sum = TableChecksum::default();
        let fed = loop {
            flight.wait();
            let batch = match source.next() {
                Ok(Some(batch)) => batch,
                Ok(None) => break Ok(()),
                Err(stop) => break Err(ClusterError::Stopped(stop)),
            };
            match record::checksum(&batch) {
                Ok(part) => sum = sum + part,
                Err(e) => break Err(e),
            }
            flight.begin(batch.len());
            // All writers have gone: their error comes below.
            if give.send(batch).is_err() {
                break Ok(());
            }
        };
        drop(give);
        let written = writers
            .into_iter()
            .map(|w| w.join().unwrap_or_else(|_| Err(died(name))));
        let written: Result<Vec<()>, ClusterError> = written.collect();
        fed?;
        written.map(|_| sum)
    })?;
    crash_point("mysql.restore.rows-in");
    add_keys(pool, schema, name)?;
    Ok(Loaded { sum, written: sum })
}

/// "Fills" a table whose rows no statement can write.
pub(super) fn only_empty(name: &TableName, source: &mut dyn BatchSource) -> Result<Loaded, ClusterError> {
    match source.next()? {
        None => Ok(Loaded {
            sum: TableChecksum::default(),
            written: TableChecksum::default(),
        }),
        Some(_) => Err(ClusterError::Unsupported {
            what: format!(
                "{name} keeps its history by the ids of transactions (ROW START and ROW END are BIGINT), and rows of it cannot be \
                 written as they were"
            ),
            hint: format!("leave it out: --filter '*.*' --filter '!{name}'"),
        }),
    }
}

fn died(name: &TableName) -> ClusterError {
    ClusterError::Malformed {
        what: "a restore",
        why: format!("the thread that wrote rows of {name} died"),
    }
}

/// Bytes that were handed to writers and are not written yet.
#[derive(Default)]
struct Flight {
    bytes: Mutex<usize>,
    landed: Condvar,
}

impl Flight {
    fn begin(&self, bytes: usize) {
        *self.bytes.lock() += bytes;
    }

    fn end(&self, bytes: usize) {
        let mut left = self.bytes.lock();
        *left = left.saturating_sub(bytes);
        self.landed.notify_all();
    }

    /// Nothing more is on its way: a writer has failed.
    fn over(&self) {
        self.end(usize::MAX);
    }

    /// Waits until there is room for more.
    fn wait(&self) {
        let mut bytes = self.bytes.lock();
        while *bytes > IN_FLIGHT {
            self.landed.wait(&mut bytes);
        }
    }
}

/// Whoever waits for a writer must not wait for one that has gone.
struct Landing<'a>(&'a Flight);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.over();
    }
}

fn write(
    pool: &Pool,
    schema: &TableSchema,
    name: &TableName,
    take: &Receiver<Vec<u8>>,
    flight: &Flight,
) -> Result<(), ClusterError> {
    let _landing = Landing(flight);
    // No connection is opened for a table without rows.
    let Ok(first) = take.recv() else {
        return Ok(());
    };
    let mut inserter = Inserter::new(pool.take()?, schema, name)?;
    let mut next = Some(first);
    while let Some(batch) = next {
        inserter.put(&batch)?;
        let bytes = batch.len();
        drop(batch);
        flight.end(bytes);
        next = take.recv().ok();
    }
    pool.give(inserter.finish()?);
    Ok(())
}

fn add_keys(pool: &Pool, schema: &TableSchema, name: &TableName) -> Result<(), ClusterError> {
    if !lean(schema) {
        return Ok(());
    }
    let (together, alone) = generated::held(schema, &schema.create)?.later_keys();
    let statements = [together]
        .into_iter()
        .chain(alone.into_iter().map(|key| vec![key]))
        .filter(|keys| !keys.is_empty())
        .map(|keys| format!("ALTER TABLE {} {}", text::table(&name.db, &name.table), keys.join(", ")));
    pool.with(|conn| {
        for statement in statements {
            conn.run(&statement)
                .map_err(|e| e.doing(format!("adding the keys of {name}")))?;
        }
        Ok(())
    })
}
