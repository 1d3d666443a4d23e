//! The statement that makes a view: its parts, and the databases that its query names.
//!
//! Both servers log a view as it was typed, with a head of their own, and keep it with every name resolved: `*`, `NATURAL` and
//! `USING` mean the columns that there were. So what a logged view is depends on when it is read.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Modes;
use super::tokens::{Token, TokenKind, replaced, words};
use crate::cluster::mysql::text::{ident, table};
use crate::model::table::TableName;

/// Characters that a column's name may have; a longer one is `Name_exp_N`.
const LONGEST_NAME: usize = 64;
const NUMBERED: &str = "name_exp_";

/// Where the databases are in which a view is made for a while.
pub trait Places {
    /// The place of a database; `None` of one that stays where it is.
    fn place(&self, db: &str) -> Option<String>;
    /// The database whose place this is.
    fn db(&self, place: &str) -> Option<String>;
}

/// A view's statement with its databases under other names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// What makes it, whoever runs it as its definer.
    pub create: String,
    /// The account that is its definer, as it is written in a statement.
    definer: String,
    /// New names in expressions, and what was typed there: servers call a column without a name by its text.
    typed: BTreeMap<String, BTreeSet<String>>,
    /// All names in the statement.
    names: HashSet<String>,
}

/// `ALTER VIEW` says all of it anew.
pub fn as_create(sql: &str, modes: Modes) -> String {
    let words = words(sql, modes);
    let alter = words.first().filter(|first| first.is("ALTER"));
    alter
        .and_then(|alter| replaced(sql, alter, alter, "CREATE"))
        .unwrap_or_else(|| sql.to_owned())
}

/// The statement that makes a view, under another name; `None` when its name is not found in it.
pub fn renamed(sql: &str, modes: Modes, name: &str) -> Option<String> {
    let words = words(sql, modes);
    let [.., token] = Parts::of(&words)?.name else {
        return None;
    };
    replaced(sql, token, token, &ident(name))
}

/// The statement that makes a view or a function, so that whoever runs it becomes its definer; `None` when it names none.
pub fn without_definer(sql: &str, modes: Modes) -> Option<String> {
    let words = words(sql, modes);
    let kind = words.iter().position(|t| t.is("VIEW") || t.is("FUNCTION"))?;
    match definer(words.get(..kind)?) {
        [first, .., last] => replaced(sql, first, last, ""),
        _ => None,
    }
}

/// The names in a view's query, in small letters: all that it can read, and more.
pub fn mentioned(sql: &str, modes: Modes) -> HashSet<String> {
    let words = words(sql, modes);
    let query = Parts::of(&words).map_or(words.as_slice(), |parts| parts.query);
    let names = query.iter().filter(|t| is_name(t));
    names.map(|t| t.name().to_lowercase()).collect()
}

/// Whether a query takes columns that it does not name.
pub fn takes_unnamed(sql: &str, modes: Modes) -> bool {
    let words = words(sql, modes);
    let star = |two: &[Token<'_>]| match two {
        [before, star] if star.is_symbol('*') => {
            before.is_symbol('.')
                || before.is_symbol(',')
                || (before.kind == TokenKind::Word
                    && ["SELECT", "ALL", "DISTINCT", "DISTINCTROW", "STRAIGHT_JOIN"]
                        .iter()
                        .any(|w| before.is(w)))
                || (before.kind == TokenKind::Word && before.text.to_ascii_uppercase().starts_with("SQL_"))
        }
        _ => false,
    };
    words.windows(2).any(star)
        || words
            .iter()
            .any(|t| ["NATURAL", "USING", "TABLE"].iter().any(|w| t.is(w)))
}

/// A view's statement with every database written out, as one of another database that reads that where it read its own.
pub fn in_database(sql: &str, modes: Modes, from: &str, to: &str) -> Option<String> {
    let words = words(sql, modes);
    let parts = Parts::of(&words)?;
    let own = parts.name.first().filter(|_| parts.name.len() > 1);
    let named = databases(parts.query).map(|named| named.token);
    let read = own.into_iter().chain(named).filter(|t| t.name() == from);
    Some(spliced(sql, 0, read.map(|t| (t, ident(to)))))
}

/// A text from a place on, with other text for some of its tokens, which come in order.
fn spliced<'w, 'a: 'w>(sql: &str, from: usize, new: impl Iterator<Item = (&'w Token<'a>, String)>) -> String {
    let (mut out, mut at) = (String::with_capacity(sql.len()), from);
    for (token, text) in new {
        out.push_str(sql.get(at..token.at).unwrap_or_default());
        out.push_str(&text);
        at = token.end();
    }
    out.push_str(sql.get(at..).unwrap_or_default());
    out
}

