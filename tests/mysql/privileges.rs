//! An account with exactly the privileges that `cluster check` asks for can do everything; and with one of them taken away a
//! verb refuses before it changes anything and names the GRANT, or does its work all the same.

use std::sync::Arc;

use brine::cluster::mysql::{MysqlCluster, Severity};
use brine::cluster::{Cluster, ClusterState};
use brine::engine::error::EngineError;
use brine::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use brine::engine::restore::plan::CheckState;
use brine::model::clock::SystemClock;
use brine::model::filter::TableFilter;

use crate::look::{self, Look};
use crate::server::{Kind, Server, server, servers};
use crate::world::{World, chain, ok};

const ACCOUNT: &str = "`brine`@`127.0.0.1`";

const SCHEMA: &str = "create database d; use d;
create table parent (id int primary key, v int); insert into parent values (1, 1), (2, 2);
create table child (id int primary key, p int, foreign key (p) references parent (id)); insert into child values (1, 1), (2, 2);
create table log (id int primary key auto_increment, what varchar(20));
create trigger tr after insert on parent for each row insert into log (what) values ('new');
create view v as select id from parent;
create procedure p() select 1;
create event e on schedule every 1 day do delete from log;
create user app@'%' identified by 'x'; grant select, insert on d.* to app@'%'; grant process on *.* to app@'%';";

/// The archive of `w`, with the server as the account sees it now: privileges are read at login.
fn anew(w: &World, s: &Server) -> World {
    World {
        name: w.name.clone(),
        log_options: w.log_options.clone(),
        split: false,
        archived: true,
        archive: w.archive.clone(),
        lock: w.lock.clone(),
        cluster: Arc::new(MysqlCluster::new(s.options_tcp("brine", "pw"), Arc::new(SystemClock))),
    }
}

/// The GRANTs that the check asks for, given one after the other until it asks for nothing more.
fn grant_all_that_is_asked_for(s: &Server) -> Vec<String> {
    let mut given: Vec<String> = Vec::new();
    loop {
        let cluster = MysqlCluster::new(s.options_tcp("brine", "pw"), Arc::new(SystemClock));
        let found = cluster.check().unwrap_or_else(|e| panic!("{}", chain(&e)));
        let mends = found
            .into_iter()
            .filter(|f| f.severity != Severity::Ok)
            .filter_map(|f| f.mend);
        let grants: Vec<String> = mends.filter(|m| m.starts_with("GRANT ")).collect();
        if grants.is_empty() {
            return given;
        }
        for grant in grants {
            assert!(!given.contains(&grant), "{grant} does not help");
            s.sql(&grant);
            given.push(grant);
        }
    }
}

