//! The Log page: what is wanted and what is really so, the checkpoint, the stretches and gaps, and changes worth a look.

use ratatui::layout::Rect;

use crate::model::ids::ClusterName;
use crate::model::log::{Change, ChangeKind, LogActual, LogStatus};
use crate::model::size;
use crate::model::time;
use crate::service::desk::{ClusterPage, Question};
use crate::tui::event::Query;
use crate::tui::filter::{Col, line};
use crate::tui::list::List;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, safe, wrap};
use crate::tui::theme::Meaning;
use crate::tui::view::ViewCache;
use crate::tui::widgets::status::{self, count, plural};
use crate::tui::widgets::table::{self, Column, left, right};

/// The screen's state.
#[derive(Clone, Debug)]
pub struct Log {
    /// The cluster.
    pub cluster: ClusterName,
    /// The selected change and the filter.
    pub list: List,
    /// Whether all transactions are listed.
    pub all: bool,
}

const TIME: Column = left("TIME", 2, 16);
const TABLE: Column = left("TABLE", 19, 22);
const CHANGE: Column = left("CHANGE", 42, 25);
const ROWS: Column = right("ROWS", 67, 12);
const ID: Column = left("TRANSACTION", 82, 40);

impl Log {
    /// The page of a cluster.
    pub fn new(cluster: ClusterName) -> Log {
        Log {
            cluster,
            list: List::newest_first(),
            all: false,
        }
    }

    /// The changes shown.
    pub fn rows<'a>(&self, m: &'a Model) -> Vec<&'a Change> {
        changes(m, &self.cluster, self.all, &self.list)
    }

    /// What the page needs to know.
    pub fn wants(&self) -> super::Wants {
        let mut wants = super::page(&self.cluster);
        wants.push(ask_changes(&self.cluster, self.all));
        wants
    }

    /// Paints it.
    pub fn view(&self, m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
        let Some(page) = m.store.page(&self.cluster) else {
            return super::messages::view_loading(m, &Query::Cluster(self.cluster.clone()), p, area);
        };
        let mut y = area.y;
        let room = usize::from(m.below(area.height.saturating_sub(6)));
        let facts = facts(m, p, page);
        let width = usize::from(area.width.saturating_sub(15));
        let wrapped = facts.iter().flat_map(|(label, text, meaning)| {
            let lines = wrap(&safe(text), width).into_iter().enumerate();
            lines.map(move |(i, line)| (if i == 0 { *label } else { "" }, line, *meaning))
        });
        for (label, text, meaning) in wrapped.take(room) {
            let label = format!("{label:<13}");
            p.pieces(
                area.x + 1,
                y,
                area.width.saturating_sub(2),
                &[(&label, Meaning::Muted), (&text, meaning)],
            );
            y += 1;
        }
        let title = if self.all {
            "all transactions, newest first"
        } else {
            "changes worth a look (a all transactions)"
        };
        p.rule(area, y, title);
        let body = Rect::new(area.x, y + 1, area.width, area.bottom().saturating_sub(y + 1));
        let query = Query::Changes(self.cluster.clone(), self.all);
        let empty = match page.card.log.desired {
            None => "No log is archived yet: L starts the log backup.",
            Some(_) => "No change worth a look in the archived log. a lists all transactions.",
        };
        view_changes(m, cache, p, body, (&self.rows(m), &self.list), (&query, empty));
    }
}

/// What a filter is matched against.
pub fn says(m: &Model, change: &Change) -> String {
    let table = change.table.as_ref().map(ToString::to_string).unwrap_or_default();
    line(&[
        (Col::Time, &m.stamp_seconds(change.at.at)),
        (Col::What, &what(change)),
        (Col::Table, &table),
        (Col::Id, &change.transaction),
    ])
}

/// Changes that pass a list's filter.
pub fn changes<'a>(m: &'a Model, cluster: &ClusterName, all: bool, list: &List) -> Vec<&'a Change> {
    let changes = m.store.changes(cluster, all).unwrap_or_default().iter();
    let text = |c: &Change| says(m, c);
    let words = list.words();
    changes
        .filter(|c| words.as_ref().is_none_or(|w| w.passes(&text(c))))
        .collect()
}

