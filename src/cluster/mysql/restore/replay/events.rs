//! Which events there are at each place of the log. Each is made once, after the switch, as it is at the end: one that the
//! log drops or disables never comes to life.

use crate::cluster::mysql::restore::programs::{self, Program};
use crate::cluster::mysql::schema::definition::kind;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::statement::Act;
use crate::cluster::mysql::sql::tokens::{Token, TokenKind, only_if_missing, tokens, words};
use crate::cluster::mysql::text::ident;
use crate::cluster::mysql::wire::Flavor;
use crate::model::definition::Definition;
use crate::model::table::TableName;

/// The events.
#[derive(Debug, Default)]
pub(super) struct Events(Vec<Event>);

#[derive(Debug)]
struct Event {
    name: TableName,
    made: Made,
}

#[derive(Debug)]
enum Made {
    /// As the base has it.
    Base(Definition),
    /// What makes it, and changes of it that were not understood; with the modes of the first.
    Changed(Vec<Program>, Modes),
}

/// A statement of the log about an event.
pub(super) struct Change {
    pub program: Program,
    pub modes: Modes,
    /// Who ran it, as statements write an account: `ALTER EVENT` makes him the definer.
    pub invoker: Option<String>,
}

impl Events {
    /// Takes the events out of the base's definitions.
    pub fn take(definitions: &mut Vec<Definition>) -> Events {
        let (events, others): (Vec<_>, Vec<_>) = std::mem::take(definitions)
            .into_iter()
            .partition(|d| d.kind == kind::EVENT);
        *definitions = others;
        let of_base = events.into_iter().map(|definition| Event {
            name: TableName::new(definition.db.clone().unwrap_or_default(), definition.name.clone()),
            made: Made::Base(definition),
        });
        Events(of_base.collect())
    }

    /// What a statement of the log does to them; what has to be said.
    pub fn follow(&mut self, act: Act, names: &[TableName], change: Change, flavor: Flavor) -> Option<String> {
        let name = names.first()?;
        match act {
            Act::Create => self.create(name, change),
            Act::Drop => self.drop(name),
            Act::Alter => {
                let said =
                    format!("a change of event {name} in the log is left out, because the backup has no such event");
                return (!self.alter(names, change, flavor)).then_some(said);
            }
        }
        None
    }

    /// One that the log makes.
    fn create(&mut self, name: &TableName, change: Change) {
        let kept = only_if_missing(&change.program.create, change.modes) && self.0.iter().any(|e| e.name == *name);
        if kept {
            return;
        }
        self.drop(name);
        self.0.push(Event {
            name: name.clone(),
            made: Made::Changed(vec![change.program], change.modes),
        });
    }

    /// One goes.
    fn drop(&mut self, name: &TableName) {
        self.0.retain(|e| e.name != *name);
    }

    /// A database goes.
    pub fn database_gone(&mut self, db: &str) {
        self.0.retain(|e| e.name.db != db);
    }

    /// One that the log alters, and perhaps renames; `false` when there is none of that name.
    fn alter(&mut self, names: &[TableName], change: Change, flavor: Flavor) -> bool {
        let Some((old, new)) = names.first().zip(names.last()) else {
            return false;
        };
        let Some(event) = self.0.iter_mut().find(|e| e.name == *old) else {
            return false;
        };
        if let Made::Base(definition) = &event.made {
            let Ok(Some(program)) = programs::of_backup(definition, &old.db) else {
                return false;
            };
            // A server shows it in the plain form, whatever mode it was made in.
            event.made = Made::Changed(vec![program], Modes::of(0, flavor));
        }
        event.name = new.clone();
        if let Made::Changed(list, modes) = &mut event.made {
            let merged = match list.as_slice() {
                [only] => merge(only, *modes, &change, new),
                _ => None,
            };
            match merged {
                Some((program, of)) => (*list, *modes) = (vec![program], of),
                None => list.push(change.program),
            }
        }
        true
    }

    /// What is to be made after the switch: events of the base that nothing changed, and the others by their names.
    pub fn finish(self) -> (Vec<Definition>, Vec<(TableName, Vec<Program>)>) {
        let (mut definitions, mut changed) = (Vec::new(), Vec::new());
        for event in self.0 {
            match event.made {
                Made::Base(definition) => definitions.push(definition),
                Made::Changed(mut list, _) => {
                    if let Some(first) = list.first_mut() {
                        first.drop = Some(programs::drop_of("EVENT", &event.name));
                    }
                    changed.push((event.name, list));
                }
            }
        }
        (definitions, changed)
    }
}

