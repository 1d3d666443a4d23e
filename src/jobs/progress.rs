//! Progress as a pure function of samples: rate, time left as a range, how far the job is, whether it moves.
//!
//! *Invariants: basis points never go back; they are 10000 when the job has succeeded and never before; what
//! cannot be known is `None`, not a guess.*

use std::collections::VecDeque;

use crate::model::clock::Millis;
use crate::model::job::{Job, JobProgress, JobState, StepProgress};

/// The rate is taken over this time.
const WINDOW_MS: i64 = 10_000;
/// Samples closer together than this are merged.
const SPACING_MS: i64 = 250;
/// A rate over less than this is not worth saying.
const MIN_SPAN_MS: i64 = 2_000;
/// From here on "no movement" is said.
const STALL_MS: i64 = 60_000;
/// All of it.
const ALL: u32 = 10_000;

/// A step that is planned, and its share of the whole in any unit (bytes, mostly).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The name that the step will have.
    pub name: String,
    /// Its weight.
    pub weight: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: i64,
    done: u64,
    /// Share of the whole job, 0 to 1.
    whole: Option<f64>,
}

/// Makes [`JobProgress`] out of samples of the current step's counter.
///
/// Its times are milliseconds of a monotonic clock, except `moved`, which is for the eyes.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    shares: Vec<Share>,
    /// Which of the shares is being worked on.
    current: Option<usize>,
    /// Shares before this index are done.
    reached: usize,
    started: Option<Sample>,
    samples: VecDeque<Sample>,
    best: Option<u32>,
    moved: Option<Millis>,
}

impl Tracker {
    /// Says which steps will come and how much of the whole each is; without this only steps have progress.
    pub fn outline(&mut self, shares: Vec<Share>) {
        self.shares = shares;
        self.current = None;
        self.reached = 0;
    }

    /// A step begins; the one before it is done.
    pub fn begin_step(&mut self, name: &str, at: i64, wall: Millis) {
        self.reached = self.current.map_or(self.reached, |i| i + 1).max(self.reached);
        self.current = self
            .shares
            .iter()
            .skip(self.reached)
            .position(|s| s.name == name)
            .map(|i| i + self.reached);
        self.reached = self.current.unwrap_or(self.reached);
        self.samples.clear();
        self.moved = Some(wall);
        self.started = None;
        self.sample(at, wall, StepProgress::default());
    }

    /// The counter stood at this value at this time.
    pub fn sample(&mut self, at: i64, wall: Millis, step: StepProgress) {
        let sample = Sample {
            at,
            done: step.done,
            whole: self.whole(step),
        };
        if let Some(last) = self.samples.back() {
            if sample.done > last.done {
                self.moved = Some(wall);
            }
            let before_last = self.samples.len().checked_sub(2).and_then(|i| self.samples.get(i));
            if before_last.is_some_and(|b| at - b.at < SPACING_MS) {
                self.samples.pop_back();
            }
        }
        self.started.get_or_insert(sample);
        self.samples.push_back(sample);
        while self.samples.get(1).is_some_and(|second| second.at <= at - WINDOW_MS) {
            self.samples.pop_front();
        }
        if let Some(whole) = sample.whole {
            let points = ((whole * f64::from(ALL)) as u32).min(ALL - 1);
            self.best = Some(self.best.unwrap_or(0).max(points));
        }
    }

    /// The share of the whole job that is done, where it can be known.
    fn whole(&self, step: StepProgress) -> Option<f64> {
        let total: u128 = self.shares.iter().map(|s| u128::from(s.weight)).sum();
        if total == 0 {
            return None;
        }
        let before: u128 = self
            .shares
            .iter()
            .take(self.reached)
            .map(|s| u128::from(s.weight))
            .sum();
        let here = self.current.and_then(|i| self.shares.get(i)).map_or(0, |s| s.weight);
        let part = step
            .total
            .filter(|t| *t > 0)
            .map_or(0.0, |t| (step.done as f64 / t as f64).min(1.0));
        Some((before as f64 + here as f64 * part) / total as f64)
    }

    /// What to show now.
    pub fn progress(&self) -> JobProgress {
        JobProgress {
            basis_points: self.best,
            rate: self.rate(),
            left_ms: self.left(),
            moved: self.moved,
        }
    }

    /// The same once the job is over.
    pub fn ended(&self, succeeded: bool) -> JobProgress {
        JobProgress {
            basis_points: if succeeded { Some(ALL) } else { self.best },
            rate: 0.0,
            left_ms: None,
            moved: self.moved,
        }
    }

    fn rate(&self) -> f64 {
        match (self.samples.front(), self.samples.back()) {
            (Some(a), Some(b)) if b.at > a.at => b.done.saturating_sub(a.done) as f64 * 1000.0 / (b.at - a.at) as f64,
            _ => 0.0,
        }
    }

    /// Between what the last seconds promise and what the whole step so far promises, with a margin.
    fn left(&self) -> Option<(i64, i64)> {
        let (first, a, b) = (self.started?, self.samples.front()?, self.samples.back()?);
        let to_go = 1.0 - b.whole?;
        let per_ms = |from: &Sample| -> Option<f64> {
            let span = b.at - from.at;
            let rate = (b.whole? - from.whole?) / span as f64;
            (span >= MIN_SPAN_MS && rate > 0.0).then_some(rate)
        };
        let (recent, average) = (per_ms(a)?, per_ms(&first)?);
        let (low, high) = (to_go / recent.max(average) * 0.9, to_go / recent.min(average) * 1.1);
        // Beyond a year it is no longer an estimate.
        const YEAR_MS: f64 = 365.0 * 86_400_000.0;
        (high < YEAR_MS).then_some((low as i64, high.ceil() as i64))
    }
}