/// The changes of a cluster, as a question.
pub fn ask_changes(cluster: &ClusterName, all: bool) -> (Query, Question) {
    let question = Question::Changes {
        cluster: cluster.clone(),
        from: None,
        to: None,
        table: None,
        all,
        limit: 1000,
    };
    (Query::Changes(cluster.clone(), all), question)
}

/// What happened, in a few words: `DROP TABLE`, `DELETE, 1 trx`.
pub fn what(change: &Change) -> String {
    let whole = match &change.lacks {
        None => "",
        Some(_) => ", not whole",
    };
    let what = match &change.kind {
        ChangeKind::Ddl { text } => text
            .split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
            .to_uppercase(),
        ChangeKind::MassDelete => "DELETE, 1 trx".to_owned(),
        ChangeKind::MassUpdate => "UPDATE, 1 trx".to_owned(),
        ChangeKind::BigTransaction => "big transaction".to_owned(),
        ChangeKind::Transaction => "transaction".to_owned(),
    };
    what + whole
}

/// What happened to which table: `DROP TABLE shop.orders`.
pub fn what_where(change: &Change) -> String {
    let table = change.table.as_ref().map(|t| format!(" {t}")).unwrap_or_default();
    format!("{}{table}", what(change))
}

/// Paints changes as a list with its header.
pub fn view_changes(
    m: &Model,
    cache: &mut ViewCache,
    p: &mut Painter<'_>,
    area: Rect,
    (rows, list): (&[&Change], &List),
    (query, empty): (&Query, &str),
) {
    let mut columns = vec![TIME, TABLE, CHANGE, ROWS];
    if area.width >= 100 {
        columns.push(ID);
    }
    table::header(p, area, area.y, &columns);
    if area.width < 100 {
        table::more_columns(p, area, area.y);
    }
    let body = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    if rows.is_empty() {
        let loaded = m.store.slot(query).is_some_and(|s| s.at.is_some());
        match (loaded, list.filter.value().is_empty()) {
            (true, true) => {
                let lines = wrap(empty, usize::from(body.width.saturating_sub(4)));
                for (y, line) in (body.y..body.bottom()).zip(&lines) {
                    p.put(body.x + 2, y, body.width.saturating_sub(2), line, Meaning::Muted);
                }
                body.x
            }
            (true, false) => p.put(
                body.x + 2,
                body.y,
                body.width,
                "No change matches the filter. Esc clears it.",
                Meaning::Muted,
            ),
            (false, _) => {
                let text = "No log is archived yet. L starts the log backup; it begins with a backup (B).";
                super::messages::view_missing(m, query, p, body, text);
                body.x
            }
        };
        return;
    }
    let selected = list.index().min(rows.len() - 1);
    let offset = table::rows(
        p,
        body,
        (rows.len(), Some(selected)),
        cache.offset("changes"),
        |p, i, y| {
            let Some(c) = rows.get(i) else { return };
            let table_name = c.table.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            let meaning = if matches!(c.kind, ChangeKind::Transaction) {
                Meaning::Base
            } else {
                Meaning::Warn
            };
            table::cell(p, body, y, TIME, (&m.stamp_seconds(c.at.at), Meaning::Base));
            table::cell(p, body, y, TABLE, (&table_name, Meaning::Title));
            table::cell(p, body, y, CHANGE, (&what(c), meaning));
            // How many rows a statement took away is not always known.
            let unknown = matches!(c.kind, ChangeKind::Ddl { .. }) && c.rows == 0;
            let rows = if unknown { "-".to_owned() } else { count(c.rows) };
            table::cell(p, body, y, ROWS, (&rows, Meaning::Base));
            if body.width >= 100 {
                table::cell(p, body, y, ID, (&c.transaction, Meaning::Muted));
            }
        },
    );
    cache.set_offset("changes", offset);
}

