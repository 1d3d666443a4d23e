//! What to do after a restore, in the words of the receipt.

use std::collections::HashSet;

use super::plan::{PlannedTable, RestorePlan};
use crate::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use crate::model::filter::{RenameMap, TableFilter};
use crate::model::table::TableName;

/// So many tables are named one by one in a command line.
const NAMED: usize = 5;

/// The steps after a restore, given the tables that its target has now.
pub(super) fn steps(plan: &RestorePlan, there: &HashSet<TableName>) -> Vec<String> {
    match &plan.request.target {
        RestoreTarget::Beside => beside(plan, there),
        RestoreTarget::Cluster { name } => vec![format!("point applications at {name} when you are satisfied")],
        RestoreTarget::InPlace => vec!["applications were disconnected: check that they are back".to_owned()],
    }
}

fn beside(plan: &RestorePlan, there: &HashSet<TableName>) -> Vec<String> {
    // One that was not restored either has no such name at that moment: the log dropped or renamed it.
    let is_gone = |t: &&PlannedTable| !there.contains(&t.source) && there.contains(&t.target);
    let gone: Vec<&PlannedTable> = plan.tables.iter().filter(is_gone).collect();
    let compare = format!("compare {}, then copy back what is missing", in_words(plan));
    let Some(first) = gone.first() else {
        return vec![compare];
    };
    let back = format!(
        "{} no longer there; to have {} back under the old name, from the same moment: {}",
        match gone.len() {
            1 => format!("{} is", first.source),
            n => format!("{} and {} more are", first.source, n - 1),
        },
        if gone.len() == 1 { "it" } else { "them" },
        in_place(plan, &gone).command_line(Some(plan.until))
    );
    // Nothing live is left to compare with when all of them are gone.
    let some_live = gone.len() < plan.assumptions.writes.len();
    some_live.then_some(compare).into_iter().chain([back]).collect()
}

/// The request that puts back what is gone.
fn in_place(plan: &RestorePlan, gone: &[&PlannedTable]) -> RestoreRequest {
    let asked = &plan.request;
    let names: Vec<TableName> = gone.iter().map(|t| t.source.clone()).collect();
    RestoreRequest {
        point: match &asked.point {
            // The latest moment is another one by the time that somebody reads this.
            RestorePoint::Latest => RestorePoint::At { moment: plan.until },
            point => point.clone(),
        },
        filter: match names.len() {
            ..=NAMED => TableFilter::only(&names),
            _ => asked.filter.clone(),
        },
        rename: RenameMap::default(),
        target: RestoreTarget::InPlace,
        replace: false,
        ..asked.clone()
    }
}

/// Where what was restored beside is to be found: names, not only that there are new ones.
fn in_words(plan: &RestorePlan) -> String {
    let mut renamed = plan.tables.iter().filter(|t| t.source != t.target);
    match (renamed.next(), renamed.count()) {
        (Some(t), 0) if plan.assumptions.writes.len() == 1 => format!("{} with {}", t.target, t.source),
        (Some(t), _) => format!(
            "the restored tables with the live ones ({} was {}, and so on)",
            t.target, t.source
        ),
        // All of them were made by the log.
        (None, _) => match plan.assumptions.writes.first() {
            Some(name) => format!("the restored tables ({name} and so on) with the live ones"),
            None => "the restored tables with the live ones".to_owned(),
        },
    }
}
