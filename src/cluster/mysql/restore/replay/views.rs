//! Which views there are at each place of the log. Shadows hold none: what is there at the end is made after the switch, by
//! the statement that made it last.
//!
//! A server keeps a view with every name in it resolved: `SELECT *` means the columns that there were when it was made, the log
//! has only the text. So before anything that a view of the log may read changes, the view becomes what a server shows of it
//! then (see [`super::statements`]).

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};

use crate::cluster::ClusterError;
use crate::cluster::mysql::restore::programs::Program;
use crate::cluster::mysql::schema::definition::{DefinitionText, kind};
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::only_if_missing;
use crate::cluster::mysql::sql::view::{as_create, mentioned, renamed, takes_unnamed};
use crate::cluster::mysql::wire::Flavor;
use crate::model::definition::Definition;
use crate::model::table::TableName;

/// The views.
#[derive(Debug, Default)]
pub(super) struct Views(Vec<View>);

/// A view.
#[derive(Debug)]
pub(super) struct View {
    pub name: TableName,
    /// Whether it has no longer the name that its text has.
    moved: bool,
    pub modes: Modes,
    pub made: Made,
    /// The names in its text, once they were asked for.
    mentions: OnceCell<HashSet<String>>,
}

/// Where a view comes from.
#[derive(Debug)]
pub(super) enum Made {
    /// As a server shows it: of the base, or of the log.
    Shown(Definition),
    /// By a statement of the log.
    Logged {
        program: Program,
        /// The transaction of the statement, and its place in it.
        at: (u64, u64),
        /// Why it was not shown before something changed that it may read.
        missed: Option<String>,
    },
}

/// What a statement changes that views may read.
#[derive(Debug)]
pub(super) enum Touched {
    /// Tables and views, by their names in small letters.
    Names(HashSet<String>),
    /// Whatever there is.
    All,
}

/// What there is at the end.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Views as they were shown.
    pub definitions: Vec<Definition>,
    /// Views of the log, by the names that they have at the end.
    pub programs: Vec<(TableName, Program)>,
    /// What has to be said.
    pub remarks: Vec<String>,
}

impl View {
    /// The statement that makes it, by the name that it has now; `None` when its name is not found in it.
    pub fn create(&self) -> Result<Option<String>, ClusterError> {
        let sql = match &self.made {
            Made::Logged { program, .. } => Some(program.create.clone()),
            Made::Shown(definition) => {
                let made = DefinitionText::parse(&definition.text)?;
                made.qualified.or_else(|| made.statements.into_iter().next())
            }
        };
        Ok(sql.and_then(|sql| self.by_its_name(sql)))
    }

    fn by_its_name(&self, sql: String) -> Option<String> {
        match self.moved {
            true => renamed(&sql, self.modes, &self.name.table),
            false => Some(sql),
        }
    }

    fn mentions(&self) -> &HashSet<String> {
        // One whose text cannot be read is an error at the end.
        let read = || self.create().ok().flatten().unwrap_or_default();
        self.mentions.get_or_init(|| mentioned(&read(), self.modes))
    }

    fn mentions_any(&self, names: &HashSet<String>) -> bool {
        let own = self.mentions();
        match own.len() < names.len() {
            true => own.iter().any(|name| names.contains(name)),
            false => names.iter().any(|name| own.contains(name)),
        }
    }

