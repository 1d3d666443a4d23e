//! Snapshots of real servers: consistent whatever happens meanwhile, and every row however a table is cut.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use brine::cluster::mysql::snapshot::record;
use brine::cluster::mysql::{Endpoint, MysqlCluster, MysqlOptions, Password};
use brine::cluster::{BatchSink, ChunkRange, Cluster, ClusterError, Snapshot, Stop, TableDef};
use brine::model::checksum::TableChecksum;
use brine::model::clock::SystemClock;
use brine::model::filter::TableFilter;
use brine::model::table::TableName;

use crate::dataset;
use crate::server::{Kind, Server, server, servers_with};

fn cluster(server: &Server) -> MysqlCluster {
    MysqlCluster::new(server.options(), Arc::new(SystemClock))
}

fn cluster_as(server: &Server, user: &str, password: &str) -> MysqlCluster {
    let options = MysqlOptions::new(Endpoint::Socket(server.socket()), user, Password::new(password));
    MysqlCluster::new(options, Arc::new(SystemClock))
}

/// Ends what sessions of a server are doing, also when the test fails: their threads would be waited for.
struct Killed<'a>(&'a Server);

impl Drop for Killed<'_> {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// Keeps the rows.
#[derive(Default)]
struct Keep {
    rows: Vec<Vec<u8>>,
}

impl BatchSink for Keep {
    fn put(&mut self, batch: &[u8], rows: u64) -> Result<(), Stop> {
        let before = self.rows.len();
        self.rows
            .extend(record::rows(batch).map(|row| row.expect("a whole row").to_vec()));
        assert_eq!((self.rows.len() - before) as u64, rows);
        Ok(())
    }
}

/// The records of a table, their checksum, the ranges it was cut into and the reads it took.
type Whole = (Vec<Vec<u8>>, TableChecksum, usize, usize);

/// All rows of a table, cut into ranges and paused after every `max_bytes`; how many ranges and reads that took.
fn read(view: &dyn Snapshot, table: &TableName, parts: usize, max_bytes: u64) -> Result<Whole, ClusterError> {
    let (mut keep, mut sum, mut reads) = (Keep::default(), TableChecksum::default(), 0);
    let ranges = view.split(table, parts)?;
    let cut = ranges.len();
    for range in ranges {
        let mut left = Some(range);
        while let Some(range) = left {
            // A range goes through the job's memory.
            let text = serde_json::to_string(&range).unwrap();
            let range: ChunkRange = serde_json::from_str(&text).unwrap();
            let got = view.read(table, &range, max_bytes, &mut keep)?;
            sum = sum + got.sum;
            left = got.rest;
            reads += 1;
        }
    }
    assert_eq!(sum.rows, keep.rows.len() as u64);
    Ok((keep.rows, sum, cut, reads))
}

fn names(view: &dyn Snapshot) -> Vec<TableName> {
    view.tables().unwrap().into_iter().map(|t: TableDef| t.name).collect()
}

#[test]
fn every_row_of_every_type_is_read_once_and_sums_agree() {
    for kind in Kind::ALL {
        let s = server(kind);
        dataset::fill(&s);
        let cluster = cluster(&s);
        let view = cluster.open_snapshot(None).unwrap();
        let live: BTreeMap<TableName, TableChecksum> = cluster
            .checksums(&TableFilter::all(), None)
            .unwrap()
            .into_iter()
            .collect();
        assert!(live.len() > 20, "{kind:?}: {}", live.len());
        for name in names(&*view) {
            let (_, sum, _, _) = read(&*view, &name, 4, 1000).unwrap_or_else(|e| panic!("{kind:?} {name}: {e}"));
            assert_eq!(Some(&sum), live.get(&name), "{kind:?} {name}");
        }
        view.settle().unwrap();
        view.release().unwrap();
        let kinds: Vec<String> = view.definitions().unwrap().into_iter().map(|d| d.kind).collect();
        for wanted in [
            "database",
            "view",
            "trigger",
            "procedure",
            "function",
            "event",
            "account",
            "grants",
        ] {
            assert!(kinds.iter().any(|k| k == wanted), "{kind:?} {wanted}");
        }
    }
}

