//! Reading what a statement does and which objects it names.

use super::reader::Reader;
use super::statement::{Act, ProgramKind, Statement, TransactionWord, XaWord};
use super::tokens::{Token, TokenKind};
use crate::model::table::TableName;

/// Reads the statement to its end where it is about tables, so that the reader has all its references.
pub(super) fn classify(r: &mut Reader<'_>) -> Statement {
    while r.take_symbol('(') {}
    if r.take(&["SET", "STATEMENT"]) {
        while !r.take(&["FOR"]) {
            if r.next().is_none() {
                return Statement::Unknown;
            }
        }
    }
    read(r).unwrap_or(Statement::Unknown)
}

fn read(r: &mut Reader<'_>) -> Option<Statement> {
    let word = r.next()?.text.to_ascii_uppercase();
    match word.as_str() {
        "CREATE" => create(r),
        "ALTER" => alter(r),
        "DROP" => drop_object(r),
        "RENAME" => rename(r),
        "TRUNCATE" => {
            r.take(&["TABLE"]);
            Some(Statement::Truncate(r.table()?))
        }
        "GRANT" | "REVOKE" => Some(Statement::Account),
        "SET" if r.at_word("PASSWORD") => Some(Statement::Account),
        "SET" if r.at_word("DEFAULT") && r.peek_at(1).is_some_and(|t| t.is("ROLE")) => Some(Statement::Account),
        "SET" | "USE" | "PREPARE" | "EXECUTE" | "DEALLOCATE" => Some(Statement::Session),
        "FLUSH" | "ANALYZE" | "OPTIMIZE" | "REPAIR" | "CHECK" | "CHECKSUM" | "LOCK" | "UNLOCK" | "KILL" | "RESET"
        | "PURGE" | "CACHE" | "SHOW" | "HELP" | "BACKUP" | "SHUTDOWN" | "CHANGE" | "STOP" | "BINLOG" => {
            Some(Statement::Admin)
        }
        "START" | "BEGIN" if word == "BEGIN" || r.at_word("TRANSACTION") => {
            Some(Statement::Transaction(TransactionWord::Begin))
        }
        "START" => Some(Statement::Admin),
        "COMMIT" => Some(Statement::Transaction(TransactionWord::Commit)),
        "ROLLBACK" => {
            r.take(&["WORK"]);
            Some(Statement::Transaction(match r.at_word("TO") {
                true => TransactionWord::Savepoint,
                false => TransactionWord::Rollback,
            }))
        }
        "SAVEPOINT" | "RELEASE" => Some(Statement::Transaction(TransactionWord::Savepoint)),
        "XA" => xa(r),
        "DELETE" if r.take(&["FROM"]) => {
            let table = r.table()?;
            Some(match r.peek() {
                None => Statement::Truncate(table),
                Some(_) => Statement::Rows,
            })
        }
        "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD" | "CALL" | "DO" | "WITH" | "SELECT" | "HANDLER"
        | "TABLE" | "VALUES" | "IMPORT" | "MERGE" => Some(Statement::Rows),
        "INSTALL" | "UNINSTALL" => Some(Statement::Server),
        _ => None,
    }
}

fn create(r: &mut Reader<'_>) -> Option<Statement> {
    let replace = r.take(&["OR", "REPLACE"]);
    let temporary = r.take(&["TEMPORARY"]);
    if r.take(&["TABLE"]) {
        return create_table(r, replace, temporary);
    }
    if r.take(&["SEQUENCE"]) {
        let if_not_exists = r.if_not_exists();
        let table = r.table()?;
        return Some(match temporary {
            true => Statement::CreateTable {
                table,
                temporary,
                replace,
                if_not_exists,
                like: None,
                select: false,
            },
            false => Statement::CreateSequence {
                table,
                replace,
                if_not_exists,
            },
        });
    }
    if r.take_any(&["DATABASE", "SCHEMA"]) {
        let if_not_exists = r.if_not_exists();
        let db = r.database()?;
        return Some(Statement::CreateDatabase {
            db,
            if_not_exists,
            replace,
        });
    }
    if let Some(program) = program(r, Act::Create) {
        return Some(program);
    }
    if r.take_any(&["USER", "ROLE"]) {
        return Some(Statement::Account);
    }
    if r.at_any(&["SERVER", "TABLESPACE", "LOGFILE", "UNDO", "RESOURCE"]) || r.take(&["SPATIAL", "REFERENCE"]) {
        return Some(Statement::Server);
    }
    r.take_any(&["ONLINE", "OFFLINE"]);
    r.take_any(&["UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR"]);
    r.take(&["INDEX"]).then_some(())?;
    r.if_not_exists();
    index_on(r)
}

