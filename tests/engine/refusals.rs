//! What is refused: the error names the thing, the reason and the nearest that would work, and nothing has changed.

use std::sync::Arc;
use std::time::Duration;

use brine::archive::state::ProtectDoc;
use brine::engine::backup::{self, BackupPlan};
use brine::engine::error::{EngineError, ErrorKind};
use brine::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use brine::engine::restore::plan::CheckState;
use brine::engine::{delete, retention};
use brine::engine::{restore::way_back, truncate};
use brine::model::backup::{BackupType, Protection};
use brine::model::clock::Millis;
use brine::model::filter::{RenameMap, TableFilter};
use brine::model::ids::BackupId;
use brine::model::log::RunEnd;
use brine::model::position::Moment;
use brine::model::tso::Tso;
use brine::storage::memory::Memory;

use crate::env::{Sums, World, chain, only, t};
use crate::moments::{check_moment, other};
use crate::verbs::Template;

/// Asserts that this is refused so, with these words in error and hint, and that nothing changed.
fn refused<T: std::fmt::Debug>(
    w: &World,
    kind: ErrorKind,
    words: &[&str],
    act: impl FnOnce() -> Result<T, EngineError>,
) {
    let (listing, sums, spare) = (w.listing(), w.sums(), w.spare().sums());
    let e = act().unwrap_err();
    let text = format!("{} | {}", chain(&e), e.hint().unwrap_or_default());
    assert_eq!(e.kind(), kind, "{text}");
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
    assert_eq!(
        (w.listing(), w.sums(), w.spare().sums()),
        (listing, sums, spare),
        "{text}"
    );
    assert!(w.c().session("app").is_ok() && w.spare().c().session("app").is_ok());
}

fn at(ms: Millis) -> RestorePoint {
    RestorePoint::At {
        moment: Moment::of_millis(ms),
    }
}

#[test]
fn points_that_cannot_be_restored() {
    let template = Template::new();
    let w = template.world();
    let target = || RestoreTarget::Cluster {
        name: w.spare().name.clone(),
    };
    let plan = |point| w.plan_to(&w.request(point, target()), w.spare());
    let (first, last) = w.view().window().bounds().unwrap();
    let text = |m: Moment| m.last_tso().to_string();
    let not_found = |words: &[&str], point| refused(&w, ErrorKind::NotFound, words, || plan(point));
    not_found(&["before the first", &text(first)], at(first.at.plus(-1)));
    not_found(&["after the last", &text(last)], at(w.now()));
    not_found(&["after the last", &text(last)], at(w.now().plus(Millis::DAY)));
    let id = BackupId::new("20231114235930-zzzz").unwrap();
    let near = w.view().backups[0].id.to_string();
    not_found(&["20231114235930-zzzz", &near], RestorePoint::Snapshot { id });
    let moment = Moment::of_millis(first.at.plus(-1));
    not_found(&["before the first"], RestorePoint::Fastest { moment });
    for change in ["nonsense", "12", "", &text(w.log_doc().runs[1].to)] {
        let change = change.to_owned();
        not_found(
            &[&format!("`{change}`")],
            RestorePoint::Before { change: change.clone() },
        );
        not_found(&[&format!("`{change}`")], RestorePoint::Through { change });
    }
    let gone = w.view().trash[0].0.clone();
    let point = RestorePoint::Snapshot { id: gone.clone() };
    refused(&w, ErrorKind::Refused, &[gone.as_str(), "trash", "undelete"], || {
        plan(point)
    });
}

#[test]
fn filters_and_bases_that_do_not_fit() {
    let template = Template::new();
    let w = template.world();
    let point = RestorePoint::At {
        moment: Moment::of_tso(template.job.at),
    };
    let mut request = w.request_to(w.spare(), template.job.at);
    request.filter = TableFilter::parse(&["nothing.*"]).unwrap();
    refused(&w, ErrorKind::NotFound, &["nothing.*", "crm.c"], || {
        w.plan_to(&request, w.spare())
    });
    let identity = w.plan_backup(BackupType::Manual).cluster_identity;
    let mut wanted = BackupPlan::full(w.name.clone(), identity, BackupType::Manual);
    wanted.filter = TableFilter::parse(&["nothing.*"]).unwrap();
    refused(&w, ErrorKind::NotFound, &["nothing.*", "crm.c"], || {
        backup::plan(&**w.c(), wanted.clone())
    });
    wanted.filter = TableFilter::parse(&["crm.*"]).unwrap();
    let partial = w.run_backup(&wanted, &w.cx()).unwrap();
    let snapshot = RestorePoint::Snapshot { id: partial.id.clone() };
    let request = w.request(snapshot.clone(), RestoreTarget::InPlace);
    refused(&w, ErrorKind::Refused, &[partial.id.as_str(), "crm.*"], || {
        w.plan(&request)
    });
    let mut request = w.request(RestorePoint::Latest, RestoreTarget::Beside);
    request.base = Some(partial.id.clone());
    refused(&w, ErrorKind::Refused, &[partial.id.as_str(), "crm.*"], || {
        w.plan(&request)
    });
    let mut request = w.request(point, RestoreTarget::InPlace);
    request.base = Some(w.view().bases()[0].id.clone());
    refused(&w, ErrorKind::Refused, &["does not reach"], || w.plan(&request));
    // Its own tables can be restored.
    w.restore(&w.request(snapshot, RestoreTarget::Beside)).unwrap();
    assert!(w.sums().iter().any(|(name, _)| name.db == "crm_restored"));
}