#[test]
fn transfers_between_tables_are_seen_whole_or_not_at_all() {
    for kind in Kind::ALL {
        let s = server(kind);
        s.sql(
            "create database bank; use bank; create table a (id int primary key, v bigint not null); \
             create table b like a; create table c like a; \
             insert into a values (1,1000),(2,1000),(3,1000),(4,1000); insert into b select * from a; insert into c select * from a; \
             \ndelimiter //\n\
             create procedure run() begin declare x int; declare r int; loop begin \
             declare exit handler for sqlexception rollback; set x = floor(rand() * 100); set r = 1 + floor(rand() * 4); start transaction; \
             if rand() < 0.5 then update a set v = v - x where id = r; update b set v = v + x where id = 5 - r; \
             else update c set v = v - x where id = r; update a set v = v + x where id = r; end if; commit; end; end loop; end//\ndelimiter ;\n",
        );
        let cluster = cluster(&s);
        std::thread::scope(|scope| {
            let _end = Killed(&s);
            for _ in 0..3 {
                scope.spawn(|| s.try_sql("call bank.run()"));
            }
            let started = Instant::now();
            while s.value("select v from bank.b where id = 1") == "1000" {
                assert!(started.elapsed() < Duration::from_secs(30), "no transfers");
            }
            let mut moments = Vec::new();
            for _ in 0..8 {
                let view = cluster.open_snapshot(None).unwrap();
                let mut total = 0;
                for table in names(&*view) {
                    let (rows, _, _, _) = read(&*view, &table, 2, 1 << 20).unwrap();
                    for row in rows {
                        let value = record::cells(&row).nth(1).unwrap().unwrap();
                        total += std::str::from_utf8(value).unwrap().parse::<i64>().unwrap();
                    }
                }
                assert_eq!(total, 12_000, "{kind:?}");
                view.settle().unwrap();
                view.release().unwrap();
                moments.push(view.mark().moment);
            }
            assert!(moments.windows(2).all(|w| w[0] < w[1]), "{moments:?}");
        });
    }
}

#[test]
fn a_table_that_changes_meanwhile_is_an_error_and_never_a_mix() {
    let changes = [
        "alter table d.t add column x int default 3",
        "alter table d.t drop column v",
        "alter table d.t rename column v to w",
        "alter table d.t modify v bigint",
        "truncate d.t",
        "drop table d.t",
        "rename table d.t to d.t2",
        "rename table d.t to d.t2, d.other to d.t",
        "drop table d.t; create table d.t like d.other; insert into d.t values (7, 7)",
    ];
    for kind in Kind::ALL {
        let s = server(kind);
        let cluster = cluster(&s);
        for change in changes {
            s.sql(
                "drop database if exists d; create database d; create table d.t (id int primary key, v int); \
                 insert into d.t values (1,1),(2,2); create table d.other like d.t; insert into d.other values (9,9); \
                 create table d.calm like d.t; insert into d.calm values (1,1)",
            );
            let view = cluster.open_snapshot(None).unwrap();
            let started = Instant::now();
            s.sql(change);
            assert!(started.elapsed() < Duration::from_secs(10), "{kind:?} {change} waited");
            let got = read(&*view, &TableName::new("d", "t"), 1, 1 << 20);
            let whole = view.settle().is_ok() && got.is_ok();
            assert!(!whole, "{kind:?} {change}: {got:?}");
            let calm = read(&*view, &TableName::new("d", "calm"), 1, 1 << 20).unwrap();
            assert_eq!(calm.1.rows, 1);
            view.release().unwrap();
        }
    }
}

#[test]
fn tables_that_were_read_can_be_altered_while_the_view_is_open() {
    for kind in Kind::ALL {
        let s = server(kind);
        s.sql("create database d; create table d.t (id int primary key, v int); insert into d.t values (1,1)");
        let view = cluster(&s).open_snapshot(None).unwrap();
        read(&*view, &TableName::new("d", "t"), 1, 1 << 20).unwrap();
        s.sql("set lock_wait_timeout = 2; alter table d.t add column x int");
        view.settle().unwrap();
        view.release().unwrap();
    }
}

#[test]
fn rows_of_after_the_opening_are_not_seen() {
    for kind in Kind::ALL {
        let s = server(kind);
        s.sql("create database d; create table d.t (id int primary key, v int); insert into d.t values (1,1),(2,2)");
        let cluster = cluster(&s);
        let view = cluster.open_snapshot(None).unwrap();
        let before = view.mark();
        s.sql("update d.t set v = 5; insert into d.t values (3,3); delete from d.t where id = 1");
        let (_, sum, _, _) = read(&*view, &TableName::new("d", "t"), 1, 1 << 20).unwrap();
        assert_eq!(sum.rows, 2);
        view.release().unwrap();
        let later = cluster.open_snapshot(None).unwrap();
        assert_ne!(later.mark().position, before.position, "{kind:?}");
        assert!(later.mark().moment > before.moment);
        assert!(matches!(
            cluster.open_snapshot(Some("")),
            Err(ClusterError::SnapshotGone(_))
        ));
    }
}

