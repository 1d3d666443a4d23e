//! What the statements of a log come to at its end: what is left for the switch.

use std::collections::BTreeSet;

use super::super::Collected;
use super::super::rewrite::malformed;
use super::{Collect, Statements, what};
use crate::cluster::ClusterError;
use crate::cluster::mysql::restore::names::target_db;
use crate::cluster::mysql::restore::programs::{Program, drop_of};
use crate::cluster::mysql::restore::publish;
use crate::cluster::mysql::schema::definition::{DefinitionText, kind};
use crate::cluster::mysql::sql::statement::ProgramKind;
use crate::cluster::mysql::text::ident;
use crate::model::definition::Definition;

impl Statements {
    /// Views and events that there are now.
    fn finish_programs(&mut self) -> Result<(), ClusterError> {
        let (of_base, changed) = std::mem::take(&mut self.events).finish();
        self.definitions.extend(of_base);
        for (name, programs) in changed {
            if self.is_chosen(&name, &name, ProgramKind::Event) {
                self.programs.extend(programs.into_iter().map(|program| Collect {
                    dbs: BTreeSet::from([name.db.clone()]),
                    default_db: program.db.clone(),
                    program,
                }));
            }
        }
        self.show_renamed()?;
        let views = std::mem::take(&mut self.views).finish()?;
        self.definitions.extend(views.definitions);
        self.remarks.extend(views.remarks);
        for (name, program) in views.programs {
            if !self.is_chosen(&name, &name, ProgramKind::View) {
                continue;
            }
            self.programs.push(Collect {
                dbs: BTreeSet::from([name.db.clone()]),
                default_db: program.db.clone(),
                program: Program {
                    what: what(ProgramKind::View, std::slice::from_ref(&name)),
                    db: target_db(&self.ask, &program.db),
                    drop: Some(drop_of("VIEW", &name)),
                    patient: true,
                    ..program
                },
            });
        }
        Ok(())
    }

    /// What is left for the switch.
    pub fn end(mut self) -> Result<Collected, ClusterError> {
        let there: Vec<String> = publish::own_databases(&mut self.conn, &self.shadows.prefix())?;
        self.shadows.of.retain(|_, shadow| there.contains(shadow));
        // A database has the options that its shadow has now.
        for (db, shadow) in self.shadows.of.clone() {
            let row = self
                .conn
                .row(&format!("SHOW CREATE DATABASE {}", ident(&shadow)))
                .map_err(|e| e.doing(format!("reading the definition of {shadow}")))?;
            let create = row.map(|r| r.text(1)).unwrap_or_default();
            let options = create
                .strip_prefix(&format!("CREATE DATABASE {}", ident(&shadow)))
                .ok_or_else(|| malformed("a database has no definition"))?;
            let text = DefinitionText {
                statements: vec![format!("CREATE DATABASE {}{options}", ident(&db))],
                db_collation: publish::collation_of(&mut self.conn, &shadow)?,
                ..DefinitionText::default()
            };
            self.definitions.retain(|d| !(d.kind == kind::DATABASE && d.name == db));
            self.definitions.insert(
                0,
                Definition {
                    kind: kind::DATABASE.to_owned(),
                    db: Some(db.clone()),
                    name: db.clone(),
                    text: text.text()?,
                },
            );
        }
        self.finish_programs()?;
        let triggers = std::mem::take(&mut self.triggers).finish()?;
        self.definitions.extend(triggers.definitions);
        self.remarks.extend(triggers.remarks);
        let known: BTreeSet<&str> = self.shadows.of.keys().map(String::as_str).collect();
        let defined = self.definitions.iter().filter(|d| d.kind == kind::DATABASE);
        let known: BTreeSet<&str> = known.into_iter().chain(defined.map(|d| d.name.as_str())).collect();
        let mut programs = Vec::with_capacity(self.programs.len() + triggers.programs.len());
        for one in self.programs {
            // Its default database is gone, or there was none: then it names every database.
            let own = match known.contains(one.default_db.as_str()) {
                true => None,
                false => one.dbs.first().map(|db| target_db(&self.ask, db)),
            };
            programs.push(Program {
                db: own.unwrap_or(one.program.db),
                ..one.program
            });
        }
        programs.extend(triggers.programs);
        Ok(Collected {
            shadows: self.shadows,
            definitions: self.definitions,
            programs,
            accounts: self.accounts,
            remarks: self.remarks,
        })
    }
}
