//! Global variables are chosen for applications, and every session begins with them: whatever they are, at the source and at
//! the target, brine reads and writes the same.

use brine::cluster::{Cluster, ClusterState};
use brine::engine::point::RestorePoint;

use crate::dataset;
use crate::look::{self, Look};
use crate::server::{Kind, Server, servers};
use crate::world::{World, snapshot};

/// A value that few would choose, and that some do.
type Odd = (&'static str, &'static str);

const ALL: &[Odd] = &[
    ("autocommit", "0"),
    ("auto_increment_increment", "7"),
    ("auto_increment_offset", "3"),
    ("character_set_client", "latin1"),
    ("character_set_connection", "latin1"),
    ("character_set_filesystem", "latin1"),
    ("character_set_results", "latin1"),
    ("collation_connection", "latin1_german2_ci"),
    ("completion_type", "1"),
    ("default_storage_engine", "MyISAM"),
    ("default_week_format", "3"),
    ("div_precision_increment", "1"),
    ("explicit_defaults_for_timestamp", "0"),
    ("foreign_key_checks", "0"),
    ("group_concat_max_len", "4"),
    ("innodb_lock_wait_timeout", "1"),
    ("interactive_timeout", "1"),
    ("lc_messages", "de_DE"),
    ("lc_time_names", "de_DE"),
    ("lock_wait_timeout", "1"),
    ("low_priority_updates", "1"),
    ("max_error_count", "0"),
    ("max_join_size", "1"),
    ("max_sort_length", "64"),
    ("net_read_timeout", "1"),
    ("net_write_timeout", "1"),
    ("sql_auto_is_null", "1"),
    ("sql_big_selects", "0"),
    ("sql_buffer_result", "1"),
    (
        "sql_mode",
        "'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE'",
    ),
    ("sql_notes", "0"),
    ("sql_quote_show_create", "0"),
    ("sql_safe_updates", "1"),
    ("sql_select_limit", "1"),
    ("sql_warnings", "1"),
    ("time_zone", "'+09:30'"),
    ("transaction_isolation", "'SERIALIZABLE'"),
    ("transaction_read_only", "1"),
    ("unique_checks", "0"),
    ("wait_timeout", "1"),
];

const MARIADB: &[Odd] = &[
    ("alter_algorithm", "'INSTANT'"),
    ("binlog_alter_two_phase", "1"),
    ("check_constraint_checks", "0"),
    ("default_regex_flags", "'EXTENDED'"),
    ("enforce_storage_engine", "Aria"),
    ("idle_transaction_timeout", "1"),
    ("idle_readonly_transaction_timeout", "1"),
    ("idle_write_transaction_timeout", "1"),
    ("innodb_compression_default", "1"),
    ("innodb_default_encryption_key_id", "5"),
    ("max_statement_time", "0.1"),
    ("max_session_mem_used", "4194304"),
    ("old_mode", "''"),
    ("sql_if_exists", "1"),
    ("system_versioning_alter_history", "KEEP"),
    ("system_versioning_asof", "'2020-01-01 00:00:00'"),
    ("tmp_disk_table_size", "1024"),
];

const MARIADB_118: &[Odd] = &[
    ("block_encryption_mode", "'aes-256-cbc'"),
    ("character_set_collations", "'utf8mb4=utf8mb4_bin,latin1=latin1_bin'"),
    ("max_tmp_session_space_usage", "65536"),
    ("mhnsw_default_distance", "cosine"),
    ("mhnsw_default_m", "11"),
];

const MYSQL: &[Odd] = &[
    ("block_encryption_mode", "'aes-256-cbc'"),
    ("connection_memory_limit", "2097152"),
    ("default_collation_for_utf8mb4", "utf8mb4_general_ci"),
    ("max_execution_time", "20"),
    ("old_alter_table", "1"),
    ("parser_max_mem_size", "10000000"),
    ("print_identified_with_as_hex", "1"),
    ("session_track_state_change", "1"),
    ("session_track_transaction_info", "'STATE'"),
    ("show_create_table_verbosity", "1"),
    ("show_gipk_in_create_table_and_information_schema", "0"),
    ("sql_generate_invisible_primary_key", "1"),
    ("sql_require_primary_key", "1"),
    ("terminology_use_previous", "'BEFORE_8_0_26'"),
];

fn odd_values(kind: Kind) -> Vec<Odd> {
    let own: &[&[Odd]] = match kind {
        Kind::MariaDb1011 => &[MARIADB],
        Kind::MariaDb118 => &[MARIADB, MARIADB_118],
        Kind::Mysql97 => &[MYSQL],
    };
    let all = ALL.iter().chain(own.iter().copied().flatten()).copied();
    // The name that all versions of MariaDB know.
    all.map(|(name, value)| match (name, kind) {
        ("transaction_isolation", Kind::MariaDb1011) => ("tx_isolation", value),
        ("transaction_read_only", Kind::MariaDb1011) => ("tx_read_only", value),
        _ => (name, value),
    })
    .collect()
}

