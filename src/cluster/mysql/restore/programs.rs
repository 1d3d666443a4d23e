//! Views, triggers, routines and events: made after the tables are in their places, each under the session settings with
//! which it was made at the source.
//!
//! One that cannot be made (it was broken at the source too, or its definer's privilege is lacking) does not hold up the
//! data: it becomes a remark.

use serde::{Deserialize, Serialize};

use crate::cluster::ClusterError;
use crate::cluster::mysql::schema::definition::{DefinitionText, kind};
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::only_if_missing;
use crate::cluster::mysql::sql::view::in_database;
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, Flavor, Row, WireError};
use crate::model::definition::Definition;
use crate::model::table::TableName;

use super::{stand_in, steps};

/// One program, ready to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Program {
    /// What it is, in words.
    pub what: String,
    /// The default database when it is made; empty for none.
    pub db: String,
    /// Session settings, in order.
    pub settings: Vec<String>,
    /// What takes away one of that name.
    pub drop: Option<String>,
    /// What makes it, or a statement of the log about it.
    pub create: String,
    /// Whether it waits until others are there: views that read each other.
    pub patient: bool,
    /// Whether it is an event: the server does not make one whose time has passed.
    pub event: bool,
    /// Its database, and the collation that this had when it was made.
    pub collation: Option<(String, String)>,
    /// Gives its database that collation while it is made, and takes it away again.
    pub around: Option<(String, String)>,
}

/// The server's error for a routine that is not there (any more).
pub(super) const NO_ROUTINE: u16 = 1305;

impl Program {
    /// How its text is read.
    pub fn modes(&self, flavor: Flavor) -> Modes {
        modes(&self.settings, flavor)
    }
}

/// What takes one away.
pub(super) fn drop_of(word: &str, name: &TableName) -> String {
    format!("DROP {word} IF EXISTS {}", text::table(&name.db, &name.table))
}

/// What takes away the routine that a statement of the log makes, so that it can be repeated; `None` where it leaves one that is
/// there.
pub(super) fn drop_of_routine(word: &str, name: &TableName, create: &str, modes: Modes) -> Option<String> {
    (!only_if_missing(create, modes)).then(|| drop_of(word, name))
}

/// How a statement of the log is read that has such session settings.
pub(super) fn modes(settings: &[String], flavor: Flavor) -> Modes {
    let mode = |s: &String| s.strip_prefix("SET SESSION sql_mode = ")?.parse().ok();
    Modes::of(settings.iter().find_map(mode).unwrap_or_default(), flavor)
}

/// The word of SQL for a kind.
pub(super) fn word(kind: &str) -> Option<&'static str> {
    Some(match kind {
        kind::VIEW => "VIEW",
        kind::TRIGGER => "TRIGGER",
        kind::PROCEDURE => "PROCEDURE",
        kind::FUNCTION => "FUNCTION",
        kind::PACKAGE => "PACKAGE",
        kind::PACKAGE_BODY => "PACKAGE BODY",
        kind::EVENT => "EVENT",
        _ => return None,
    })
}

/// A program of the backup, made in a database.
pub(super) fn of_backup(definition: &Definition, db: &str) -> Result<Option<Program>, ClusterError> {
    let Some(word) = word(&definition.kind) else {
        return Ok(None);
    };
    let made = DefinitionText::parse(&definition.text)?;
    let from = definition.db.as_deref().unwrap_or(db);
    // A server shows it the same way in any mode; the flavor matters to comments only, of which it shows none.
    let modes = Modes::of(0, Flavor::MySql);
    let qualified = made
        .qualified
        .as_ref()
        .and_then(|sql| in_database(sql, modes, from, db));
    let Some(create) = qualified.or_else(|| made.statements.first().cloned()) else {
        return Ok(None);
    };
    let name = TableName::new(db, definition.name.clone());
    Ok(Some(Program {
        what: format!("{} {db}.{}", word.to_lowercase(), definition.name),
        db: db.to_owned(),
        settings: settings(&made, &create),
        drop: Some(drop_of(word, &name)),
        create,
        patient: definition.kind == kind::VIEW,
        event: definition.kind == kind::EVENT,
        collation: made.db_collation.map(|collation| (db.to_owned(), collation)),
        around: None,
    }))
}

