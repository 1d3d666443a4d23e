//! Reading views, in an order in which they can be made.

use std::collections::{HashMap, HashSet};

use super::definition::{DefinitionText, kind};
use super::programs::{Shower, definition, statement};
use super::tables;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::view::{columns, mentioned, names_databases};
use crate::cluster::mysql::text::{ident, string};
use crate::cluster::mysql::wire::{Flavor, WireError};
use crate::model::definition::Definition;

/// The server's errors for a view that it took and cannot read any more: names in it that are not there or not clear (`FROM t NATURAL
/// JOIN d.t`), syntax of an older version, functions that are gone or whose definers are. None is for want of brine's privileges.
const BROKEN: &[u16] = &[1052, 1054, 1060, 1064, 1066, 1305, 1356, 1449];
/// A database in which no view is.
const ELSEWHERE: &str = "information_schema";

/// All views.
pub(super) fn read(shower: &mut Shower<'_>) -> Result<Vec<Definition>, WireError> {
    let modes = Modes::of(0, shower.conn.info().flavor);
    let mut views = Vec::new();
    for name in tables::views(shower.conn)? {
        let made = made(shower, &name.db, &name.table)?;
        views.push(View {
            mentions: mentioned(&made.statements.concat(), modes),
            definition: definition(kind::VIEW, &name.db, name.table, &made)?,
        });
    }
    Ok(in_order(views))
}

/// One view.
pub(super) fn one(shower: &mut Shower<'_>, db: &str, name: &str) -> Result<Definition, WireError> {
    let made = made(shower, db, name)?;
    definition(kind::VIEW, db, name.to_owned(), &made)
}

fn made(shower: &mut Shower<'_>, db: &str, name: &str) -> Result<DefinitionText, WireError> {
    let shown = match shower.show(db, "VIEW", name, 1) {
        Err(e) if e.code().is_some_and(|code| BROKEN.contains(&code)) => {
            return listed(shower, db, name)?.ok_or(e);
        }
        shown => shown?,
    };
    let create = statement(&shown, 1);
    let modes = Modes::of(0, shower.conn.info().flavor);
    let qualified = match create.iter().any(|sql| names_databases(sql, modes)) {
        true => statement(&shower.show_from(ELSEWHERE, db, "VIEW", name, 1)?, 1).pop(),
        false => None,
    };
    Ok(DefinitionText {
        qualified,
        definer: create.first().and_then(|c| definer(c)),
        statements: create,
        charset_client: shown.opt(2),
        collation_connection: shown.opt(3),
        ..DefinitionText::default()
    })
}

/// What the lists of the server say of one that it does not show. MySQL has no algorithm there, which is then the server's choice.
fn listed(shower: &mut Shower<'_>, db: &str, name: &str) -> Result<Option<DefinitionText>, WireError> {
    let is_mysql = shower.conn.info().flavor == Flavor::MySql;
    let algorithm = if is_mysql { "'UNDEFINED'" } else { "algorithm" };
    let of_view = format!("table_schema = {} AND table_name = {}", string(db), string(name));
    let row = shower.conn.row(&format!(
        "SELECT view_definition, definer, security_type, check_option, character_set_client, collation_connection, {algorithm} \
         FROM information_schema.views WHERE {of_view}"
    ))?;
    let Some(row) = row.filter(|row| !row.text(0).is_empty()) else {
        return Ok(None);
    };
    let columns = match is_mysql {
        true => named_columns(shower, &of_view, &row.text(0))?,
        false => String::new(),
    };
    let definer = row.text(1);
    let by = match definer.rsplit_once('@') {
        Some((user, host)) if !host.is_empty() => format!("{}@{}", ident(user), ident(host)),
        Some((role, _)) => ident(role),
        None => ident(&definer),
    };
    let check = match row.text(3).as_str() {
        "NONE" => String::new(),
        kind => format!(" WITH {kind} CHECK OPTION"),
    };
    let create = format!(
        "CREATE ALGORITHM={} DEFINER={by} SQL SECURITY {} VIEW {}{columns} AS {}{check}",
        row.text(6),
        row.text(2),
        ident(name),
        row.text(0)
    );
    Ok(Some(DefinitionText {
        statements: vec![create.clone()],
        qualified: Some(create),
        definer: Some(definer),
        charset_client: row.opt(4),
        collation_connection: row.opt(5),
        ..DefinitionText::default()
    }))
}

