//! How numbers went since the console was started: nobody else remembers them, and a number alone does not say whether
//! it grows.

use std::collections::{BTreeMap, VecDeque};

use crate::cluster::ClusterFacts;
use crate::model::clock::Millis;
use crate::model::ids::{ClusterName, JobId};
use crate::model::job::Job;
use crate::service::desk::ClusterCard;

/// So many samples are kept of each thing.
const KEPT: usize = 120;
/// So many jobs are remembered.
const JOBS: usize = 8;
/// Samples of clusters are at least this far apart.
const APART: i64 = Millis::SECOND;

/// A cluster's log backup at an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Millis,
    /// How far the checkpoint lay behind.
    pub rpo_ms: f64,
    /// Bytes archived per second.
    pub bytes_per_second: f64,
}

/// Everything that is remembered.
#[derive(Clone, Debug, Default)]
pub struct Trends {
    clusters: BTreeMap<ClusterName, VecDeque<Sample>>,
    jobs: BTreeMap<JobId, VecDeque<f64>>,
    facts: BTreeMap<ClusterName, (Millis, ClusterFacts)>,
}

impl Trends {
    /// Remembers a cluster's present numbers; a cluster without log backup has none.
    pub fn sample(&mut self, card: &ClusterCard, now: Millis) {
        let Some(checkpoint) = card.log.checkpoint else { return };
        let ring = self.clusters.entry(card.name.clone()).or_default();
        if ring.back().is_some_and(|last| now.since(last.at) < APART) {
            return;
        }
        ring.push_back(Sample {
            at: now,
            rpo_ms: now.since(checkpoint.at).max(0) as f64,
            bytes_per_second: card.log.bytes_per_second.max(0.0),
        });
        if ring.len() > KEPT {
            ring.pop_front();
        }
    }

    /// Remembers what a cluster said of itself, for when it no longer does.
    pub fn facts(&mut self, cluster: &ClusterName, facts: &ClusterFacts, now: Millis) {
        self.facts.insert(cluster.clone(), (now, facts.clone()));
    }

    /// What a cluster said of itself last, and when.
    pub fn last_facts(&self, cluster: &ClusterName) -> Option<&(Millis, ClusterFacts)> {
        self.facts.get(cluster)
    }

    /// Remembers a running job's rate.
    pub fn rate(&mut self, job: &Job) {
        if job.state.is_over() {
            return;
        }
        let ring = self.jobs.entry(job.id).or_default();
        ring.push_back(job.progress.rate.max(0.0));
        if ring.len() > KEPT {
            ring.pop_front();
        }
        while self.jobs.len() > JOBS {
            self.jobs.pop_first();
        }
    }

    /// A cluster's samples, oldest first.
    pub fn of_cluster(&self, cluster: &ClusterName) -> Vec<Sample> {
        self.clusters
            .get(cluster)
            .map(|r| r.iter().copied().collect())
            .unwrap_or_default()
    }

    /// A job's rates, oldest first.
    pub fn of_job(&self, job: JobId) -> Vec<f64> {
        self.jobs
            .get(&job)
            .map(|r| r.iter().copied().collect())
            .unwrap_or_default()
    }
}