/// Whether a query names a database.
pub fn names_databases(sql: &str, modes: Modes) -> bool {
    let words = words(sql, modes);
    Parts::of(&words).is_some_and(|parts| databases(parts.query).next().is_some())
}

/// What a query as a server shows it calls its columns; `None` where it is not one plain list.
pub fn columns(query: &str, modes: Modes) -> Option<Vec<String>> {
    let words = words(query, modes);
    let (select, list) = words.split_first()?;
    if !select.is("SELECT") {
        return None;
    }
    let mut depth = 0_u32;
    let from = |t: &&Token<'_>| {
        match t.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        !(depth == 0 && t.is("FROM"))
    };
    let list: Vec<&Token<'_>> = list.iter().take_while(from).collect();
    let mut depth = 0_u32;
    let items = list.split(|t| {
        match t.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && t.is_symbol(',')
    });
    let name = |item: &[&Token<'_>]| match item {
        [.., word, name] if word.is("AS") && name.kind == TokenKind::Name => Some(name.name()),
        _ => None,
    };
    items.map(name).collect()
}

/// The number of arguments with which a query calls a function.
pub fn arguments(sql: &str, modes: Modes, function: &str) -> Option<usize> {
    let words = words(sql, modes);
    let called = |two: &[Token<'_>]| match two {
        [name, open] => is_name(name) && name.name().eq_ignore_ascii_case(function) && open.is_symbol('('),
        _ => false,
    };
    let at = words.windows(2).position(called)?;
    let list = words.get(at + 2..)?;
    if list.first()?.is_symbol(')') {
        return Some(0);
    }
    let (mut depth, mut count) = (1, 1);
    for token in list {
        match token.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 1 => count += 1,
            _ => {}
        }
        if depth == 0 {
            return Some(count);
        }
    }
    None
}

/// A view's statement, to make it as `own`, with the databases in their places.
///
/// `Err` says what was not understood.
pub fn moved(sql: &str, modes: Modes, own: &TableName, places: &dyn Places) -> Result<Moved, String> {
    let words = words(sql, modes);
    let parts = Parts::of(&words).ok_or("its name is not found")?;
    let definer = parts.definer().ok_or("its definer is not found")?;
    let mut typed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut new = Vec::new();
    for named in databases(parts.query) {
        let Some(name) = places.place(&named.token.name()) else {
            continue;
        };
        if named.in_expression {
            let typed = typed.entry(name.clone()).or_default();
            typed.insert(named.token.text.to_owned());
        }
        new.push((named.token, name));
    }
    let behind = parts.name.last().map_or(0, Token::end);
    let create = parts.head(&words) + &table(&own.db, &own.table) + &spliced(sql, behind, new.into_iter());
    Ok(Moved {
        create,
        definer,
        typed,
        names: mentioned(sql, modes),
    })
}

impl Moved {
    /// What the server shows of it, with every column called as it was with what was typed; `None` where they are.
    ///
    /// `Err` says what is not known.
    pub fn called_as_typed(&self, shown: &str, modes: Modes, places: &dyn Places) -> Result<Option<String>, String> {
        let called = with_names(shown, modes, |name| match places.db(name) {
            Some(_) => Ok(name.to_owned()),
            None => self.as_typed(name),
        })?;
        Ok((called != shown).then_some(called))
    }

    /// What the server shows of it, with the name of each database again, and its definer.
    ///
    /// `Err` says why this is not what the view was: then what is shown counts for nothing.
    pub fn back(&self, shown: &str, modes: Modes, places: &dyn Places) -> Result<String, String> {
        let of_shown = words(shown, modes);
        let parts = Parts::of(&of_shown).ok_or("the server shows no view")?;
        let is_another = |db: &str| places.db(db).is_none() && places.place(db).is_some();
        if let Some(named) = databases(parts.query).find(|n| is_another(&n.token.name())) {
            return Err(format!("a name in {} was not found", named.token.text));
        }
        let back = with_names(shown, modes, |name| {
            Ok(places.db(name).unwrap_or_else(|| name.to_owned()))
        })?;
        let of_back = words(&back, modes);
        let by_whom = match Parts::of(&of_back).map(|parts| parts.definer) {
            Some([first, .., last]) => replaced(&back, first, last, &self.definer),
            _ => None,
        };
        by_whom.ok_or_else(|| "the server shows no definer".to_owned())
    }

