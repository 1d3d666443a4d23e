//! Privileges on routines that servers give and take by themselves (`automatic_sp_privileges`): whoever makes one may execute
//! and alter it, and dropping it takes what anybody was given on it. The routines of a restore are made by brine and in the
//! end, so that it must be done with the accounts.

use std::collections::{BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use super::accounts::Logged;
use super::programs::{Program, drop_of};
use super::wording::object;
use crate::cluster::ClusterError;
use crate::cluster::mysql::fence::quoted;
use crate::cluster::mysql::schema::definition::{AccountName, DefinitionText, kind};
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::statement::{Act, ProgramKind};
use crate::cluster::mysql::sql::tokens::{Token, words};
use crate::cluster::mysql::text::{ident, string, table};
use crate::cluster::mysql::wire::{Conn, Flavor, Row};
use crate::model::definition::Definition;
use crate::model::table::TableName;

/// MariaDB's role that everybody has.
const PUBLIC: &str = "PUBLIC";

/// A routine, as grants name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Routine {
    /// `PROCEDURE`, `FUNCTION`, `PACKAGE`, `PACKAGE BODY`.
    kind: String,
    db: String,
    /// In small letters: case is nothing to servers here.
    name: String,
}

/// What the log did to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    routine: Routine,
    /// Its name as it was written.
    written: String,
    dropped: bool,
}

impl Change {
    /// `None` for other programs.
    pub fn of(kind: ProgramKind, act: Act, names: &[TableName]) -> Option<Change> {
        let [name] = names else { return None };
        let kind = match kind {
            ProgramKind::Procedure => "PROCEDURE",
            ProgramKind::Function => "FUNCTION",
            ProgramKind::Package => "PACKAGE",
            ProgramKind::PackageBody => "PACKAGE BODY",
            ProgramKind::View | ProgramKind::Trigger | ProgramKind::Event => return None,
        };
        let routine = Routine {
            kind: kind.to_owned(),
            db: name.db.clone(),
            name: name.table.to_lowercase(),
        };
        let dropped = match act {
            Act::Create => false,
            Act::Drop => true,
            Act::Alter => return None,
        };
        Some(Change {
            routine,
            written: name.table.clone(),
            dropped,
        })
    }
}

/// Whether the source gives and takes by itself; where its backup says nothing, as the target does.
pub(super) fn automatic(conn: &mut Conn, definitions: &[Definition]) -> Result<bool, ClusterError> {
    const NAME: &str = "automatic_sp_privileges";
    if let Some(of) = definitions.iter().find(|d| d.kind == kind::GLOBAL && d.name == NAME) {
        let set = DefinitionText::parse(&of.text)?.statements;
        let off = |s: &String| {
            ["OFF", "0", "'OFF'", "'0'"]
                .iter()
                .any(|v| s.ends_with(&format!("= {v}")))
        };
        return Ok(!set.iter().any(off));
    }
    let row = conn
        .row(&format!("SELECT @@GLOBAL.{NAME}"))
        .map_err(|e| e.doing("asking how privileges on routines come to be"))?;
    Ok(row.is_none_or(|r| r.text(0) != "0"))
}

/// Takes what was given on routines that the log drops, before it does, out of the log; gives those that it drops.
pub(super) fn settle(log: &mut Vec<Logged>, flavor: Flavor) -> BTreeSet<Routine> {
    let mut gone = BTreeSet::new();
    let mut kept: Vec<Logged> = Vec::new();
    for logged in log.drain(..).rev() {
        let on = match &logged.routine {
            Some(change) if change.dropped => {
                gone.insert(change.routine.clone());
                continue;
            }
            Some(change) => Some(change.routine.clone()),
            None => named(&logged.sql, &default_db(&logged, flavor), flavor),
        };
        if !on.is_some_and(|on| gone.contains(&on)) {
            kept.push(logged);
        }
    }
    kept.reverse();
    *log = kept;
    gone
}

