//! Restore 2/2: the plan as it will be run, what is lost, the checks, and the consent.

use ratatui::layout::Rect;
use tui_input::Input;
use unicode_width::UnicodeWidthStr;

use crate::engine::point::RestoreTarget;
use crate::engine::restore::plan::{CheckState, Losses, RestorePlan, TxnRef, WayBackPlan};
use crate::model::ids::ClusterName;
use crate::model::size;
use crate::model::text::command;
use crate::model::time;
use crate::tui::event::Query;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, first_that_fits, safe, wrap};
use crate::tui::popups::form::view_input;
use crate::tui::scroll::Scroll;
use crate::tui::theme::Meaning;
use crate::tui::widgets::status::{self, plural};

/// The screen's state. The plan itself is in the store.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whose archive.
    pub source: ClusterName,
    /// Whether it is the way back of the last restore.
    pub undo: bool,
    /// The typed name.
    pub name: Input,
    /// Whether the name's field has the keys.
    pub typing: bool,
    /// Whether the field got the keys once, when the plan came.
    pub offered: bool,
    /// Lines scrolled down.
    pub scroll: Scroll,
    /// Why it does not run.
    pub error: Option<String>,
    /// The act by which it was started.
    pub started: Option<u64>,
}

impl Plan {
    /// A plan that was asked for.
    pub fn new(source: ClusterName, undo: bool) -> Plan {
        Plan {
            source,
            undo,
            name: Input::default(),
            typing: false,
            offered: false,
            scroll: Scroll::default(),
            error: None,
            started: None,
        }
    }

    /// The words of the breadcrumb.
    pub fn title(&self, m: &Model) -> String {
        let what = if self.undo { "Undo" } else { "Restore 2/2" };
        match m.store.plan() {
            // At 80 columns there is no room for more beside the clock.
            Some(plan) if m.size.0 < 120 => format!("{what}: plan {}", plan.hash()),
            Some(plan) => format!("{what}: plan {}, nothing changed yet", plan.hash()),
            None => format!("{what}: planning"),
        }
    }

    /// Whether it can be run now; else why not.
    pub fn ready(&self, m: &Model) -> Result<Option<String>, String> {
        if self.started.is_some() {
            return Err("it is being started".to_owned());
        }
        let plan = m.store.plan().ok_or("the plan is not ready yet")?;
        if let Some(check) = plan.blocked() {
            return Err(format!("{} must be mended first: {}", check.name, check.wanted));
        }
        if !self.needs_name(m, plan) {
            return Ok(None);
        }
        match self.name.value().trim() {
            typed if typed == plan.target.as_str() => Ok(Some(typed.to_owned())),
            "" => Err(format!("type {} to confirm", plan.target)),
            typed => Err(format!("`{}` is not {}: nothing was done", safe(typed), plan.target)),
        }
    }

    /// Whether the target's name must be typed: the plan says so, or the cluster is protected.
    pub fn needs_name(&self, m: &Model, plan: &RestorePlan) -> bool {
        if m.is_read_only() {
            return false;
        }
        plan.needs_typed_name() || m.store.card(&plan.target).is_some_and(|c| c.protected)
    }