/// The names of a view's columns, where they are not those of its query: MySQL shows them beside it.
fn named_columns(shower: &mut Shower<'_>, of_view: &str, query: &str) -> Result<String, WireError> {
    let rows = shower.conn.rows(&format!(
        "SELECT column_name FROM information_schema.columns WHERE {of_view} ORDER BY ordinal_position"
    ))?;
    let named: Vec<String> = rows.iter().map(|row| row.text(0)).collect();
    if columns(query, Modes::of(0, Flavor::MySql)).as_ref() == Some(&named) {
        return Ok(String::new());
    }
    let list: Vec<String> = named.iter().map(|name| ident(name)).collect();
    Ok(format!(" ({})", list.join(",")))
}

/// `user@host` of ``DEFINER=`user`@`host` ``.
fn definer(create: &str) -> Option<String> {
    let rest = create.split_once("DEFINER=`")?.1;
    let (user, rest) = rest.split_once("`@`")?;
    let host = rest.split('`').next()?;
    Some(format!("{}@{host}", user.replace("``", "`")))
}

struct View {
    definition: Definition,
    /// The names in its query. A column of a view's name counts too: it costs nothing but order.
    mentions: HashSet<String>,
}

/// Views that others need first. In a circle (only by names of columns) the order is that of the names.
fn in_order(views: Vec<View>) -> Vec<Definition> {
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, view) in views.iter().enumerate() {
        by_name.entry(view.definition.name.to_lowercase()).or_default().push(at);
    }
    let needs = |at: usize| -> Vec<usize> {
        let names = views.get(at).into_iter().flat_map(|view| &view.mentions);
        let mut found: Vec<usize> = names.filter_map(|name| by_name.get(name)).flatten().copied().collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found
    };
    let mut order = Vec::with_capacity(views.len());
    let mut seen = vec![false; views.len()];
    for first in 0..views.len() {
        // What is under way, each with what it still waits for.
        let mut under_way: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut next = Some(first);
        loop {
            if let Some(at) = next.take()
                && let Some(seen) = seen.get_mut(at).filter(|seen| !**seen)
            {
                *seen = true;
                under_way.push((at, needs(at)));
            }
            let Some((at, left)) = under_way.last_mut() else { break };
            next = left.pop();
            if next.is_none() {
                order.push(*at);
                under_way.pop();
            }
        }
    }
    let mut views: Vec<Option<Definition>> = views.into_iter().map(|view| Some(view.definition)).collect();
    let mut take = |at: usize| views.get_mut(at).and_then(Option::take);
    order.into_iter().filter_map(&mut take).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(db: &str, name: &str, body: &str) -> View {
        let create = format!("CREATE DEFINER=`a``b`@`%` VIEW `{name}` AS select {body}");
        View {
            mentions: mentioned(&create, Modes::of(0, Flavor::MariaDb)),
            definition: Definition {
                kind: kind::VIEW.to_owned(),
                db: Some(db.to_owned()),
                name: name.to_owned(),
                text: create,
            },
        }
    }

    fn order(views: Vec<View>) -> Vec<String> {
        in_order(views).into_iter().map(|v| v.name).collect()
    }

    #[test]
    fn views_come_after_what_they_read() {
        let views = vec![
            view("d", "a", "* from `c` join `e`.`z`"),
            view("d", "b", "1"),
            view("d", "c", "* from `b`"),
            view("e", "z", "* from `d`.`b`"),
        ];
        assert_eq!(order(views), ["b", "c", "z", "a"]);
    }

    #[test]
    fn a_long_chain_comes_from_its_end() {
        let views = (0..5000).map(|n| view("d", &format!("v{n:04}"), &format!("* from `v{:04}`", n + 1)));
        let order = order(views.collect());
        assert_eq!(order.len(), 5000);
        assert!(order.is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn circles_by_column_names_end() {
        let views = vec![view("d", "a", "`b`.`x` from `b`"), view("d", "b", "`t`.`a` from `t`")];
        assert_eq!(order(views), ["b", "a"]);
    }

    #[test]
    fn definers_are_found() {
        let v = view("d", "a", "1").definition;
        assert_eq!(definer(&v.text).as_deref(), Some("a`b@%"));
        assert_eq!(definer("CREATE VIEW `x` AS select 1"), None);
    }
}
