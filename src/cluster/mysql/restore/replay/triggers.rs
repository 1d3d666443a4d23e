//! Which triggers there are at each place of the log: they move and go with their tables, and are made after the switch.

use crate::cluster::ClusterError;
use crate::cluster::mysql::restore::programs::Program;
use crate::cluster::mysql::schema::definition::{DefinitionText, kind};
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::{Token, replaced, words};
use crate::cluster::mysql::text::ident;
use crate::cluster::mysql::wire::Flavor;
use crate::model::definition::Definition;
use crate::model::table::TableName;

/// The triggers.
#[derive(Debug, Default)]
pub(super) struct Triggers(Vec<Trigger>);

#[derive(Debug)]
struct Trigger {
    name: TableName,
    table: TableName,
    /// Whether its table is no longer the one that its text names.
    moved: bool,
    modes: Modes,
    made: Made,
}

#[derive(Debug)]
enum Made {
    /// As the base has it.
    Base(Definition),
    /// By a statement of the log; `None` when it is left out.
    Logged(Option<Program>),
}

/// What there is at the end.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Triggers of the base.
    pub definitions: Vec<Definition>,
    /// Statements of the log.
    pub programs: Vec<Program>,
    /// What has to be said.
    pub remarks: Vec<String>,
}

impl Triggers {
    /// Takes the triggers out of the base's definitions.
    pub fn take(definitions: &mut Vec<Definition>, flavor: Flavor) -> Result<Triggers, ClusterError> {
        let (triggers, others): (Vec<_>, Vec<_>) = std::mem::take(definitions)
            .into_iter()
            .partition(|d| d.kind == kind::TRIGGER);
        *definitions = others;
        let mut out = Triggers::default();
        for definition in triggers {
            let made = DefinitionText::parse(&definition.text)?;
            let db = definition.db.clone().unwrap_or_default();
            let mode = made.sql_mode.unwrap_or_default();
            let has = |word: &str| mode.split(',').any(|m| m == word);
            out.0.push(Trigger {
                name: TableName::new(db.clone(), definition.name.clone()),
                table: TableName::new(db, made.table.unwrap_or_default()),
                moved: false,
                modes: Modes {
                    ansi_quotes: has("ANSI_QUOTES") || has("ANSI"),
                    no_backslash_escapes: has("NO_BACKSLASH_ESCAPES"),
                    flavor,
                },
                made: Made::Base(definition),
            });
        }
        Ok(out)
    }

    /// One that the log makes, perhaps in place of an older one.
    pub fn create(&mut self, name: &TableName, table: &TableName, modes: Modes, program: Option<Program>) {
        self.drop(name);
        self.0.push(Trigger {
            name: name.clone(),
            table: table.clone(),
            moved: false,
            modes,
            made: Made::Logged(program),
        });
    }

    /// One goes.
    pub fn drop(&mut self, name: &TableName) {
        self.0.retain(|t| t.name != *name);
    }

    /// A table goes, and its triggers with it.
    pub fn table_gone(&mut self, table: &TableName) {
        self.0.retain(|t| t.table != *table);
    }

    /// A database goes.
    pub fn database_gone(&mut self, db: &str) {
        self.0.retain(|t| t.name.db != db);
    }

    /// A table gets another name. (Servers refuse it across databases while it has triggers.)
    pub fn table_renamed(&mut self, from: &TableName, to: &TableName) {
        for trigger in self.0.iter_mut().filter(|t| t.table == *from) {
            trigger.table = to.clone();
            trigger.moved = true;
        }
    }

    /// What is to be made after the switch.
    pub fn finish(self) -> Result<Left, ClusterError> {
        let mut left = Left::default();
        for trigger in self.0 {
            let moved = |sql: &str| match trigger.moved {
                true => on_table(sql, trigger.modes, &trigger.table.table),
                false => Some(sql.to_owned()),
            };
            let lost = || {
                format!(
                    "trigger {} is left out: its table was renamed to {}, and its text was not understood",
                    trigger.name, trigger.table
                )
            };
            match trigger.made {
                Made::Logged(None) => {}
                Made::Logged(Some(program)) => match moved(&program.create) {
                    Some(create) => left.programs.push(Program { create, ..program }),
                    None => left.remarks.push(lost()),
                },
                Made::Base(definition) => {
                    let mut made = DefinitionText::parse(&definition.text)?;
                    let create = made.statements.first().and_then(|sql| moved(sql));
                    let Some(create) = create else {
                        left.remarks.push(lost());
                        continue;
                    };
                    made.statements = vec![create];
                    made.table = Some(trigger.table.table.clone());
                    let text = made.text()?;
                    left.definitions.push(Definition { text, ..definition });
                }
            }
        }
        Ok(left)
    }
}