    /// A column's name as it was with what was typed.
    fn as_typed(&self, name: &str) -> Result<String, String> {
        let unknown = || Err("the name of a column is not found".to_owned());
        let lower = name.to_lowercase();
        if !self.typed.is_empty() && lower.starts_with(NUMBERED) && !self.names.contains(&lower) {
            return unknown();
        }
        let mut called = name.to_owned();
        for (new, typed) in self.typed.iter().filter(|(new, _)| name.contains(*new)) {
            match typed.first().filter(|_| typed.len() == 1) {
                Some(typed) => called = called.replace(new, typed),
                None => return Err("it writes the name of a database in two ways".to_owned()),
            }
        }
        match called.chars().count() > LONGEST_NAME {
            true => unknown(),
            false => Ok(called),
        }
    }
}

/// A view's statement as a server shows it, with other names in it, its own apart.
fn with_names(shown: &str, modes: Modes, new: impl Fn(&str) -> Result<String, String>) -> Result<String, String> {
    let words = words(shown, modes);
    let parts = Parts::of(&words).ok_or("the server shows no view")?;
    let names = parts.name.iter().chain(parts.query);
    let mut others = Vec::new();
    for token in names.filter(|t| t.kind == TokenKind::Name) {
        let name = token.name();
        let new = new(&name)?;
        if new != name {
            others.push((token, ident(&new)));
        }
    }
    Ok(spliced(shown, 0, others.into_iter()))
}

/// `DEFINER = user@host` among what stands before the kind of a program.
fn definer<'w, 'a>(head: &'w [Token<'a>]) -> &'w [Token<'a>] {
    let begin = head.iter().position(|t| t.is("DEFINER"));
    // The word that SQL SECURITY has behind it may be DEFINER too.
    let is_clause = |at: &usize| {
        !at.checked_sub(1)
            .and_then(|at| head.get(at))
            .is_some_and(|t| t.is("SECURITY"))
    };
    let clause = begin
        .filter(is_clause)
        .and_then(|at| head.get(at..))
        .unwrap_or_default();
    let end = clause.iter().position(|t| t.is("SQL") || t.is("AGGREGATE"));
    clause.get(..end.unwrap_or(clause.len())).unwrap_or_default()
}

/// A name in quotes or without.
fn is_name(token: &Token<'_>) -> bool {
    matches!(token.kind, TokenKind::Word | TokenKind::Name)
}

/// The parts of a view's statement.
struct Parts<'w, 'a> {
    /// Where the word `VIEW` stands.
    view: usize,
    /// `DEFINER = user@host`.
    definer: &'w [Token<'a>],
    /// `db.name` or `name`.
    name: &'w [Token<'a>],
    /// The names of its columns and its query.
    query: &'w [Token<'a>],
}

impl<'w, 'a> Parts<'w, 'a> {
    fn of(words: &'w [Token<'a>]) -> Option<Parts<'w, 'a>> {
        let view = words.iter().position(|t| t.is("VIEW"))?;
        let head = words.get(..view)?;
        let mut behind = words.get(view + 1..)?;
        let only_if_missing = ["IF", "NOT", "EXISTS"]
            .iter()
            .zip(behind)
            .filter(|(w, t)| t.is(w))
            .count()
            == 3;
        if only_if_missing {
            behind = behind.get(3..)?;
        }
        let length = match behind.get(1).is_some_and(|t| t.is_symbol('.')) {
            true => 3,
            false => 1,
        };
        let (name, query) = behind.split_at_checked(length)?;
        Some(Parts {
            view,
            definer: definer(head),
            name,
            query,
        })
    }

    fn definer(&self) -> Option<String> {
        let name = |t: &Token<'a>| (is_name(t) || t.kind == TokenKind::Text).then(|| ident(&t.name()));
        match self.definer {
            [_, equals, user, at, host] if equals.is_symbol('=') && at.is_symbol('@') => {
                Some(format!("DEFINER={}@{}", name(user)?, name(host)?))
            }
            [_, equals, role] if equals.is_symbol('=') => Some(format!("DEFINER={}", name(role)?)),
            _ => None,
        }
    }

    /// What stands before its name in a statement that makes it where it is not there.
    fn head(&self, words: &[Token<'a>]) -> String {
        let dropped = |t: &Token<'a>| {
            t.is("OR") || t.is("REPLACE") || self.definer.iter().any(|of_definer| of_definer.at == t.at)
        };
        let head = words.get(1..=self.view).unwrap_or_default();
        let kept = head.iter().filter(|t| !dropped(t));
        kept.fold("CREATE ".to_owned(), |head, t| head + t.text + " ")
    }
}

