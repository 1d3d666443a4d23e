//! Which views there are at each place of the log. Shadows hold none: what is there at the end is made after the switch, by
//! the statement that made it last.

use crate::cluster::ClusterError;
use crate::cluster::mysql::restore::programs::Program;
use crate::cluster::mysql::schema::definition::{DefinitionText, kind};
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::{replaced, words};
use crate::cluster::mysql::text::ident;
use crate::cluster::mysql::wire::Flavor;
use crate::model::definition::Definition;
use crate::model::table::TableName;

/// The views.
#[derive(Debug, Default)]
pub(super) struct Views(Vec<View>);

#[derive(Debug)]
struct View {
    name: TableName,
    /// Whether it has no longer the name that its text has.
    moved: bool,
    modes: Modes,
    made: Made,
}

#[derive(Debug)]
enum Made {
    /// As the base has it.
    Base(Definition),
    /// By a statement of the log.
    Logged(Program),
}

/// What there is at the end.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Views of the base.
    pub definitions: Vec<Definition>,
    /// Views of the log, by the names that they have at the end.
    pub programs: Vec<(TableName, Program)>,
    /// What has to be said.
    pub remarks: Vec<String>,
}

impl Views {
    /// Takes the views out of the base's definitions.
    pub fn take(definitions: &mut Vec<Definition>, flavor: Flavor) -> Views {
        let (views, others): (Vec<_>, Vec<_>) = std::mem::take(definitions)
            .into_iter()
            .partition(|d| d.kind == kind::VIEW);
        *definitions = others;
        let of_base = views.into_iter().map(|definition| View {
            name: TableName::new(definition.db.clone().unwrap_or_default(), definition.name.clone()),
            moved: false,
            // A server shows it in the plain form, whatever mode it was made in.
            modes: Modes::of(0, flavor),
            made: Made::Base(definition),
        });
        Views(of_base.collect())
    }

    /// One that the log makes or alters.
    pub fn create(&mut self, name: &TableName, modes: Modes, program: Program) {
        let kept = only_if_missing(&program.create, modes) && self.has(name);
        if kept {
            return;
        }
        let create = as_create(&program.create, modes);
        self.drop(name);
        self.0.push(View {
            name: name.clone(),
            moved: false,
            modes,
            made: Made::Logged(Program { create, ..program }),
        });
    }

    /// Whether there is one of that name.
    pub fn has(&self, name: &TableName) -> bool {
        self.0.iter().any(|v| v.name == *name)
    }

    /// One goes.
    pub fn drop(&mut self, name: &TableName) {
        self.0.retain(|v| v.name != *name);
    }

    /// A database goes.
    pub fn database_gone(&mut self, db: &str) {
        self.0.retain(|v| v.name.db != db);
    }

    /// One gets another name; `false` when there is none of the old name. (Servers refuse it across databases.)
    pub fn rename(&mut self, from: &TableName, to: &TableName) -> bool {
        let Some(view) = self.0.iter_mut().find(|v| v.name == *from) else {
            return false;
        };
        view.name = to.clone();
        view.moved = true;
        true
    }

    /// What is to be made after the switch.
    pub fn finish(self) -> Result<Left, ClusterError> {
        let mut left = Left::default();
        for view in self.0 {
            let named = |sql: &str| match view.moved {
                true => renamed(sql, view.modes, &view.name.table),
                false => Some(sql.to_owned()),
            };
            let lost = || {
                format!(
                    "view {} is left out: it was renamed, and its text was not understood",
                    view.name
                )
            };
            match view.made {
                Made::Logged(program) => match named(&program.create) {
                    Some(create) => left.programs.push((view.name.clone(), Program { create, ..program })),
                    None => left.remarks.push(lost()),
                },
                Made::Base(definition) => {
                    let mut made = DefinitionText::parse(&definition.text)?;
                    let Some(create) = made.statements.first().and_then(|sql| named(sql)) else {
                        left.remarks.push(lost());
                        continue;
                    };
                    made.statements = vec![create];
                    left.definitions.push(Definition {
                        db: Some(view.name.db.clone()),
                        name: view.name.table.clone(),
                        text: made.text()?,
                        ..definition
                    });
                }
            }
        }
        Ok(left)
    }
}

/// Whether a statement leaves a view that is there.
fn only_if_missing(sql: &str, modes: Modes) -> bool {
    let words = words(sql, modes);
    let view = words.iter().position(|t| t.is("VIEW"));
    view.and_then(|at| words.get(at + 1..at + 4))
        .is_some_and(|next| next.iter().zip(["IF", "NOT", "EXISTS"]).all(|(t, word)| t.is(word)))
}

