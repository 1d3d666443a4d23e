//! Sessions, transactions, time, and what opening refuses.

use std::ops::Bound;
use std::time::Duration;

use brine::cluster::{ClosedAs, Cluster, ClusterError, ClusterState};
use brine::model::clock::Millis;
use brine::model::filter::TableFilter;
use brine::model::position::Moment;
use brine::model::table::TableName;

use super::env::{Env, START, place, sum_of, t};

#[test]
fn a_transaction_sees_its_start_and_its_own_writes() {
    let env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    s.put(&t("a"), b"k", b"1").unwrap();
    let mut tx = s.begin().unwrap();
    s.put(&t("a"), b"k", b"2").unwrap();
    s.put(&t("a"), b"later", b"x").unwrap();
    assert_eq!(tx.get(&t("a"), b"k").unwrap().unwrap(), b"1");
    tx.put(&t("a"), b"own", b"o").unwrap();
    let rows = tx.scan(&t("a"), Bound::Unbounded, 10).unwrap();
    assert_eq!(rows, [(b"k".to_vec(), b"1".to_vec()), (b"own".to_vec(), b"o".to_vec())]);
    tx.put(&t("a"), b"k", b"3").unwrap();
    assert!(matches!(tx.commit(), Err(ClusterError::Conflict { .. })));
    assert_eq!(
        s.get(&t("a"), b"own").unwrap(),
        None,
        "nothing of a refused transaction"
    );
    assert_eq!(s.get(&t("a"), b"k").unwrap().unwrap(), b"2");
}

#[test]
fn a_scan_merges_own_writes_deletions_and_limits() {
    let env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    for n in 0..10u8 {
        s.put(&t("a"), &[n], &[n]).unwrap();
    }
    let mut tx = s.begin().unwrap();
    tx.delete(&t("a"), &[3]).unwrap();
    tx.put(&t("a"), &[4], b"new").unwrap();
    tx.put(&t("a"), &[4, 0], b"between").unwrap();
    tx.put(&t("a"), &[200], b"end").unwrap();
    let keys = |rows: Vec<(Vec<u8>, Vec<u8>)>| rows.into_iter().map(|(k, _)| k).collect::<Vec<_>>();
    let from = Bound::Excluded(&[1u8][..]);
    let got = keys(tx.scan(&t("a"), from, 4).unwrap());
    assert_eq!(got, [vec![2], vec![4], vec![4, 0], vec![5]]);
    assert_eq!(tx.scan(&t("a"), Bound::Included(&[4]), 1).unwrap()[0].1, b"new");
    assert_eq!(
        keys(tx.scan(&t("a"), Bound::Included(&[9]), 9).unwrap()),
        [vec![9], vec![200]]
    );
    tx.rollback();
    assert_eq!(s.scan(&t("a"), None, 100, None).unwrap().len(), 10);
    assert_eq!(
        keys(s.scan(&t("a"), Some(&[7]), 100, None).unwrap()),
        [vec![8], vec![9]]
    );
}

#[test]
fn dropping_a_table_beats_its_open_writers_but_not_its_past() {
    let env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    let then = s.put(&t("a"), b"k", b"1").unwrap();
    let mut tx = s.begin().unwrap();
    tx.put(&t("a"), b"k", b"2").unwrap();
    s.drop_table(&t("a")).unwrap();
    assert!(matches!(tx.commit(), Err(ClusterError::NoTable(_))));
    let mut tx = s.begin().unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    assert!(
        matches!(tx.put(&t("a"), b"k", b"3"), Err(ClusterError::NoTable(_))),
        "not there at its start"
    );
    assert!(matches!(s.create_table(&t("a"), ""), Err(ClusterError::TableExists(_))));
    let past = s.scan(&t("a"), None, 9, Some(Moment::of_tso(then))).unwrap();
    assert_eq!(past, [(b"k".to_vec(), b"1".to_vec())]);
    assert!(s.drop_table(&TableName::new("mysql", "user")).is_err());
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    assert!(s.put(&t("a"), b"", b"x").is_err());
    assert!(matches!(
        s.put(&t("a"), &vec![0; 16 * 1024 + 1], b"x"),
        Err(ClusterError::TooLarge(_))
    ));
    assert!(matches!(
        s.put(&t("a"), b"k", &vec![0; (64 << 20) + 1]),
        Err(ClusterError::TooLarge(_))
    ));
    assert!(matches!(s.put(&t("nope"), b"k", b"v"), Err(ClusterError::NoTable(_))));
    assert!(s.create_table(&TableName::new("", "x"), "").is_err());
    let longest = vec![0; 16 * 1024];
    s.put(&t("a"), &longest, b"v").unwrap();
    assert_eq!(s.get(&t("a"), &longest).unwrap().unwrap(), b"v");
}

