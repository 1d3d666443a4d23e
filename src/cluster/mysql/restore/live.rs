//! Live programs that a switch meets: what has to go before the tables can move, what goes behind them, and what comes back
//! where its successor cannot be made.

use std::collections::{BTreeMap, BTreeSet};

use super::names::is_system;
use super::programs::{self, Program};
use super::steps::{Step, reset};
use crate::cluster::ClusterError;
use crate::cluster::mysql::schema::definition::kind;
use crate::cluster::mysql::schema::programs as reading;
use crate::cluster::mysql::text::{ident, table};
use crate::cluster::mysql::wire::Conn;
use crate::model::table::TableName;

/// Live programs that go.
pub(super) struct InTheWay {
    /// Triggers of tables that move, and views in their places; with what makes them again.
    pub first: Step,
    /// The others, of a whole restore.
    pub later: Vec<String>,
}

/// Of a whole restore all of them, else what stands in the way of the tables.
pub(super) fn in_the_way(
    conn: &mut Conn,
    live: &BTreeMap<TableName, bool>,
    moving: &BTreeSet<&TableName>,
    whole: bool,
) -> Result<InTheWay, ClusterError> {
    let doing = |e: crate::cluster::mysql::wire::WireError| e.doing("listing live programs");
    let (mut statements, mut back, mut later) = (Vec::new(), Vec::new(), Vec::new());
    let triggers = conn
        .rows(
            "SELECT trigger_schema, trigger_name, event_object_table FROM information_schema.triggers \
             ORDER BY trigger_schema, event_object_table, action_timing, event_manipulation, action_order",
        )
        .map_err(doing)?;
    for row in triggers {
        let (db, name) = (row.text(0), row.text(1));
        if moving.contains(&TableName::new(&*db, row.text(2))) {
            statements.push(format!("DROP TRIGGER IF EXISTS {}", table(&db, &name)));
            back.push(kept(conn, kind::TRIGGER, &db, &name)?);
        }
    }
    for (view, _) in live.iter().filter(|(_, is_view)| **is_view) {
        let drop = programs::drop_of("VIEW", view);
        if moving.contains(view) {
            statements.push(drop);
            back.push(kept(conn, kind::VIEW, &view.db, &view.table)?);
        } else if whole {
            later.push(drop);
        }
    }
    if whole {
        later.extend(everything(conn)?);
    }
    let first = Step::TakeAway { statements, back };
    Ok(InTheWay { first, later })
}

/// Drops all events and routines.
fn everything(conn: &mut Conn) -> Result<Vec<String>, ClusterError> {
    let mut out = Vec::new();
    let mut list = |what: &str, sql: &str| -> Result<(), ClusterError> {
        let rows = conn.rows(sql);
        for row in rows.map_err(|e| e.doing(format!("listing live {}s", what.to_lowercase())))? {
            let (db, name) = (row.text(0), row.text(1));
            if !is_system(&db) {
                out.push(format!("DROP {what} IF EXISTS {}.{}", ident(&db), ident(&name)));
            }
        }
        Ok(())
    };
    list(
        "EVENT",
        "SELECT event_schema, event_name FROM information_schema.events",
    )?;
    for what in ["PROCEDURE", "FUNCTION", "PACKAGE BODY", "PACKAGE"] {
        let sql = format!(
            "SELECT routine_schema, routine_name FROM information_schema.routines WHERE routine_type = '{what}'"
        );
        list(what, &sql)?;
    }
    // Packages are known by name only to sessions of this mode.
    if let Some(first) = out.iter().position(|s| s.starts_with("DROP PACKAGE")) {
        out.insert(first, "SET SESSION sql_mode = 'ORACLE'".to_owned());
        out.push("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'".to_owned());
    }
    Ok(out)
}

/// What makes a live program again; an error when it cannot be read, for then it could not be put back.
fn kept(conn: &mut Conn, kind: &str, db: &str, name: &str) -> Result<Program, ClusterError> {
    shown(conn, kind, db, name)?.ok_or_else(|| ClusterError::Unsupported {
        what: format!("the {kind} {db}.{name} would be replaced, but its definition cannot be read"),
        hint: format!(
            "look at SHOW CREATE {} {}, and drop it first",
            kind.to_uppercase(),
            table(db, name)
        ),
    })
}

fn shown(conn: &mut Conn, kind: &str, db: &str, name: &str) -> Result<Option<Program>, ClusterError> {
    let doing = |e: crate::cluster::mysql::wire::WireError| e.doing(format!("reading the {kind} {db}.{name}"));
    conn.run("SET SESSION character_set_results = utf8mb4").map_err(doing)?;
    let definition = reading::one(conn, kind, db, name).map_err(doing)?;
    reset(conn)?;
    match definition {
        Some(definition) => programs::of_backup(&definition, db),
        None => Ok(None),
    }
}

/// The live namesakes of programs that will be made.
pub(super) fn namesakes(conn: &mut Conn, coming: &[Program]) -> Result<Vec<Program>, ClusterError> {
    let mut there: BTreeSet<String> = BTreeSet::new();
    let mut out = Vec::new();
    let mut list = |conn: &mut Conn, kind: &str, sql: &str| -> Result<(), ClusterError> {
        let rows = conn.rows(sql).map_err(|e| e.doing(format!("listing live {kind}s")))?;
        for row in rows {
            let (db, name) = (row.text(0), row.text(1));
            let word = programs::word(kind).unwrap_or_default();
            let drop = format!("DROP {word} IF EXISTS {}.{}", ident(&db), ident(&name));
            let wanted = coming.iter().any(|p| p.drop.as_ref() == Some(&drop));
            if wanted && there.insert(drop) {
                out.extend(shown(conn, kind, &db, &name)?);
            }
        }
        Ok(())
    };
    list(
        conn,
        kind::TRIGGER,
        "SELECT trigger_schema, trigger_name FROM information_schema.triggers",
    )?;
    list(
        conn,
        kind::EVENT,
        "SELECT event_schema, event_name FROM information_schema.events",
    )?;
    list(
        conn,
        kind::VIEW,
        "SELECT table_schema, table_name FROM information_schema.views",
    )?;
    for kind in [kind::FUNCTION, kind::PROCEDURE, kind::PACKAGE, kind::PACKAGE_BODY] {
        let word = programs::word(kind).unwrap_or_default();
        let sql = format!(
            "SELECT routine_schema, routine_name FROM information_schema.routines WHERE routine_type = '{word}'"
        );
        list(conn, kind, &sql)?;
    }
    Ok(out)
}
