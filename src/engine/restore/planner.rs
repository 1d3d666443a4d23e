//! Planning a restore: which base, which log, which tables, what is in the way, what will be lost.
//!
//! Looks, and changes nothing. The base is the newest good one before the moment, in the incarnation that was live then;
//! the log from it must be gapless, present and continue its hash chain as far as the moment.

use std::collections::BTreeSet;

use super::new_names;
use super::plan::{Assumptions, BaseOption, Check, LogSpan, Losses, PlannedTable, RestorePlan, WayBackPlan};
use super::resolve::{self, Resolved};
use super::{earlier, load, preflight, stays};
use crate::archive::log::LogPlan;
use crate::archive::{Archive, Manifest, ManifestTable};
use crate::cluster::{Cluster, ClusterFacts, TableDef, TableFacts};
use crate::engine::error::{Doing, EngineError};
use crate::engine::lookup;
use crate::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use crate::engine::view::{View, base_of};
use crate::model::backup::BackupSummary;
use crate::model::definition::Definition;
use crate::model::filter::{Rename, RenameMap, TableFilter};
use crate::model::ids::{BackupId, ClusterName};
use crate::model::log::{LogRun, Prepared};
use crate::model::position::Moment;
use crate::model::table::TableName;
use crate::model::text::shell_word;
use crate::model::window::covering_run;

/// Whose archive is read.
pub struct Source<'a> {
    /// Its archive.
    pub archive: &'a Archive,
    /// The archive as it is now.
    pub view: &'a View,
}

/// Where the restore goes.
pub struct Target<'a> {
    /// Its name.
    pub name: ClusterName,
    /// The database.
    pub cluster: &'a dyn Cluster,
    /// Its own archive as it is now, where it has one.
    pub view: Option<&'a View>,
}

/// What the log changes and does not hold, because it came about by foreign keys of tables that are left out.
fn cascades(
    manifest: &Manifest,
    filter: &TableFilter,
    changed: &[TableName],
    target: &Target<'_>,
    version: &str,
) -> Result<Option<Check>, EngineError> {
    if manifest.tables.iter().all(|t| filter.matches(&t.name)) {
        return Ok(None);
    }
    let tables: Vec<TableDef> = manifest.tables.iter().map(load::def).collect();
    let mut past = target.cluster.codec().cascades_past(&tables, filter, version)?;
    past.retain(|t| changed.contains(t));
    Ok(preflight::cascades(&past))
}

