//! The names that tables get: which ones where none were given, and whether they can have them.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Check, CheckState};
use crate::cluster::{Cluster, TableFacts};
use crate::engine::point::{RestoreRequest, RestoreTarget};
use crate::model::filter::{Rename, RenameMap};
use crate::model::table::TableName;

/// Behind the names of databases that are restored beside.
const SUFFIX: &str = "_restored";
/// So many restores beside each other find free names by themselves.
const MOST: u32 = 99;

/// The new names of a restore. Beside, every database without one of its own becomes `db_restored`; when a table of an earlier
/// restore is in the way there and is not to be replaced, `db_restored2`, and so on.
pub(super) fn given<'t>(
    request: &RestoreRequest,
    chosen: impl Iterator<Item = &'t TableName>,
    there: &[TableFacts],
) -> RenameMap {
    let mut map = request.rename.clone();
    if request.target != RestoreTarget::Beside {
        return map;
    }
    let unnamed: BTreeSet<&TableName> = chosen.filter(|t| map.apply(t) == **t).collect();
    let taken: BTreeSet<&TableName> = there.iter().map(|t| &t.name).collect();
    let name = |db: &str, n: u32| match n {
        1 => format!("{db}{SUFFIX}"),
        n => format!("{db}{SUFFIX}{n}"),
    };
    // One number for all databases: what belongs together is found together.
    let free = |n: &u32| {
        let mut targets = unnamed.iter().map(|t| TableName::new(name(&t.db, *n), t.table.clone()));
        !targets.any(|t| taken.contains(&t))
    };
    // Where they are to be replaced, or none is free, the first ones are in the way, and the plan says so.
    let n = (1..=MOST).find(|n| request.replace || free(n)).unwrap_or(1);
    let databases: BTreeSet<&str> = unnamed.iter().map(|t| t.db.as_str()).collect();
    map.0.extend(databases.into_iter().map(|db| Rename::Db {
        from: db.to_owned(),
        to: name(db, n),
    }));
    map
}

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