    /// Whether it is still the text of the log, with nothing changed since.
    fn is_open(&self) -> bool {
        matches!(self.made, Made::Logged { missed: None, .. })
    }
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
            made: Made::Shown(definition),
            mentions: OnceCell::new(),
        });
        Views(of_base.collect())
    }

    /// One that the log makes or alters, `at` its place there.
    pub fn create(&mut self, name: &TableName, modes: Modes, program: Program, at: (u64, u64)) {
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
            made: Made::Logged {
                program: Program { create, ..program },
                at,
                missed: None,
            },
            mentions: OnceCell::new(),
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

    /// The views of the log that are not shown yet and may read what is touched, by themselves or through others.
    pub fn reading(&self, touched: Touched) -> Vec<TableName> {
        let open = || self.0.iter().filter(|v| v.is_open());
        if open().next().is_none() {
            return Vec::new();
        }
        let reached = match touched {
            Touched::All => return open().map(|v| v.name.clone()).collect(),
            Touched::Names(names) => self.reached(names),
        };
        let found = self
            .0
            .iter()
            .zip(reached)
            .filter(|(v, reached)| *reached && v.is_open());
        found.map(|(v, _)| v.name.clone()).collect()
    }

    /// Of each view whether it mentions one of the names, or a view that does.
    fn reached(&self, mut names: HashSet<String>) -> Vec<bool> {
        let mut reached = vec![false; self.0.len()];
        while !names.is_empty() {
            let mut next = HashSet::new();
            for (view, reached) in self.0.iter().zip(&mut reached).filter(|(_, reached)| !**reached) {
                *reached = view.mentions_any(&names);
                if *reached {
                    next.insert(view.name.table.to_lowercase());
                }
            }
            names = next;
        }
        reached
    }

    /// These views and all that they may read, in the order of their making.
    pub fn with_what_they_read(&self, names: &BTreeSet<TableName>) -> Vec<&View> {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, view) in self.0.iter().enumerate() {
            by_name.entry(view.name.table.to_lowercase()).or_default().push(at);
        }
        let mut wanted: Vec<bool> = self.0.iter().map(|v| names.contains(&v.name)).collect();
        let mut todo: Vec<&View> = self.0.iter().filter(|v| names.contains(&v.name)).collect();
        while let Some(view) = todo.pop() {
            for at in view.mentions().iter().filter_map(|name| by_name.get(name)).flatten() {
                let (Some(other), Some(wanted)) = (self.0.get(*at), wanted.get_mut(*at)) else {
                    continue;
                };
                if !std::mem::replace(wanted, true) {
                    todo.push(other);
                }
            }
        }
        let found = self.0.iter().zip(wanted).filter(|(_, wanted)| *wanted);
        found.map(|(view, _)| view).collect()
    }

    /// Where in the log an open view was made.
    pub fn made_at(&self, name: &TableName) -> Option<(u64, u64)> {
        let view = self.0.iter().find(|v| v.name == *name)?;
        match view.made {
            Made::Logged { at, .. } => Some(at),
            Made::Shown(_) => None,
        }
    }

    /// What a server shows of a view, or why that is not known.
    pub fn shown(&mut self, name: &TableName, shown: Result<Definition, String>) {
        let Some(view) = self.0.iter_mut().find(|v| v.name == *name) else {
            return;
        };
        match (shown, &mut view.made) {
            (Ok(definition), _) => {
                view.made = Made::Shown(definition);
                view.moved = false;
                view.modes = Modes::of(0, view.modes.flavor);
                view.mentions = OnceCell::new();
            }
            (Err(why), Made::Logged { missed, .. }) => *missed = Some(why),
            (Err(_), Made::Shown(_)) => {}
        }
    }

    /// The views that are not shown.
    pub fn logged(&self) -> impl Iterator<Item = &TableName> {
        let logged = self.0.iter().filter(|v| matches!(v.made, Made::Logged { .. }));
        logged.map(|v| &v.name)
    }

    /// What is to be made after the switch.
    pub fn finish(self) -> Result<Left, ClusterError> {
        let mut left = Left::default();
        for view in self.0 {
            if !view.finish(&mut left)? {
                left.remarks.push(format!(
                    "view {} is left out: it was renamed, and its text was not understood",
                    view.name
                ));
            }
        }
        Ok(left)
    }
}