/// For how long a running job has not moved, and in which step; `None` while that is nothing to speak of.
pub fn no_movement(job: &Job, now: Millis) -> Option<(String, i64)> {
    if !matches!(job.state, JobState::Running | JobState::Cancelling) {
        return None;
    }
    let still = now.since(job.progress.moved?);
    let step = job.steps.last()?;
    (still >= STALL_MS).then(|| (step.name.clone(), still))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::Unit;
    use proptest::prelude::*;

    fn at(done: u64, total: Option<u64>) -> StepProgress {
        StepProgress {
            done,
            total,
            unit: Unit::Bytes,
        }
    }

    fn shares(list: &[(&str, u64)]) -> Vec<Share> {
        list.iter()
            .map(|(name, weight)| Share {
                name: (*name).to_owned(),
                weight: *weight,
            })
            .collect()
    }

    #[test]
    fn a_steady_step_has_a_rate_and_a_range() {
        let mut t = Tracker::default();
        t.outline(shares(&[("copy", 100)]));
        t.begin_step("copy", 0, Millis(0));
        for s in 1..=20 {
            t.sample(s * 1000, Millis(s * 1000), at(s as u64 * 10, Some(1000)));
        }
        let p = t.progress();
        assert_eq!(p.basis_points, Some(2000));
        assert!((p.rate - 10.0).abs() < 0.01, "{p:?}");
        let (low, high) = p.left_ms.unwrap();
        assert!(low <= 80_000 && 80_000 <= high && high - low < 20_000, "{low} {high}");
    }

    #[test]
    fn the_rate_forgets_what_was_long_ago() {
        let mut t = Tracker::default();
        t.begin_step("copy", 0, Millis(0));
        t.sample(1000, Millis(1000), at(1_000_000, None));
        for s in 2..=30 {
            t.sample(s * 1000, Millis(s * 1000), at(1_000_000, None));
        }
        assert_eq!(t.progress().rate, 0.0);
        assert_eq!(t.progress().moved, Some(Millis(1000)));
    }

    #[test]
    fn nothing_is_guessed() {
        let mut t = Tracker::default();
        t.begin_step("copy", 0, Millis(0));
        t.sample(5000, Millis(5000), at(10, Some(100)));
        assert_eq!(
            (t.progress().basis_points, t.progress().left_ms),
            (None, None),
            "no outline, no whole"
        );
        let mut t = Tracker::default();
        t.outline(shares(&[("a", 1), ("b", 1)]));
        t.begin_step("a", 0, Millis(0));
        t.sample(5000, Millis(5000), at(10, None));
        assert_eq!(
            (t.progress().basis_points, t.progress().left_ms),
            (Some(0), None),
            "no total, no end"
        );
        t.begin_step("b", 6000, Millis(6000));
        assert_eq!(t.progress().basis_points, Some(5000), "what is behind us is done");
    }

    #[test]
    fn stillness_is_said_while_it_runs() {
        let mut job = crate::jobs::journal::sample_job();
        job.progress.moved = Some(Millis(0));
        job.state = JobState::Running;
        assert_eq!(no_movement(&job, Millis(59_999)), None);
        assert_eq!(no_movement(&job, Millis(360_000)), Some(("read".to_owned(), 360_000)));
        job.state = JobState::Succeeded;
        assert_eq!(no_movement(&job, Millis(360_000)), None);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Step(u8),
        Sample { after: i64, done: u64, total: Option<u64> },
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            1 => (0u8..5).prop_map(Op::Step),
            6 => (0i64..20_000, any::<u64>(), proptest::option::of(any::<u64>()))
                .prop_map(|(after, done, total)| Op::Sample { after, done, total }),
        ]
    }

    proptest! {
        #[test]
        fn it_never_goes_back_and_ends_only_at_the_end(
            weights in proptest::collection::vec(any::<u64>(), 0..5),
            ops in proptest::collection::vec(op(), 0..60),
        ) {
            let mut t = Tracker::default();
            t.outline(weights.iter().enumerate().map(|(i, w)| Share { name: i.to_string(), weight: *w }).collect());
            let (mut now, mut last) = (0i64, None);
            for op in ops {
                match op {
                    Op::Step(n) => t.begin_step(&n.to_string(), now, Millis(now)),
                    Op::Sample { after, done, total } => {
                        now += after;
                        t.sample(now, Millis(now), at(done, total));
                    }
                }
                let p = t.progress();
                prop_assert!(p.basis_points >= last, "{:?} after {last:?}", p.basis_points);
                prop_assert!(p.basis_points.is_none_or(|b| b < ALL));
                prop_assert!(p.rate.is_finite() && p.rate >= 0.0);
                prop_assert!(p.left_ms.is_none_or(|(a, b)| 0 <= a && a <= b));
                last = p.basis_points;
            }
            prop_assert_eq!(t.ended(true).basis_points, Some(ALL));
            prop_assert!(t.ended(false).basis_points.is_none_or(|b| b < ALL));
        }
    }
}
