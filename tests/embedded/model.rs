//! Random histories against a plain map of maps, read back at every moment.

use std::collections::BTreeMap;
use std::time::Duration;

use brine::cluster::{Cluster, ClusterError, LogEvent};
use brine::model::filter::TableFilter;
use brine::model::position::{Moment, Position};
use brine::model::tso::Tso;
use proptest::prelude::*;

use super::env::{Backup, Env, World, ask, back_up, build, drain, log_after, place, t};

/// One row's change in a transaction: table, key, value or deletion.
type Write = (u8, Vec<u8>, Option<Vec<u8>>);

#[derive(Clone, Debug)]
enum Step {
    Create(u8),
    Drop(u8),
    Txn(Vec<Write>),
    /// Two transactions side by side; the second may conflict.
    Race(Vec<Write>, Vec<Write>),
    Clock(i64),
    Reopen,
    Collect,
    Backup,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => proptest::collection::vec(0u8..3, 1..3),
        1 => proptest::collection::vec(any::<u8>(), 1..5),
        1 => (1usize..600).prop_map(|n| vec![0; n]),
    ]
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let value = proptest::option::weighted(0.7, proptest::collection::vec(any::<u8>(), 0..6));
    proptest::collection::vec((0u8..3, key(), value), 1..6)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u8..3).prop_map(Step::Create),
        1 => (0u8..3).prop_map(Step::Drop),
        12 => writes().prop_map(Step::Txn),
        3 => (writes(), writes()).prop_map(|(a, b)| Step::Race(a, b)),
        2 => (-5_000_000i64..5_000_000).prop_map(Step::Clock),
        1 => Just(Step::Reopen),
        2 => Just(Step::Collect),
        1 => Just(Step::Backup),
    ]
}

fn name(n: u8) -> brine::model::table::TableName {
    t(&format!("t{n}"))
}

/// What the test believes: the world after each commit.
struct Model {
    env: Env,
    worlds: BTreeMap<Tso, World>,
    backups: Vec<Backup>,
}

impl Model {
    fn now(&self) -> World {
        self.worlds.values().next_back().cloned().unwrap_or_default()
    }

    fn committed(&mut self, at: Tso, change: impl FnOnce(&mut World)) {
        assert!(self.worlds.keys().next_back().is_none_or(|last| *last < at));
        let mut world = self.now();
        change(&mut world);
        self.worlds.insert(at, world);
    }

    fn put(world: &mut World, writes: &[Write]) {
        for (table, key, value) in writes {
            let rows = world.get_mut(&name(*table)).unwrap();
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
    }

    /// Drops the writes to tables that are not there.
    fn possible(&self, writes: Vec<Write>) -> Vec<Write> {
        let world = self.now();
        writes
            .into_iter()
            .filter(|(table, _, _)| world.contains_key(&name(*table)))
            .collect()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Clock(by) => self
                .env
                .clock
                .set(brine::model::clock::Clock::now(&*self.env.clock).plus(by)),
            Step::Reopen => self.env.reopen(),
            Step::Collect => {
                let report = self.env.c().collect_garbage().unwrap();
                let keep = self.worlds.range(..=report.safepoint).next_back().map(|(ts, _)| *ts);
                if let Some(keep) = keep {
                    self.worlds = self.worlds.split_off(&keep);
                }
            }
            Step::Backup => self.backups.push(back_up(self.env.c())),
            Step::Create(_) | Step::Drop(_) => self.ddl(step),
            Step::Txn(writes) => self.race(writes, Vec::new()),
            Step::Race(a, b) => self.race(a, b),
        }
    }

    fn ddl(&mut self, step: Step) {
        let session = self.env.c().session("app").unwrap();
        let there = |n: u8| self.now().contains_key(&name(n));
        match step {
            Step::Create(n) if there(n) => {
                assert!(matches!(
                    session.create_table(&name(n), ""),
                    Err(ClusterError::TableExists(_))
                ));
            }
            Step::Create(n) => {
                let at = session.create_table(&name(n), "").unwrap();
                self.committed(at, |w| drop(w.insert(name(n), BTreeMap::new())));
            }
            Step::Drop(n) if there(n) => {
                let at = session.drop_table(&name(n)).unwrap();
                self.committed(at, |w| drop(w.remove(&name(n))));
            }
            _ => {}
        }
    }

    fn race(&mut self, a: Vec<Write>, b: Vec<Write>) {
        let (a, b) = (self.possible(a), self.possible(b));
        let session = self.env.c().session("app").unwrap();
        let mut txns = Vec::new();
        for writes in [&a, &b] {
            let mut tx = session.begin().unwrap();
            for (table, key, value) in writes {
                match value {
                    Some(value) => tx.put(&name(*table), key, value).unwrap(),
                    None => tx.delete(&name(*table), key).unwrap(),
                }
            }
            txns.push(tx);
        }
        let clash = a.iter().any(|(t, k, _)| b.iter().any(|(u, l, _)| (t, k) == (u, l)));
        let mut results = txns.into_iter().map(|tx| tx.commit());
        let (first, second) = (results.next().unwrap(), results.next().unwrap());
        drop(results);
        drop(session);
        if !a.is_empty() {
            self.committed(first.unwrap(), |w| Model::put(w, &a));
        }
        match second {
            Err(ClusterError::Conflict { .. }) => assert!(clash),
            second if !b.is_empty() => {
                assert!(!clash);
                self.committed(second.unwrap(), |w| Model::put(w, &b));
            }
            second => drop(second.unwrap()),
        }
    }

