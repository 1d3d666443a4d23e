//! Snapshots and restores: whole, filtered, renamed, repeated.

use brine::cluster::{Cluster, ClusterError, LogEvent, ReplayTxn, RestoreScope, Restorer, TableDef};
use brine::model::filter::{RenameMap, TableFilter};
use brine::model::position::{Moment, Position};
use brine::model::table::TableName;
use brine::model::tso::Tso;

use super::env::{Env, Given, ask, back_up, build, drain, log_after, place, read_all, t};

fn fill(env: &Env, table: &TableName, rows: u32, tag: u8) -> Tso {
    let s = env.c().session("app").unwrap();
    let mut last = Tso::ZERO;
    let mut tx = s.begin().unwrap();
    for n in 0..rows {
        tx.put(table, format!("row{n:05}").as_bytes(), &[tag; 30]).unwrap();
    }
    last = last.max(tx.commit().unwrap());
    last
}

#[test]
fn a_snapshot_is_the_same_however_it_is_split_and_after_reopen() {
    let mut env = Env::new();
    let s = env.c().session("app").unwrap();
    for name in ["a", "empty"] {
        s.create_table(&t(name), "{}").unwrap();
    }
    drop(s);
    fill(&env, &t("a"), 3_000, 1);
    let snapshot = env.c().open_snapshot(None).unwrap();
    let at = snapshot.mark().moment;
    fill(&env, &t("a"), 1_000, 2);
    let want = env.c().checksums(&TableFilter::only(&[t("a")]), Some(at)).unwrap()[0].1;
    assert_eq!(want.rows, 3_000);
    assert!(snapshot.split(&t("empty"), 4).unwrap().is_empty());
    let token = snapshot.token();
    drop(snapshot);
    env.reopen();
    let snapshot = env.c().open_snapshot(token.as_deref()).unwrap();
    assert_eq!(snapshot.mark().moment, at);
    for (parts, max) in [(1, u64::MAX), (1, 1), (4, 5_000), (100, 1 << 20)] {
        let (batches, sum) = read_all(&*snapshot, &t("a"), parts, max);
        assert_eq!(sum, want, "{parts} parts of {max} bytes");
        let codec = env.c().codec();
        let decoded: brine::model::checksum::TableChecksum =
            batches.iter().map(|b| codec.batch_checksum(b).unwrap()).sum();
        assert_eq!(decoded, want);
    }
}

#[test]
fn a_whole_restore_is_the_source_at_that_moment() {
    let source = Env::new();
    let s = source.c().session("app").unwrap();
    for name in ["a", "b", "c"] {
        s.create_table(&t(name), "{}").unwrap();
    }
    fill(&source, &t("a"), 2_000, 1);
    fill(&source, &t("b"), 10, 1);
    let backup = back_up(source.c());
    fill(&source, &t("a"), 500, 2);
    s.delete(&t("a"), b"row00001").unwrap();
    s.drop_table(&t("b")).unwrap();
    s.create_table(&t("b"), "{\"v\":2}").unwrap();
    s.put(&t("b"), b"only", b"row").unwrap();
    s.drop_table(&t("c")).unwrap();
    s.put(&TableName::new("mysql", "user"), b"eve@%", b"x").unwrap();
    let until = source.c().mark().unwrap().moment;
    s.put(&t("a"), b"too late", b"x").unwrap();
    let log = log_after(source.c(), backup.at);
    let want = source.c().checksums(&TableFilter::all(), Some(until)).unwrap();

    let target = Env::new();
    let ts = target.c().session("app").unwrap();
    ts.create_table(&t("stranger"), "{}").unwrap();
    let before = target.c().mark().unwrap();
    let restorer = target.c().restorer(&ask(until.last_tso())).unwrap();
    build(&*restorer, &backup, &log, until.last_tso()).unwrap();
    assert_eq!(restorer.checksums().unwrap(), want);
    assert!(
        target
            .c()
            .checksums(&TableFilter::all(), None)
            .unwrap()
            .iter()
            .all(|(n, _)| *n != t("a"))
    );
    let mark = restorer.publish().unwrap();
    assert_eq!(restorer.publish().unwrap(), mark, "publishing twice is once");
    assert_eq!(target.c().checksums(&TableFilter::all(), None).unwrap(), want);
    let old = target.c().checksums(&TableFilter::all(), Some(before.moment)).unwrap();
    assert!(old.iter().any(|(n, _)| *n == t("stranger")), "the past is as it was");
    let snapshot = target.c().open_snapshot(None).unwrap();
    let b = snapshot
        .tables()
        .unwrap()
        .into_iter()
        .find(|d| d.name == t("b"))
        .unwrap();
    assert_eq!(b.schema, "{\"v\":2}");
    ts.put(&t("a"), b"row00000", b"after").unwrap();
    assert_eq!(ts.get(&t("a"), b"row00000").unwrap().unwrap(), b"after");
    let mut stream = target.c().changes(&place(&before.position), &[]).unwrap();
    let events = drain(&mut *stream);
    assert!(matches!(&events[0], LogEvent::Restored(m) if *m == mark), "{events:?}");
    assert!(matches!(&events[1], LogEvent::Txn(_)));
    restorer.abandon().unwrap();
    assert_eq!(
        ts.get(&t("a"), b"row00000").unwrap().unwrap(),
        b"after",
        "what was published stays"
    );
}