#[test]
fn large_tables_are_cut_evenly_whatever_their_keys() {
    let s = server(Kind::MariaDb1011);
    let rows = "repeat(md5(seq), 20) from seq_1_to_110000";
    s.sql(&format!(
        "set sql_log_bin = 0; create database big character set utf8mb4; use big; \
         create table sparse (id bigint primary key, v varchar(700)); \
         insert into sparse select cast(seq as signed) * cast(seq as signed) * 1000003, {rows}; \
         insert into sparse values (9223372036854775807, 'max'), (-9223372036854775808, 'min'), (0, 'zero'); \
         create table comp (tenant int, name varchar(64) collate utf8mb4_unicode_ci, v varchar(700), primary key (tenant, name)); \
         insert into comp select seq % 50, concat('Ñame', seq), {rows}; \
         create table texts (k varchar(60) primary key, v varchar(700)); \
         insert into texts select concat('user:', sha1(seq)), {rows}; \
         insert into texts values ('', 'e'), ('é', 'e'), ('user:', 'u'), (' zz\\\\''\"', 'q'), ('😀', 's'); \
         create table past (id int primary key, v varchar(700)) with system versioning; \
         insert into past select seq, {rows}; update past set v = 'x' where id % 3 = 0; delete from past where id < 1000; \
         analyze table sparse, comp, texts, past"
    ));
    let cluster = cluster(&s);
    let view = cluster.open_snapshot(None).unwrap();
    let live: BTreeMap<TableName, TableChecksum> = cluster
        .checksums(&TableFilter::all(), None)
        .unwrap()
        .into_iter()
        .collect();
    for table in ["sparse", "comp", "texts", "past"] {
        let name = TableName::new("big", table);
        let (rows, sum, cut, reads) = read(&*view, &name, 4, 3_000_000).unwrap();
        let history = if table == "past" { "for system_time all" } else { "" };
        let count = s.value(&format!("select count(*) from big.{table} {history}"));
        assert_eq!(sum.rows.to_string(), count, "{table}");
        assert_eq!(Some(&sum), live.get(&name), "{table}");
        assert!(cut > 1 && reads > 15, "{table}: {cut} ranges, {reads} reads");
        let mut shares: Vec<u64> = Vec::new();
        for range in view.split(&name, 4).unwrap() {
            let mut left = Some(range);
            let mut rows = 0;
            while let Some(range) = left {
                let got = view.read(&name, &range, u64::MAX, &mut Keep::default()).unwrap();
                rows += got.sum.rows;
                left = got.rest;
            }
            shares.push(rows);
        }
        let largest = shares.iter().max().copied().unwrap_or_default();
        assert!(
            largest < rows.len() as u64 * 2 / shares.len() as u64 + 1000,
            "{table}: {shares:?}"
        );
    }
    view.release().unwrap();
}

#[test]
fn a_long_query_delays_the_snapshot_and_nobody_else() {
    // MariaDB needs no lock; MySQL gives up, names the query, and lets others write meanwhile.
    for kind in Kind::ALL {
        let s = server(kind);
        s.sql("create database d; create table d.t (id int primary key, v int); insert into d.t values (1,1); create table d.w like d.t");
        let cluster = cluster(&s);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _end = Killed(&s);
            scope.spawn(|| s.try_sql("update d.t set v = 2 where id = 1 and sleep(60) = 0"));
            let running = "select count(*) from information_schema.processlist where info like 'update d.t%'";
            let started = Instant::now();
            while s.value(running) != "1" {
                assert!(started.elapsed() < Duration::from_secs(30));
            }
            let writer = scope.spawn(|| {
                let (mut n, mut longest) = (10, Duration::ZERO);
                let mut session = s.session();
                while !done.load(Ordering::SeqCst) {
                    let before = Instant::now();
                    session.run(&format!("insert into d.w values ({n}, 1)"));
                    longest = longest.max(before.elapsed());
                    n += 1;
                }
                longest
            });
            let opened = cluster.open_snapshot(None);
            done.store(true, Ordering::SeqCst);
            let longest = writer.join().unwrap();
            assert!(longest < Duration::from_secs(3), "{kind:?}: a write waited {longest:?}");
            match opened {
                Ok(view) => {
                    assert!(!kind.is_mysql(), "a lock was had beside a running update");
                    view.release().unwrap();
                }
                Err(e) => {
                    assert!(kind.is_mysql(), "{kind:?}: {e}");
                    assert!(e.to_string().contains("update d.t"), "{e}");
                }
            }
        });
    }
}