/// Makes the plan. `command` is filled in by the caller, who knows the command line.
pub fn plan(request: &RestoreRequest, source: &Source<'_>, target: &Target<'_>) -> Result<RestorePlan, EngineError> {
    let resolved = resolve::resolve(request, source.archive, source.view)?;
    let Chosen {
        base,
        manifest,
        alternatives,
        reason,
    } = choose_base(request, source, &resolved)?;
    let log = check_log(source, &base, &resolved)?;
    let log_tables: Vec<TableName> = match &log {
        Some(Needed { run, .. }) => lookup::tables_between(source.archive, run, base.commit, resolved.until)?
            .into_iter()
            .collect(),
        None => Vec::new(),
    };
    let whole = is_whole(request);
    let filter = effective_filter(request, whole, &manifest.tables);
    let there = target.cluster.tables()?;
    let names = manifest.tables.iter().map(|t| &t.name).chain(&log_tables);
    let rename = new_names::given(request, names.filter(|t| filter.matches(t)), &there);
    let tables = planned_tables(&filter, &rename, &manifest.tables, &there);
    let from_log = log_tables.iter().filter(|t| filter.matches(t)).map(|t| rename.apply(t));
    let mut targets: BTreeSet<TableName> = tables.iter().map(|t| t.target.clone()).chain(from_log).collect();
    let named = tables
        .iter()
        .map(|t| &t.source)
        .chain(log_tables.iter().filter(|t| filter.matches(t)));
    let names = new_names::check(named, &rename, target.cluster);
    let dropped = dropped(request, whole, &targets, &there);
    if request.exactly {
        targets.extend(dropped.iter().cloned());
    }
    // A server may hold programs, views and accounts alone.
    if targets.is_empty() && !whole {
        return Err(nothing_matches(request, &manifest.tables));
    }
    let facts = target.cluster.facts()?;
    let in_the_way = in_the_way(whole, &targets, &there);
    let (last_in, first_out) = match (&log, &resolved.run) {
        (Some(_), Some(run)) => lookup::around(source.archive, run, resolved.until)?,
        _ => (None, None),
    };
    let destructive = request.target == RestoreTarget::InPlace || (request.replace && !in_the_way.is_empty());
    let mut request = request.clone();
    (request.filter, request.rename) = (filter, rename);
    let bytes: u64 = tables.iter().map(|t| t.bytes).sum();
    let log_bytes = log.as_ref().map_or(0, |l| l.plan.bytes);
    Ok(RestorePlan {
        point: resolved.words.clone(),
        until: resolved.until,
        incarnation: base.incarnation,
        last_in: last_in.filter(|t| t.at > base.commit),
        first_out,
        log: log.as_ref().map(|l| LogSpan {
            from: base.commit,
            to: resolved.until,
            segments: l.plan.segments,
            stored_bytes: l.plan.bytes,
        }),
        losses: destructive
            .then(|| losses(&request, source, &resolved, &facts, dropped))
            .transpose()?,
        way_back: destructive.then(|| way_back(target)),
        checks: {
            let mut checks = vec![
                preflight::identity(&facts),
                preflight::log(log.as_ref(), &base, resolved.until, &request.filter),
                preflight::target(&request, target, &in_the_way),
            ];
            let run = covering_run(&base_of(&base), &source.view.log.runs);
            checks.extend(preflight::gap(run, &request));
            checks.extend(preflight::left_out(&manifest.definitions, &request.filter));
            checks.extend(preflight::resolution(&request, &base));
            checks.extend(preflight::damage(source.view, &request));
            checks.extend(names);
            checks.extend(preflight::product(&base.source_version, &facts.version));
            checks.extend(
                target
                    .cluster
                    .restore_checks(whole || destructive)?
                    .into_iter()
                    .map(preflight::driver),
            );
            if whole {
                let more = target.cluster.definition_checks(&manifest.definitions)?;
                checks.extend(more.into_iter().map(preflight::driver));
            }
            if log.is_some() {
                let of_replay = target.cluster.replay_checks(&manifest.definitions)?;
                checks.extend(of_replay.into_iter().map(preflight::driver));
                checks.extend(cascades(
                    &manifest,
                    &request.filter,
                    &log_tables,
                    target,
                    &base.source_version,
                )?);
            }
            if !whole && !in_the_way.is_empty() {
                checks.extend(stays::referring(&target.cluster.referring(&in_the_way)?));
            }
            checks
        },
        duration_ms: duration(bytes, log_bytes),
        measured: 0,
        assumptions: Assumptions {
            base: base.id.clone(),
            base_commit: base.commit,
            live_incarnation: source.view.live(),
            target_identity: facts.identity,
            writes: targets.into_iter().collect(),
            in_the_way,
        },
        base: BaseOption {
            id: base.id.clone(),
            commit: base.commit,
            reason,
        },
        alternatives,
        tables,
        whole,
        target: target.name.clone(),
        command: String::new(),
        request,
    })
}

/// The base with its manifest, and the others that would do.
struct Chosen {
    base: BackupSummary,
    manifest: Manifest,
    alternatives: Vec<BaseOption>,
    reason: String,
}