/// The statement that makes a trigger, with another table; `None` when its table is not found in it.
fn on_table(sql: &str, modes: Modes, table: &str) -> Option<String> {
    let words = words(sql, modes);
    let is_event = |t: &Token<'_>| ["INSERT", "UPDATE", "DELETE"].iter().any(|w| t.is(w));
    let timing = words
        .windows(2)
        .position(|pair| matches!(pair, [a, b] if (a.is("BEFORE") || a.is("AFTER")) && is_event(b)))?;
    let on = timing + words.get(timing..)?.iter().position(|t| t.is("ON"))?;
    let first = words.get(on + 1)?;
    let last = match words.get(on + 2) {
        Some(dot) if dot.is_symbol('.') => words.get(on + 3)?,
        _ => first,
    };
    replaced(sql, first, last, &ident(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes() -> Modes {
        Modes::of(0, Flavor::MariaDb)
    }

    fn base(name: &str, table: &str) -> Definition {
        let text = DefinitionText {
            statements: vec![format!(
                "CREATE DEFINER=`root`@`localhost` TRIGGER `{name}` BEFORE INSERT ON `{table}` FOR EACH ROW SET NEW.on = 1"
            )],
            table: Some(table.to_owned()),
            ..DefinitionText::default()
        };
        Definition {
            kind: kind::TRIGGER.to_owned(),
            db: Some("d".to_owned()),
            name: name.to_owned(),
            text: text.text().unwrap(),
        }
    }

    fn t(name: &str) -> TableName {
        TableName::new("d", name)
    }

    /// Names and statements of what is left.
    fn left(triggers: Triggers) -> Vec<String> {
        let left = triggers.finish().unwrap();
        assert!(left.remarks.is_empty(), "{:?}", left.remarks);
        let of_base = left
            .definitions
            .iter()
            .map(|d| DefinitionText::parse(&d.text).unwrap().statements.concat());
        of_base.chain(left.programs.into_iter().map(|p| p.create)).collect()
    }

    #[test]
    fn a_trigger_stays_with_its_table_when_tables_are_swapped() {
        let mut definitions = vec![base("tr", "orders")];
        let mut triggers = Triggers::take(&mut definitions, Flavor::MariaDb).unwrap();
        assert!(definitions.is_empty());
        triggers.table_renamed(&t("orders"), &t("orders_old"));
        triggers.table_renamed(&t("orders_new"), &t("orders"));
        let left = left(triggers);
        assert_eq!(
            left,
            [
                "CREATE DEFINER=`root`@`localhost` TRIGGER `tr` BEFORE INSERT ON `orders_old` FOR EACH ROW SET NEW.on = 1"
            ]
        );
    }

    #[test]
    fn a_trigger_goes_with_its_table_and_with_its_database() {
        let mut definitions = vec![base("one", "a"), base("two", "b")];
        let mut triggers = Triggers::take(&mut definitions, Flavor::MySql).unwrap();
        triggers.table_gone(&t("a"));
        triggers.create(&t("three"), &t("a"), modes(), None);
        assert_eq!(triggers.0.len(), 2);
        triggers.database_gone("other");
        assert_eq!(triggers.0.len(), 2);
        triggers.database_gone("d");
        assert!(left(triggers).is_empty());
    }

    #[test]
    fn the_table_of_a_statement_is_found_wherever_it_stands() {
        let cases = [
            (
                "create trigger d.`before` after update on d.`o``n` for each row set @x = 'on t'",
                "create trigger d.`before` after update on `n ew` for each row set @x = 'on t'",
            ),
            (
                "CREATE OR REPLACE TRIGGER x BEFORE INSERT /* ON y */ ON t FOLLOWS z FOR EACH ROW BEGIN END",
                "CREATE OR REPLACE TRIGGER x BEFORE INSERT /* ON y */ ON `n ew` FOLLOWS z FOR EACH ROW BEGIN END",
            ),
        ];
        for (sql, wanted) in cases {
            assert_eq!(on_table(sql, modes(), "n ew").as_deref(), Some(wanted));
        }
        assert_eq!(on_table("CREATE TRIGGER x AFTER", modes(), "t"), None);
    }
}