#[test]
fn a_large_row_and_a_bulk_load_arrive() {
    let env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    let large = vec![7u8; 20 << 20];
    s.put(&t("a"), b"large", &large).unwrap();
    assert_eq!(s.get(&t("a"), b"large").unwrap().unwrap(), large);
    s.delete(&t("a"), b"large").unwrap();
    let row = |n: u32| (n.to_be_bytes().to_vec(), vec![n as u8; 50]);
    assert_eq!(s.load(&t("a"), &mut (0..5_000).map(row)).unwrap(), 5_000);
    let want = sum_of(&(0..5_000).map(row).collect());
    assert_eq!(
        env.c().checksums(&super::env::user_tables(), None).unwrap(),
        [(t("a"), want)]
    );
    assert_eq!(env.c().tables().unwrap()[0].rows_estimate, 5_000);
}

#[test]
fn closing_ends_sessions_and_survives_reopen() {
    let mut env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    let mut tx = s.begin().unwrap();
    tx.put(&t("a"), b"k", b"v").unwrap();
    assert_eq!(env.c().facts().unwrap().sessions, 1);
    env.c().close(ClosedAs::Restoring).unwrap();
    env.c().close(ClosedAs::Restoring).unwrap();
    assert!(matches!(tx.commit(), Err(ClusterError::SessionEnded(_))));
    assert!(matches!(s.put(&t("a"), b"k", b"v"), Err(ClusterError::SessionEnded(_))));
    assert!(matches!(env.c().session("x"), Err(ClusterError::Closed(_))));
    let facts = env.c().facts().unwrap();
    assert_eq!(
        (facts.state, facts.sessions),
        (ClusterState::Restoring { since: START }, 0)
    );
    drop(s);
    env.reopen();
    assert!(env.c().session("x").is_err());
    env.c().close(ClosedAs::Closed("repair".into())).unwrap();
    assert_eq!(
        env.c().facts().unwrap().state,
        ClusterState::Closed { why: "repair".into() }
    );
    env.c().open().unwrap();
    env.c().open().unwrap();
    assert!(env.c().session("x").unwrap().get(&t("a"), b"k").unwrap().is_none());
}

#[test]
fn time_never_goes_back() {
    let mut env = Env::new();
    let mut last = env.c().mark().unwrap().moment.last_tso();
    for jump in [-3_600_000, 86_400_000, -86_400_000, 5, 0] {
        env.clock.set(START.plus(jump));
        env.reopen();
        let s = env.c().session("app").unwrap();
        let _ = s.create_table(&t("a"), "{}");
        for _ in 0..3 {
            let commit = s.put(&t("a"), b"k", b"v").unwrap();
            let mark = env.c().mark().unwrap().moment.last_tso();
            assert!(last < commit && commit < mark);
            last = mark;
        }
    }
}

#[test]
fn a_read_of_the_present_millisecond_is_settled() {
    let env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    s.put(&t("a"), b"k", b"1").unwrap();
    let now = Moment::of_millis(START);
    let read = || env.c().checksums(&TableFilter::all(), Some(now)).unwrap();
    let before = read();
    assert!(s.put(&t("a"), b"k", b"2").unwrap() > now.last_tso());
    assert_eq!(read(), before);
    let later = Moment::of_millis(START.plus(60_000));
    let e = env.c().checksums(&TableFilter::all(), Some(later)).unwrap_err();
    assert!(matches!(e, ClusterError::OutsideHistory { .. }), "{e}");
}

#[test]
fn one_process_holds_the_store() {
    let env = Env::new();
    let Err(e) = env.try_open() else { panic!("opened twice") };
    assert!(matches!(&e, ClusterError::Locked { .. }));
    assert!(e.to_string().contains(&std::process::id().to_string()), "{e}");
}

#[test]
fn a_store_that_lost_commits_is_refused_unless_the_loss_is_accepted() {
    let mut env = Env::new();
    let copy = tempfile::tempdir().unwrap();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    drop(s);
    env.close();
    let store = env.dir.path().join("store");
    let status = std::process::Command::new("cp")
        .arg("-r")
        .arg(&store)
        .arg(copy.path())
        .status()
        .unwrap();
    assert!(status.success());
    env.reopen();
    let lost = env.c().session("app").unwrap().put(&t("a"), b"k", b"v").unwrap();
    env.close();
    std::fs::remove_dir_all(&store).unwrap();
    let Err(e) = env.try_open() else {
        panic!("an empty store was taken")
    };
    assert!(matches!(e, ClusterError::WentBack { .. }), "{e}");
    std::fs::rename(copy.path().join("store"), &store).unwrap();
    let Err(e) = env.try_open() else {
        panic!("an older store was taken")
    };
    assert!(
        matches!(e, ClusterError::WentBack { expected, .. } if expected == lost),
        "{e}"
    );
    let mut options = env.options();
    options.accept_loss = true;
    let c = brine::cluster::embedded::EmbeddedCluster::open(env.dir.path(), options).unwrap();
    let after = c.session("app").unwrap().put(&t("a"), b"k", b"w").unwrap();
    assert!(after > lost);
    let e = c
        .changes(&place(&brine::model::position::Position::Tso(lost)), &[])
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(e, ClusterError::LogGone { .. }), "{e}");
    drop(c);
    env.reopen();
}