/// `ALTER VIEW` says all of it anew.
fn as_create(sql: &str, modes: Modes) -> String {
    let words = words(sql, modes);
    let alter = words.first().filter(|first| first.is("ALTER"));
    alter
        .and_then(|alter| replaced(sql, alter, alter, "CREATE"))
        .unwrap_or_else(|| sql.to_owned())
}

/// The statement that makes a view, under another name; `None` when its name is not found in it.
fn renamed(sql: &str, modes: Modes, name: &str) -> Option<String> {
    let words = words(sql, modes);
    let mut at = words.iter().position(|t| t.is("VIEW"))? + 1;
    if only_if_missing(sql, modes) {
        at += 3;
    }
    let token = match words.get(at + 1) {
        Some(dot) if dot.is_symbol('.') => words.get(at + 2)?,
        _ => words.get(at)?,
    };
    replaced(sql, token, token, &ident(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes() -> Modes {
        Modes::of(0, Flavor::MariaDb)
    }

    fn t(name: &str) -> TableName {
        TableName::new("d", name)
    }

    fn base(name: &str) -> Definition {
        let text = DefinitionText {
            statements: vec![format!(
                "CREATE ALGORITHM=UNDEFINED DEFINER=`VIEW`@`%` SQL SECURITY DEFINER VIEW `{name}` AS select 1 AS `{name}`"
            )],
            ..DefinitionText::default()
        };
        Definition {
            kind: kind::VIEW.to_owned(),
            db: Some("d".to_owned()),
            name: name.to_owned(),
            text: text.text().unwrap(),
        }
    }

    fn program(sql: &str) -> Program {
        Program {
            create: sql.to_owned(),
            ..Program::default()
        }
    }

    fn left(views: Views) -> Vec<(String, String)> {
        let left = views.finish().unwrap();
        assert!(left.remarks.is_empty(), "{:?}", left.remarks);
        let of_base = left.definitions.iter().map(|d| {
            (
                d.name.clone(),
                DefinitionText::parse(&d.text).unwrap().statements.concat(),
            )
        });
        let logged = left.programs.into_iter().map(|(n, p)| (n.table, p.create));
        of_base.chain(logged).collect()
    }

    #[test]
    fn views_that_are_swapped_have_each_others_names() {
        let mut definitions = vec![base("a")];
        let mut views = Views::take(&mut definitions, Flavor::MariaDb);
        assert!(definitions.is_empty());
        views.create(&t("b"), modes(), program("CREATE VIEW `d`.`b` AS select 2 AS `x`"));
        for (from, to) in [("a", "tmp"), ("b", "a"), ("tmp", "b")] {
            assert!(views.rename(&t(from), &t(to)));
        }
        assert!(!views.rename(&t("none"), &t("x")));
        let left = left(views);
        let wanted = [
            (
                "b",
                "CREATE ALGORITHM=UNDEFINED DEFINER=`VIEW`@`%` SQL SECURITY DEFINER VIEW `b` AS select 1 AS `a`",
            ),
            ("a", "CREATE VIEW `d`.`a` AS select 2 AS `x`"),
        ];
        assert_eq!(left, wanted.map(|(n, s)| (n.to_owned(), s.to_owned())));
    }

    #[test]
    fn the_last_statement_about_a_view_counts() {
        let mut views = Views::take(&mut vec![base("a"), base("b")], Flavor::MySql);
        views.create(
            &t("a"),
            modes(),
            program("ALTER ALGORITHM=MERGE VIEW `d`.`a` AS select 3"),
        );
        views.create(&t("a"), modes(), program("CREATE VIEW IF NOT EXISTS a AS select 4"));
        views.drop(&t("b"));
        assert_eq!(
            left(views),
            [(
                "a".to_owned(),
                "CREATE ALGORITHM=MERGE VIEW `d`.`a` AS select 3".to_owned()
            )]
        );
        let mut views = Views::take(&mut vec![base("a")], Flavor::MySql);
        views.database_gone("d");
        assert!(left(views).is_empty());
    }

    #[test]
    fn a_name_is_found_wherever_it_stands() {
        let sql = "CREATE OR REPLACE VIEW IF NOT EXISTS d . `a``b` (x) AS select 1";
        let wanted = "CREATE OR REPLACE VIEW IF NOT EXISTS d . `n` (x) AS select 1";
        assert_eq!(renamed(sql, modes(), "n").as_deref(), Some(wanted));
        assert_eq!(renamed("CREATE TABLE t (a int)", modes(), "n"), None);
    }
}