    /// What is pressed to restore, said to somebody who tried `Enter`. The page itself says what a plan that cannot be run lacks.
    pub fn instead_of_enter(&self, m: &Model) -> Option<&'static str> {
        let plan = m.store.plan()?;
        if self.started.is_some() || m.is_read_only() || plan.blocked().is_some() {
            return None;
        }
        Some(match self.needs_name(m, plan) {
            true => "Enter alone does not restore: Tab, then type the name.",
            false => "Enter does not restore: R does. Nothing is overwritten.",
        })
    }

    /// Paints it.
    pub fn view(&self, m: &Model, p: &mut Painter<'_>, area: Rect) {
        let Some(plan) = m.store.plan() else {
            return self.view_waiting(m, p, area);
        };
        let foot = 3;
        let body = Rect::new(area.x, area.y, area.width, area.height.saturating_sub(foot));
        let lines = lines(m, p, plan, usize::from(area.width.saturating_sub(2)));
        let from = self.scroll.first(lines.len(), body.height);
        for (i, line) in lines.iter().skip(from).take(usize::from(body.height)).enumerate() {
            let y = body.y + i as u16;
            match line {
                Line::Rule(title) => p.rule(body, y, title),
                Line::Pieces(pieces) => {
                    let pieces: Vec<(&str, Meaning)> = pieces.iter().map(|(t, m)| (t.as_str(), *m)).collect();
                    p.pieces(body.x + 1, y, body.width.saturating_sub(2), &pieces);
                }
            }
        }
        let below = lines.len().saturating_sub(from + usize::from(body.height));
        let title = if below > 0 {
            format!("{} {below} more lines: PgDn", p.glyphs.down)
        } else {
            String::new()
        };
        p.rule(area, body.bottom(), &title);
        self.view_consent(m, p, Rect::new(area.x, body.bottom() + 1, area.width, 2), plan);
    }

    fn view_waiting(&self, m: &Model, p: &mut Painter<'_>, area: Rect) {
        let width = usize::from(area.width.saturating_sub(4));
        let Some(error) = m.store.error(&Query::RestorePlan) else {
            let late = super::messages::late(m, &Query::RestorePlan);
            let text = format!("Planning... nothing is changed by this.{late}");
            let room = area.width.saturating_sub(2);
            p.put(area.x + 2, area.y + 1, room, &text, Meaning::Muted);
            p.cursor_at(area.x, area.y + 1);
            return;
        };
        p.put(
            area.x + 2,
            area.y + 1,
            area.width.saturating_sub(2),
            "There is no plan:",
            Meaning::Error,
        );
        for (i, line) in wrap(&m.why(error), width).iter().enumerate() {
            p.put(
                area.x + 2,
                area.y + 2 + i as u16,
                area.width.saturating_sub(3),
                line,
                Meaning::Base,
            );
        }
    }

    fn view_consent(&self, m: &Model, p: &mut Painter<'_>, area: Rect, plan: &RestorePlan) {
        let (x, width) = (area.x + 1, area.width.saturating_sub(2));
        let wrapped = |p: &mut Painter<'_>, text: &str| {
            // The second line is free as long as no name is asked for.
            let lines = if self.needs_name(m, plan) && plan.blocked().is_none() {
                1
            } else {
                2
            };
            for (i, line) in wrap(&safe(text), usize::from(width)).iter().take(lines).enumerate() {
                p.put(x, area.y + i as u16, width, line, Meaning::Error);
            }
        };
        if let Some(error) = &self.error {
            wrapped(p, error);
        } else if self.started.is_some() {
            p.put(x, area.y, width, "Starting...", Meaning::Busy);
        } else if let Some(check) = plan.blocked() {
            wrapped(
                p,
                &format!(
                    "Restore waits for: {}: {}. Esc goes back to the answers.",
                    check.name,
                    m.told(&check.wanted)
                ),
            );
        } else if m.is_read_only() {
            let text = "brine was started read-only: this plan cannot be run here. y copies its command line.";
            wrapped(p, text);
        } else if !self.needs_name(m, plan) {
            p.put(x, area.y, width, "Nothing is overwritten. R restores.", Meaning::Ok);
        }
        if self.needs_name(m, plan) && plan.blocked().is_none() {
            if self.error.is_none() && self.started.is_none() {
                let (text, meaning) = consequences(plan, usize::from(width));
                p.put(x, area.y, width, &text, meaning);
            }
            let name = plan.target.as_str();
            let label = if name.len() > 30 {
                "Type its name: ".to_owned()
            } else {
                format!("Type {name}: ")
            };
            let meaning = if self.typing { Meaning::Key } else { Meaning::Muted };
            let at = p.put(x, area.y + 1, width, &label, meaning);
            let cells = (plan.target.as_str().len() as u16 + 4).min(40);
            view_input(p, (at, area.y + 1), cells, &self.name, self.typing);
            let hints = match self.typing {
                true => ["then Enter.  Tab: back to the plan", "then Enter"],
                false => ["Tab goes to the field", "Tab"],
            };
            let room = area.right().saturating_sub(at + cells + 3);
            let hint = first_that_fits(&hints, usize::from(room)).unwrap_or_default();
            p.put(at + cells + 2, area.y + 1, room, &hint, Meaning::Muted);
        }
        if !self.typing {
            p.cursor_at(x, area.y);
        }
    }
}

