//! Reading what is not a table and lives in a database: the databases themselves, views, triggers, routines, events.
//!
//! Statements are read with `character_set_results = utf8mb4`, because the server shows a program in the character set of
//! the session that made it, and with the program's database as the default one.

use super::definition::{DefinitionText, kind};
use super::tables::not_system;
use super::views;
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, Flavor, Row, WireError};
use crate::model::definition::Definition;

/// Keeps the default database of a connection.
pub(super) struct Shower<'a> {
    pub conn: &'a mut Conn,
    db: Option<String>,
}

impl Shower<'_> {
    /// The first row of a `SHOW CREATE` in a database; an error when the server hides the statement in that column.
    pub fn show(&mut self, db: &str, what: &str, name: &str, statement: usize) -> Result<Row, WireError> {
        self.show_from(db, db, what, name, statement)
    }

    /// The same, from another default database.
    pub fn show_from(
        &mut self,
        default_db: &str,
        db: &str,
        what: &str,
        name: &str,
        statement: usize,
    ) -> Result<Row, WireError> {
        if self.db.as_deref() != Some(default_db) {
            self.conn.run(&format!("USE {}", text::ident(default_db)))?;
            self.db = Some(default_db.to_owned());
        }
        let row = self.conn.row(&format!("SHOW CREATE {what} {}", text::table(db, name)));
        // The server does not say of which program it speaks.
        let row = row.map_err(|e| match e {
            WireError::Server { code, state, message } => WireError::Server {
                code,
                state,
                message: format!("{message} (SHOW CREATE {what} {})", text::table(db, name)),
            },
            e => e,
        });
        match row? {
            Some(row) if row.bytes(statement).is_some() => Ok(row),
            _ => Err(WireError::Server {
                code: 1227,
                state: "42000".to_owned(),
                message: format!("this account may not see the statement of {what} `{db}`.`{name}`"),
            }),
        }
    }
}

pub(super) fn statement(row: &Row, column: usize) -> Vec<String> {
    vec![row.bytes(column).map(text::statement).unwrap_or_default()]
}

pub(super) fn definition(kind: &str, db: &str, name: String, made: &DefinitionText) -> Result<Definition, WireError> {
    let text = made.text().map_err(|e| WireError::Protocol(e.to_string()))?;
    Ok(Definition {
        kind: kind.to_owned(),
        db: Some(db.to_owned()),
        name,
        text,
    })
}

/// Everything of this kind, in the order in which it can be made.
pub fn read(conn: &mut Conn) -> Result<Vec<Definition>, WireError> {
    let flavor = conn.info().flavor;
    let mut shower = Shower { conn, db: None };
    let mut all = databases(&mut shower)?;
    all.extend(routines(&mut shower, flavor)?);
    all.extend(views::read(&mut shower)?);
    all.extend(triggers(&mut shower)?);
    all.extend(events(&mut shower)?);
    Ok(all)
}

/// One view as it is now.
pub fn view(conn: &mut Conn, db: &str, name: &str) -> Result<Definition, WireError> {
    views::one(&mut Shower { conn, db: None }, db, name)
}

/// One program as it is now, with the words of [`kind`]; `None` when it cannot be shown.
pub fn one(conn: &mut Conn, kind: &str, db: &str, name: &str) -> Result<Option<Definition>, WireError> {
    // The columns of the statement, the mode, and the character set; the collation is behind that.
    let (what, statement_at, mode, charset) = match kind {
        kind::VIEW => {
            return match view(conn, db, name) {
                Ok(view) => Ok(Some(view)),
                Err(WireError::Server { .. }) => Ok(None),
                Err(e) => Err(e),
            };
        }
        kind::TRIGGER => ("TRIGGER", 2, Some(1), 3),
        kind::EVENT => ("EVENT", 3, Some(1), 4),
        kind::FUNCTION => ("FUNCTION", 2, Some(1), 3),
        kind::PROCEDURE => ("PROCEDURE", 2, Some(1), 3),
        kind::PACKAGE => ("PACKAGE", 2, Some(1), 3),
        kind::PACKAGE_BODY => ("PACKAGE BODY", 2, Some(1), 3),
        _ => return Ok(None),
    };
    let shown = match (Shower { conn, db: None }).show(db, what, name, statement_at) {
        Ok(shown) => shown,
        Err(WireError::Server { .. }) => return Ok(None),
        Err(e) => return Err(e),
    };
    let made = DefinitionText {
        statements: statement(&shown, statement_at),
        sql_mode: mode.and_then(|at| shown.opt(at)),
        charset_client: shown.opt(charset),
        collation_connection: shown.opt(charset + 1),
        time_zone: shown.opt(2).filter(|_| kind == kind::EVENT),
        ..DefinitionText::default()
    };
    definition(kind, db, name.to_owned(), &made).map(Some)
}