#[test]
fn a_filtered_and_renamed_restore_touches_nothing_else() {
    let env = Env::new();
    let s = env.c().session("app").unwrap();
    for name in ["a", "b"] {
        s.create_table(&t(name), "{}").unwrap();
        fill(&env, &t(name), 100, 1);
    }
    let backup = back_up(env.c());
    fill(&env, &t("a"), 50, 2);
    let until = env.c().mark().unwrap().moment;
    s.drop_table(&t("a")).unwrap();
    let log = log_after(env.c(), backup.at);
    let mut ask = ask(until.last_tso());
    ask.scope = RestoreScope::Tables;
    ask.filter = TableFilter::parse(&["db.a"]).unwrap();
    ask.rename = RenameMap::parse(&["db=beside"]).unwrap();
    let before = env.c().checksums(&TableFilter::all(), None).unwrap();
    let want = env.c().checksums(&ask.filter, Some(until)).unwrap()[0].1;
    let restorer = env.c().restorer(&ask).unwrap();
    build(&*restorer, &backup, &log, until.last_tso()).unwrap();
    restorer.publish().unwrap();
    let mut after = env.c().checksums(&TableFilter::all(), None).unwrap();
    let place = after
        .iter()
        .position(|(n, _)| *n == TableName::new("beside", "a"))
        .unwrap();
    assert_eq!(after.remove(place).1, want);
    assert_eq!(after, before);
}

#[test]
fn finished_tables_are_not_loaded_again_and_abandoning_leaves_nothing() {
    let mut env = Env::new();
    let s = env.c().session("app").unwrap();
    for name in ["a", "b"] {
        s.create_table(&t(name), "{}").unwrap();
        fill(&env, &t(name), 100, 1);
    }
    drop(s);
    let backup = back_up(env.c());
    let ask = ask(backup.at);
    let loaded = backup.tables.iter().find(|(d, _, _)| d.name == t("a")).unwrap();
    {
        let restorer = env.c().restorer(&ask).unwrap();
        assert!(env.c().restorer(&ask).is_err(), "one at a time");
        backup.tables.iter().for_each(|(d, _, _)| restorer.define(d).unwrap());
        assert!(
            restorer.load(&t("a"), &mut Given(vec![].into_iter())).is_err(),
            "the log's end was not told"
        );
        restorer.end_of_log().unwrap();
        restorer
            .load(&t("a"), &mut Given(loaded.1.clone().into_iter()))
            .unwrap();
        assert!(restorer.publish().is_err(), "not all is loaded");
    }
    env.reopen();
    let restorer = env.c().restorer(&ask).unwrap();
    assert!(restorer.is_loaded(&t("a")).unwrap() && !restorer.is_loaded(&t("b")).unwrap());
    backup.tables.iter().for_each(|(d, _, _)| restorer.define(d).unwrap());
    restorer.end_of_log().unwrap();
    let again = restorer.load(&t("a"), &mut Given(vec![].into_iter())).unwrap();
    assert_eq!(again.sum, loaded.2);
    let mut other = ask.clone();
    other.until = Moment::of_tso(backup.at.next());
    assert!(env.c().restorer(&other).is_err(), "the same id for another ask");
    restorer.abandon().unwrap();
    drop(restorer);
    assert!(!env.c().restorer(&ask).unwrap().is_loaded(&t("a")).unwrap());
    assert!(env.c().checksums(&TableFilter::all(), None).unwrap().len() == 4);
}

