//! How long restores of a cluster really took, and what is expected of the next one because of it.
//!
//! Speeds that were measured elsewhere say little about this storage and this server; restores that were run here say more. Only
//! those that had about as much to do are asked: a small one says nothing about a large one.

use super::work::Task;
use crate::engine::restore::plan::{RestorePlan, RestoreReceipt};
use crate::engine::restore::planner;
use crate::jobs::journal::JobQuery;
use crate::jobs::runner::Runner;
use crate::model::ids::ClusterName;
use crate::model::job::{Job, JobState, Verb};

/// So many of the newest restores are looked at.
const LOOKED_AT: u32 = 50;
/// A restore is like another one when neither has more than so many times as much to do.
const LIKE: f64 = 10.0;
/// What is left open on both sides of what was measured.
const MARGIN: f64 = 1.25;

/// Puts what was measured into a plan, where there is something.
pub(super) fn expect(runner: &Runner, plan: &mut RestorePlan) {
    let measured = [Verb::Restore, Verb::Undo]
        .into_iter()
        .flat_map(|verb| restores(runner, &plan.target, verb));
    let measured: Vec<(f64, f64)> = measured.collect();
    if let Some((range, restores)) = range(planner::work(plan), &measured) {
        (plan.duration_ms, plan.measured) = (range, restores);
    }
}

/// Restores into a cluster: how much each had to do, and how long it took.
fn restores(runner: &Runner, cluster: &ClusterName, verb: Verb) -> Vec<(f64, f64)> {
    let query = JobQuery {
        cluster: Some(cluster.clone()),
        verb: Some(verb),
        limit: Some(LOOKED_AT),
    };
    // Without its journal brine still plans: with the speeds that were measured elsewhere.
    let jobs = runner.list(&query).unwrap_or_default();
    jobs.into_iter().filter_map(measured).collect()
}

fn measured(job: Job) -> Option<(f64, f64)> {
    if job.state != JobState::Succeeded {
        return None;
    }
    let Ok(Task::Restore { plan, .. }) = serde_json::from_value(job.plan) else {
        return None;
    };
    let receipt: RestoreReceipt = serde_json::from_value(job.receipt?).ok()?;
    Some((planner::work(&plan), receipt.took_ms.max(1) as f64))
}

/// The range of times for so much to do, and how many restores say so.
fn range(work: f64, measured: &[(f64, f64)]) -> Option<((i64, i64), u32)> {
    let like = measured
        .iter()
        .filter(|(had, _)| *had <= work * LIKE && work <= *had * LIKE);
    let times: Vec<f64> = like.map(|(had, took)| took * work / had).collect();
    let shortest = times.iter().copied().reduce(f64::min)?;
    let longest = times.iter().copied().reduce(f64::max)?;
    let range = ((shortest / MARGIN) as i64, (longest * MARGIN) as i64);
    Some((range, times.len() as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_that_of_restores_that_had_about_as_much_to_do() {
        assert_eq!(range(1000.0, &[]), None);
        // Twice as fast and a little slower than elsewhere.
        let here = [(1000.0, 500.0), (2000.0, 2400.0)];
        assert_eq!(range(1000.0, &here), Some(((400, 1500), 2)));
        // Too small, and too large, to say anything.
        assert_eq!(range(1000.0, &[(99.0, 9_000.0), (10_001.0, 10.0)]), None);
        let mixed = [(300.0, 300.0), (900_000.0, 450_000.0)];
        assert_eq!(range(1_000_000.0, &mixed), Some(((400_000, 625_000), 1)));
    }
}
