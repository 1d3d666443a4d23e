//! The restorable window: which moments can be restored, from which base, and where the gaps are.
//!
//! Pure: made from bases and stretches of log. A moment can be restored when a base at or before it and
//! a gapless stretch of log from that base to it exist in one incarnation.

use serde::{Deserialize, Serialize};

use super::ids::{BackupId, IncarnationId};
use super::log::LogRun;
use super::position::Moment;

/// A full, complete backup as the window sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The backup.
    pub id: BackupId,
    /// Its moment.
    pub commit: Moment,
    /// Its incarnation.
    pub incarnation: IncarnationId,
}

/// A gapless span of restorable moments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first restorable moment: a base's.
    pub from: Moment,
    /// The last one; equal to `from` where there is only the snapshot.
    pub to: Moment,
    /// The incarnation.
    pub incarnation: IncarnationId,
    /// Why it ends; `None` for the span that grows.
    pub ended: Option<String>,
}

/// A stretch that cannot be restored, between two that can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The last restorable moment before it.
    pub from: Moment,
    /// The first one after it.
    pub to: Moment,
    /// Whether it lies between two histories; else the log has a gap.
    pub between_histories: bool,
}

/// All restorable moments of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Disjoint spans, oldest first.
    pub spans: Vec<Span>,
    /// The bases, oldest first.
    pub bases: Vec<Base>,
}

impl Window {
    /// Computes the window.
    pub fn new(mut bases: Vec<Base>, runs: &[LogRun]) -> Window {
        bases.sort_by(|a, b| (a.commit, &a.id).cmp(&(b.commit, &b.id)));
        let mut spans: Vec<Span> = Vec::new();
        for base in &bases {
            let run = covering_run(base, runs);
            let to = run.map_or(base.commit, |r| r.to.max(base.commit));
            let ended = match run {
                Some(run) => run.ended.as_ref().map(|e| e.words().to_owned()),
                None => Some("no log was archived from this snapshot on".to_owned()),
            };
            match spans.last_mut() {
                Some(last) if last.incarnation == base.incarnation && base.commit <= last.to => {
                    if to > last.to {
                        (last.to, last.ended) = (to, ended);
                    }
                }
                _ => spans.push(Span {
                    from: base.commit,
                    to,
                    incarnation: base.incarnation,
                    ended,
                }),
            }
        }
        Window { spans, bases }
    }

    /// The first and the last restorable moment.
    pub fn bounds(&self) -> Option<(Moment, Moment)> {
        let from = self.spans.iter().map(|s| s.from).min()?;
        let to = self.spans.iter().map(|s| s.to).max()?;
        Some((from, to))
    }

    /// The span that holds a moment; where incarnations overlap in time, the later one.
    pub fn span_at(&self, moment: Moment) -> Option<&Span> {
        self.spans.iter().rev().find(|s| s.from <= moment && moment <= s.to)
    }

    /// The gaps between spans of one incarnation: from the end of one to the start of the next.
    ///
    /// Where the earlier span still grows there is none (yet): its log will reach the next base in a moment.
    pub fn gaps(&self) -> Vec<(Moment, Moment)> {
        let pairs = self.spans.iter().zip(self.spans.iter().skip(1));
        pairs
            .filter(|(a, b)| a.incarnation == b.incarnation && a.ended.is_some() && a.to < b.from)
            .map(|(a, b)| (a.to, b.from))
            .collect()
    }

    /// Every stretch between the first and the last restorable moment that cannot be restored: gaps of the log, and
    /// the time between the end of one history and the first base of the next.
    ///
    /// Where a span still grows, no hole lies behind it within its incarnation.
    pub fn holes(&self) -> Vec<Hole> {
        let mut spans: Vec<&Span> = self.spans.iter().collect();
        spans.sort_by_key(|s| s.from);
        let mut holes = Vec::new();
        let mut reach: Option<&Span> = None;
        for span in spans {
            if let Some(last) = reach.filter(|last| last.to < span.from) {
                let between_histories = last.incarnation != span.incarnation;
                if between_histories || last.ended.is_some() {
                    holes.push(Hole {
                        from: last.to,
                        to: span.from,
                        between_histories,
                    });
                }
            }
            if reach.is_none_or(|last| last.to <= span.to) {
                reach = Some(span);
            }
        }
        holes
    }

    /// The nearest restorable moments before and after one that is not.
    pub fn nearest(&self, moment: Moment) -> (Option<Moment>, Option<Moment>) {
        let before = self.spans.iter().map(|s| s.to).filter(|t| *t < moment).max();
        let after = self.spans.iter().map(|s| s.from).filter(|t| *t > moment).min();
        (before, after)
    }
}