/// The session settings of a definition. Its text is sent in UTF-8: another client charset is only claimed where the text
/// is the same in it.
fn settings(made: &DefinitionText, create: &str) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(mode) = &made.sql_mode {
        out.push(format!("SET SESSION sql_mode = {}", text::string(mode)));
    }
    if let Some(charset) = &made.charset_client
        && (create.is_ascii() || charset.starts_with("utf8"))
        && !["ucs2", "utf16", "utf16le", "utf32"].contains(&charset.as_str())
    {
        out.push(format!("SET SESSION character_set_client = {}", text::string(charset)));
    }
    if let Some(collation) = &made.collation_connection {
        let collation = text::string(collation);
        out.push(format!("SET SESSION collation_connection = {collation}"));
    }
    if let Some(zone) = &made.time_zone {
        out.push(format!("SET SESSION time_zone = {}", text::string(zone)));
    }
    out
}

/// What became of one.
pub(super) enum Made {
    Yes,
    /// The server took the statement, and made nothing.
    Not(String),
    No(WireError),
}

/// Makes them in order; what cannot be made for now is tried again as long as anything gets further. Returns what could
/// not be made. In the place of such a one its `old` namesake is made again, which was there before the restore.
pub(super) fn make(conn: &mut Conn, programs: &[Program], old: &[Program]) -> Result<Vec<String>, ClusterError> {
    let mut waiting: Vec<&Program> = Vec::new();
    let mut remarks = Vec::new();
    stand_in::clear(conn)?;
    for program in programs {
        // What comes next may rely on it.
        if !program.patient {
            again(conn, &mut waiting)?;
        }
        match one(conn, program)? {
            Made::Yes => {}
            Made::Not(why) => remarks.push(format!("{} is not there: {why}", program.what)),
            Made::No(_) if program.patient => waiting.push(program),
            Made::No(e) => remarks.push(instead(conn, program, &e, old)?),
        }
    }
    again(conn, &mut waiting)?;
    if !waiting.is_empty() {
        remarks.extend(stand_in::make(conn, programs, old)?);
    }
    steps::reset(conn)?;
    if programs.iter().any(|p| p.event) {
        remarks.extend(due(conn)?);
    }
    Ok(remarks)
}

/// What becomes of one that cannot be made.
pub(super) fn instead(
    conn: &mut Conn,
    program: &Program,
    e: &WireError,
    old: &[Program],
) -> Result<String, ClusterError> {
    let what = format!("{} could not be made: {e}", program.what);
    let namesake = old.iter().find(|o| o.drop.is_some() && o.drop == program.drop);
    Ok(match namesake {
        None => what,
        Some(old) => match one(conn, old)? {
            Made::Yes => format!("{what}; the one that was there before the restore was kept"),
            Made::Not(why) => format!("{what}; the one that was there before the restore is not there either: {why}"),
            Made::No(e) => format!(
                "{what}; the one that was there before the restore could not be made again either ({e}): {}",
                old.create
            ),
        },
    })
}

/// Tries those that wait as long as any gets made. Returns those that are, in the order of their making.
pub(super) fn again<'a>(conn: &mut Conn, waiting: &mut Vec<&'a Program>) -> Result<Vec<&'a Program>, ClusterError> {
    let mut made = Vec::new();
    loop {
        let before = waiting.len();
        let mut left = Vec::new();
        for program in waiting.drain(..) {
            match one(conn, program)? {
                Made::No(_) => left.push(program),
                Made::Yes | Made::Not(_) => made.push(program),
            }
        }
        *waiting = left;
        if waiting.is_empty() || waiting.len() == before {
            return Ok(made);
        }
    }
}

