//! The rows of a table: created lean, filled over several connections, then its keys.

use std::thread::Scope;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::cluster::budget::Share;
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

use super::computed::{self, Begins};
use super::insert::Inserter;
use super::session::{Pool, Seat};

/// Connections that write one table at most: beyond that they only wait for each other.
const WRITERS: usize = 4;
/// Batches that wait for a free writer.
const WAITING: usize = 2;

/// Whether a table gets its keys after its rows: what InnoDB builds faster from all rows at once.
pub(super) fn lean(schema: &TableSchema) -> bool {
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

/// Creates the table where it is not there, with `keyed` with all its keys. `name` is where it is built.
pub(super) fn create(conn: &mut Conn, schema: &TableSchema, name: &TableName, keyed: bool) -> Result<(), ClusterError> {
    let statement = match schema.kind {
        TableKind::Sequence => sequence(&schema.create, name)?,
        TableKind::Base | TableKind::Versioned => {
            // A table that only takes ever higher numbers must not begin behind them.
            let create = match ascending(schema) {
                true => tables::settled(&schema.create),
                false => schema.create.clone(),
            };
            generated::held(schema, &create)?.statement(&name.db, &name.table, lean(schema) && !keyed)
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
    create(conn, schema, name, false)
}

/// Fills a table that was just created, and adds its keys. `name` is where it is built; `begins` is given where columns of it
/// are to be computed in the zone of the source.
pub(super) fn fill<'s>(
    pool: &'s Pool,
    seat: Seat<'s>,
    schema: &TableSchema,
    name: &TableName,
    source: &mut dyn BatchSource,
    begins: Option<&Begins>,
) -> Result<Loaded, ClusterError> {
    let sum = std::thread::scope(|scope| write_rows(scope, (pool, seat), schema, name, source))?;
    crash_point("mysql.restore.rows-in");
    let zone = begins.and_then(Begins::other);
    pool.with(|conn| {
        computed::in_zone(conn, zone, |conn| {
            if zone.is_some() {
                computed::again(conn, schema, name)?;
            }
            add_keys(conn, schema, name)
        })
    })?;
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

/// A batch of rows on its way to the server.
struct Cargo<'a> {
    rows: Vec<u8>,
    _share: Share<'a>,
}

/// Gives all rows to writers: to one at first, and to more while there are fewer of them than keep the server busy.
fn write_rows<'s>(
    scope: &'s Scope<'s, '_>,
    (pool, seat): (&'s Pool, Seat<'s>),
    schema: &'s TableSchema,
    name: &'s TableName,
    source: &mut dyn BatchSource,
) -> Result<TableChecksum, ClusterError> {
    let (give, take) = bounded::<Cargo<'s>>(WAITING);
    let (alarm, alarmed) = bounded::<()>(1);
    let most = match ascending(schema) || keeps_order(schema) {
        true => 1,
        false => WRITERS,
    };
    let writer = |seat: Seat<'s>| {
        let (take, alarm) = (take.clone(), Alarm(Some(alarm.clone())));
        scope.spawn(move || {
            let _seat = seat;
            write(pool, schema, name, &take).inspect(|()| alarm.quiet())
        })
    };
    let mut writers = vec![writer(seat)];
    let mut sum = TableChecksum::default();
    let fed = loop {
        let rows = match source.next() {
            Ok(Some(rows)) => rows,
            Ok(None) => break Ok(()),
            Err(stop) => break Err(ClusterError::Stopped(stop)),
        };
        match record::checksum(&rows) {
            Ok(part) => sum = sum + part,
            Err(e) => break Err(e),
        }
        if give.is_full() && writers.len() < most {
            writers.extend(pool.another_seat().map(&writer));
        }
        let _share = pool.in_flight.take(rows.len());
        select! {
            send(give, Cargo { rows, _share }) -> _ => {}
            // A writer has failed: its error comes below.
            recv(alarmed) -> _ => break Ok(()),
        }
    };
    drop((give, take));
    let written = writers
        .into_iter()
        .map(|w| w.join().unwrap_or_else(|_| Err(died(name))));
    let written: Result<Vec<()>, ClusterError> = written.collect();
    fed?;
    written.map(|_| sum)
}

fn died(name: &TableName) -> ClusterError {
    ClusterError::Malformed {
        what: "a restore",
        why: format!("the thread that wrote rows of {name} died"),
    }
}

/// Tells who feeds a writer when it ends in any other way than well.
struct Alarm(Option<Sender<()>>);

impl Alarm {
    fn quiet(mut self) {
        self.0 = None;
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(alarm) = &self.0 {
            // One is enough.
            let _ = alarm.try_send(());
        }
    }
}

fn write(pool: &Pool, schema: &TableSchema, name: &TableName, take: &Receiver<Cargo<'_>>) -> Result<(), ClusterError> {
    // No connection is opened for a table without rows.
    let Ok(first) = take.recv() else {
        return Ok(());
    };
    let mut inserter = Inserter::new(pool.take()?, schema, name)?;
    let mut next = Some(first);
    while let Some(cargo) = next {
        inserter.put(&cargo.rows)?;
        drop(cargo);
        next = take.recv().ok();
    }
    pool.give(inserter.finish()?);
    Ok(())
}

/// Takes what is given and writes nothing.
pub(super) fn drain(source: &mut dyn BatchSource) -> Result<Loaded, ClusterError> {
    let mut sum = TableChecksum::default();
    while let Some(batch) = source.next()? {
        sum = sum + record::checksum(&batch)?;
    }
    Ok(Loaded { sum, written: sum })
}

fn add_keys(conn: &mut Conn, schema: &TableSchema, name: &TableName) -> Result<(), ClusterError> {
    if !lean(schema) {
        return Ok(());
    }
    let (together, alone) = generated::held(schema, &schema.create)?.later_keys();
    let statements = [together]
        .into_iter()
        .chain(alone.into_iter().map(|key| vec![key]))
        .filter(|keys| !keys.is_empty())
        .map(|keys| format!("ALTER TABLE {} {}", text::table(&name.db, &name.table), keys.join(", ")));
    for statement in statements {
        conn.run(&statement)
            .map_err(|e| e.doing(format!("adding the keys of {name}")))?;
    }
    Ok(())
}