/// Everything but brine's own account, whose privileges the test changes, and to which servers give the routines that it makes.
fn look(s: &Server) -> Look {
    let all = look::everything(s).without_counters();
    all.only(|name| !name.contains("'brine'@") && !["account privileges", "account procs"].contains(&name))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verb {
    Backup,
    Log,
    Beside,
    Whole,
}

fn run(verb: Verb, w: &World, s: &Server) -> Result<Vec<String>, EngineError> {
    match verb {
        Verb::Backup => w.try_backup().map(|_| Vec::new()),
        Verb::Log => w.try_catch_up(&w.cx()).map(|_| Vec::new()),
        Verb::Beside => {
            let request = w.request(RestorePoint::Latest, RestoreTarget::Beside);
            let receipt = w.try_restore(&request, w)?;
            assert_eq!(s.value("select count(*) from d_restored.child"), "2");
            s.sql("drop procedure d_restored.p; drop database d_restored");
            Ok(receipt.warnings)
        }
        Verb::Whole => w.try_in_place(RestorePoint::Latest).map(|r| r.warnings),
    }
}

/// Only what is left out of a restore beside by design is a remark.
fn warned(verb: Verb, warnings: &[String]) -> Vec<&String> {
    let designed = |w: &&String| verb == Verb::Beside && w.contains("not chosen or would act under a new name");
    warnings.iter().filter(|w| !designed(w)).collect()
}

fn every_privilege(kind: Kind) {
    let s = server(kind);
    s.sql(SCHEMA);
    s.sql("create user brine@'127.0.0.1' identified by 'pw'");
    // The fence has to end the scheduler, too.
    s.sql("set global event_scheduler = on");
    // Only accounts of applications: administrators come below.
    let accounts =
        s.rows("select user, host from mysql.user where user not in ('brine', 'app') and user not like '%.%'");
    for account in accounts.iter().filter(|a| a[0] != "root" || a[1] != "localhost") {
        s.try_sql(&format!("drop user '{}'@'{}'", account[0], account[1]))
            .unwrap_or_default();
    }
    let grants = grant_all_that_is_asked_for(&s);
    assert!(grants.len() > 20, "{grants:?}");
    let w = World::on(
        s.options_tcp("brine", "pw"),
        "shop",
        Arc::new(brine::storage::memory::Memory::new()),
    );
    w.backup();
    w.start_log();
    let before = look(&s);
    for verb in [Verb::Backup, Verb::Log, Verb::Beside, Verb::Whole] {
        let warnings = ok(&format!("{kind:?} {verb:?} with all of them"), run(verb, &w, &s));
        assert_eq!(warned(verb, &warnings), Vec::<&String>::new(), "{kind:?} {verb:?}");
        before.assert_same(&look(&s), &format!("{kind:?} {verb:?}"));
    }
    let mut refused = 0;
    for grant in &grants {
        let privilege = grant.strip_prefix("GRANT ").unwrap().split(" ON ").next().unwrap();
        s.sql(&format!("REVOKE {privilege} ON *.* FROM {ACCOUNT}"));
        for verb in [Verb::Backup, Verb::Log, Verb::Beside, Verb::Whole] {
            let what = format!("{kind:?} {verb:?} without {privilege}");
            let w = anew(&w, &s);
            match run(verb, &w, &s) {
                Ok(warnings) => assert_eq!(warned(verb, &warnings), Vec::<&String>::new(), "{what}"),
                Err(e) => {
                    refused += 1;
                    let text = format!("{} {}", e.chain(), e.hint().unwrap_or_default());
                    let asked = grant.split(" TO ").next().unwrap();
                    assert!(text.contains(asked) || text.contains("GRANT "), "{what}: {text}");
                    println!("{what}: {text}");
                }
            }
            before.assert_same(&look(&s), &what);
            let open = MysqlCluster::new(s.options(), Arc::new(SystemClock))
                .facts()
                .unwrap()
                .state;
            assert_eq!(open, ClusterState::Available, "{what}");
            let left = s.column("select schema_name from information_schema.schemata");
            assert!(!left.iter().any(|d| d.starts_with("_brine_")), "{what}: {left:?}");
        }
        s.sql(grant);
    }
    administrators(&s, &w);
    assert!(
        refused > grants.len(),
        "{refused} refusals for {} privileges",
        grants.len()
    );
    w.catch_up();
    assert_eq!(w.log_doc().runs.iter().filter(|r| r.ended.is_none()).count(), 1);
}

/// Who holds more than brine may give would be left without it.
fn administrators(s: &Server, w: &World) {
    s.sql("create user dba@'%' identified by 'x'; grant all on *.* to dba@'%' with grant option");
    w.catch_up();
    let before = look(s);
    let w = anew(w, s);
    let e = w.try_in_place(RestorePoint::Latest).unwrap_err();
    let text = format!("{} {}", e.chain(), e.hint().unwrap_or_default());
    assert!(text.contains("GRANT ") && text.contains("WITH GRANT OPTION"), "{text}");
    before.assert_same(&look(s), "refused");
    let more = grant_all_that_is_asked_for(s);
    assert!(!more.is_empty());
    let w = anew(&w, s);
    // The log holds the GRANTs to brine itself, which no restore repeats.
    let id = w.backup().id;
    let receipt = ok("with an administrator", w.try_in_place(RestorePoint::Snapshot { id }));
    assert_eq!(receipt.warnings, Vec::<String>::new());
    before.assert_same(&look(s), "the administrator holds what he held");
}

#[test]
fn every_privilege_of_mariadb_10_11_is_needed_and_enough() {
    every_privilege(Kind::MariaDb1011);
}

#[test]
fn every_privilege_of_mariadb_11_8_is_needed_and_enough() {
    every_privilege(Kind::MariaDb118);
}

#[test]
fn every_privilege_of_mysql_9_7_is_needed_and_enough() {
    every_privilege(Kind::Mysql97);
}

#[test]
fn proxies_of_another_server_are_asked_for_beforehand() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        let w = World::new(&source);
        let anybody = if kind.is_mysql() { "''@''" } else { "''@'%'" };
        source.sql(&format!(
            "create user x509@'%'; grant proxy on {anybody} to x509@'%'; create database d; create table d.t (a int primary key)"
        ));
        spare.sql(&format!(
            "create user {ACCOUNT} identified by 'pw'; grant all privileges on *.* to {ACCOUNT} with grant option"
        ));
        let other = World {
            archived: false,
            ..World::on(
                spare.options_tcp("brine", "pw"),
                "other",
                Arc::new(brine::storage::memory::Memory::new()),
            )
        };
        let base = w.backup();
        let request = w.request_to(&other, RestorePoint::Snapshot { id: base.id });
        let plan = ok("planning", w.plan_to(&request, &other));
        let proxies = plan.checks.iter().find(|c| c.name == "proxies").unwrap();
        assert_eq!(proxies.state, CheckState::Blocked);
        spare.sql(&proxies.wanted);
        let plan = ok("planning", w.plan_to(&request, &other));
        assert!(plan.checks.iter().all(|c| c.name != "proxies"), "{:?}", plan.checks);
        // What is as it should be comes without a statement that mends it.
        let alone: Vec<_> = plan.checks.iter().filter(|c| c.name.starts_with("replica")).collect();
        assert_eq!(alone.len(), 2, "{:?}", plan.checks);
        assert!(alone.iter().all(|c| c.wanted.is_empty()), "{alone:?}");
        let receipt = ok("restoring", w.try_restore(&request, &other));
        assert!(
            receipt.warnings.iter().all(|w| !w.contains("PROXY")),
            "{:?}",
            receipt.warnings
        );
        assert!(spare.sql("show grants for x509@'%'").contains("PROXY"));
    }
}