/// The routine that a `GRANT` or `REVOKE` is about; `db` is that of one without a database.
pub(super) fn named(sql: &str, db: &str, flavor: Flavor) -> Option<Routine> {
    let words = words(sql, Modes::of(0, flavor));
    let (kind, name) = match object(&words) {
        [package, body, name @ ..] if package.is("PACKAGE") && body.is("BODY") => ("PACKAGE BODY", name),
        [kind, name @ ..] => {
            let known = ["PROCEDURE", "FUNCTION", "PACKAGE"];
            (*known.iter().find(|k| kind.is(k))?, name)
        }
        [] => return None,
    };
    let (db, name) = match name {
        [db, dot, name] if dot.is_symbol('.') => (db.name(), name),
        [name] => (db.to_owned(), name),
        _ => return None,
    };
    Some(Routine {
        kind: kind.to_owned(),
        db,
        name: name.name().to_lowercase(),
    })
}

/// The default database of the session that ran a statement.
fn default_db(logged: &Logged, flavor: Flavor) -> String {
    let used = logged.settings.first().and_then(|s| s.strip_prefix("USE "));
    let name = used.and_then(|name| words(name, Modes::of(0, flavor)).first().map(Token::name));
    name.unwrap_or_default()
}

/// The grant by which whoever made a routine may use it, unless he may already; none to one who is not there.
pub(super) fn to_maker(conn: &mut Conn, change: &Change, who: &AccountName) -> Result<Option<String>, ClusterError> {
    let Routine { kind, db, .. } = &change.routine;
    let (user, host) = (string(&who.user), string(&who.host));
    let doing = "reading who may use a routine";
    let there = format!("SELECT 1 FROM mysql.user WHERE user = {user} AND host = {host}");
    if conn.row(&there).map_err(|e| e.doing(doing))?.is_none() {
        return Ok(None);
    }
    let roles = match conn.info().flavor {
        Flavor::MariaDb => format!(
            "host = '' AND (user = 'PUBLIC' OR user IN (SELECT role FROM mysql.roles_mapping m WHERE m.user = {user} \
             AND m.host = {host}))"
        ),
        Flavor::MySql => format!(
            "(user, host) IN (SELECT from_user, from_host FROM mysql.role_edges WHERE to_user = {user} \
             AND to_host = {host})"
        ),
    };
    let sql = format!(
        "SELECT COALESCE(MAX(execute_priv = 'Y') AND MAX(alter_routine_priv = 'Y'), 0) FROM \
         (SELECT user, host, execute_priv, alter_routine_priv FROM mysql.user UNION ALL \
         SELECT user, host, execute_priv, alter_routine_priv FROM mysql.db WHERE {} LIKE db) p \
         WHERE (user = {user} AND host = {host}) OR ({roles})",
        string(db)
    );
    let may = conn.row(&sql).map_err(|e| e.doing(doing))?;
    if may.is_some_and(|r| r.text(0) == "1") {
        return Ok(None);
    }
    Ok(Some(format!(
        "GRANT EXECUTE, ALTER ROUTINE ON {kind} {}.{} TO {}",
        ident(db),
        ident(&change.written),
        quoted(who)
    )))
}

/// The grants on live routines in whose place others are made: servers take them along with a routine that goes, and a restore that
/// brings no accounts leaves them as they were.
pub(super) fn grants_on(conn: &mut Conn, programs: &[Program]) -> Result<Vec<String>, ClusterError> {
    let replaced: HashSet<String> = programs
        .iter()
        .filter_map(|p| p.drop.as_deref())
        .map(str::to_lowercase)
        .collect();
    if !replaced.iter().any(|drop| !drop.starts_with("drop view")) {
        return Ok(Vec::new());
    }
    let rows = conn
        .rows(
            "SELECT db, routine_name, routine_type, user, host, proc_priv FROM mysql.procs_priv WHERE (user, host) IN \
             (SELECT user, host FROM mysql.user) OR (user = 'PUBLIC' AND host = '')",
        )
        .map_err(|e| e.doing("reading who may use the routines that are made anew"))?;
    let flavor = conn.info().flavor;
    let grant = |row: &Row| {
        let name = TableName::new(row.text(0), row.text(1));
        let kind = row.text(2);
        let is_replaced = replaced.contains(&drop_of(&kind, &name).to_lowercase());
        is_replaced.then(|| {
            let account = AccountName {
                user: row.text(3),
                host: row.text(4),
            };
            let to = match flavor == Flavor::MariaDb && account.host.is_empty() {
                // In quotes it would be a role of that name.
                true if account.user == PUBLIC => PUBLIC.to_owned(),
                true => ident(&account.user),
                false => quoted(&account),
            };
            given(&row.text(5), &format!("{kind} {}", table(&name.db, &name.table)), &to)
        })
    };
    Ok(rows.iter().filter_map(grant).collect())
}