/// The stretch of log that continues a base: the one that holds everything after the base's commit. One that still
/// grows continues a base that is ahead of its checkpoint, too.
pub fn covering_run<'a>(base: &Base, runs: &'a [LogRun]) -> Option<&'a LogRun> {
    runs.iter().find(|r| {
        r.incarnation == base.incarnation && r.from <= base.commit && (base.commit <= r.to || r.ended.is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::super::clock::Millis;
    use super::super::log::RunEnd;
    use super::super::position::Position;
    use super::super::tso::Tso;
    use super::*;

    fn at(s: i64) -> Moment {
        Moment::of_tso(Tso::from_millis(Millis(s * 1000)))
    }

    fn base(s: i64, incarnation: u32) -> Base {
        Base {
            id: BackupId::new(format!("b{s}")).unwrap(),
            commit: at(s),
            incarnation: IncarnationId(incarnation),
        }
    }

    fn run(from: i64, to: i64, incarnation: u32, ended: Option<RunEnd>) -> LogRun {
        LogRun {
            incarnation: IncarnationId(incarnation),
            from: at(from),
            from_position: Position::Tso(at(from).last_tso()),
            to: at(to),
            to_position: Position::Tso(at(to).last_tso()),
            first_seq: 0,
            end_seq: 1,
            first_hash: String::new(),
            last_hash: String::new(),
            ended,
            lacking: Vec::new(),
            waiting: Vec::new(),
        }
    }

    fn spans(w: &Window) -> Vec<(i64, i64)> {
        w.spans.iter().map(|s| (s.from.at.0 / 1000, s.to.at.0 / 1000)).collect()
    }

    #[test]
    fn log_joins_bases_and_starts_only_at_one() {
        let w = Window::new(vec![base(20, 1), base(10, 1)], &[run(5, 50, 1, None)]);
        assert_eq!(spans(&w), [(10, 50)]);
        assert_eq!(w.spans[0].ended, None);
    }

    #[test]
    fn a_gap_is_a_gap_until_the_next_base() {
        let w = Window::new(
            vec![base(10, 1), base(40, 1)],
            &[run(5, 20, 1, Some(RunEnd::SourceLogGone)), run(30, 60, 1, None)],
        );
        assert_eq!(spans(&w), [(10, 20), (40, 60)]);
        assert_eq!(w.gaps(), [(at(20), at(40))]);
        assert!(w.span_at(at(30)).is_none());
        assert_eq!(w.nearest(at(30)), (Some(at(20)), Some(at(40))));
    }

    #[test]
    fn a_base_ahead_of_a_growing_log_makes_no_gap() {
        let w = Window::new(vec![base(10, 1), base(40, 1)], &[run(5, 35, 1, None)]);
        assert_eq!(spans(&w), [(10, 35), (40, 40)]);
        assert_eq!(w.gaps(), []);
    }

    #[test]
    fn no_log_is_used_across_incarnations() {
        let w = Window::new(
            vec![base(10, 1)],
            &[run(5, 20, 1, Some(RunEnd::Restored)), run(20, 60, 2, None)],
        );
        assert_eq!(spans(&w), [(10, 20)]);
        let w = Window::new(vec![base(10, 1)], &[run(5, 20, 2, None)]);
        assert_eq!(spans(&w), [(10, 10)]);
    }

    #[test]
    fn holes_between_histories_are_holes_too() {
        let w = Window::new(
            vec![base(10, 1), base(30, 2), base(60, 2)],
            &[
                run(5, 20, 1, Some(RunEnd::Restored)),
                run(20, 40, 2, Some(RunEnd::Stopped)),
                run(55, 70, 2, None),
            ],
        );
        let holes: Vec<_> = w.holes().iter().map(|h| (h.from, h.to, h.between_histories)).collect();
        assert_eq!(holes, [(at(20), at(30), true), (at(40), at(60), false)]);
        assert_eq!(w.gaps().len(), 1);
        let growing = Window::new(vec![base(10, 1), base(40, 1)], &[run(5, 35, 1, None)]);
        assert_eq!(growing.holes(), []);
    }

    #[test]
    fn a_lonely_snapshot_is_a_single_moment() {
        let w = Window::new(vec![base(10, 1)], &[]);
        assert_eq!(spans(&w), [(10, 10)]);
        assert!(w.spans[0].ended.is_some());
        assert_eq!(w.bounds(), Some((at(10), at(10))));
    }
}