impl View {
    /// Adds what makes it by the name that it has at the end; `false` when its name is not found in that.
    fn finish(&self, left: &mut Left) -> Result<bool, ClusterError> {
        match &self.made {
            Made::Logged { program, missed, .. } => {
                let Some(create) = self.create()? else {
                    return Ok(false);
                };
                if let Some(why) = missed.as_ref().filter(|_| takes_unnamed(&create, self.modes)) {
                    left.remarks.push(format!(
                        "view {} takes columns without naming them, from tables that changed later, and may have others now than at the \
                         source: {why}",
                        self.name
                    ));
                }
                let program = Program {
                    create,
                    ..program.clone()
                };
                left.programs.push((self.name.clone(), program));
            }
            Made::Shown(definition) => {
                let made = DefinitionText::parse(&definition.text)?;
                let named = |sql: &String| self.by_its_name(sql.clone());
                let statements: Option<Vec<String>> = made.statements.iter().map(named).collect();
                let Some(statements) = statements else {
                    return Ok(false);
                };
                let qualified = made.qualified.as_ref().and_then(named);
                let text = DefinitionText {
                    statements,
                    qualified,
                    ..made
                };
                left.definitions.push(Definition {
                    db: Some(self.name.db.clone()),
                    name: self.name.table.clone(),
                    text: text.text()?,
                    ..definition.clone()
                });
            }
        }
        Ok(true)
    }
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
        views.create(
            &t("b"),
            modes(),
            program("CREATE VIEW `d`.`b` AS select 2 AS `x`"),
            (1, 0),
        );
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
            (1, 0),
        );
        views.create(
            &t("a"),
            modes(),
            program("CREATE VIEW IF NOT EXISTS a AS select 4"),
            (2, 0),
        );
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

    /// `w` of the base reads `t`; of the log are `x`, which reads `w`, `y`, which reads `x`, and `z`.
    fn on_each_other() -> Views {
        let mut definitions = vec![base("w")];
        let text = DefinitionText {
            statements: vec!["CREATE VIEW `w` AS select `t`.`a` AS `a` from `t`".to_owned()],
            ..DefinitionText::default()
        };
        definitions[0].text = text.text().unwrap();
        let mut views = Views::take(&mut definitions, Flavor::MySql);
        for (at, (name, query)) in [
            ("x", "select * from W"),
            ("y", "select * from d.x"),
            ("z", "select t.y from z"),
        ]
        .into_iter()
        .enumerate()
        {
            let sql = format!("CREATE DEFINER=`t`@`w` VIEW `{name}` AS {query}");
            views.create(&t(name), modes(), program(&sql), (at as u64, 0));
        }
        views
    }

    fn reading(views: &Views, touched: &str) -> String {
        let names = touched.split(' ').map(str::to_owned).collect();
        let found = views.reading(Touched::Names(names));
        found.iter().map(|n| n.table.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_reads_a_table_reads_it_through_views_too() {
        let mut views = on_each_other();
        assert_eq!(
            reading(&views, "w"),
            "x y z",
            "a column of that name counts: it costs nothing"
        );
        assert_eq!(reading(&views, "x"), "y z");
        assert_eq!(reading(&views, "t"), "x y z");
        assert_eq!(reading(&views, "nobody localhost"), "");
        views.shown(&t("x"), Ok(base("x")));
        views.shown(&t("y"), Err("why".to_owned()));
        assert_eq!(reading(&views, "t"), "z", "each is shown once");
        assert_eq!(views.reading(Touched::All), [t("z")]);
    }

    #[test]
    fn a_view_stands_on_what_it_reads() {
        let views = on_each_other();
        let on = |names: &[&str]| {
            let names = names.iter().map(|n| t(n)).collect();
            let found = views.with_what_they_read(&names);
            found
                .iter()
                .map(|v| v.name.table.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(on(&["w"]), "w");
        assert_eq!(on(&["y"]), "w x y");
        assert_eq!(on(&["z", "x"]), "w x y z");
    }

    #[test]
    fn what_was_shown_is_what_is_left() {
        let mut views = on_each_other();
        assert_eq!(views.made_at(&t("y")), Some((1, 0)));
        assert!(views.rename(&t("x"), &t("x2")));
        let mut shown = base("x2");
        shown.text = shown.text.replace("select 1", "select 7");
        views.shown(&t("x2"), Ok(shown));
        views.shown(&t("y"), Err("it was too late".to_owned()));
        views.shown(&t("z"), Err("it was too late".to_owned()));
        let left = views.finish().unwrap();
        assert_eq!(left.definitions.len(), 2);
        assert!(left.definitions[1].text.contains("VIEW `x2` AS select 7"));
        assert_eq!(left.programs.len(), 2);
        let [remark] = left.remarks.as_slice() else {
            panic!("{:?}: `z` names its columns", left.remarks);
        };
        assert!(remark.contains("d.y") && remark.contains("too late"), "{remark}");
    }
}