/// A server's global values before the odd ones, as statements.
struct Even(String);

impl Even {
    fn of(s: &Server) -> Even {
        let names = odd_values(s.kind).into_iter().map(|(name, _)| {
            let value = s.value(&format!("select coalesce(quote(@@global.{name}), 'NULL')"));
            let bare = value.trim_matches('\'');
            let number = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let literal = match (name, bare) {
                ("system_versioning_asof", _) => "DEFAULT",
                ("enforce_storage_engine", _) => "NULL",
                _ if number => bare,
                _ => &value,
            };
            format!("set global {name} = {literal};\n")
        });
        // First what would stop the rest.
        let first = "set session sql_mode = ''; set session autocommit = 1;\n".to_owned();
        Even(std::iter::once(first).chain(names).collect())
    }

    fn put_back(&self, s: &Server) {
        s.sql(&self.0);
    }
}

fn make_odd(s: &Server) {
    let all: Vec<String> = odd_values(s.kind)
        .into_iter()
        .map(|(name, value)| format!("set global {name} = {value};\n"))
        .collect();
    s.sql(&all.concat());
}

/// What the odd ones are now.
fn odd_now(s: &Server) -> Vec<String> {
    let show = |(name, _): Odd| format!("{name}={}", s.value(&format!("select @@global.{name}")));
    odd_values(s.kind).into_iter().map(show).collect()
}

fn comparable(look: &Look) -> Look {
    look.only(|name| name != "account 'root'@'localhost'")
        .without_counters()
}

/// Changes of every kind, under even values. The engine is named: for what a log does not say, the backup's is taken.
const CHANGES: &str = "use fid; update reals set f = f + 1 where id = 5; delete from ints where id = 2;
create table later (id int auto_increment primary key, at timestamp not null, n int, key (n)) engine = InnoDB; insert into later (at, n) values (now(), 1), (now(), 2);
alter table later add v varchar(20) default 'x', add key (v); delete from later where n = 1;
create view later_v as select id, n from later; create procedure later_p() select 1;
create user later@'%' identified by 'pw'; grant select on fid.* to later@'%';
create database gone; create table gone.t (a int); insert into gone.t values (1); drop database gone;
create table keyless (a int, b varchar(10)) engine = InnoDB; insert into keyless values (1, 'a'), (2, 'b'); alter table keyless add id int auto_increment primary key;";

fn whatever_they_are(kind: Kind) {
    let [source, spare] = servers([kind, kind]);
    dataset::fill(&source);
    dataset::plugins(&spare);
    let (even, even_spare) = (Even::of(&source), Even::of(&spare));
    let (w, other) = (World::new(&source), World::target(&spare));
    make_odd(&source);
    make_odd(&spare);
    let odd = odd_now(&source);
    let backup = w.backup();
    w.start_log();
    even.put_back(&source);
    let before = look::everything(&source);
    source.sql(CHANGES);
    if kind.is_mysql() {
        source.sql(
            "set session sql_generate_invisible_primary_key = 1; create table fid.hidden_key (a int) engine = InnoDB; \
             insert into fid.hidden_key values (1), (2); update fid.hidden_key set a = 3 where a = 1",
        );
    }
    let after = look::everything(&source);
    make_odd(&source);
    w.catch_up();

    // Into another server, from the log and from the snapshot alone.
    for (what, point, wanted) in [
        ("by the log", RestorePoint::Latest, &after),
        ("by the snapshot", snapshot(&backup.id), &before),
    ] {
        w.restore_to(&other, point);
        assert_eq!(odd_now(&spare), odd, "{kind:?} {what}: what the source had");
        even_spare.put_back(&spare);
        comparable(wanted).assert_same(&comparable(&look::everything(&spare)), &format!("{kind:?} {what}"));
        make_odd(&spare);
    }
    let facts = other.c().facts().unwrap();
    assert_eq!(facts.state, ClusterState::Available);

    // In place, and back.
    w.in_place(snapshot(&backup.id));
    even.put_back(&source);
    comparable(&before).assert_same(&comparable(&look::everything(&source)), &format!("{kind:?} in place"));
    make_odd(&source);
    w.undo();
    assert_eq!(odd_now(&source), odd, "{kind:?} undone");
    even.put_back(&source);
    comparable(&after).assert_same(&comparable(&look::everything(&source)), &format!("{kind:?} undone"));
    assert_eq!(w.c().facts().unwrap().state, ClusterState::Available);
}

#[test]
fn odd_globals_of_mariadb_10_11_change_nothing() {
    whatever_they_are(Kind::MariaDb1011);
}