/// The grant that gives what the server has noted: `Execute,Alter Routine,Grant`.
fn given(noted: &str, on: &str, to: &str) -> String {
    let noted = noted.split(',').filter(|part| !part.is_empty());
    let (grant, privileges): (Vec<&str>, Vec<&str>) = noted.partition(|part| *part == "Grant");
    let privileges = match privileges.is_empty() {
        true => "USAGE".to_owned(),
        false => privileges.join(", ").to_uppercase(),
    };
    let option = if grant.is_empty() { "" } else { " WITH GRANT OPTION" };
    format!("GRANT {privileges} ON {on} TO {to}{option}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: ProgramKind, act: Act, name: &str) -> Logged {
        Logged {
            settings: Vec::new(),
            sql: String::new(),
            invoker: None,
            routine: Change::of(kind, act, &[TableName::new("d", name)]),
        }
    }

    fn statement(sql: &str) -> Logged {
        Logged {
            settings: vec!["USE `d`".to_owned()],
            sql: sql.to_owned(),
            invoker: None,
            routine: None,
        }
    }

    #[test]
    fn what_is_noted_is_given_again() {
        let on = |noted: &str| given(noted, "FUNCTION `d`.`f`", "`a`@`b`");
        assert_eq!(on("Execute"), "GRANT EXECUTE ON FUNCTION `d`.`f` TO `a`@`b`");
        assert_eq!(
            on("Execute,Alter Routine,Grant"),
            "GRANT EXECUTE, ALTER ROUTINE ON FUNCTION `d`.`f` TO `a`@`b` WITH GRANT OPTION"
        );
        assert_eq!(
            on("Grant"),
            "GRANT USAGE ON FUNCTION `d`.`f` TO `a`@`b` WITH GRANT OPTION"
        );
    }

    #[test]
    fn a_grant_without_a_database_is_one_in_that_of_its_session() {
        let mut in_odd = statement("grant execute on procedure p to a");
        in_odd.settings = vec!["USE ```a``b`".to_owned()];
        assert_eq!(default_db(&in_odd, Flavor::MySql), "`a`b");
        let of = |sql: &str| named(sql, "d", Flavor::MySql);
        assert_eq!(
            of("grant execute on procedure p to a"),
            of("REVOKE EXECUTE ON PROCEDURE d.P FROM a")
        );
        assert_eq!(of("grant execute on d.* to a"), None);
        assert_eq!(of("create procedure p() select 1"), None);
    }

    #[test]
    fn what_was_given_on_a_routine_goes_with_it() {
        let mut log = vec![
            change(ProgramKind::Procedure, Act::Create, "p"),
            statement("grant execute on procedure P to a"),
            statement("grant execute on function p to a"),
            statement("revoke execute on procedure e.p from a"),
            statement("grant execute on d.* to a"),
            change(ProgramKind::Procedure, Act::Drop, "P"),
            change(ProgramKind::Procedure, Act::Create, "p"),
            statement("GRANT EXECUTE ON PROCEDURE `d`.`p` TO b"),
        ];
        let mut want = log.clone();
        want.drain(..2);
        want.remove(3);
        let gone = settle(&mut log, Flavor::MariaDb);
        assert_eq!(log, want);
        let of = |sql: &str| named(sql, "", Flavor::MariaDb).is_some_and(|on| gone.contains(&on));
        assert!(of("GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE `d`.`p` TO `x`@`%`"));
        assert!(!of("GRANT EXECUTE ON FUNCTION `d`.`p` TO `x`@`%`"));
        assert!(!of("GRANT EXECUTE ON PACKAGE BODY `d`.`p` TO `x`@`%`"));
    }
}