    /// Every commit, and one to each side, reads as the model says.
    fn check_moments(&self) {
        let from = self.env.c().collect_garbage().unwrap().safepoint;
        let mut before: Option<&World> = None;
        for (ts, world) in &self.worlds {
            if let Some(before) = before
                && ts.prev() >= from
            {
                self.env.assert_world(ts.prev(), before);
            }
            if *ts >= from {
                self.env.assert_world(*ts, world);
                let settled = self.env.c().mark().unwrap().moment.last_tso();
                assert!(ts.next() <= settled);
                if !self.worlds.contains_key(&ts.next()) {
                    self.env.assert_world(ts.next(), world);
                }
            }
            before = Some(world);
        }
    }

    /// The log after each backup leads to every later moment.
    fn check_restores(&self, pick: usize) {
        for backup in &self.backups {
            let Ok(mut stream) = self.env.c().changes(&place(&Position::Tso(backup.at)), &[]) else {
                continue;
            };
            let events = drain(&mut *stream);
            assert!(events.iter().all(|e| matches!(e, LogEvent::Txn(_))));
            let log = log_after(self.env.c(), backup.at);
            let later: Vec<_> = self.worlds.range(backup.at..).collect();
            assert!(
                later
                    .iter()
                    .all(|(ts, _)| log.iter().any(|txn| txn.commit.last_tso() == **ts))
            );
            let Some((until, _)) = later.get(pick % later.len().max(1)) else {
                continue;
            };
            for until in [until.prev().max(backup.at), **until] {
                let target = Env::new();
                let restorer = target.c().restorer(&ask(until)).unwrap();
                build(&*restorer, backup, &log, until).unwrap();
                let at = restorer.publish().unwrap().moment.last_tso();
                let world = self.at(until);
                target.assert_world(at, &world);
            }
        }
    }

    fn at(&self, ts: Tso) -> World {
        self.worlds
            .range(..=ts)
            .next_back()
            .map(|(_, w)| w.clone())
            .unwrap_or_default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_moment_of_a_random_history_can_be_read_and_restored(
        steps in proptest::collection::vec(step(), 5..60),
        window in proptest::option::of(0u64..20_000),
        pick in 0usize..1000,
    ) {
        let env = Env::with_history(window.map(Duration::from_secs));
        let mut model = Model { env, worlds: BTreeMap::new(), backups: Vec::new() };
        let start = model.env.c().mark().unwrap().moment.last_tso();
        model.committed(start, |_| {});
        model.step(Step::Create(0));
        for step in steps {
            model.step(step);
        }
        model.env.assert_world(model.env.c().mark().unwrap().moment.last_tso(), &model.now());
        model.check_restores(pick);
        model.check_moments();
        model.env.reopen();
        model.check_moments();
    }
}

#[test]
fn concurrent_increments_lose_nothing() {
    let env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "").unwrap();
    s.put(&t("a"), b"n", &0u64.to_be_bytes()).unwrap();
    let (workers, each) = (4, 50);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let s = env.c().session("app").unwrap();
                let mut left = each;
                while left > 0 {
                    let mut tx = s.begin().unwrap();
                    let n = tx.get(&t("a"), b"n").unwrap().unwrap();
                    let n = u64::from_be_bytes(n.try_into().unwrap()) + 1;
                    tx.put(&t("a"), b"n", &n.to_be_bytes()).unwrap();
                    match tx.commit() {
                        Ok(_) => left -= 1,
                        Err(ClusterError::Conflict { .. }) => {}
                        Err(e) => panic!("{e}"),
                    }
                }
            });
        }
        // Readers see one state per moment, whatever is being committed.
        for _ in 0..20 {
            let at = env.c().mark().unwrap().moment;
            let read = || env.c().checksums(&TableFilter::all(), Some(at)).unwrap();
            assert_eq!(read(), read());
        }
    });
    let n = s.get(&t("a"), b"n").unwrap().unwrap();
    assert_eq!(u64::from_be_bytes(n.try_into().unwrap()), workers * each);
    let puts = log_after(env.c(), Tso::ZERO);
    let of_a = puts
        .iter()
        .filter(|x| x.deltas.iter().any(|d| d.table == t("a")))
        .count();
    assert_eq!(of_a as u64, 1 + workers * each);
    assert!(s.scan(&t("a"), None, 1, Some(Moment::of_tso(Tso(1)))).is_err());
}

#[test]
fn the_log_knows_new_rows_from_changed_ones() {
    let mut env = Env::new();
    env.c().session("app").unwrap().create_table(&t("a"), "").unwrap();
    let each = 100u32;
    for round in 0..2u64 {
        let from = env.c().mark().unwrap().moment.last_tso();
        std::thread::scope(|scope| {
            for writer in 0..4u8 {
                let env = &env;
                scope.spawn(move || {
                    let s = env.c().session("app").unwrap();
                    for n in 0..each {
                        let key = [&[writer][..], &n.to_be_bytes()].concat();
                        s.put(&t("a"), &key, b"x").unwrap();
                    }
                });
            }
        });
        let log = log_after(env.c(), from);
        let updates: u64 = log.iter().flat_map(|x| &x.deltas).map(|d| d.updates).sum();
        assert_eq!((log.len() as u64, updates), (400, 400 * round));
        env.reopen();
        assert_eq!(log_after(env.c(), from), log);
    }
}