type Fact = (&'static str, String, Meaning);

fn facts(m: &Model, p: &Painter<'_>, page: &ClusterPage) -> Vec<Fact> {
    let log = &page.card.log;
    let (state, meaning) = status::log(m, &page.card, p.glyphs);
    let wanted = log.desired.map_or("never started", |d| d.word());
    let mut out: Vec<Fact> = vec![(
        "Log backup",
        match status::unknown(m, &page.card.name, p.glyphs) {
            Some(_) => format!("{state}   wanted: {wanted}, really: not known"),
            None => format!("{state}   wanted: {wanted}, really: {}", actual(m, log)),
        },
        meaning,
    )];
    out.push(match log.checkpoint {
        Some(at) => {
            let place = status::server_place(log.position.as_ref()).map(|p| format!(", {p}"));
            let text = format!("{}{}", status::echo_place(m, at), place.unwrap_or_default());
            ("Checkpoint", text, Meaning::Base)
        }
        None => (
            "Checkpoint",
            "none: nothing archived yet (L starts it)".to_owned(),
            Meaning::Muted,
        ),
    });
    if let Some((age, meaning)) = status::unknown(m, &page.card.name, p.glyphs) {
        out.push((
            "RPO gap",
            format!("{age}: how much would be lost now is not known"),
            meaning,
        ));
    } else if let Some(gap) = status::rpo(m, log) {
        let rate = format!(
            "{}/s, {:.1} trx/s",
            size::iec(log.bytes_per_second as u64),
            log.transactions_per_second
        );
        let text = format!("{} would be lost now    rate {rate}", m.age(gap));
        out.push((
            "RPO gap",
            text,
            if gap > 600_000 { Meaning::Error } else { Meaning::Base },
        ));
    }
    let from = log
        .safepoint
        .map(|s| format!(", kept from {}", m.stamp(s.at)))
        .unwrap_or_default();
    let stored = format!(
        "{}, {}{from}",
        plural(log.segments, "segment"),
        size::iec(log.stored_bytes)
    );
    out.push(("Stored", stored, Meaning::Base));
    if let Some(why) = &log.astray {
        out.push(("Source", why.clone(), Meaning::Error));
    }
    if let Some(why) = &log.needs_base {
        out.push(("Needs backup", m.told(why), Meaning::Warn));
    }
    if let Some(error) = &log.last_error {
        out.push((
            "Last error",
            format!("{}: {}", m.ago(error.at), m.told(&error.text)),
            Meaning::Error,
        ));
    }
    out.extend(runs(m, log));
    for h in page.card.window.holes() {
        let between = if h.between_histories {
            ", between two histories"
        } else {
            ""
        };
        let text = format!(
            "{} -> {}, {}, not restorable{between}",
            m.stamp_seconds(h.from.at),
            m.stamp_seconds(h.to.at),
            time::age(h.to.at.since(h.from.at))
        );
        out.push(("Gap", text, Meaning::Gap));
    }
    out
}

/// What is really so.
fn actual(m: &Model, log: &LogStatus) -> String {
    match &log.actual {
        LogActual::None => "nothing".to_owned(),
        LogActual::Streaming => "streaming".to_owned(),
        LogActual::NoRunner => "no process runs it: start `brine agent`".to_owned(),
        LogActual::Failed { error, since } => format!("failing since {}: {error}", m.stamp(*since)),
        LogActual::Idle => "idle".to_owned(),
    }
}

/// The last gapless stretches.
fn runs(m: &Model, log: &LogStatus) -> Vec<Fact> {
    let last = log.runs.iter().rev().take(3);
    last.map(|r| {
        let ended = r.ended.as_ref().map_or("goes on", |e| e.words());
        let text = format!(
            "{} -> {}: {ended}",
            m.stamp_seconds(r.from.at),
            m.stamp_seconds(r.to.at)
        );
        ("Archived", text, Meaning::Muted)
    })
    .collect()
}