#[test]
fn an_account_whose_plugin_is_lacking_is_said_beforehand() {
    let [source, spare] = servers([Kind::MariaDb1011, Kind::MariaDb1011]);
    source.sql(
        "install soname 'auth_ed25519'; create user odd@'%' identified via ed25519 using password('x') or unix_socket;
         create user plain@'%' identified by 'pw'; create database d; create table d.t (a int primary key)",
    );
    let (w, other) = (World::new(&source), World::target(&spare));
    let base = w.backup();
    let request = w.request_to(&other, RestorePoint::Snapshot { id: base.id });
    let found = || {
        let plan = ok("planning", w.plan_to(&request, &other));
        plan.checks.into_iter().find(|c| c.name == "ways of logging in")
    };
    let said = found().unwrap();
    assert_eq!(said.state, CheckState::Warning);
    assert!(
        said.found.contains("odd@%") && said.found.contains("ed25519"),
        "{said:?}"
    );
    assert!(
        said.found.contains("cannot be made:"),
        "the other account can: {said:?}"
    );
    spare.sql("install soname 'auth_ed25519'");
    assert_eq!(found(), None);
    let receipt = ok("restoring", w.try_restore(&request, &other));
    assert_eq!(receipt.warnings, Vec::<String>::new());
}

/// A server takes the privileges on a routine along with it, and a restore of some tables makes routines anew: it brings no grants.
#[test]
fn a_restore_of_some_tables_keeps_who_may_call_its_routines() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql(
            "create database d; create database other; create table d.t (a int primary key); create table other.t (a int primary key);
             create user app@`%`; create user `we``ird`@localhost; use d;
             create function f (x int) returns int deterministic return x;
             create procedure p () select 1; create view v as select f(a) as fa from t;
             grant execute on function d.f to app@`%`; grant execute, alter routine on procedure d.p to app@`%`, `we``ird`@localhost with grant option;
             grant select on d.v to app@`%`; grant select (a), update (a) on d.t to app@`%`; create procedure other.p () select 1;
             grant execute on procedure other.p to app@`%`",
        );
        if !kind.is_mysql() {
            s.sql("create role r; grant execute on function d.f to r; grant execute on procedure d.p to public");
        }
        w.backup();
        w.start_log();
        s.sql("use d; insert into t values (1); create function late () returns int deterministic return 1; grant execute on function d.late to app@`%`");
        w.catch_up();
        let before = look::everything(&s);
        let request = RestoreRequest {
            filter: TableFilter::parse(&["d.*"]).unwrap(),
            ..w.request(RestorePoint::Latest, RestoreTarget::InPlace)
        };
        let receipt = w.try_restore(&request, &w).unwrap();
        before.assert_same(&look::everything(&s), &format!("{kind:?}: {:?}", receipt.warnings));
    }
}