#[test]
fn a_second_restore_beside_finds_names_that_are_free() {
    let template = Template::new();
    let w = template.world();
    let id = w.view().bases()[0].id.clone();
    let request = w.request(RestorePoint::Snapshot { id }, RestoreTarget::Beside);
    let dbs = |w: &World, end: &str| {
        let sums = w.sums().into_iter();
        let found = sums.filter_map(|(name, sum)| Some((name.db.strip_suffix(end)?.to_owned(), name.table, sum)));
        found.collect::<Vec<_>>()
    };
    let receipt = w.restore(&request).unwrap();
    assert!(receipt.next_steps[0].contains("_restored."), "{:?}", receipt.next_steps);
    let first = dbs(&w, "_restored");
    assert!(!first.is_empty());
    let command = w.plan(&request).unwrap().command_line();
    assert!(command.contains("_restored2'"), "{command}");
    w.restore(&request).unwrap();
    assert_eq!(dbs(&w, "_restored"), first);
    assert_eq!(dbs(&w, "_restored2"), first);
    // What shall be replaced is no longer in the way.
    let mut replacing = request.clone();
    replacing.replace = true;
    assert!(
        w.plan(&replacing)
            .unwrap()
            .tables
            .iter()
            .all(|t| t.replaces && t.target.db.ends_with("_restored"))
    );
    // Names that were asked for are taken as they are.
    let mut named = request;
    named.rename = RenameMap::parse(&["crm=crm_restored", "shop=shop_restored"]).unwrap();
    let blocked = w.plan(&named).unwrap().blocked().map(|c| c.name.clone());
    assert_eq!(blocked.as_deref(), Some("target"));
}

#[test]
fn two_tables_never_get_one_name() {
    let template = Template::new();
    let w = template.world();
    for db in ["shop", "crm"] {
        w.app().create_table(&t(db, "same"), "{}").unwrap();
    }
    let backup = w.backup();
    let point = RestorePoint::Snapshot { id: backup.id };
    let mut request = w.request(point, RestoreTarget::Beside);
    request.filter = TableFilter::parse(&["shop.*", "crm.*"]).unwrap();
    request.rename = RenameMap::parse(&["shop=one", "crm=one"]).unwrap();
    let plan = w.plan(&request).unwrap();
    let blocked = plan.blocked().unwrap();
    assert_eq!(blocked.found, "crm.same and shop.same would both be called one.same");
    request.rename = RenameMap::parse(&["shop=one", "crm=two"]).unwrap();
    assert_eq!(w.plan(&request).unwrap().blocked(), None);
}