/// What the typed name agrees to, in one line.
fn consequences(plan: &RestorePlan, room: usize) -> (String, Meaning) {
    let target = &plan.target;
    let (from, to) = plan.duration_ms;
    let takes = time::range(from, to);
    let Some(losses) = &plan.losses else {
        let text = format!("Nothing is overwritten, in {takes}; {target} is protected and wants its name.");
        return (text, Meaning::Ok);
    };
    let lost = match losses.transactions {
        Some(0) => "nothing written since is lost".to_owned(),
        Some(n) => format!("{} lost", plural(n, "transaction")),
        None => "all that was written since is lost".to_owned(),
    };
    let what = match plan.request.target {
        RestoreTarget::InPlace => "Overwrites",
        RestoreTarget::Beside | RestoreTarget::Cluster { .. } => "Replaces tables of",
    };
    let sessions = plural(u64::from(losses.sessions), "session");
    let forms = [
        format!("{what} {target}: {lost}, {sessions} ended, {takes}."),
        format!("{what} {target}: {lost}, {sessions} ended."),
        format!("{what} {target}: {lost}."),
    ];
    let text = first_that_fits(&forms, room).unwrap_or_else(|| format!("{lost}."));
    (text, Meaning::Error)
}

enum Line {
    Rule(&'static str),
    Pieces(Vec<(String, Meaning)>),
}

fn fact(label: &str, text: impl Into<String>, meaning: Meaning) -> Line {
    Line::Pieces(vec![(format!("{label:<10}"), Meaning::Muted), (text.into(), meaning)])
}

/// A fact on as many lines as it needs.
fn facts(out: &mut Vec<Line>, label: &str, text: &str, meaning: Meaning, width: usize) {
    for (i, line) in wrap(&safe(text), width.saturating_sub(10)).into_iter().enumerate() {
        out.push(fact(if i == 0 { label } else { "" }, line, meaning));
    }
}

fn lines(m: &Model, p: &Painter<'_>, plan: &RestorePlan, width: usize) -> Vec<Line> {
    let mut out = Vec::new();
    place(m, &mut out, plan, width);
    point(m, &mut out, plan, width);
    what(&mut out, plan, width);
    let (from, to) = plan.duration_ms;
    let zone = m.zone_of(Some(&plan.target));
    let clock = |ms: i64| m.now.plus(ms).utc().with_timezone(&zone).format("%H:%M").to_string();
    let (a, b) = (clock(from), clock(to));
    let back = if a == b { a } else { format!("{a}-{b}") };
    let down = if plan.losses.is_some() { "Down" } else { "Takes" };
    let text = format!("{}; done about {back}", plan.duration_words());
    facts(&mut out, down, &text, Meaning::Base, width);
    if let Some(losses) = &plan.losses {
        out.push(Line::Rule("you lose"));
        lost(&mut out, plan, losses, width);
    }
    if let Some(way) = &plan.way_back {
        let (text, meaning) = way_back(way);
        facts(&mut out, "Way back", &text, meaning, width);
    }
    out.push(Line::Rule("preflight"));
    for check in &plan.checks {
        let (sign, meaning) = match check.state {
            CheckState::Ok => ("ok", Meaning::Ok),
            CheckState::Warning => ("? ", Meaning::Warn),
            CheckState::Blocked => ("! ", Meaning::Error),
        };
        let name = format!(" {} ", crate::tui::paint::pad(&safe(&check.name), 16, p.glyphs.cut));
        // What is wanted stands beside what was found, or below it, or, where all is well, nowhere.
        let room = width.saturating_sub(2 + 18);
        let (found, wanted) = (m.told(&check.found), m.told(&check.wanted));
        let fits = found.width() + 3 + wanted.width() <= room;
        let beside = if wanted.is_empty() || !fits {
            String::new()
        } else {
            format!("   {wanted}")
        };
        let mut found = wrap(&found, room).into_iter();
        out.push(Line::Pieces(vec![
            (sign.to_owned(), meaning),
            (name, Meaning::Base),
            (found.next().unwrap_or_default(), meaning),
            (beside, Meaning::Muted),
        ]));
        let below = |text: String, meaning| Line::Pieces(vec![(" ".repeat(20), Meaning::Base), (text, meaning)]);
        out.extend(found.map(|line| below(line, meaning)));
        if !fits && check.state != CheckState::Ok {
            let wanted = wrap(&format!("wanted: {wanted}"), room);
            out.extend(wanted.into_iter().map(|line| below(line, Meaning::Muted)));
        }
    }
    out.push(Line::Rule("the same on the command line (y copies)"));
    for line in wrap(&command(&plan.command), width) {
        out.push(Line::Pieces(vec![(line, Meaning::Base)]));
    }
    besides(m, &mut out, plan, width);
    tables(&mut out, plan);
    out
}

fn place(m: &Model, out: &mut Vec<Line>, plan: &RestorePlan, width: usize) {
    let card = m.store.card(&plan.target);
    let product = card.map(|c| format!(", {}", c.product)).unwrap_or_default();
    let (text, meaning) = match &plan.request.target {
        RestoreTarget::InPlace => (format!("IN PLACE over {}{product}", plan.target), Meaning::Error),
        RestoreTarget::Beside => (
            format!("beside, under new names, in {}{product}", plan.target),
            Meaning::Ok,
        ),
        RestoreTarget::Cluster { name } => (format!("into cluster {name}{product}"), Meaning::Title),
    };
    facts(out, "Where", &text, meaning, width);
    if let Some(losses) = &plan.losses {
        let now = m.store.page(&plan.target).and_then(|p| p.facts.as_ref());
        let sessions = plural(u64::from(losses.sessions), "session");
        let rows = now.map(|f| {
            format!(
                ", {}, about {}",
                plural(f.tables, "table"),
                plural(f.rows_estimate, "row")
            )
        });
        facts(
            out,
            "Now there",
            &format!("{sessions}{}", rows.unwrap_or_default()),
            Meaning::Base,
            width,
        );
    }
}

fn point(m: &Model, out: &mut Vec<Line>, plan: &RestorePlan, width: usize) {
    let base = format!("base {} ({})", m.stamp(plan.base.commit.at), plan.base.reason);
    let log = plan.log.as_ref();
    let said = plan.base.reason.contains("no log");
    let log = log.map_or_else(
        || if said { String::new() } else { ", no log".to_owned() },
        |l| format!(" + log {}", size::iec(l.stored_bytes)),
    );
    facts(out, "From", &format!("{base}{log}"), Meaning::Base, width);
    facts(out, "To", &plan.point, Meaning::Title, width);
    facts(out, "", &status::echo_time(m, plan.until), Meaning::Base, width);
    let id = |t: &Option<TxnRef>| t.as_ref().map_or_else(|| "none".to_owned(), |t| t.id.clone());
    let (last, first) = (id(&plan.last_in), id(&plan.first_out));
    if plan.last_in.is_some() || plan.first_out.is_some() {
        let text = format!("last in {last}   first out {first}");
        facts(out, "", &text, Meaning::Base, width);
    }
}

/// What could have been chosen instead, and how the plan is asked for without the console.
fn besides(m: &Model, out: &mut Vec<Line>, plan: &RestorePlan, width: usize) {
    if !plan.alternatives.is_empty() {
        out.push(Line::Rule("other bases that would do (o plans from one)"));
    }
    for other in plan.alternatives.iter().take(5) {
        let text = format!("{}  {}: {}", m.stamp(other.commit.at), other.id, other.reason);
        facts(out, "", &text, Meaning::Muted, width);
    }
    if let Some(log) = &plan.log {
        let (from, to) = (m.stamp_seconds(log.from.at), m.stamp_seconds(log.to.at));
        let text = format!("{from} -> {to}, {}", plural(log.segments, "segment"));
        facts(out, "Log", &text, Meaning::Muted, width);
    }
}

fn what(out: &mut Vec<Line>, plan: &RestorePlan, width: usize) {
    let (rows, bytes) = plan.tables.iter().fold((0, 0), |(r, b), t| (r + t.rows, b + t.bytes));
    let whole = if plan.whole { "whole cluster: " } else { "only " };
    if plan.tables.is_empty() {
        let text = "no table of the base; only what the log makes until the moment";
        return facts(out, "What", text, Meaning::Warn, width);
    }
    let text = format!(
        "{whole}{}, {} in the base, {}",
        plural(plan.tables.len() as u64, "table"),
        plural(rows, "row"),
        size::iec(bytes)
    );
    facts(out, "What", &text, Meaning::Base, width);
    let renamed = plan.tables.iter().find(|t| t.source != t.target);
    if let Some(t) = renamed {
        facts(
            out,
            "",
            &format!("{} becomes {}", t.source, t.target),
            Meaning::Base,
            width,
        );
    }
    let replaced: Vec<String> = plan
        .tables
        .iter()
        .filter(|t| t.replaces)
        .map(|t| t.target.to_string())
        .collect();
    if !replaced.is_empty() {
        facts(out, "Replaces", &replaced.join(", "), Meaning::Warn, width);
    }
}

fn lost(out: &mut Vec<Line>, plan: &RestorePlan, losses: &Losses, width: usize) {
    let transactions = losses.transactions.map_or_else(
        || "transactions that cannot be counted".to_owned(),
        |n| plural(n, "transaction"),
    );
    let text = match losses.transactions {
        Some(0) if plan.whole => "nothing was committed after the moment".to_owned(),
        Some(0) => "nothing was committed to these tables after the moment".to_owned(),
        // Statements such as DROP TABLE change no rows of any.
        _ if losses.tables == 0 => format!("{transactions} after the moment"),
        _ => format!("{transactions} after the moment, in {}", plural(losses.tables, "table")),
    };
    facts(
        out,
        "",
        &text,
        if losses.transactions == Some(0) {
            Meaning::Base
        } else {
            Meaning::Error
        },
        width,
    );
    let sessions = plural(u64::from(losses.sessions), "session");
    let opens = if plan.request.stay_closed {
        "logins refused until you open it (O)"
    } else {
        "logins refused until it is restored"
    };
    facts(out, "", &format!("{sessions} end; {opens}"), Meaning::Warn, width);
    if !losses.dropped.is_empty() {
        let names: Vec<String> = losses.dropped.iter().take(8).map(ToString::to_string).collect();
        let more = losses.dropped.len().saturating_sub(8);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        facts(
            out,
            "",
            &format!("tables that will be gone: {}{more}", names.join(", ")),
            Meaning::Error,
            width,
        );
    }
}

fn way_back(way: &WayBackPlan) -> (String, Meaning) {
    match way {
        WayBackPlan::Bookmark { base } => (
            format!("bookmark: base {base} and log; u undoes it for 7 days"),
            Meaning::Ok,
        ),
        WayBackPlan::Snapshot => (
            "a safety snapshot is taken first; u undoes it for 7 days".to_owned(),
            Meaning::Ok,
        ),
        WayBackPlan::None { why } => (format!("NONE: {why}"), Meaning::Error),
    }
}

/// All tables at the very end, for who scrolls.
fn tables(out: &mut Vec<Line>, plan: &RestorePlan) {
    out.push(Line::Rule("tables"));
    for t in &plan.tables {
        let target = if t.source == t.target {
            String::new()
        } else {
            format!(" -> {}", t.target)
        };
        let text = format!(
            "{}{target}  {}, {}",
            t.source,
            plural(t.rows, "row"),
            size::iec(t.bytes)
        );
        out.push(Line::Pieces(vec![(
            text,
            if t.replaces { Meaning::Warn } else { Meaning::Muted },
        )]));
    }
}