/// A database that is named in front of something.
struct Named<'w, 'a> {
    token: &'w Token<'a>,
    /// Servers may call a column by a text that it is in.
    in_expression: bool,
}

/// Where in a query one is: each parenthesis opens a level.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Behind a `SELECT`.
    selects: bool,
    /// Among the tables behind a `FROM`.
    among_tables: bool,
    /// A table's name may be next.
    at_table: bool,
}

/// What ends the list of tables.
const CLAUSES: &[&str] = &[
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "WINDOW",
    "WITH",
    "FETCH",
    "OFFSET",
];

/// The databases that a query names, in order.
fn databases<'w, 'a>(query: &'w [Token<'a>]) -> impl Iterator<Item = Named<'w, 'a>> {
    let mut found = Vec::new();
    let mut levels = vec![Level::default()];
    let mut at = 0;
    while let Some(token) = query.get(at) {
        at += 1;
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { break };
        if token.is_symbol('(') {
            let inner = Level {
                among_tables: level.at_table,
                at_table: level.at_table,
                selects: false,
            };
            level.at_table = false;
            levels.push(inner);
        } else if token.is_symbol(')') {
            if levels.len() > 1 {
                levels.pop();
            }
        } else if token.is_symbol(',') {
            level.at_table = level.among_tables;
        } else if token.is_symbol('{') && level.at_table {
            // `{ OJ a LEFT JOIN b ... }`
            at += 1;
        } else if follow(level, token) {
            let ahead = query.get(at..).unwrap_or_default();
            at += hinted(token, ahead, level.among_tables);
        } else if is_name(token) {
            let behind = query.get(at..).unwrap_or_default();
            let before = query.get(..at - 1).unwrap_or_default();
            let parts = parts_of_name(behind);
            let in_expression = !level.at_table || depth > 1;
            let is_database = match parts {
                3 => true,
                2 => level.at_table || is_called(behind) || names_sequence(before),
                _ => false,
            };
            if is_database {
                found.push(Named { token, in_expression });
            }
            level.at_table = false;
            at += 2 * (parts - 1);
        }
    }
    found.into_iter()
}

/// Takes note of a keyword; whether it is one that matters.
fn follow(level: &mut Level, token: &Token<'_>) -> bool {
    if token.is("SELECT") || token.is("VALUES") {
        *level = Level {
            selects: true,
            ..Level::default()
        };
    } else if token.is("FROM") {
        // Not that of EXTRACT, TRIM or SUBSTRING.
        level.among_tables |= level.selects;
        level.at_table = level.selects;
    } else if token.is("TABLE") {
        level.among_tables = true;
        level.at_table = true;
    } else if token.is("JOIN") || token.is("STRAIGHT_JOIN") {
        level.at_table = level.among_tables;
    } else if CLAUSES.iter().any(|w| token.is(w)) {
        level.among_tables = false;
        level.at_table = false;
    } else {
        return token.is("FOR");
    }
    true
}

/// The words of an index hint (`FOR JOIN`, `FOR ORDER BY`, `FOR GROUP BY`) that are no clauses.
fn hinted(token: &Token<'_>, ahead: &[Token<'_>], among_tables: bool) -> usize {
    match ahead.first() {
        Some(next) if token.is("FOR") && among_tables => {
            usize::from(["JOIN", "ORDER", "GROUP"].iter().any(|w| next.is(w)))
        }
        _ => 0,
    }
}

/// The number of parts of a name whose first part was read.
fn parts_of_name(behind: &[Token<'_>]) -> usize {
    let part = |two: &[Token<'_>]| match two {
        [dot, next] => dot.is_symbol('.') && (is_name(next) || next.is_symbol('*')),
        _ => false,
    };
    1 + behind.chunks(2).take(2).take_while(|two| part(two)).count()
}

/// Whether what a name of two parts stands for is called.
fn is_called(behind: &[Token<'_>]) -> bool {
    behind.get(2).is_some_and(|t| t.is_symbol('('))
}

/// Whether a sequence's name is next.
fn names_sequence(before: &[Token<'_>]) -> bool {
    match before {
        [.., call, open] if open.is_symbol('(') => ["NEXTVAL", "LASTVAL", "SETVAL"].iter().any(|w| call.is(w)),
        [.., value, word] => value.is("VALUE") && word.is("FOR"),
        _ => false,
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