#[test]
fn targets_that_hold_something_or_have_changed() {
    let template = Template::new();
    let w = template.world();
    let mut request = w.request_to(w.spare(), template.job.at);
    request.replace = false;
    let plan = w.plan_to(&request, w.spare()).unwrap();
    // Something came into the way after the plan was made.
    w.spare().app().create_table(&t("shop", "mine"), "{}").unwrap();
    let words = ["drifted", "in the way", "shop.mine"];
    refused(&w, ErrorKind::Refused, &words, || {
        w.run_to(&plan, w.spare(), false, &w.cx())
    });
    // And before it: the plan says so, and will not run.
    let plan = w.plan_to(&request, w.spare()).unwrap();
    assert!(plan.blocked().is_some());
    refused(&w, ErrorKind::Refused, &["shop.mine", "--replace"], || {
        w.run_to(&plan, w.spare(), false, &w.cx())
    });
    // Another database under the same name.
    let stranger = other();
    request.replace = true;
    let plan = w.plan_to(&request, w.spare()).unwrap();
    refused(&w, ErrorKind::Refused, &["drifted", "identity"], || {
        w.run_to(&plan, &stranger, false, &w.cx())
    });
    // A table that only the log creates is in the way too.
    let mut beside = w.request(
        RestorePoint::Through {
            change: w.log_doc().runs.last().unwrap().to.last_tso().to_string(),
        },
        RestoreTarget::Beside,
    );
    beside.point = RestorePoint::Latest;
    let plan = w.plan(&beside).unwrap();
    assert!(
        !plan.tables.iter().any(|p| p.source == t("shop", "d")),
        "the base has it already"
    );
    w.app().create_table(&t("shop_restored", "d"), "{}").unwrap();
    refused(&w, ErrorKind::Refused, &["drifted", "shop_restored.d"], || {
        w.run(&plan, &w.cx())
    });
    // The next plan finds other names, unless these are asked for.
    assert!(w.plan(&beside).unwrap().blocked().is_none());
    beside.rename = RenameMap::parse(&["shop=shop_restored"]).unwrap();
    assert!(
        w.plan(&beside)
            .unwrap()
            .blocked()
            .unwrap()
            .found
            .contains("shop_restored.d")
    );
}

#[test]
fn archives_that_have_changed() {
    let template = Template::new();
    let w = template.world();
    let request = w.request_to(w.spare(), template.job.at);
    let plan = w.plan_to(&request, w.spare()).unwrap();
    let base = plan.base.id.clone();
    assert!(plan.alternatives.is_empty());
    // A restore in between began another history.
    let snapshot = RestorePoint::Snapshot { id: base.clone() };
    let later = template.world();
    later.restore(&later.request(snapshot, RestoreTarget::Beside)).unwrap();
    refused(&later, ErrorKind::Refused, &["drifted", "live history"], || {
        later.run_to(&plan, w.spare(), false, &later.cx())
    });
    // The way back of the restore before stands on the second base.
    let way_back = w.view().bases()[1].id.clone();
    let delete = |id: &BackupId| delete::run(&w.archive, &w.lock, &w.view(), id, true, &w.cx());
    refused(&w, ErrorKind::Refused, &[way_back.as_str(), "way back"], || {
        delete(&way_back)
    });
    assert!(way_back::undo_request(&w.view(), &w.name, w.now()).is_ok());
    refused(&w, ErrorKind::Refused, &["no restore"], || {
        way_back::undo_request(&w.view(), &w.name, w.now().plus(8 * Millis::DAY))
            .map_err(|e| EngineError::refused(format!("no restore: {e}"), ""))
    });
    delete(&base).unwrap();
    refused(&w, ErrorKind::Refused, &[base.as_str(), "trash"], || {
        w.run_to(&plan, w.spare(), false, &w.cx())
    });
}

#[test]
fn truncating_says_which_bases_lose_their_log() {
    let template = Template::new();
    let w = template.world();
    let first = w.view().bases()[0].clone();
    let until = w.view().bases()[1].commit;
    let plan = truncate::plan(&w.archive, &w.view(), until, false).unwrap();
    assert_eq!(plan.bases_lost, std::slice::from_ref(&first.id));
    assert!(plan.refused.unwrap().contains(first.id.as_str()));
    assert!(
        truncate::plan(&w.archive, &w.view(), first.commit, false)
            .unwrap()
            .refused
            .is_none()
    );
    let plan = truncate::plan(&w.archive, &w.view(), until, true).unwrap();
    let done = truncate::run(&w.archive, &w.lock, until, &w.cx()).unwrap();
    assert_eq!((done.segments, done.freed_bytes), (plan.segments, plan.freed_bytes));
    assert_eq!(w.view().window(), plan.window_after);
    assert!(done.segments > 0);
    template.check_sound(&w, "truncated");
}

