//! The change log: complete, in order, with marks, gaps and restores told.

use std::time::Duration;

use brine::cluster::{Cluster, ClusterError, LogEvent};
use brine::model::position::Position;
use brine::model::tso::Tso;

use super::env::{Env, drain, log_after, place, t};

#[test]
fn the_log_tells_what_happened() {
    let env = Env::new();
    let from = env.c().mark().unwrap().moment.last_tso();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{\"x\":1}").unwrap();
    s.put(&t("a"), b"k", b"1").unwrap();
    let mut tx = s.begin().unwrap();
    tx.put(&t("a"), b"k", b"22").unwrap();
    tx.put(&t("a"), b"new", b"").unwrap();
    tx.delete(&t("a"), b"absent").unwrap();
    let commit = tx.commit().unwrap();
    let dropped = s.drop_table(&t("a")).unwrap();
    let log = log_after(env.c(), from);
    assert_eq!(log.len(), 4);
    assert_eq!(log[0].ddl.as_ref().unwrap().text, "CREATE TABLE db.a");
    let delta = &log[2].deltas[0];
    assert_eq!((delta.puts, delta.updates, delta.deletes, delta.bytes), (2, 1, 1, 12));
    assert_eq!(
        (log[2].commit.last_tso(), log[2].id.clone()),
        (commit, commit.to_string())
    );
    let ddl = log[3].ddl.as_ref().unwrap();
    assert_eq!((ddl.text.as_str(), ddl.rows), ("DROP TABLE db.a", 2));
    assert_eq!(log[3].position, Position::Tso(dropped));
    assert_eq!(log_after(env.c(), commit).len(), 1, "after means after");
    assert_eq!(log_after(env.c(), commit.prev()).len(), 2);
}

#[test]
fn marks_follow_what_they_cover_and_move_while_idle() {
    let env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    let mut stream = env.c().changes(&place(&Position::Tso(Tso::ZERO)), &[]).unwrap();
    let mut last = Tso::ZERO;
    for n in 0..20u8 {
        let commit = (n % 3 == 0).then(|| s.put(&t("a"), &[n], b"v").unwrap());
        let mut seen = false;
        loop {
            match stream.next(Duration::from_millis(1)).unwrap().unwrap() {
                LogEvent::Txn(txn) => {
                    assert!(txn.commit.last_tso() > last);
                    last = txn.commit.last_tso();
                    seen |= Some(last) == commit;
                }
                LogEvent::Reached(mark) => {
                    assert!(mark.moment.last_tso() > last);
                    last = mark.moment.last_tso();
                    break;
                }
                LogEvent::Restored(_) => panic!(),
            }
        }
        assert_eq!(seen, commit.is_some());
    }
}

#[test]
fn a_waiting_stream_wakes_for_a_commit() {
    let env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    let mut stream = env.c().changes(&place(&Position::Tso(Tso::ZERO)), &[]).unwrap();
    drain(&mut *stream);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || stream.next(Duration::from_secs(60)).unwrap().unwrap());
        let commit = s.put(&t("a"), b"k", b"v").unwrap();
        // It saw the commit, or a mark that was taken just before it.
        match waiting.join().unwrap() {
            LogEvent::Txn(txn) => assert_eq!(txn.commit.last_tso(), commit),
            LogEvent::Reached(mark) => assert!(mark.moment.last_tso() < commit),
            LogEvent::Restored(_) => panic!(),
        }
    });
}

#[test]
fn positions_from_elsewhere_are_refused() {
    let env = Env::new();
    let open = |p: &Position| env.c().changes(&place(p), &[]).map(|_| ()).unwrap_err();
    let future = Position::Tso(Tso::from_millis(super::env::START.plus(86_400_000)));
    assert!(matches!(open(&future), ClusterError::OutsideHistory { .. }));
    let binlog = Position::Binlog {
        gtid: String::new(),
        file: "b".into(),
        offset: 4,
        begun: None,
        unlogged: None,
    };
    assert!(matches!(open(&binlog), ClusterError::Malformed { .. }));
}

#[test]
fn the_log_is_kept_for_its_backup() {
    let mut env = Env::with_history(Some(Duration::from_secs(60)));
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    let first = s.put(&t("a"), b"k", b"1").unwrap();
    let second = s.put(&t("a"), b"k", b"2").unwrap();
    env.c().keep_log(Some(&Position::Tso(first))).unwrap();
    env.clock.advance(Duration::from_secs(3600));
    env.c().collect_garbage().unwrap();
    let mut running = env.c().changes(&place(&Position::Tso(first)), &[]).unwrap();
    assert_eq!(log_after(env.c(), first)[0].commit.last_tso(), second);
    assert!(env.c().changes(&place(&Position::Tso(first.prev())), &[]).is_err());
    drop(s);
    env.c().keep_log(None).unwrap();
    env.c().collect_garbage().unwrap();
    let e = running.next(Duration::ZERO).unwrap_err();
    assert!(
        matches!(e, ClusterError::LogGone { .. }),
        "a trimmed record is never skipped: {e}"
    );
    drop(running);
    env.reopen();
    assert!(env.c().changes(&place(&Position::Tso(first)), &[]).is_err());
}
