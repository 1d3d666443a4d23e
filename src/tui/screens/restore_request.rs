//! From the answers of Restore 1/2 to a request: whether the moment can be restored, and what is asked of the planner.

use super::restore::{Mode, Place, Point, Restore, SUFFIX, Which};
use crate::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use crate::model::filter::{Rename, RenameMap, TableFilter};
use crate::model::position::Moment;
use crate::model::table::TableName;
use crate::model::time;
use crate::model::window::{Span, Window};
use crate::tui::model::Model;
use crate::tui::popups::tables::split_rules;

impl Restore {
    /// Whether the chosen moment can be restored, with the span it lies in; else why not and what would work.
    pub fn restorable<'a>(&self, m: &'a Model) -> Result<Option<&'a Span>, String> {
        let window = self.window(m).ok_or("the cluster is not known yet")?;
        let zone = m.zone_of(Some(&self.cluster));
        let say = |at: Option<Moment>| at.map_or_else(|| "none".to_owned(), |x| time::exact(x.at, zone));
        match (self.mode, self.point) {
            (Mode::Snapshot, _) => {
                return self
                    .snapshot(m)
                    .map(|_| None)
                    .ok_or("no snapshot is selected".to_owned());
            }
            (_, Point::BeforeChange) => {
                let change = self.change(m).ok_or("no change is selected")?;
                let span = window.span_at(change.at);
                return span.map(Some).ok_or_else(|| not_restorable(window, change.at, &say));
            }
            (_, Point::Latest) => {
                return window
                    .spans
                    .last()
                    .map(Some)
                    .ok_or("there is no backup yet: press B first".to_owned());
            }
            (_, Point::Exact | Point::Fastest) => {}
        }
        let moment = self.typed(m)?;
        if moment.at > m.now {
            return Err(format!(
                "it lies in the future; the latest restorable moment is {}",
                say(window.bounds().map(|b| b.1))
            ));
        }
        if self.point == Point::Fastest {
            let base = window.bases.iter().rev().find(|b| b.commit <= moment);
            let first = say(window.bases.first().map(|b| b.commit));
            return base
                .map(|_| None)
                .ok_or_else(|| format!("no snapshot is that old; the oldest is of {first}"));
        }
        window
            .span_at(moment)
            .map(Some)
            .ok_or_else(|| not_restorable(window, moment, &say))
    }

    /// The answers as a request.
    pub fn request(&self, m: &Model) -> Result<RestoreRequest, String> {
        self.restorable(m)
            .map_err(|why| format!("This moment cannot be restored: {why}."))?;
        let point = match (self.mode, self.point) {
            (Mode::Snapshot, _) => {
                let id = self.snapshot(m).ok_or("No snapshot is selected.")?.summary.id.clone();
                RestorePoint::Snapshot { id }
            }
            (_, Point::Latest) => RestorePoint::Latest,
            (_, Point::Exact) => RestorePoint::At { moment: self.typed(m)? },
            (_, Point::Fastest) => RestorePoint::Fastest { moment: self.typed(m)? },
            (_, Point::BeforeChange) => {
                let change = self.change(m).ok_or("No change is selected.")?.id.clone();
                if self.through {
                    RestorePoint::Through { change }
                } else {
                    RestorePoint::Before { change }
                }
            }
        };
        let target = match self.place {
            Place::Beside => RestoreTarget::Beside,
            Place::InPlace => RestoreTarget::InPlace,
            Place::Other => RestoreTarget::Cluster {
                name: self
                    .other
                    .clone()
                    .ok_or("There is no other cluster in the config to restore into.")?,
            },
        };
        let mut request = RestoreRequest::new(self.cluster.clone(), point, target);
        request.filter = self.filter(m)?;
        request.rename = self.rename(m)?;
        request.stay_closed = self.place == Place::InPlace && self.stay_closed;
        Ok(request)
    }

    /// The table filter.
    pub fn filter(&self, m: &Model) -> Result<TableFilter, String> {
        match self.which {
            Which::Whole => Ok(TableFilter::all()),
            Which::TableOfChange => {
                let table = self.change(m).and_then(|c| c.table.clone());
                let table = table.ok_or("The selected change has no table: choose the tables.")?;
                Ok(TableFilter::only(&[table]))
            }
            Which::Chosen => {
                let rules = split_rules(self.tables.value());
                if rules.is_empty() {
                    return Err("Choose tables: write rules such as shop.* !shop.tmp_*".to_owned());
                }
                let filter = TableFilter::parse(&rules).map_err(|e| e.to_string())?;
                let known = self.tables(m);
                if !known.is_empty() && !known.iter().any(|t| filter.matches(t)) && self.mode == Mode::Snapshot {
                    return Err(format!("No table of the backup matches; it has {}", names(&known)));
                }
                Ok(filter)
            }
        }
    }

    /// New names: beside, the engine's own when the suffix is the usual one; in another cluster, those that are given.
    fn rename(&self, m: &Model) -> Result<RenameMap, String> {
        let parse = |text: &str| RenameMap::parse(&split_rules(text)).map_err(|e| format!("{e}."));
        let suffix = match self.place {
            Place::Beside => self.suffix.value().trim(),
            Place::Other => return parse(self.names.value()),
            Place::InPlace => return Ok(RenameMap::default()),
        };
        if suffix == SUFFIX {
            return Ok(RenameMap::default());
        }
        if suffix.contains('=') {
            return parse(suffix);
        }
        if suffix.is_empty() {
            return Err("New names need a suffix: without one they would be the old names.".to_owned());
        }
        let mut databases: Vec<String> = self.tables(m).into_iter().map(|t| t.db).collect();
        databases.extend(self.change(m).and_then(|c| c.table.clone()).map(|t| t.db));
        databases.sort();
        databases.dedup();
        let rename = |from: String| Rename::Db {
            to: format!("{from}{suffix}"),
            from,
        };
        Ok(RenameMap(databases.into_iter().map(rename).collect()))
    }
}

/// A few names in one line.
fn names(tables: &[TableName]) -> String {
    let shown: Vec<String> = tables.iter().take(5).map(ToString::to_string).collect();
    let more = if tables.len() > 5 {
        format!(" and {} more", tables.len() - 5)
    } else {
        String::new()
    };
    format!("{}{more}", shown.join(", "))
}

/// Why a moment cannot be restored, with the nearest ones that can.
pub fn not_restorable(window: &Window, moment: Moment, say: &dyn Fn(Option<Moment>) -> String) -> String {
    let Some((first, last)) = window.bounds() else {
        return "there is no backup yet: press B first".to_owned();
    };
    let (before, after) = window.nearest(moment);
    if moment < first {
        format!("it lies before the first restorable moment, {}", say(Some(first)))
    } else if moment > last {
        format!("it lies after the last restorable moment, {}", say(Some(last)))
    } else {
        format!(
            "it lies in a gap; the nearest moments are {} before and {} after it",
            say(before),
            say(after)
        )
    }
}
