//! Everything that a server holds, as text, read through the server's own client: what two servers are compared by.
//!
//! Rows are shown column by column, generated and invisible columns and the history of versioned tables included, as
//! exact text or as the hexadecimal of their bytes, and sorted; every object by what the server shows of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::server::Server;

/// By what it is and its name, what the server shows of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look(pub BTreeMap<String, Vec<String>>);

impl Look {
    /// Only what a name matches.
    pub fn only(&self, wanted: impl Fn(&str) -> bool) -> Look {
        Look(
            self.0
                .iter()
                .filter(|(k, _)| wanted(k))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        )
    }

    /// The rows of the tables, without definitions.
    pub fn rows(&self) -> Look {
        self.only(|k| k.starts_with("rows "))
    }

    /// Without accounts.
    pub fn without_accounts(&self) -> Look {
        self.only(|k| !k.starts_with("account "))
    }

    /// Without the counters of AUTO_INCREMENT: the log knows them only as far as rows show them.
    pub fn without_counters(&self) -> Look {
        let cut = |line: &String| match line.split_once(" AUTO_INCREMENT=") {
            Some((before, after)) => format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit())),
            None => line.clone(),
        };
        Look(
            self.0
                .iter()
                .map(|(k, v)| (k.clone(), v.iter().map(cut).collect()))
                .collect(),
        )
    }

    /// What differs, for people; empty when nothing does.
    pub fn diff(&self, other: &Look) -> String {
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let (mut text, mut count) = (String::new(), 0);
        for name in names {
            let (a, b) = (self.0.get(name), other.0.get(name));
            if a == b {
                continue;
            }
            count += 1;
            match (a, b) {
                (Some(_), None) => writeln!(text, "missing: {name}").unwrap(),
                (None, Some(_)) => writeln!(text, "too much: {name}").unwrap(),
                (Some(a), Some(b)) => {
                    writeln!(text, "differs: {name} ({} and {} lines)", a.len(), b.len()).unwrap();
                    let (sa, sb): (BTreeSet<_>, BTreeSet<_>) = (a.iter().collect(), b.iter().collect());
                    for line in sa.difference(&sb).take(3) {
                        writeln!(text, "   wanted {}", short(line)).unwrap();
                    }
                    for line in sb.difference(&sa).take(3) {
                        writeln!(text, "      has {}", short(line)).unwrap();
                    }
                }
                (None, None) => {}
            }
        }
        if count > 0 {
            writeln!(text, "{count} differences").unwrap();
        }
        text
    }

    /// Fails with the differences, if there are any.
    pub fn assert_same(&self, other: &Look, what: &str) {
        let diff = self.diff(other);
        assert!(diff.is_empty(), "{what}:\n{diff}");
    }
}

fn short(line: &str) -> String {
    line.chars().take(700).collect()
}

fn unhex(text: &str) -> String {
    let byte = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    String::from_utf8((0..text.len()).step_by(2).map(byte).collect()).unwrap()
}

