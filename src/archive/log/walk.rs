//! Walking segments in order, a page of names at a time.

use std::collections::VecDeque;
use std::ops::Range;

use crate::archive::{Archive, PAGE, Result, dirs};
use crate::model::position::Moment;

use super::names::{SegmentName, day_of, is_day};

/// The segments of a range of numbers, in order within each run; of overlapping ones the compacted.
pub struct Segments {
    archive: Archive,
    range: Range<u64>,
    /// Days not yet listed.
    days: VecDeque<String>,
    /// The day that is being listed, and the last name seen of it.
    listing: Option<(String, Option<String>)>,
    page: VecDeque<SegmentName>,
    /// Candidates for the segment to give next: one, unless a fenced writer left another.
    group: Vec<SegmentName>,
    started: bool,
    /// Where the chain stands after the last segment of the range, where that is known.
    ends_with: Option<String>,
    given: Option<SegmentName>,
}

impl Segments {
    /// Tells the first 16 hex digits of the chain after the last segment of the range.
    pub(super) fn ending_with(mut self, chain: &str) -> Self {
        self.ends_with = Some(chain.to_owned());
        self
    }

    /// The next segment, or `None` at the end.
    #[allow(clippy::should_implement_trait)] // an iterator could be read on after an error
    pub fn next(&mut self) -> Result<Option<SegmentName>> {
        if !self.started {
            self.started = true;
            self.group = self.read_group(None)?;
        }
        let floor = self.group.iter().map(|s| s.last_seq).max();
        let following = self.read_group(floor)?;
        let group = std::mem::replace(&mut self.group, following);
        let chosen = self.choose(group);
        self.given.clone_from(&chosen);
        Ok(chosen)
    }

    /// Of several segments with the same numbers, the one that fits the chain on both sides, as the names tell it.
    fn choose(&self, mut group: Vec<SegmentName>) -> Option<SegmentName> {
        if group.len() > 1 {
            let before = self.given.as_ref().map(|s| s.last.as_str());
            let fits = |s: &SegmentName| {
                let after = match &self.ends_with {
                    Some(end) if self.group.is_empty() => s.last == *end,
                    _ => self.group.iter().any(|next| next.prev == s.last),
                };
                (before.is_none_or(|before| s.prev == before), after)
            };
            group.sort_by_key(|s| std::cmp::Reverse(fits(s)));
        }
        group.into_iter().next()
    }

    /// The next names that begin with the same number, behind `floor`: the ones that reach furthest.
    fn read_group(&mut self, floor: Option<u64>) -> Result<Vec<SegmentName>> {
        let mut group: Vec<SegmentName> = Vec::new();
        while let Some(name) = self.peek()? {
            match group.first() {
                Some(first) if first.first_seq != name.first_seq => break,
                Some(first) if name.last_seq > first.last_seq => group.clear(),
                _ => {}
            }
            let Some(name) = self.page.pop_front() else { break };
            let behind = floor.is_none_or(|floor| name.first_seq > floor);
            if behind && group.first().is_none_or(|first| name.last_seq == first.last_seq) {
                group.push(name);
            }
        }
        Ok(group)
    }

    /// The next name within the range; left in the page.
    fn peek(&mut self) -> Result<Option<SegmentName>> {
        loop {
            if let Some(name) = self.page.front() {
                return Ok(Some(name.clone()));
            }
            let Some((day, after)) = self.listing.take() else {
                let Some(day) = self.days.pop_front() else {
                    return Ok(None);
                };
                self.listing = Some((day, None));
                continue;
            };
            let dir = self.archive.layout().log_day(&day)?;
            let page = self.archive.store().list(&dir, after.as_deref(), PAGE)?;
            if let Some(last) = page.last().filter(|_| page.len() == PAGE) {
                self.listing = Some((day, Some(last.name.file().to_owned())));
            }
            let range = self.range.clone();
            let within = |s: &SegmentName| s.last_seq >= range.start && s.first_seq < range.end;
            self.page = page.into_iter().filter_map(SegmentName::parse).filter(within).collect();
        }
    }
}

impl Archive {
    /// The segments with numbers in `range`. `days` limits the search to those that end within the UTC days of these
    /// moments. In order of numbers within each run; a run of a cluster whose clock went back begins in an earlier day.
    pub fn segments(&self, range: Range<u64>, days: Option<(Moment, Moment)>) -> Result<Segments> {
        let days = self.log_days(days)?;
        Ok(Segments {
            archive: self.clone(),
            range,
            days: days.into(),
            listing: None,
            page: VecDeque::new(),
            group: Vec::new(),
            started: false,
            ends_with: None,
            given: None,
        })
    }

    /// The days that have segments, in order, within the UTC days of these moments.
    pub(in crate::archive) fn log_days(&self, limits: Option<(Moment, Moment)>) -> Result<Vec<String>> {
        let limits = limits.map(|(from, to)| (day_of(from), day_of(to)));
        let mut days = dirs(self.store(), &self.layout().log_dir()?)?;
        days.retain(|day| is_day(day) && limits.as_ref().is_none_or(|(from, to)| from <= day && day <= to));
        Ok(days)
    }
}