#[test]
fn odd_globals_of_mariadb_11_8_change_nothing() {
    whatever_they_are(Kind::MariaDb118);
}

#[test]
fn odd_globals_of_mysql_9_7_change_nothing() {
    whatever_they_are(Kind::Mysql97);
}

/// A statement of the log does not say which engine a table gets that is made without one.
#[test]
fn tables_made_without_an_engine_get_that_of_the_source() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        source.sql("set global default_storage_engine = MyISAM; create database d");
        let (w, other) = (World::new(&source), World::target(&spare));
        w.backup();
        w.start_log();
        source.sql("create table d.t (a int primary key); insert into d.t values (1)");
        w.catch_up();
        w.restore_to(&other, RestorePoint::Latest);
        comparable(&look::everything(&source))
            .assert_same(&comparable(&look::everything(&spare)), &format!("{kind:?}"));
    }
}

/// Nor what values hang on that it computes for rows.
#[test]
fn values_are_computed_with_the_globals_of_the_source() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        source.sql("create database d; create table d.t (a int primary key); insert into d.t values (1)");
        source.sql("set global div_precision_increment = 10; set global default_week_format = 3");
        source.sql(
            "create table d.h (a int primary key, v decimal(30,20) as (a / 7) stored); insert into d.h (a) values (1)",
        );
        let mut work = "insert into d.h (a) values (2); alter table d.t add dv decimal(30,20) default (1/3), add wk int default (week('2026-01-01')); \
             create table d.g (a int primary key); insert into d.g values (1); \
             alter table d.g add v decimal(30,20) as (a / 7) stored; insert into d.g (a) values (2); \
             update d.g set a = 3 where a = 1"
            .to_owned();
        if kind == Kind::MariaDb118 {
            source.sql("set global block_encryption_mode = 'aes-256-cbc'");
            work += "; alter table d.t add ae varbinary(100) default (aes_encrypt('x', 'k', '1234567890123456'))";
        }
        if !kind.is_mysql() {
            source.sql("set global old_mode = ''");
            work += "; create table d.om (a varchar(10) charset utf8); insert into d.om values ('\u{1f600}')";
        }
        let (w, other) = (World::new(&source), World::target(&spare));
        w.backup();
        w.start_log();
        source.sql(&work);
        w.catch_up();
        let receipt = w.restore_some(&other, RestorePoint::Latest, &["d.*"]);
        let rows = |s: &Server| look::rows(s).only(|name| name.contains("`d`"));
        rows(&source).assert_same(&rows(&spare), &format!("{kind:?}"));
        let said = |word: &str| receipt.warnings.iter().any(|w| w.contains(word));
        assert!(
            said("div_precision_increment") && said("d.g") && !said("`om`"),
            "{:?}",
            receipt.warnings
        );
    }
}

/// It is no variable of a session.
#[test]
fn a_server_that_forces_primary_keys_is_named_beforehand() {
    let [s] = servers([Kind::MariaDb1011]);
    let w = World::new(&s);
    let named = || {
        w.c()
            .restore_checks(true)
            .unwrap()
            .into_iter()
            .any(|c| c.found.contains("innodb_force_primary_key"))
    };
    assert!(!named());
    s.sql("set global innodb_force_primary_key = 1");
    assert!(named());
}

/// One that merges tables of another database, and one that is broken, on source and target.
#[test]
fn tables_that_merge_others_come_back_and_broken_ones_stop_nothing() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let broken = "create database b; create table b.gone (id int) engine = myisam; \
                      create table b.broken (id int) engine = mrg_myisam union = (b.gone); drop table b.gone;";
        source.sql(broken);
        spare.sql(broken);
        source.sql(
            "create database m; create database n; create table m.t (id int, v int, key (id)) engine = myisam; \
             create table n.mg (id int, v int, key (id)) engine = mrg_myisam union = (m.t) insert_method = first; \
             create table m.mg (id int, v int, key (id)) engine = mrg_myisam union = (m.t) insert_method = last; \
             insert into m.t values (1, 1)",
        );
        let (w, other) = (World::new(&source), World::target(&spare));
        let found = w.c().check().unwrap();
        assert!(found.iter().any(|f| f.found.contains("b.broken")), "{found:?}");
        let backup = w.backup();
        w.start_log();
        source.sql("insert into n.mg values (2, 2); insert into m.mg values (3, 3); insert into m.t values (4, 4)");
        w.catch_up();
        source.sql("drop table b.broken");
        let now = comparable(&look::everything(&source));
        for point in [snapshot(&backup.id), RestorePoint::Latest, RestorePoint::Latest] {
            w.restore_to(&other, point);
        }
        now.assert_same(&comparable(&look::everything(&spare)), &format!("{kind:?}"));
        w.in_place(RestorePoint::Latest);
        now.assert_same(&comparable(&look::everything(&source)), &format!("{kind:?} in place"));
    }
}
