//! The oracle: whatever happened, a restore to T gives what the cluster held at T.

use std::collections::BTreeSet;
use std::sync::Arc;

use brine::archive::log::SegmentName;
use brine::engine::error::EngineError;
use brine::engine::lookup;
use brine::model::filter::{RenameMap, TableFilter};
use brine::model::position::Moment;
use brine::model::tso::Tso;
use brine::storage::memory::Memory;
use proptest::prelude::*;

use crate::env::{World, chain, only, t};

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Op {
    Create(u8),
    Drop(u8),
    /// One transaction: table, key, new value or delete.
    Write(Vec<(u8, u8, Option<u16>)>),
    Backup,
    CatchUp,
    /// The clock moves, also backwards.
    Wait(i64),
    Reopen,
}

const TABLES: [(&str, &str); 4] = [("shop", "a"), ("shop", "b"), ("crm", "a"), ("crm", "odd `name`")];

fn write() -> impl Strategy<Value = Op> {
    let change = (0..4u8, 0..12u8, proptest::option::weighted(0.75, any::<u16>()));
    proptest::collection::vec(change, 1..5).prop_map(Op::Write)
}

pub fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..4u8).prop_map(Op::Create),
        1 => (0..4u8).prop_map(Op::Drop),
        24 => write(),
        1 => Just(Op::Backup),
        3 => Just(Op::CatchUp),
        3 => prop_oneof![Just(1), 1..5_000i64, Just(20_000_000), Just(-3_000)].prop_map(Op::Wait),
        1 => Just(Op::Reopen),
    ]
}

/// Does it, as far as it makes sense; returns the commit.
pub fn perform(w: &mut World, op: &Op) -> Option<Tso> {
    let table = |n: u8| t(TABLES[n as usize].0, TABLES[n as usize].1);
    match op {
        Op::Create(n) => w.app().create_table(&table(*n), "{\"columns\":[]}").ok(),
        Op::Drop(n) => w.app().drop_table(&table(*n)).ok(),
        Op::Write(changes) => {
            let there: BTreeSet<_> = w.sums().into_iter().map(|(name, _)| name).collect();
            let app = w.app();
            let mut tx = app.begin().unwrap();
            for (n, key, value) in changes.iter().filter(|(n, _, _)| there.contains(&table(*n))) {
                match value {
                    Some(v) => tx
                        .put(
                            &table(*n),
                            &[b'k', *key],
                            format!("{v}").repeat(1 + (*v % 9) as usize).as_bytes(),
                        )
                        .unwrap(),
                    None => tx.delete(&table(*n), &[b'k', *key]).unwrap(),
                }
            }
            let wrote = changes.iter().any(|(n, _, _)| there.contains(&table(*n)));
            let ts = tx.commit().unwrap();
            wrote.then_some(ts)
        }
        Op::Backup => {
            w.backup();
            None
        }
        Op::CatchUp => {
            w.catch_up();
            None
        }
        Op::Wait(ms) => {
            w.advance(*ms);
            None
        }
        Op::Reopen => {
            w.reopen();
            None
        }
    }
}

/// The segments of all stretches of the log.
pub fn segments(w: &World) -> Vec<SegmentName> {
    let mut all = Vec::new();
    for run in w.log_doc().runs {
        let mut names = lookup::segments(&w.archive, &run).unwrap();
        while let Some(name) = names.next().unwrap() {
            all.push(name);
        }
    }
    all
}

/// Every timestamp worth a restore: commits, bases, edges of segments, and one off on both sides.
fn moments(w: &World, commits: &[Tso]) -> BTreeSet<Tso> {
    let edges = segments(w)
        .into_iter()
        .flat_map(|s| [s.from.last_tso(), s.to.last_tso()]);
    let bases = w.view().bases().into_iter().map(|b| b.commit.last_tso());
    let all: Vec<Tso> = commits.iter().copied().chain(edges).chain(bases).collect();
    all.iter().flat_map(|ts| [ts.prev(), *ts, ts.next()]).collect()
}

/// A cluster to restore into.
pub fn other() -> World {
    World::with(Arc::new(Memory::new()), "other", None)
}