fn choose_base(request: &RestoreRequest, source: &Source<'_>, resolved: &Resolved) -> Result<Chosen, EngineError> {
    let view = source.view;
    let chosen = |base: &BackupSummary, manifest: Manifest, reason: String| Chosen {
        base: base.clone(),
        manifest,
        alternatives: candidates(view, resolved, &base.id),
        reason,
    };
    if let Some(id) = resolved.base.as_ref().or(request.base.as_ref()) {
        let base = view.backup(id)?;
        check_base(base, view, resolved, request)?;
        let reason = resolved.base_reason(base, request.base.is_some());
        return Ok(chosen(base, source.archive.read_manifest(id)?, reason));
    }
    let mut reaching = view.bases();
    reaching.retain(|b| reaches(b, view, resolved));
    reaching.sort_by_key(|b| std::cmp::Reverse(b.commit));
    let mut newest: Option<(&BackupSummary, Manifest)> = None;
    for base in reaching.iter().take(LOOKED_AT) {
        let (base, manifest) = (view.backup(&base.id)?, source.archive.read_manifest(&base.id)?);
        if !lacks(&manifest, &request.filter) {
            let reason = match &newest {
                None => resolved.base_reason(base, false),
                Some((newest, _)) => format!(
                    "newest before the moment that has all tables ({} lacks some)",
                    newest.id
                ),
            };
            return Ok(chosen(base, manifest, reason));
        }
        newest.get_or_insert((base, manifest));
    }
    match newest {
        Some((base, manifest)) => Ok(chosen(base, manifest, resolved.base_reason(base, false))),
        None => Err(EngineError::not_found(
            format!("no full backup reaches {}", resolved.words),
            "restore one of the snapshots as it is, or choose a moment in the restorable window",
        )),
    }
}

/// So many bases are looked at for one that lacks no table.
const LOOKED_AT: usize = 5;

/// Whether a base left out a table that is wanted.
fn lacks(base: &Manifest, filter: &TableFilter) -> bool {
    let mut left_out = base.definitions.iter().filter_map(Definition::left_out);
    left_out.any(|table| filter.matches(&table))
}

/// Whether a base, with the log behind it, reaches the moment.
fn reaches(base: &crate::model::window::Base, view: &View, resolved: &Resolved) -> bool {
    if base.incarnation != resolved.incarnation || base.commit > resolved.until {
        return false;
    }
    base.commit == resolved.until || covering_run(base, &view.log.runs).is_some_and(|r| resolved.until <= r.to)
}

/// Refuses a base that was named by hand and will not do.
fn check_base(
    base: &BackupSummary,
    view: &View,
    resolved: &Resolved,
    request: &RestoreRequest,
) -> Result<(), EngineError> {
    let point_in_time = resolved.base.is_none();
    if point_in_time && !base.is_full() {
        return Err(EngineError::refused(
            format!(
                "backup {} holds only the tables {}: it cannot be the base of a point-in-time restore",
                base.id,
                base.filter.join(" ")
            ),
            "leave out --base and let brine choose, or restore the snapshot as it is",
        ));
    }
    if point_in_time && !reaches(&base_of(base), view, resolved) {
        return Err(EngineError::refused(
            format!("backup {} does not reach {}", base.id, resolved.words),
            "leave out --base and let brine choose, or choose another moment",
        ));
    }
    if view.is_proved_bad(&base.id) {
        return Err(EngineError::Corrupt(format!(
            "the last verification of backup {} failed; choose another",
            base.id
        )));
    }
    if !base.is_full() && is_whole(request) {
        return Err(EngineError::refused(
            format!(
                "backup {} holds only the tables {}: it cannot make a whole cluster",
                base.id,
                base.filter.join(" ")
            ),
            "restore its tables with --filter, or beside",
        ));
    }
    Ok(())
}

/// Up to five other bases that reach the moment.
fn candidates(view: &View, resolved: &Resolved, chosen: &BackupId) -> Vec<BaseOption> {
    let others = view
        .bases()
        .into_iter()
        .rev()
        .filter(|b| b.id != *chosen && reaches(b, view, resolved));
    let option = |b: crate::model::window::Base| BaseOption {
        id: b.id,
        commit: b.commit,
        reason: "older: more log to replay".to_owned(),
    };
    others.take(5).map(option).collect()
}

/// The log that a restore replays.
pub(super) struct Needed {
    pub run: LogRun,
    pub plan: LogPlan,
    /// What was prepared before the base and decided behind it, and the log does not reach back to.
    pub lost: Vec<Prepared>,
}