fn create_table(r: &mut Reader<'_>, replace: bool, temporary: bool) -> Option<Statement> {
    let if_not_exists = r.if_not_exists();
    let table = r.table()?;
    let place = r.place();
    r.take_symbol('(');
    let like = match r.take(&["LIKE"]) {
        true => Some(r.table()?),
        false => None,
    };
    let mut select = false;
    if like.is_none() {
        r.go_to(place);
        select = has_query(r);
        r.go_to(place);
        r.body(&table)?;
    }
    Some(Statement::CreateTable {
        table,
        temporary,
        replace,
        if_not_exists,
        like,
        select,
    })
}

/// Whether a query follows, outside of the column list or as all there is in the parentheses.
fn has_query(r: &mut Reader<'_>) -> bool {
    let query = ["SELECT", "WITH", "VALUES", "TABLE"];
    let start = r.place();
    while r.take_symbol('(') {}
    if r.place() > start && r.at_any(&query) {
        return true;
    }
    r.go_to(start);
    let mut depth = 0_u32;
    while let Some(token) = r.next() {
        if token.is_symbol('(') {
            depth += 1;
        } else if token.is_symbol(')') {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && ["SELECT", "VALUES", "AS"].iter().any(|w| token.is(w)) {
            return true;
        }
    }
    false
}

/// `name ON table` of an index.
fn index_on(r: &mut Reader<'_>) -> Option<Statement> {
    while !r.take(&["ON"]) {
        r.next()?;
    }
    Some(Statement::AlterTable {
        table: r.table()?,
        renamed: None,
        partner: None,
    })
}

fn program_kind(r: &mut Reader<'_>) -> Option<ProgramKind> {
    let kinds = [
        ("VIEW", ProgramKind::View),
        ("TRIGGER", ProgramKind::Trigger),
        ("PROCEDURE", ProgramKind::Procedure),
        ("FUNCTION", ProgramKind::Function),
        ("EVENT", ProgramKind::Event),
    ];
    if r.take(&["PACKAGE", "BODY"]) {
        return Some(ProgramKind::PackageBody);
    }
    if r.take(&["PACKAGE"]) {
        return Some(ProgramKind::Package);
    }
    kinds
        .into_iter()
        .find(|(word, _)| r.take(&[word]))
        .map(|(_, kind)| kind)
}

/// A program with what may stand before its kind; `None`, and nothing read, when it is none.
fn program(r: &mut Reader<'_>, act: Act) -> Option<Statement> {
    let start = r.place();
    let found = program_at(r, act);
    if found.is_none() {
        r.go_to(start);
    }
    found
}

fn program_at(r: &mut Reader<'_>, act: Act) -> Option<Statement> {
    loop {
        if r.take(&["ALGORITHM"]) {
            r.take_symbol('=');
            r.next()?;
        } else if r.take(&["DEFINER"]) {
            r.definer();
        } else if r.take(&["SQL", "SECURITY"]) {
            r.next()?;
        } else if !r.take_any(&["AGGREGATE", "JSON", "RELATIONAL", "DUALITY"]) {
            break;
        }
    }
    let kind = program_kind(r)?;
    let _ = r.if_exists() || r.if_not_exists();
    let mut names = vec![r.qualified()?.0];
    let mut on = None;
    match (act, kind) {
        (Act::Drop, ProgramKind::View) => {
            while r.take_symbol(',') {
                names.push(r.qualified()?.0);
            }
        }
        (Act::Create, ProgramKind::Function) if r.take(&["RETURNS"]) => {
            r.next()?;
            if r.at_word("SONAME") {
                return Some(Statement::Server);
            }
        }
        (Act::Create, ProgramKind::Trigger) => {
            while !r.take(&["ON"]) {
                r.next()?;
            }
            on = Some(r.qualified()?.0);
        }
        (Act::Alter, ProgramKind::Event) => {
            while r.peek().is_some() && !r.at_word("DO") {
                if r.take(&["RENAME", "TO"]) {
                    names.push(r.qualified()?.0);
                    break;
                }
                r.next();
            }
        }
        _ => {}
    }
    Some(Statement::Program { act, kind, names, on })
}

fn alter(r: &mut Reader<'_>) -> Option<Statement> {
    if let Some(program) = program(r, Act::Alter) {
        return Some(program);
    }
    if r.take_any(&["DATABASE", "SCHEMA"]) {
        let db = match unnamed_database(r) {
            true => r.default_db().to_owned(),
            false => r.database()?,
        };
        return Some(Statement::AlterDatabase { db });
    }
    if r.take_any(&["USER", "ROLE"]) {
        return Some(Statement::Account);
    }
    if r.at_any(&["SERVER", "TABLESPACE", "LOGFILE", "UNDO", "RESOURCE", "INSTANCE"]) {
        return Some(Statement::Server);
    }
    while r.take_any(&["ONLINE", "OFFLINE", "IGNORE"]) {}
    r.take_any(&["TABLE", "SEQUENCE"]).then_some(())?;
    r.if_exists();
    let table = r.table()?;
    r.wait();
    let (mut renamed, mut partner) = (None, None);
    let place = r.place();
    alter_specs(r, &mut renamed, &mut partner)?;
    // Once more, for the names within the specifications.
    r.go_to(place);
    r.body(&table)?;
    Some(Statement::AlterTable {
        table,
        renamed,
        partner,
    })
}

/// Whether an option stands where the name of the database may be left out.
fn unnamed_database(r: &Reader<'_>) -> bool {
    // These are reserved words; the others may be names.
    if r.at_any(&["CHARACTER", "CHAR", "COLLATE", "DEFAULT", "READ"]) {
        return true;
    }
    let value = |t: &Token<'_>| t.is_symbol('=') || t.kind == TokenKind::Text;
    let option = |t: &Token<'_>| {
        let options = [
            "CHARACTER",
            "CHARSET",
            "CHAR",
            "COLLATE",
            "DEFAULT",
            "READ",
            "ENCRYPTION",
            "COMMENT",
            "UPGRADE",
        ];
        options.iter().any(|o| t.is(o))
    };
    r.at_any(&["CHARSET", "ENCRYPTION", "COMMENT"]) && r.peek_at(1).is_some_and(|t| value(t) || !option(t))
}