#[test]
fn a_journal_that_lost_its_end_is_noticed() {
    let mut env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    let last = (0..100u8).map(|n| s.put(&t("a"), &[n], b"v").unwrap()).max().unwrap();
    drop(s);
    env.close();
    let journal = std::fs::read_dir(env.dir.path().join("store"))
        .unwrap()
        .map(|e| e.unwrap().path());
    let journal = journal
        .filter(|p| p.extension().is_some_and(|e| e == "jnl"))
        .max()
        .unwrap();
    let whole = std::fs::read(&journal).unwrap();
    // The engine cuts a broken tail off, so each round begins with the directory as it was.
    let master = tempfile::tempdir().unwrap();
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let from = format!("{}/.", from.display());
        assert!(
            std::process::Command::new("cp")
                .arg("-r")
                .arg(from)
                .arg(to)
                .status()
                .unwrap()
                .success()
        );
    };
    copy(env.dir.path(), master.path());
    let used = whole.iter().rposition(|b| *b != 0).unwrap();
    for cut in [used / 10 * 9, used / 2, used / 10] {
        env.dir = tempfile::tempdir().unwrap();
        copy(master.path(), env.dir.path());
        let journal = env.dir.path().join("store").join(journal.file_name().unwrap());
        std::fs::write(&journal, &whole[..cut]).unwrap();
        match env.try_open() {
            Err(ClusterError::WentBack { expected, has, .. }) => assert!(expected == last && has < last),
            Err(e) => panic!("{e}"),
            Ok(c) => panic!(
                "opened with {:?} after a cut at {cut} of {used}",
                c.facts().unwrap().now
            ),
        }
        for at in cut..cut + 12 {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            std::fs::write(&journal, damaged).unwrap();
            match env.try_open() {
                Err(e) => assert!(e.to_string().contains("restore"), "{e}"),
                // Not every byte of the journal matters; but then nothing may be lost.
                Ok(c) => {
                    let rows = c.session("x").unwrap().scan(&t("a"), None, 1000, None).unwrap();
                    assert_eq!(rows.len(), 100, "a flip at {at} of {used}");
                }
            }
        }
    }
}

#[test]
fn garbage_goes_and_the_window_stays() {
    let env = Env::with_history(Some(Duration::from_secs(3600)));
    let s = env.c().session("app").unwrap();
    for name in ["a", "gone"] {
        s.create_table(&t(name), "{}").unwrap();
    }
    for n in 0..5u8 {
        for k in 0..100u8 {
            s.put(&t("a"), &[k], &[n]).unwrap();
        }
    }
    for k in 0..50u8 {
        s.delete(&t("a"), &[k]).unwrap();
    }
    let dropped = s.drop_table(&t("gone")).unwrap();
    let at = |ts| env.c().checksums(&TableFilter::all(), Some(Moment::of_tso(ts)));
    let old = env.c().mark().unwrap().moment.last_tso();
    let want = at(old).unwrap();
    env.clock.advance(Duration::from_secs(1800));
    s.put(&t("a"), &[1], b"again").unwrap();
    let report = env.c().collect_garbage().unwrap();
    assert_eq!(
        (report.versions_dropped, report.tables_dropped),
        (0, 0),
        "all is inside the window"
    );
    env.clock.advance(Duration::from_secs(1801));
    let view = env.c().open_snapshot(None).unwrap();
    let report = env.c().collect_garbage().unwrap();
    assert!(report.safepoint > old && report.log_from > old);
    assert_eq!(
        report.versions_dropped,
        100 * 4 + 50 + 49,
        "hidden versions and lone deletions"
    );
    assert_eq!(report.tables_dropped, 1);
    for ts in [old, dropped.prev()] {
        assert!(matches!(at(ts), Err(ClusterError::OutsideHistory { .. })));
    }
    assert_eq!(
        at(report.safepoint).unwrap(),
        want,
        "the state at the safepoint is whole"
    );
    assert!(matches!(
        env.c()
            .changes(&place(&brine::model::position::Position::Tso(old)), &[]),
        Err(ClusterError::LogGone { .. })
    ));
    env.clock.advance(Duration::from_millis(71 * Millis::MINUTE as u64));
    view.keep_alive().unwrap();
    env.clock.advance(Duration::from_millis(71 * Millis::MINUTE as u64));
    assert!(env.c().collect_garbage().unwrap().safepoint <= view.mark().moment.last_tso());
    let token = view.token();
    drop(view);
    let again = env.c().open_snapshot(token.as_deref()).unwrap();
    assert_eq!(again.tables().unwrap().len(), 3);
    s.put(&t("a"), &[1], b"newer").unwrap();
    env.clock.advance(Duration::from_millis(73 * Millis::MINUTE as u64));
    env.c().collect_garbage().unwrap();
    assert!(matches!(again.keep_alive(), Err(ClusterError::SnapshotGone(_))));
    assert!(matches!(again.tables(), Err(ClusterError::SnapshotGone(_))));
    assert!(env.c().open_snapshot(token.as_deref()).is_err());
}