/// Checks the log between base and moment: present, gapless, chained. `None` when no log is needed.
fn check_log(source: &Source<'_>, base: &BackupSummary, resolved: &Resolved) -> Result<Option<Needed>, EngineError> {
    if resolved.until <= base.commit {
        return Ok(None);
    }
    let run = covering_run(&base_of(base), &source.view.log.runs);
    let Some(run) = run else {
        return Err(EngineError::Corrupt(format!("no log continues backup {}", base.id)));
    };
    let doing = || format!("checking the log from backup {} to {}", base.id, resolved.words);
    let archive = source.archive;
    let plan = archive.check_log(run, base.commit, resolved.until).doing(doing)?;
    let earlier = earlier::find(archive, run, base.commit)?;
    for (from, to) in earlier.spans {
        archive.check_log(run, from, to).doing(doing)?;
    }
    let lost = match earlier.lost.is_empty() {
        true => Vec::new(),
        false => earlier::decided(archive, run, earlier.lost, resolved.until)?,
    };
    Ok(Some(Needed {
        run: run.clone(),
        plan,
        lost,
    }))
}

/// An unfiltered restore in place or into another cluster makes the target exactly the source.
fn is_whole(request: &RestoreRequest) -> bool {
    request.filter.is_all() && request.rename.is_empty() && request.target != RestoreTarget::Beside
}

/// Without rules, and unless the whole cluster is restored, the system's own tables are left out.
fn effective_filter(request: &RestoreRequest, whole: bool, tables: &[ManifestTable]) -> TableFilter {
    if whole || !request.filter.is_all() {
        return request.filter.clone();
    }
    let system: BTreeSet<&str> = tables.iter().filter(|t| t.system).map(|t| t.name.db.as_str()).collect();
    if system.is_empty() {
        return request.filter.clone();
    }
    let mut rules = vec!["*.*".to_owned()];
    rules.extend(system.iter().map(|db| format!("!`{}`.*", db.replace('`', "``"))));
    TableFilter::parse(&rules).unwrap_or_default()
}

fn planned_tables(
    filter: &TableFilter,
    rename: &RenameMap,
    tables: &[ManifestTable],
    there: &[TableFacts],
) -> Vec<PlannedTable> {
    let exists: BTreeSet<&TableName> = there.iter().map(|t| &t.name).collect();
    let chosen = tables.iter().filter(|t| filter.matches(&t.name));
    let planned = chosen.map(|t| {
        let target = rename.apply(&t.name);
        PlannedTable {
            source: t.name.clone(),
            rows: t.sum.rows,
            bytes: t.sum.bytes,
            replaces: exists.contains(&target),
            target,
        }
    });
    planned.collect()
}

fn nothing_matches(request: &RestoreRequest, tables: &[ManifestTable]) -> EngineError {
    if request.filter.is_all() {
        return EngineError::not_found(
            "that backup and its log hold no table",
            "restore it in place or into another cluster (--in-place, --to): programs, views and accounts come along there",
        );
    }
    let some: Vec<String> = tables
        .iter()
        .filter(|t| !t.system)
        .take(3)
        .map(|t| t.name.to_string())
        .collect();
    EngineError::not_found(
        format!(
            "the filter {} matches no table of that backup or its log",
            request.filter.rules().join(" ")
        ),
        format!(
            "it holds, for example: {}",
            if some.is_empty() {
                "no table at all".to_owned()
            } else {
                some.join(", ")
            }
        ),
    )
}

/// What the restore would overwrite or drop at the target.
fn in_the_way(whole: bool, targets: &BTreeSet<TableName>, there: &[TableFacts]) -> Vec<TableName> {
    let hit = |t: &&TableFacts| if whole { !t.system } else { targets.contains(&t.name) };
    there.iter().filter(hit).map(|t| t.name.clone()).collect()
}

fn losses(
    request: &RestoreRequest,
    source: &Source<'_>,
    resolved: &Resolved,
    facts: &ClusterFacts,
    dropped: Vec<TableName>,
) -> Result<Losses, EngineError> {
    let in_place = request.target == RestoreTarget::InPlace;
    let after = match in_place {
        true => lookup::after(source.archive, source.view, resolved.until, &request.filter)?,
        false => lookup::After::default(),
    };
    Ok(Losses {
        transactions: after.transactions,
        tables: after.tables,
        sessions: if in_place { facts.sessions } else { 0 },
        dropped,
    })
}

