//! The names that tables get: whether they can have them.

use std::collections::BTreeMap;

use super::plan::{Check, CheckState};
use crate::cluster::Cluster;
use crate::model::filter::RenameMap;
use crate::model::table::TableName;

/// Blocks a restore in which two tables would get one name, or a table a name that the target cannot give it. Names that
/// stay as they are were possible at the source.
pub(super) fn check<'t>(
    sources: impl Iterator<Item = &'t TableName>,
    rename: &RenameMap,
    target: &dyn Cluster,
) -> Option<Check> {
    let mut given: BTreeMap<TableName, &TableName> = BTreeMap::new();
    for source in sources {
        let name = rename.apply(source);
        if name != *source
            && let Some(why) = target.refuses_name(&name)
        {
            return Some(blocked(format!("{source} cannot be called {name}: {why}")));
        }
        match given.insert(name.clone(), source) {
            Some(other) if other != source => {
                return Some(blocked(format!("{other} and {source} would both be called {name}")));
            }
            _ => {}
        }
    }
    None
}

fn blocked(found: String) -> Check {
    Check {
        name: "names".to_owned(),
        state: CheckState::Blocked,
        found,
        wanted: "another --rename, or a filter without one of them".to_owned(),
    }
}