/// The source threw log away that was not archived.
#[test]
fn a_gap_is_recorded_named_and_never_bridged() {
    let w = World::with(Arc::new(Memory::new()), "demo", Some(Duration::from_secs(3600)));
    let (a, app) = (t("shop", "a"), w.app());
    app.create_table(&a, "{}").unwrap();
    w.backup();
    w.start_log();
    let put = |n: u8| (w.app().put(&a, b"k", &[n]).unwrap(), w.sums());
    let before = [put(1), put(2)];
    let edge = w.catch_up();
    let lost: Tso = put(3).0;
    w.advance(30 * Millis::HOUR);
    w.c().collect_garbage().unwrap();
    put(4);
    w.catch_up();
    assert_eq!(w.log_doc().runs[0].ended, Some(RunEnd::SourceLogGone));
    // Before there is a base behind it, the latest is what lies before it, and the plan says so.
    let other = other();
    let latest = RestoreRequest {
        point: RestorePoint::Latest,
        ..w.request_to(&other, lost)
    };
    let plan = w.plan_to(&latest, &other).unwrap();
    assert!(
        plan.checks
            .iter()
            .any(|c| c.state == CheckState::Warning && c.found.contains("gap"))
    );
    put(9);
    w.restore_to(&latest, &other).unwrap();
    assert_eq!(other.sums(), before[1].1, "latest");
    let base = w.backup().commit;
    let after = [put(5), put(6)];
    w.catch_up();
    for (ts, sums) in before.iter().chain(&after) {
        w.restore_to(&w.request_to(&other, *ts), &other).unwrap();
        assert_eq!(&other.sums(), sums, "at {ts}");
    }
    let (edge, base) = (edge.last_tso().to_string(), base.last_tso().to_string());
    for inside in [
        lost,
        edge.parse::<Tso>().unwrap().next(),
        base.parse::<Tso>().unwrap().prev(),
    ] {
        let request = w.request_to(w.spare(), inside);
        refused(&w, ErrorKind::NotFound, &["gap", &edge, &base], || {
            w.plan_to(&request, w.spare())
        });
    }
    check_moment(&w, &other, w.log_doc().runs[1].to.last_tso(), true).unwrap();
}

/// What was agreed to minutes ago is not what may go now.
#[test]
fn retention_does_not_drop_what_has_become_needed() {
    let template = Template::new();
    let w = template.world();
    w.advance(9 * Millis::DAY / 2);
    let view = w.view();
    let plan = retention::plan(&view, &view.settings, w.now());
    let dropped = plan.dropped().next().unwrap().id.clone();
    let protection = Protection {
        by: "me".to_owned(),
        at: w.now(),
    };
    let protect = |doc: &mut ProtectDoc| drop(doc.0.insert(dropped.clone(), protection.clone()));
    w.archive.update(&w.lock, protect).unwrap();
    refused(
        &w,
        ErrorKind::Refused,
        &["drifted", dropped.as_str(), "protected by me"],
        || retention::run(&w.archive, &w.lock, &view, &plan, &w.cx()),
    );
    w.archive.update(&w.lock, |doc: &mut ProtectDoc| doc.0.clear()).unwrap();
    let receipt = retention::run(&w.archive, &w.lock, &view, &plan, &w.cx()).unwrap();
    assert_eq!(receipt.trashed, [dropped]);
}

#[test]
fn the_receipt_says_how_a_dropped_table_gets_its_name_back() {
    let w = World::new();
    let app = w.app();
    for table in ["orders", "customers"] {
        app.create_table(&t("shop", table), "{}").unwrap();
        app.put(&t("shop", table), b"1", b"one").unwrap();
    }
    let id = w.backup().id;
    let before = w.mark();
    app.drop_table(&t("shop", "orders")).unwrap();
    let request = w.request(RestorePoint::Snapshot { id }, RestoreTarget::Beside);
    let next = w.restore(&request).unwrap().next_steps;
    assert!(
        next[0].contains("compare the restored tables with the live ones"),
        "{next:?}"
    );
    assert!(next[1].contains("shop.orders is no longer there"), "{next:?}");
    assert!(next[1].contains("--filter '`shop`.`orders`' --in-place"), "{next:?}");

    // Alone, there is nothing to compare it with; and what is said puts it back.
    let mut one = request.clone();
    one.filter = TableFilter::only(&[t("shop", "orders")]);
    let next = w.restore(&one).unwrap().next_steps;
    assert_eq!(next.len(), 1, "{next:?}");
    assert!(!next[0].contains("compare") && next[0].contains("it back"), "{next:?}");
    one.target = RestoreTarget::InPlace;
    w.restore(&one).unwrap();
    let orders = |sums: &Sums| only(sums, &["shop.orders"]);
    assert_eq!(orders(&w.sums()), orders(&w.sums_at(before)));
}

#[test]
fn the_receipt_promises_no_table_that_the_moment_has_not() {
    let w = World::new();
    let app = w.app();
    for table in ["orders", "customers"] {
        app.create_table(&t("shop", table), "{}").unwrap();
        app.put(&t("shop", table), b"1", b"one").unwrap();
    }
    w.backup();
    w.start_log();
    app.drop_table(&t("shop", "orders")).unwrap();
    w.catch_up();
    let request = w.request(RestorePoint::Latest, RestoreTarget::Beside);
    let next = w.restore(&request).unwrap().next_steps;
    assert!(!next.iter().any(|step| step.contains("no longer there")), "{next:?}");
}