/// A name in backticks.
pub fn tick(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text literal.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// `db`.`name`.
pub fn path(db: &str, name: &str) -> String {
    format!("{}.{}", tick(db), tick(name))
}

const NOT_OURS: &str = "not in ('mysql','sys','information_schema','performance_schema') and $ not like '\\_brine%'";

fn ours(column: &str) -> String {
    format!("{column} {}", NOT_OURS.replace('$', column))
}

/// Questions that go to the server in one script, and the lines of each answer.
#[derive(Default)]
struct Questions(Vec<(String, String)>);

impl Questions {
    fn ask(&mut self, name: String, query: String) {
        self.0.push((name, query));
    }

    fn answers(self, server: &Server, look: &mut Look) {
        let mut script = String::from("set sql_mode = '', time_zone = '+00:00', sql_quote_show_create = 1;\n");
        if server.kind.is_mysql() {
            script.push_str(
                "set print_identified_with_as_hex = 1, show_gipk_in_create_table_and_information_schema = 1;\n",
            );
        }
        for (i, (_, query)) in self.0.iter().enumerate() {
            writeln!(script, "select '--question-{i}--';\n{query};").unwrap();
        }
        let out = server.sql(&script);
        let mut lines = out.lines().peekable();
        for (i, (name, _)) in self.0.into_iter().enumerate() {
            assert_eq!(lines.next(), Some(format!("--question-{i}--").as_str()), "{name}");
            let next = format!("--question-{}--", i + 1);
            let mut answer = Vec::new();
            while let Some(line) = lines.next_if(|l| *l != next) {
                answer.push(line.to_owned());
            }
            if name.starts_with("table ") {
                // MySQL remembers which of two ways to say the same a column was made with.
                for charset in ["utf8mb4", "utf8mb3", "latin1"] {
                    let (long, short) = (format!(" CHARACTER SET {charset} COLLATE "), " COLLATE ");
                    answer = answer.iter().map(|l| l.replace(&long, short)).collect();
                }
            }
            if name.starts_with("account ") {
                answer = answer.iter().map(|l| in_order(l)).collect();
            }
            answer.sort();
            look.0.entry(name).or_default().append(&mut answer);
        }
    }
}

/// A grant with its columns in the order of the alphabet: servers show them in any order.
fn in_order(grant: &str) -> String {
    if !grant.starts_with("GRANT ") {
        return grant.to_owned();
    }
    let mut out = String::new();
    let mut rest = grant;
    while let Some((before, (inner, after))) = rest
        .split_once('(')
        .and_then(|(b, r)| r.split_once(')').map(|r| (b, r)))
    {
        let mut columns: Vec<&str> = inner.split(", ").collect();
        columns.sort_unstable();
        out.push_str(&format!("{before}({})", columns.join(", ")));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Everything.
pub fn everything(server: &Server) -> Look {
    let (mut questions, mut look) = (Questions::default(), Look::default());
    databases(server, &mut questions);
    tables(server, &mut questions, true);
    programs(server, &mut questions);
    accounts(server, &mut questions);
    questions.answers(server, &mut look);
    look
}

/// The rows of all tables.
pub fn rows(server: &Server) -> Look {
    let (mut questions, mut look) = (Questions::default(), Look::default());
    tables(server, &mut questions, false);
    questions.answers(server, &mut look);
    look
}

fn databases(server: &Server, questions: &mut Questions) {
    let names = server.column(&format!(
        "select hex(schema_name) from information_schema.schemata where {}",
        ours("schema_name")
    ));
    for db in names.iter().map(|n| unhex(n)) {
        questions.ask(
            format!("database {}", tick(&db)),
            format!("show create database {}", tick(&db)),
        );
    }
}

/// How a column is shown exactly.
fn shown(kind: &str, column: &str) -> String {
    let c = tick(column);
    let exact = match kind {
        "float" => format!("concat({c} + 0e0)"),
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "double" | "date" | "time"
        | "datetime" | "timestamp" | "year" | "uuid" | "inet4" | "inet6" => format!("concat({c})"),
        "enum" | "set" => format!("concat({c} + 0, ':', hex({c}))"),
        "bit" => format!("hex({c} + 0)"),
        // No text keeps that a number was a DECIMAL.
        "json" => format!("hex(cast(cast(cast({c} as char) as json) as char))"),
        "longtext" | "longblob" | "mediumtext" | "mediumblob" => {
            format!("if(length({c}) < 1000, hex({c}), concat(length({c}), ':', sha2({c}, 256)))")
        }
        _ => format!("hex({c})"),
    };
    format!("ifnull({exact}, '~')")
}

fn tables(server: &Server, questions: &mut Questions, definitions: bool) {
    let gipk = if server.kind.is_mysql() {
        "set show_gipk_in_create_table_and_information_schema = 1; "
    } else {
        ""
    };
    let columns = server.rows(&format!(
        "{gipk}select hex(table_schema), hex(table_name), hex(column_name), data_type from information_schema.columns \
         where {} order by table_schema, table_name, ordinal_position",
        ours("table_schema")
    ));
    let mut by_table: BTreeMap<(String, String), Vec<(String, String)>> = BTreeMap::new();
    for row in columns {
        let column = (unhex(&row[2]), row[3].clone());
        by_table
            .entry((unhex(&row[0]), unhex(&row[1])))
            .or_default()
            .push(column);
    }
    let all = server.rows(&format!(
        "select hex(table_schema), hex(table_name), table_type from information_schema.tables where {}",
        ours("table_schema")
    ));
    for row in all {
        let (db, name, kind) = (unhex(&row[0]), unhex(&row[1]), row[2].as_str());
        let full = path(&db, &name);
        if kind == "VIEW" {
            if definitions {
                questions.ask(format!("view {full}"), format!("show create view {full}"));
            }
            continue;
        }
        if definitions {
            let what = if kind == "SEQUENCE" { "sequence" } else { "table" };
            questions.ask(format!("table {full}"), format!("show create {what} {full}"));
        }
        if kind == "SEQUENCE" {
            questions.ask(format!("rows {full}"), format!("select * from {full}"));
            continue;
        }
        let columns = by_table.get(&(db, name)).cloned().unwrap_or_default();
        let mut list: Vec<String> = columns.iter().map(|(c, t)| shown(t, c)).collect();
        let mut from = full.clone();
        if kind == "SYSTEM VERSIONED" {
            from.push_str(" for system_time all");
            // Both show; only those that were named in the definition are among the columns.
            if !columns
                .iter()
                .any(|(c, _)| ["row_start", "row_end", "since"].contains(&c.as_str()))
            {
                list.push("row_start, row_end".to_owned());
            }
        }
        questions.ask(
            format!("rows {full}"),
            format!("select {} from {from}", list.join(", ")),
        );
    }
}

fn programs(server: &Server, questions: &mut Questions) {
    let routines = server.rows(&format!(
        "select hex(routine_schema), hex(routine_name), lower(routine_type) from information_schema.routines where {}",
        ours("routine_schema")
    ));
    for row in routines {
        let full = path(&unhex(&row[0]), &unhex(&row[1]));
        questions.ask(format!("{} {full}", row[2]), format!("show create {} {full}", row[2]));
    }
    questions.ask(
        "triggers".to_owned(),
        format!(
            "select hex(trigger_schema), hex(trigger_name), event_manipulation, hex(event_object_table), action_order, \
             action_timing, hex(action_statement), sql_mode, definer, character_set_client, collation_connection, \
             database_collation from information_schema.triggers where {}",
            ours("trigger_schema")
        ),
    );
    let events = server.rows(&format!(
        "select hex(event_schema), hex(event_name) from information_schema.events where {}",
        ours("event_schema")
    ));
    for row in events {
        let full = path(&unhex(&row[0]), &unhex(&row[1]));
        questions.ask(format!("event {full}"), format!("show create event {full}"));
    }
    questions.ask(
        "events".to_owned(),
        format!(
            "select hex(event_schema), hex(event_name), definer, time_zone, event_type, execute_at, interval_value, \
             interval_field, sql_mode, starts, ends, status, on_completion, hex(event_comment) \
             from information_schema.events where {}",
            ours("event_schema")
        ),
    );
}

/// Accounts that servers make for themselves.
const OWN_ACCOUNTS: [&str; 4] = ["mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys"];

fn accounts(server: &Server, questions: &mut Questions) {
    let role = if server.kind.is_mysql() { "'N'" } else { "is_role" };
    let all = server.rows(&format!("select hex(user), hex(host), {role} from mysql.user"));
    for row in all {
        let (user, host, is_role) = (unhex(&row[0]), unhex(&row[1]), row[2] == "Y");
        if OWN_ACCOUNTS.contains(&user.as_str()) || user.is_empty() && is_role {
            continue;
        }
        let account = if is_role {
            quote(&user)
        } else {
            format!("{}@{}", quote(&user), quote(&host))
        };
        let name = format!("account {account}");
        if !is_role {
            questions.ask(name.clone(), format!("show create user {account}"));
        }
        questions.ask(name, format!("show grants for {account}"));
    }
    let more: &[(&str, &str)] = if server.kind.is_mysql() {
        &[
            ("role edges", "select * from mysql.role_edges"),
            ("default roles", "select * from mysql.default_roles"),
            ("attributes", "select user, host, user_attributes from mysql.user"),
            (
                "procs",
                "select host, db, user, routine_name, routine_type, proc_priv from mysql.procs_priv",
            ),
            (
                "columns",
                "select host, db, user, table_name, column_name, column_priv from mysql.columns_priv",
            ),
        ]
    } else {
        &[
            ("roles", "select * from mysql.roles_mapping where user <> 'root'"),
            (
                "privileges",
                "select host, user, replace(json_remove(priv, '$.password_last_changed'), ', \"account_locked\": false', '') from mysql.global_priv \
                 where user not in ('root', 'mariadb.sys')",
            ),
            (
                "procs",
                "select host, db, user, routine_name, routine_type, proc_priv from mysql.procs_priv",
            ),
            (
                "columns",
                "select host, db, user, table_name, column_name, column_priv from mysql.columns_priv",
            ),
        ]
    };
    for (name, query) in more {
        questions.ask(format!("account {name}"), (*query).to_owned());
    }
}