fn databases(shower: &mut Shower<'_>) -> Result<Vec<Definition>, WireError> {
    let sql = format!(
        "SELECT schema_name, default_collation_name FROM information_schema.schemata WHERE {} ORDER BY schema_name",
        not_system("schema_name")
    );
    let mut out = Vec::new();
    for row in shower.conn.rows(&sql)? {
        let db = row.text(0);
        let shown = shower.conn.row(&format!("SHOW CREATE DATABASE {}", text::ident(&db)))?;
        let made = DefinitionText {
            statements: shown.iter().flat_map(|r| statement(r, 1)).collect(),
            db_collation: row.opt(1),
            ..DefinitionText::default()
        };
        out.push(definition(kind::DATABASE, &db, db.clone(), &made)?);
    }
    Ok(out)
}

fn routines(shower: &mut Shower<'_>, flavor: Flavor) -> Result<Vec<Definition>, WireError> {
    let mut kinds = vec![("FUNCTION", kind::FUNCTION), ("PROCEDURE", kind::PROCEDURE)];
    if flavor == Flavor::MariaDb {
        kinds.extend([("PACKAGE", kind::PACKAGE), ("PACKAGE BODY", kind::PACKAGE_BODY)]);
    }
    let mut out = Vec::new();
    for (what, kind) in kinds {
        let sql = format!(
            "SELECT routine_schema, routine_name, definer FROM information_schema.routines \
             WHERE routine_type = '{what}' AND {} ORDER BY routine_schema, routine_name",
            not_system("routine_schema")
        );
        for row in shower.conn.rows(&sql)? {
            let (db, name) = (row.text(0), row.text(1));
            let shown = shower.show(&db, what, &name, 2)?;
            let made = DefinitionText {
                statements: statement(&shown, 2),
                sql_mode: shown.opt(1),
                charset_client: shown.opt(3),
                collation_connection: shown.opt(4),
                db_collation: shown.opt(5),
                definer: row.opt(2),
                ..DefinitionText::default()
            };
            out.push(definition(kind, &db, name, &made)?);
        }
    }
    Ok(out)
}

fn triggers(shower: &mut Shower<'_>) -> Result<Vec<Definition>, WireError> {
    let sql = format!(
        "SELECT trigger_schema, trigger_name, event_object_table, definer FROM information_schema.triggers WHERE {} \
         ORDER BY trigger_schema, event_object_table, action_timing, event_manipulation, action_order",
        not_system("trigger_schema")
    );
    let mut out = Vec::new();
    for row in shower.conn.rows(&sql)? {
        let (db, name) = (row.text(0), row.text(1));
        let shown = shower.show(&db, "TRIGGER", &name, 2)?;
        let made = DefinitionText {
            statements: statement(&shown, 2),
            sql_mode: shown.opt(1),
            charset_client: shown.opt(3),
            collation_connection: shown.opt(4),
            db_collation: shown.opt(5),
            definer: row.opt(3),
            table: row.opt(2),
            ..DefinitionText::default()
        };
        out.push(definition(kind::TRIGGER, &db, name, &made)?);
    }
    Ok(out)
}

fn events(shower: &mut Shower<'_>) -> Result<Vec<Definition>, WireError> {
    let sql = format!(
        "SELECT event_schema, event_name, definer, status FROM information_schema.events WHERE {} \
         ORDER BY event_schema, event_name",
        not_system("event_schema")
    );
    let mut out = Vec::new();
    for row in shower.conn.rows(&sql)? {
        let (db, name) = (row.text(0), row.text(1));
        let shown = shower.show(&db, "EVENT", &name, 3)?;
        let made = DefinitionText {
            statements: statement(&shown, 3),
            sql_mode: shown.opt(1),
            time_zone: shown.opt(2),
            charset_client: shown.opt(4),
            collation_connection: shown.opt(5),
            db_collation: shown.opt(6),
            definer: row.opt(2),
            status: row.opt(3),
            ..DefinitionText::default()
        };
        out.push(definition(kind::EVENT, &db, name, &made)?);
    }
    Ok(out)
}