/// The parts of a statement that makes or alters an event, as they stand there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parts<'a> {
    definer: Option<&'a str>,
    schedule: Option<&'a str>,
    completion: Option<&'a str>,
    status: Option<&'a str>,
    comment: Option<&'a str>,
    body: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// `None` where it is not understood.
    fn read(sql: &'a str, modes: Modes) -> Option<Parts<'a>> {
        // Comments whose inside is executed could begin in one part and end in another.
        let executed = |t: &Token<'_>| ["/*!", "/*M!", "*/"].iter().any(|c| t.text.starts_with(c));
        if tokens(sql, modes)
            .iter()
            .any(|t| t.kind == TokenKind::Space && executed(t))
        {
            return None;
        }
        let words = words(sql, modes);
        let mut parts = Parts::default();
        let event = words.iter().position(|t| t.is("EVENT"))?;
        if let Some(from) = words.iter().take(event).position(|t| t.is("DEFINER")) {
            parts.definer = sql.get(words.get(from)?.at..words.get(event.checked_sub(1)?)?.end());
        }
        let mut at = event + 1;
        if words.get(at)?.is("IF") {
            at += if words.get(at + 1)?.is("NOT") { 3 } else { 2 };
        }
        at += if words.get(at + 1).is_some_and(|t| t.is_symbol('.')) {
            3
        } else {
            1
        };
        // Where parts begin, the end last.
        let mut starts: Vec<usize> = Vec::new();
        let mut depth = 0_usize;
        for (k, word) in words.iter().enumerate().skip(at) {
            let next = |list: &[&str]| words.get(k + 1).is_some_and(|n| list.iter().any(|w| n.is(w)));
            match () {
                () if word.is_symbol('(') => depth += 1,
                () if word.is_symbol(')') => depth = depth.checked_sub(1)?,
                () if depth > 0 => {}
                () if word.is("DO") => {
                    starts.push(k);
                    break;
                }
                () if (word.is("ON") && next(&["SCHEDULE", "COMPLETION"]))
                    || (word.is("RENAME") && next(&["TO"]))
                    || ["ENABLE", "DISABLE", "COMMENT"].iter().any(|w| word.is(w)) =>
                {
                    starts.push(k);
                }
                () => {}
            }
        }
        if starts.first().is_some_and(|first| *first != at) || (starts.is_empty() && at < words.len()) {
            return None;
        }
        for (k, start) in starts.iter().enumerate() {
            let (first, second) = (words.get(*start)?, words.get(start + 1));
            let last = match starts.get(k + 1) {
                Some(next) => next.checked_sub(1)?,
                None => words.len().checked_sub(1)?,
            };
            let text = sql.get(first.at..words.get(last)?.end())?;
            let part = match () {
                () if first.is("DO") => &mut parts.body,
                () if first.is("COMMENT") => &mut parts.comment,
                () if first.is("ON") && second?.is("SCHEDULE") => &mut parts.schedule,
                () if first.is("ON") => &mut parts.completion,
                () if first.is("RENAME") => continue,
                () => &mut parts.status,
            };
            *part = Some(text);
        }
        Some(parts)
    }
}

