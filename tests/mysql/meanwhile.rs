//! What others do on the server while a restore runs beside them.

use std::sync::Arc;

use brine::engine::cx::{MemoryResumeLog, ResumeError, ResumeLog};
use brine::engine::error::ErrorKind;
use brine::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use brine::model::filter::TableFilter;
use parking_lot::Mutex;

use crate::client::Session;
use crate::server::{Kind, server};
use crate::world::{World, ok};

/// A job's memory that runs a script once, when the switch is about to be done and nothing is looked at any more.
struct AtTheLast {
    memory: MemoryResumeLog,
    act: Mutex<Option<(Session, &'static str)>>,
}

impl ResumeLog for AtTheLast {
    fn load(&self) -> Result<Vec<(String, serde_json::Value)>, ResumeError> {
        self.memory.load()
    }
    fn save(&self, key: &str, value: &serde_json::Value) -> Result<(), ResumeError> {
        if key == "publishing"
            && let Some((mut session, script)) = self.act.lock().take()
        {
            session.run(script);
        }
        self.memory.save(key, value)
    }
    fn clear(&self) -> Result<(), ResumeError> {
        self.memory.clear()
    }
    fn finish(&self, result: &serde_json::Value) -> Result<(), ResumeError> {
        self.memory.finish(result)
    }
}

#[test]
fn a_table_that_came_into_being_after_the_last_look_is_not_overwritten() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql("create database shop; create table shop.a (k int primary key); insert into shop.a values (1), (2)");
        w.backup();
        w.start_log();
        let request = w.request(RestorePoint::Latest, RestoreTarget::Beside);
        let plan = ok("planning", w.plan_to(&request, &w));
        let theirs = "create database shop_restored; create table shop_restored.a (theirs int);
            create trigger shop_restored.tr before insert on shop_restored.a for each row set new.theirs = 7;
            insert into shop_restored.a values (1)";
        let memory = Arc::new(AtTheLast {
            memory: MemoryResumeLog::default(),
            act: Mutex::new(Some((s.session(), theirs))),
        });
        let e = w
            .run_to(&plan, &w, false, &w.cx().with_resume(memory.clone()))
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Refused, "{kind:?}: {e}");
        assert!(e.to_string().contains("shop_restored.a"), "{kind:?}: {e}");
        assert!(memory.act.lock().is_none(), "it came to that");
        assert_eq!(s.value("select theirs from shop_restored.a"), "7");
        s.sql("insert into shop_restored.a values (2)");
        assert_eq!(
            s.value("select group_concat(theirs) from shop_restored.a"),
            "7,7",
            "with its trigger"
        );
        let own = s.column("select schema_name from information_schema.schemata");
        assert!(!own.iter().any(|n| n.starts_with("_brine_")), "{kind:?}: {own:?}");
        // With the name free again the same restore works.
        s.sql("drop database shop_restored");
        ok("beside", w.try_restore(&request, &w));
        assert_eq!(s.value("select group_concat(k order by k) from shop_restored.a"), "1,2");
    }
}

/// Some tables went back; then applications wrote elsewhere. The undo of the one is not the undo of the others.
#[test]
fn an_undo_leads_back_only_what_the_restore_wrote() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql(
            "create database shop; create table shop.a (k int primary key); create table shop.b (k int primary key);
             create table shop.dropped (k int primary key); insert into shop.a values (1); insert into shop.dropped values (1)",
        );
        w.backup();
        w.start_log();
        s.sql("insert into shop.a values (2); drop table shop.dropped");
        w.catch_up();
        let id = w.view().bases()[0].id.clone();
        let request = RestoreRequest {
            filter: TableFilter::parse(&["shop.a", "shop.dropped"]).unwrap(),
            ..w.request(RestorePoint::Snapshot { id }, RestoreTarget::InPlace)
        };
        ok("in place", w.try_restore(&request, &w));
        let keys = |table: &str| s.value(&format!("select group_concat(k order by k) from shop.{table}"));
        assert_eq!(
            (keys("a"), keys("dropped")),
            ("1".to_owned(), "1".to_owned()),
            "{kind:?}"
        );
        s.sql("insert into shop.b values (7); create user since@localhost");
        w.undo();
        assert_eq!((keys("a"), keys("b")), ("1,2".to_owned(), "7".to_owned()), "{kind:?}");
        let tables =
            s.column("select table_name from information_schema.tables where table_schema = 'shop' order by 1");
        assert_eq!(tables, ["a", "b"], "{kind:?}: dropped again");
        assert_eq!(
            s.value("select count(*) from mysql.user where user = 'since'"),
            "1",
            "{kind:?}"
        );
    }
}