/// Events that were to run once, between the restored moment and now.
fn due(conn: &mut Conn) -> Result<Vec<String>, ClusterError> {
    let rows = conn
        .rows(
            "SELECT event_schema, event_name, execute_at FROM information_schema.events WHERE event_type = 'ONE TIME' \
             AND status = 'ENABLED' AND execute_at < CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', time_zone)",
        )
        .map_err(|e| e.doing("looking for events that are due"))?;
    let remark = |r: &Row| {
        format!(
            "event {}.{} was to run once, at {}: it runs as soon as the event scheduler does",
            r.text(0),
            r.text(1),
            r.text(2)
        )
    };
    Ok(rows.iter().map(remark).collect())
}

/// What the server says when the only time of an event has passed.
const IN_THE_PAST: [u64; 2] = [1588, 1589];

/// Makes one, in place of one of its name.
pub(super) fn one(conn: &mut Conn, program: &Program) -> Result<Made, ClusterError> {
    steps::reset(conn)?;
    let doing = || format!("making {}", program.what);
    let use_db = (!program.db.is_empty()).then(|| format!("USE {}", text::ident(&program.db)));
    let before = program.around.as_ref().map(|(before, _)| before);
    let statements = use_db
        .iter()
        .chain(&program.settings)
        .chain(&program.drop)
        .chain(before);
    let mut made = Made::Yes;
    for statement in statements {
        match conn.run(statement) {
            Ok(_) => {}
            Err(e) if e.code().is_some() => {
                made = Made::No(e);
                break;
            }
            Err(e) => return Err(e.doing(doing())),
        }
    }
    if matches!(made, Made::Yes) {
        made = match conn.run(&program.create) {
            Ok(done) if program.event && done.warnings > 0 => {
                let said = conn.rows("SHOW WARNINGS").map_err(|e| e.doing(doing()))?;
                let past = said.iter().find(|r| IN_THE_PAST.contains(&r.number(1)));
                past.map_or(Made::Yes, |r| Made::Not(r.text(2)))
            }
            Ok(_) => Made::Yes,
            Err(e) if e.code().is_some() => Made::No(e),
            Err(e) => return Err(e.doing(doing())),
        };
    }
    if let Some((_, after)) = &program.around {
        conn.run(after).map_err(|e| e.doing(doing()))?;
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routine_of_the_log_is_made_in_place_of_its_namesake() {
        let drop =
            |sql: &str| drop_of_routine("FUNCTION", &TableName::new("d", "f`"), sql, Modes::of(0, Flavor::MySql));
        let always = Some("DROP FUNCTION IF EXISTS `d`.`f```".to_owned());
        assert_eq!(
            drop("CREATE DEFINER=`a`@`b` FUNCTION `f```(x int) RETURNS int return if(not exists(select 1), 1, 2)"),
            always
        );
        assert_eq!(drop("CREATE OR REPLACE FUNCTION f() RETURNS int return 1"), always);
        assert_eq!(
            drop("CREATE DEFINER=`a`@`b` FUNCTION IF NOT EXISTS d.f() RETURNS int return 1"),
            None
        );
    }

    #[test]
    fn a_program_is_made_under_its_own_settings() {
        let made = DefinitionText {
            statements: vec!["CREATE PROCEDURE `p`() SELECT 'é'".to_owned()],
            sql_mode: Some("ANSI_QUOTES".to_owned()),
            charset_client: Some("latin1".to_owned()),
            collation_connection: Some("latin1_swedish_ci".to_owned()),
            ..DefinitionText::default()
        };
        let definition = Definition {
            kind: kind::PROCEDURE.to_owned(),
            db: Some("a".to_owned()),
            name: "p".to_owned(),
            text: made.text().unwrap(),
        };
        let program = of_backup(&definition, "b`c").unwrap().unwrap();
        assert_eq!(program.drop.as_deref(), Some("DROP PROCEDURE IF EXISTS `b``c`.`p`"));
        assert_eq!(
            program.settings,
            [
                "SET SESSION sql_mode = 'ANSI_QUOTES'",
                "SET SESSION collation_connection = 'latin1_swedish_ci'"
            ],
            "the text is not the same in latin1"
        );
    }
}