#[test]
fn wrong_input_is_an_error_and_changes_nothing() {
    let env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    fill(&env, &t("a"), 100, 1);
    let backup = back_up(env.c());
    for n in 0..3u8 {
        s.put(&t("a"), &[n], b"v").unwrap();
    }
    let until = env.c().mark().unwrap().moment.last_tso();
    let log = log_after(env.c(), backup.at);
    let fails = |restorer: &dyn Restorer, txns: &[&brine::cluster::Txn]| {
        txns.iter().any(|txn| {
            let given = ReplayTxn {
                commit: txn.commit,
                id: &txn.id,
                payload: &txn.payload,
                early: false,
            };
            restorer.replay(&given).is_err()
        })
    };
    let fresh = || env.c().restorer(&ask(until)).unwrap();
    assert!(fails(&*fresh(), &[&log[0], &log[2]]), "a missing transaction");
    assert!(fails(&*fresh(), &[&log[1], &log[0]]), "out of order");
    assert!(
        fails(&*env.c().restorer(&ask(backup.at)).unwrap(), &[&log[0]]),
        "after the moment"
    );
    assert!(
        !fails(&*fresh(), &[&log[0], &log[0], &log[1]]),
        "the same again is the same"
    );
    for at in 0..log[0].payload.len() {
        let mut bad = log[0].clone();
        bad.payload[at] ^= 1;
        assert!(fails(&*fresh(), &[&bad, &log[1]]), "bit flip in byte {at}");
    }
    let restorer = fresh();
    let def = TableDef {
        name: t("a"),
        schema: String::new(),
        system: false,
    };
    restorer.define(&def).unwrap();
    restorer.end_of_log().unwrap();
    let (_, batches, _) = backup.tables.iter().find(|(d, _, _)| d.name == t("a")).unwrap();
    let twice = [batches.clone(), batches.clone()].concat();
    let cut = vec![batches[0][..batches[0].len() - 1].to_vec()];
    for bad in [twice, cut, vec![vec![1, 2, 3]]] {
        let e = restorer.load(&t("a"), &mut Given(bad.into_iter())).unwrap_err();
        assert!(matches!(e, ClusterError::Malformed { .. }), "{e}");
    }
    assert!(matches!(
        restorer.load(&t("nope"), &mut Given(vec![].into_iter())),
        Err(ClusterError::NoTable(_))
    ));
    let good = restorer.load(&t("a"), &mut Given(batches.clone().into_iter())).unwrap();
    assert_eq!(good.sum.rows, 100);
}

#[test]
fn a_log_across_a_restore_is_refused() {
    let env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "{}").unwrap();
    let backup = back_up(env.c());
    let restorer = env.c().restorer(&ask(backup.at)).unwrap();
    build(&*restorer, &backup, &[], backup.at).unwrap();
    let mark = restorer.publish().unwrap();
    // The stream does not give the record, so take it as an archive with a fault would.
    let mut stream = env.c().changes(&place(&Position::Tso(backup.at)), &[]).unwrap();
    assert_eq!(drain(&mut *stream), [LogEvent::Restored(mark)]);
}