/// What makes an event as it is after a change; the modes are those of its body. `None` where a text is not understood.
fn merge(old: &Program, old_modes: Modes, change: &Change, name: &TableName) -> Option<(Program, Modes)> {
    let new = &change.program;
    let (was, by) = (
        Parts::read(&old.create, old_modes)?,
        Parts::read(&new.create, change.modes)?,
    );
    let of_invoker = change.invoker.as_ref().map(|who| format!("DEFINER = {who}"));
    let definer = by.definer.or(of_invoker.as_deref()).or(was.definer).unwrap_or_default();
    let parts = [
        by.schedule.or(was.schedule),
        by.completion.or(was.completion),
        by.status.or(was.status),
        by.comment.or(was.comment),
        by.body.or(was.body),
    ];
    let mut create = format!("CREATE {definer} EVENT {}.{}", ident(&name.db), ident(&name.table));
    for part in parts.into_iter().flatten() {
        create.push('\n');
        create.push_str(part);
    }
    let (mut settings, modes) = match by.body {
        Some(_) => (new.settings.clone(), change.modes),
        None => (old.settings.clone(), old_modes),
    };
    let of_schedule = match by.schedule {
        Some(_) => &new.settings,
        None => &old.settings,
    };
    let begins = |s: &str, list: &[&str]| list.iter().any(|b| s.starts_with(b));
    let timely = ["SET SESSION timestamp ", "SET SESSION time_zone "];
    settings.extend(of_schedule.iter().filter(|s| begins(s, &timely)).cloned());
    // Every change takes the charset of its session, as far as that can say all of it.
    let spoken = ["SET SESSION character_set_client ", "SET SESSION collation_connection "];
    let fits =
        |s: &&String| begins(s, &spoken) && (create.is_ascii() || s.contains("utf8mb4") || s.contains("collation"));
    settings.extend(new.settings.iter().filter(fits).cloned());
    let program = Program {
        what: format!("event {name}"),
        db: name.db.clone(),
        settings,
        create,
        ..old.clone()
    };
    Some((program, modes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::schema::definition::DefinitionText;

    fn modes() -> Modes {
        Modes::of(0, Flavor::MariaDb)
    }

    fn t(name: &str) -> TableName {
        TableName::new("d", name)
    }

    fn change(sql: &str, settings: &[&str]) -> Change {
        Change {
            program: Program {
                create: sql.to_owned(),
                settings: settings.iter().map(|s| (*s).to_owned()).collect(),
                event: true,
                ..Program::default()
            },
            modes: modes(),
            invoker: Some("`boss`@`%`".to_owned()),
        }
    }

    fn base(name: &str) -> Definition {
        let text = DefinitionText {
            statements: vec![format!(
                "CREATE DEFINER=`a`@`%` EVENT `{name}` ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 00:00:00' \
                 ON COMPLETION NOT PRESERVE ENABLE DO delete from t where c = 'DO; ENABLE'"
            )],
            time_zone: Some("+01:00".to_owned()),
            ..DefinitionText::default()
        };
        Definition {
            kind: kind::EVENT.to_owned(),
            db: Some("d".to_owned()),
            name: name.to_owned(),
            text: text.text().unwrap(),
        }
    }

    #[test]
    fn a_change_becomes_part_of_what_makes_the_event() {
        let mut events = Events::take(&mut vec![base("e"), base("kept")]);
        let disable = change(
            "alter event e rename to d.`e2` disable comment 'x'",
            &["SET SESSION time_zone = '+09:00'"],
        );
        assert!(events.alter(&[t("e"), t("e2")], disable, Flavor::MariaDb));
        assert!(!events.alter(&[t("e")], change("alter event e enable", &[]), Flavor::MariaDb));
        let (left, changed) = events.finish();
        assert_eq!(left, [base("kept")]);
        let [(name, list)] = changed.as_slice() else {
            panic!("{changed:?}");
        };
        assert_eq!(*name, t("e2"));
        let [program] = list.as_slice() else {
            panic!("{list:?}");
        };
        assert_eq!(
            program.create,
            "CREATE DEFINER = `boss`@`%` EVENT `d`.`e2`\nON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 00:00:00'\n\
             ON COMPLETION NOT PRESERVE\ndisable\ncomment 'x'\nDO delete from t where c = 'DO; ENABLE'"
        );
        assert_eq!(program.drop.as_deref(), Some("DROP EVENT IF EXISTS `d`.`e2`"));
        assert_eq!(
            program.settings.last().map(String::as_str),
            Some("SET SESSION time_zone = '+01:00'"),
            "that of the schedule"
        );
    }

    #[test]
    fn what_is_dropped_is_not_made() {
        let mut events = Events::take(&mut vec![base("a"), base("b")]);
        events.drop(&t("a"));
        events.create(
            &t("b"),
            change(
                "create event if not exists d.b on schedule every 1 hour do select 2",
                &[],
            ),
        );
        events.create(
            &t("c"),
            change("create event c on schedule every 1 hour do select 3", &[]),
        );
        let (left, changed) = events.finish();
        assert_eq!(left, [base("b")]);
        assert_eq!(changed.len(), 1);
        let mut events = Events::take(&mut vec![base("a")]);
        events.database_gone("d");
        assert_eq!(events.finish(), (Vec::new(), Vec::new()));
    }

    #[test]
    fn parts_are_found_where_they_stand() {
        let sql = "CREATE OR REPLACE DEFINER=`x`@`y` EVENT IF NOT EXISTS d . e ON SCHEDULE AT (now() + interval (1) day) -- DO\n \
                   DISABLE ON SLAVE COMMENT 'ENABLE' DO BEGIN ENABLE; END";
        let parts = Parts::read(sql, modes()).unwrap();
        let wanted = Parts {
            definer: Some("DEFINER=`x`@`y`"),
            schedule: Some("ON SCHEDULE AT (now() + interval (1) day)"),
            completion: None,
            status: Some("DISABLE ON SLAVE"),
            comment: Some("COMMENT 'ENABLE'"),
            body: Some("DO BEGIN ENABLE; END"),
        };
        assert_eq!(parts, wanted);
        for odd in [
            "/*!50106 CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO select 1 */",
            "ALTER EVENT e nonsense",
        ] {
            assert_eq!(Parts::read(odd, modes()), None, "{odd}");
        }
    }

    #[test]
    fn what_is_not_understood_is_run_behind_it() {
        let mut events = Events::take(&mut vec![base("a")]);
        events.alter(
            &[t("a")],
            change("ALTER /*!50106 EVENT a DISABLE */", &[]),
            Flavor::MariaDb,
        );
        let (_, changed) = events.finish();
        let texts = changed.first().map(|(_, list)| list.len());
        assert_eq!(texts, Some(2));
    }
}