/// Restores a moment whole, filtered and renamed into another cluster, and compares with the oracle.
pub fn check_moment(w: &World, other: &World, at: Tso, full: bool) -> Result<(), TestCaseError> {
    let want = w.sums_at(at);
    let request = w.request_to(other, at);
    let receipt = w
        .restore_to(&request, other)
        .map_err(|e| TestCaseError::fail(format!("{at}: {}", chain(&e))))?;
    prop_assert_eq!(&other.sums(), &want, "whole, at {} from base {}", at, receipt.base);
    if !full {
        return Ok(());
    }
    // Only one database, over what is there now: nothing else may change.
    let mut request = w.request_to(other, at);
    request.filter = TableFilter::parse(&["shop.*"]).unwrap();
    request.rename = RenameMap::parse(&["shop=shop2"]).unwrap();
    let before = other.sums();
    match w.restore_to(&request, other) {
        Ok(_) => {}
        Err(e @ EngineError::NotFound { .. }) => {
            prop_assert!(only(&want, &["shop.*"]).is_empty(), "{}", chain(&e));
            return Ok(());
        }
        Err(e) => return Err(TestCaseError::fail(format!("renamed, {at}: {}", chain(&e)))),
    }
    let after = other.sums();
    let renamed: Vec<_> = only(&after, &["shop2.*"])
        .into_iter()
        .map(|(n, s)| (t("shop", &n.table), s))
        .collect();
    prop_assert_eq!(renamed, only(&want, &["shop.*"]), "renamed, at {}", at);
    let rest = ["*.*", "!shop2.*"];
    prop_assert_eq!(
        only(&after, &rest),
        only(&before, &rest),
        "what was not asked for, at {}",
        at
    );
    Ok(())
}

pub fn cases(default: u32) -> ProptestConfig {
    let wanted = std::env::var("BRINE_TEST_CASES").ok().and_then(|n| n.parse().ok());
    ProptestConfig {
        cases: wanted.unwrap_or(default),
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(6))]

    /// Promises 2 and 10.
    #[test]
    fn a_restore_to_any_moment_gives_what_the_cluster_held_then(
        before in proptest::collection::vec(op(), 0..10),
        ops in proptest::collection::vec(op(), 10..80),
        compact in any::<bool>(),
    ) {
        let mut w = World::new();
        let other = other();
        w.log_options.flush_bytes = if compact { 1 } else { 400 };
        w.split = compact;
        for op in &before {
            if !matches!(op, Op::Backup | Op::CatchUp) {
                perform(&mut w, op);
            }
        }
        w.backup();
        w.start_log();
        let mut commits = Vec::new();
        for op in &ops {
            commits.extend(perform(&mut w, op));
        }
        w.catch_up();
        let window = w.view().window();
        for ts in &commits {
            prop_assert!(window.span_at(Moment::of_tso(*ts)).is_some(), "{ts} was committed under log backup: {window:?}");
        }
        let (mut checked, mut out) = (0, 0);
        for (n, at) in moments(&w, &commits).into_iter().enumerate() {
            let moment = Moment::of_tso(at);
            if window.span_at(moment).is_some() {
                check_moment(&w, &other, at, n % 5 == 0)?;
                checked += 1;
            } else {
                let refused = w.plan_to(&w.request_to(&other, at), &other);
                prop_assert!(matches!(refused, Err(EngineError::NotFound { .. })), "{at} is outside {window:?}");
                out += 1;
            }
        }
        prop_assert!(checked > 0, "nothing checked, {} outside", out);
    }
}

/// A quiet night: the checkpoint moves on without segments, a snapshot is taken, and the first change comes the day after.
#[test]
fn a_snapshot_in_a_quiet_night_is_a_base_for_the_day() {
    let w = World::new();
    let app = w.app();
    app.create_table(&t("shop", "a"), "{}").unwrap();
    w.backup();
    w.start_log();
    app.put(&t("shop", "a"), b"k", b"evening").unwrap();
    w.catch_up();
    w.advance(2 * 3_600_000);
    w.backup();
    w.advance(6 * 3_600_000);
    w.catch_up();
    let morning: Vec<Tso> = (0..3u8)
        .map(|n| app.put(&t("shop", "a"), b"k", &[n]).unwrap())
        .collect();
    w.catch_up();
    let other = other();
    for ts in morning {
        let plan = w
            .plan_to(&w.request_to(&other, ts), &other)
            .unwrap_or_else(|e| panic!("{}", chain(&e)));
        assert_eq!(plan.alternatives.len(), 1, "the snapshot of the night is the base");
        check_moment(&w, &other, ts, false).unwrap();
    }
}

/// The last change was yesterday, a snapshot was taken after midnight, and nothing has happened since: the log between
/// the snapshot and now has no segment, and its last one lies in yesterday's folder.
#[test]
fn a_snapshot_after_midnight_reaches_a_moment_of_the_same_quiet_day() {
    let w = World::new();
    let other = other();
    w.backup();
    w.start_log();
    w.app().create_table(&t("shop", "a"), "{}").unwrap();
    w.app().put(&t("shop", "a"), b"k", b"yesterday").unwrap();
    w.catch_up();
    w.advance(20_000_000);
    w.backup();
    w.advance(1_000);
    w.catch_up();
    let night = w.view().bases().pop().unwrap();
    let at = night.commit.last_tso().next();
    assert!(w.view().window().span_at(Moment::of_tso(at)).is_some());
    let plan = w
        .plan_to(&w.request_to(&other, at), &other)
        .unwrap_or_else(|e| panic!("{}", chain(&e)));
    assert_eq!(plan.base.id, night.id);
    check_moment(&w, &other, at, true).unwrap();
}