/// What the target has and the moment lacks, of the tables that are to be as they were.
fn dropped(
    request: &RestoreRequest,
    whole: bool,
    targets: &BTreeSet<TableName>,
    there: &[TableFacts],
) -> Vec<TableName> {
    let meant = |t: &&TableFacts| whole || (request.exactly && request.filter.matches(&t.name));
    there
        .iter()
        .filter(|t| !t.system && !targets.contains(&t.name))
        .filter(meant)
        .map(|t| t.name.clone())
        .collect()
}

/// A bookmark when the target's own log reaches the present, else a safety snapshot.
fn way_back(target: &Target<'_>) -> WayBackPlan {
    let Some(view) = target.view else {
        return WayBackPlan::None {
            why: format!("{} has no archive of its own", target.name),
        };
    };
    let live = view.live();
    let grows = |b: &crate::model::window::Base| {
        b.incarnation == live && covering_run(b, &view.log.runs).is_some_and(|r| r.ended.is_none())
    };
    match view.bases().into_iter().rev().find(grows) {
        Some(base) => WayBackPlan::Bookmark { base: base.id },
        None => WayBackPlan::Snapshot,
    }
}

/// Milliseconds, from measured speeds: 150 MB/s of rows, 20 MB/s of stored log, with a margin on both sides.
fn duration(bytes: u64, log_bytes: u64) -> (i64, i64) {
    let ms = milliseconds(bytes, log_bytes);
    ((ms * 0.6) as i64, (ms * 2.0) as i64)
}

fn milliseconds(bytes: u64, log_bytes: u64) -> f64 {
    300.0 + bytes as f64 / 150e3 + log_bytes as f64 / 20e3
}

/// How much a plan has to do: the milliseconds that it takes at the measured speeds.
pub fn work(plan: &RestorePlan) -> f64 {
    let bytes = plan.tables.iter().map(|t| t.bytes).sum();
    milliseconds(bytes, plan.log.as_ref().map_or(0, |l| l.stored_bytes))
}

impl RestoreRequest {
    /// The command line that asks for the same plan, without what confirms it; `until` is the exact moment, once it is known.
    pub fn command_line(&self, until: Option<Moment>) -> String {
        self.words(until, None)
    }

    fn words(&self, until: Option<Moment>, confirm: Option<&ClusterName>) -> String {
        let r = self;
        let mut words = vec!["brine restore".to_owned(), r.source.to_string()];
        words.push(match &r.point {
            RestorePoint::Snapshot { id } => format!("--snapshot {id}"),
            RestorePoint::At { moment } => format!("--at {}", until.unwrap_or(*moment).last_tso()),
            RestorePoint::Latest => "--latest".to_owned(),
            RestorePoint::Before { change } => format!("--before {change}"),
            RestorePoint::Through { change } => format!("--through {change}"),
            RestorePoint::Fastest { moment } => format!("--fastest {}", moment.last_tso()),
        });
        words.extend(r.base.iter().map(|b| format!("--base {b}")));
        words.extend(r.filter.rules().iter().map(|f| format!("--filter {}", shell_word(f))));
        words.extend(r.rename.0.iter().map(|n| match n {
            Rename::Db { from, to } => format!("--rename {}", shell_word(&format!("{from}={to}"))),
            Rename::Table { from, to } => format!("--rename {}", shell_word(&format!("{from}={to}"))),
        }));
        words.push(match &r.target {
            RestoreTarget::Beside => "--beside".to_owned(),
            RestoreTarget::Cluster { name } => format!("--to {name}"),
            RestoreTarget::InPlace => "--in-place".to_owned(),
        });
        if r.replace {
            words.push("--replace".to_owned());
        }
        words.extend(confirm.map(|name| format!("--confirm-name {name}")));
        if r.stay_closed {
            words.push("--stay-closed".to_owned());
        }
        words.join(" ")
    }
}

impl RestorePlan {
    /// The command line that does the same, given how moments are written there.
    pub fn command_line(&self) -> String {
        let confirm = self.needs_typed_name().then_some(&self.target);
        let line = self.request.words(Some(self.until), confirm);
        format!("{line} --plan-hash {} --yes", self.hash())
    }
}