/// The names of other tables in the specifications of ALTER TABLE.
fn alter_specs(r: &mut Reader<'_>, renamed: &mut Option<TableName>, partner: &mut Option<TableName>) -> Option<()> {
    let (mut depth, mut first) = (0_u32, true);
    while let Some(token) = r.peek().copied() {
        if depth == 0 && first && r.take(&["RENAME"]) {
            first = false;
            if !r.at_any(&["COLUMN", "INDEX", "KEY"]) {
                let _ = r.take_any(&["TO", "AS"]) || r.take_symbol('=');
                *renamed = Some(r.table()?);
            }
            continue;
        }
        if depth == 0 && first && r.take(&["EXCHANGE", "PARTITION"]) {
            r.next()?;
            r.take(&["WITH", "TABLE"]).then_some(())?;
            *partner = Some(r.table()?);
            continue;
        }
        if depth == 0 && first && r.take(&["CONVERT", "TABLE"]) {
            *partner = Some(r.table()?);
            continue;
        }
        if depth == 0 && first && r.take(&["CONVERT", "PARTITION"]) {
            r.next()?;
            r.take(&["TO", "TABLE"]).then_some(())?;
            *partner = Some(r.table()?);
            continue;
        }
        first = depth == 0 && token.is_symbol(',');
        depth += u32::from(token.is_symbol('('));
        depth = depth.saturating_sub(u32::from(token.is_symbol(')')));
        r.next();
    }
    Some(())
}

fn drop_object(r: &mut Reader<'_>) -> Option<Statement> {
    let temporary = r.take(&["TEMPORARY"]);
    if r.take_any(&["TABLE", "TABLES", "SEQUENCE"]) {
        let if_exists = r.if_exists();
        return Some(Statement::DropTables {
            tables: r.tables()?,
            temporary,
            if_exists,
        });
    }
    if r.take_any(&["DATABASE", "SCHEMA"]) {
        let if_exists = r.if_exists();
        return Some(Statement::DropDatabase {
            db: r.database()?,
            if_exists,
        });
    }
    if let Some(program) = program(r, Act::Drop) {
        return Some(program);
    }
    if r.take_any(&["USER", "ROLE"]) {
        return Some(Statement::Account);
    }
    if r.take(&["PREPARE"]) {
        return Some(Statement::Session);
    }
    if r.at_any(&["SERVER", "TABLESPACE", "LOGFILE", "UNDO", "RESOURCE", "SPATIAL"]) {
        return Some(Statement::Server);
    }
    r.take_any(&["ONLINE", "OFFLINE"]);
    r.take(&["INDEX"]).then_some(())?;
    r.if_exists();
    index_on(r)
}

fn rename(r: &mut Reader<'_>) -> Option<Statement> {
    if r.take(&["USER"]) {
        return Some(Statement::Account);
    }
    r.take_any(&["TABLE", "TABLES"]).then_some(())?;
    r.if_exists();
    let mut pairs = Vec::new();
    loop {
        let from = r.table()?;
        r.wait();
        r.take(&["TO"]).then_some(())?;
        pairs.push((from, r.table()?));
        if !r.take_symbol(',') {
            return Some(Statement::RenameTables(pairs));
        }
    }
}

fn xa(r: &mut Reader<'_>) -> Option<Statement> {
    let word = match r.next()?.text.to_ascii_uppercase().as_str() {
        "START" | "BEGIN" => XaWord::Start,
        "END" => XaWord::End,
        "PREPARE" => XaWord::Prepare,
        "COMMIT" => XaWord::Commit,
        "ROLLBACK" => XaWord::Rollback,
        _ => return None,
    };
    let mut id = String::new();
    while let Some(token) = r.next() {
        if ["JOIN", "RESUME", "SUSPEND", "ONE"].iter().any(|w| token.is(w)) || token.is_symbol(';') {
            break;
        }
        id.push_str(token.text);
    }
    Some(Statement::Xa(word, id))
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