#[test]
fn an_account_that_may_not_see_everything_is_refused() {
    for kind in Kind::ALL {
        let s = server(kind);
        dataset::fill(&s);
        s.sql("create user 'few'@'localhost' identified by 'pw'; grant select, process, show view, event on *.* to 'few'@'localhost'");
        let few = cluster_as(&s, "few", "pw");
        let Err(e) = few.open_snapshot(None) else {
            panic!("{kind:?}: triggers are hidden from it")
        };
        assert!(e.to_string().contains("GRANT TRIGGER ON *.* TO"), "{e}");
        let findings = few.check().unwrap();
        assert!(
            findings
                .iter()
                .any(|f| f.name == "privilege RELOAD" && f.mend.is_some()),
            "{kind:?} {findings:?}"
        );
        // What is found to be missing, once it is granted, is all that a backup needs.
        for finding in findings {
            if let (brine::cluster::mysql::Severity::Missing, Some(mend)) = (finding.severity, finding.mend) {
                s.sql(&mend);
            }
        }
        let view = few.open_snapshot(None).unwrap();
        for name in names(&*view) {
            read(&*view, &name, 2, 1 << 20).unwrap_or_else(|e| panic!("{kind:?} {name}: {e}"));
        }
        view.settle().unwrap();
    }
}

#[test]
fn a_server_without_a_log_has_snapshots_all_the_same() {
    for kind in Kind::ALL {
        let [s] = servers_with([kind], &["--skip-log-bin"]);
        s.sql("create database d; create table d.t (id int primary key); insert into d.t values (1)");
        let cluster = cluster(&s);
        let view = cluster.open_snapshot(None).unwrap();
        let (_, sum, _, _) = read(&*view, &TableName::new("d", "t"), 1, 1 << 20).unwrap();
        assert_eq!(sum.rows, 1);
        view.release().unwrap();
        let findings = cluster.check().unwrap();
        assert!(
            findings.iter().any(|f| f.name == "binary log" && f.mend.is_some()),
            "{kind:?} {findings:?}"
        );
    }
}

#[test]
fn facts_say_what_the_server_is() {
    for kind in Kind::ALL {
        let s = server(kind);
        dataset::fill(&s);
        let facts = cluster(&s).facts().unwrap();
        let product = if kind.is_mysql() { "MySQL 9." } else { "MariaDB 1" };
        assert!(facts.version.starts_with(product), "{}", facts.version);
        assert!(facts.identity.len() > 10 && facts.tables > 20);
        assert_eq!(facts.state, brine::cluster::ClusterState::Available);
        assert_eq!(facts.identity, cluster(&s).facts().unwrap().identity);
    }
}

/// Rows that no restore can write are not taken for a backup that says it is whole.
#[test]
fn a_history_by_transactions_is_refused() {
    for kind in [Kind::MariaDb1011, Kind::MariaDb118] {
        let [source, spare] = crate::server::servers([kind, kind]);
        let (w, other) = (crate::world::World::new(&source), crate::world::World::target(&spare));
        source.sql(
            "create database d; create table d.t (id int primary key); insert into d.t values (1); \
             create table d.ids (id int primary key, v int, rs bigint unsigned generated always as row start, \
             re bigint unsigned generated always as row end, period for system_time (rs, re)) with system versioning",
        );
        // Without rows there is nothing to lose.
        let empty = w.backup();
        w.restore_to(&other, crate::world::snapshot(&empty.id));
        w.start_log();
        source.sql("insert into d.ids (id, v) values (1, 1); update d.ids set v = 2");
        let refused = w.try_backup().unwrap_err();
        let refused = crate::world::chain(&refused);
        assert!(
            refused.contains("d.ids keeps its history by the ids of transactions"),
            "{refused}"
        );
        w.catch_up();
        let lacking = &w.log_doc().runs[0].lacking;
        assert!(
            lacking
                .iter()
                .any(|l| l.what.contains("history by the ids of transactions")),
            "{lacking:?}"
        );
        let findings = w.cluster.check().unwrap();
        let found = findings.iter().find(|f| f.name == "history by transactions");
        assert!(found.is_some_and(|f| f.found.contains("d.ids")), "{findings:?}");
    }
}
