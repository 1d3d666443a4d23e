//! What a restore of some tables means for those that stay.

use super::plan::{Check, CheckState};
use crate::model::table::TableName;

/// Tables that stay and refer to some that are replaced: their rows are of now, those of then may be others.
pub(super) fn referring(found: &[(TableName, TableName)]) -> Option<Check> {
    const SHOWN: usize = 5;
    if found.is_empty() {
        return None;
    }
    let said = |(child, parent): &(TableName, TableName)| format!("{child} refers to {parent}");
    let mut list: Vec<String> = found.iter().take(SHOWN).map(said).collect();
    if found.len() > SHOWN {
        list.push(format!("{} more", found.len() - SHOWN));
    }
    Some(Check {
        name: "foreign keys".to_owned(),
        state: CheckState::Warning,
        found: format!(
            "tables that stay refer to some that are replaced, and may lose the rows that they refer to: {}",
            list.join(", ")
        ),
        wanted: "restore them too (--filter), or look for rows without a parent afterwards".to_owned(),
    })
}
