//! Tables that cannot be backed up or restored as well as others.

use std::collections::BTreeSet;

use super::Finding;
use crate::cluster::mysql::schema::history;
use crate::cluster::mysql::schema::table::TableKind;
use crate::cluster::mysql::schema::tables::{self, Listed, not_system};
use crate::cluster::mysql::wire::{Conn, Flavor, Row, WireError};
use crate::model::table::TableName;

pub(super) fn check(conn: &mut Conn) -> Result<Vec<Finding>, WireError> {
    let all = tables::list(conn)?;
    let keyed = with_primary_key(conn)?;
    let base = || all.iter().filter(|t| t.kind != TableKind::Sequence);
    let mut findings = Vec::new();

    let loose = names(base().filter(|t| !t.engine.is_empty() && !t.transactional() && !t.rows_elsewhere()));
    findings.push(match loose {
        None => Finding::ok("engines", "all tables are transactional"),
        Some(names) => Finding::warning(
            "engines",
            format!("not transactional, so not of the snapshot's moment but of some moment during it: {names}"),
            "ALTER TABLE ... ENGINE = InnoDB",
        ),
    });
    if let Some(names) = names(base().filter(|t| t.rows_elsewhere())) {
        findings.push(Finding::warning(
            "rows kept elsewhere",
            format!("only the definition is backed up: {names}"),
            "",
        ));
    }
    if let Some(names) = names(base().filter(|t| t.engine.is_empty())) {
        findings.push(Finding::missing(
            "broken tables",
            format!("the server cannot open: {names}"),
            "CHECK TABLE says why; repair or drop them",
        ));
    }
    let keyless = names(base().filter(|t| !t.rows_elsewhere() && !keyed.contains(&t.name)));
    findings.push(match keyless {
        None => Finding::ok("primary keys", "every table has one"),
        Some(names) => Finding::warning(
            "primary keys",
            format!("none, so they are read in one piece and their log is replayed slowly: {names}"),
            "ALTER TABLE ... ADD PRIMARY KEY, and a snapshot after it",
        ),
    });
    findings.extend(histories(conn)?);
    findings.extend(left_out(conn)?);
    Ok(findings)
}

/// Tables with histories that cannot be written as they were.
fn histories(conn: &mut Conn) -> Result<Vec<Finding>, WireError> {
    if conn.info().flavor != Flavor::MariaDb {
        return Ok(Vec::new());
    }
    let of = |rows: Vec<Row>| -> Vec<TableName> { rows.iter().map(|r| TableName::new(r.text(0), r.text(1))).collect() };
    let by_transaction = of(conn.rows(&format!(
        "SELECT DISTINCT table_schema, table_name FROM information_schema.columns \
         WHERE generation_expression = 'ROW END' AND data_type = 'bigint' AND {}",
        not_system("table_schema")
    ))?);
    let parted = of(conn.rows(&format!(
        "SELECT DISTINCT table_schema, table_name FROM information_schema.partitions \
         WHERE partition_method = 'SYSTEM_TIME' AND {}",
        not_system("table_schema")
    ))?);
    let mut by_number = Vec::new();
    for name in parted {
        match tables::create(conn, &name, TableKind::Versioned) {
            Ok(create) if history::by_number(&create) => by_number.push(name),
            // Dropped meanwhile, or broken: that is said elsewhere.
            Ok(_) | Err(WireError::Server { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    let missing = listed(by_transaction.iter().map(ToString::to_string)).map(|names| {
        Finding::missing(
            "history by transactions",
            format!("a backup with rows of them is refused, and their changes, which MariaDB logs as statements, end the log: {names}"),
            "leave them out with --filter and write them in no archived time, or let ROW START and ROW END be TIMESTAMP(6)",
        )
    });
    let warning = listed(by_number.iter().map(ToString::to_string)).map(|names| {
        Finding::warning(
            "history by number of rows",
            format!(
                "a restore may put old rows into other partitions, and ends before a partition of these was dropped or emptied: {names}"
            ),
            "PARTITION BY SYSTEM_TIME INTERVAL ... keeps them apart by time",
        )
    });
    Ok(missing.into_iter().chain(warning).collect())
}

/// What a server can hold and brine does not keep: it has to be made by hand on a new server.
fn left_out(conn: &mut Conn) -> Result<Option<Finding>, WireError> {
    let mut asked = vec![
        ("function of a library", "SELECT name FROM mysql.func"),
        (
            "server of FEDERATED or SPIDER tables",
            "SELECT server_name FROM mysql.servers",
        ),
    ];
    if conn.info().flavor == Flavor::MySql {
        asked.push((
            "general tablespace",
            "SELECT name FROM information_schema.innodb_tablespaces WHERE space_type = 'General' AND name <> 'mysql'",
        ));
    }
    let mut found = Vec::new();
    for (what, sql) in asked {
        match conn.rows(sql) {
            Ok(rows) => found.extend(rows.iter().map(|r| format!("{what} {}", r.text(0)))),
            // Not for this account to see.
            Err(WireError::Server { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    Ok((!found.is_empty()).then(|| {
        Finding::warning(
            "not in backups",
            found.join(", "),
            "make them by hand on a server before restoring into it",
        )
    }))
}

fn with_primary_key(conn: &mut Conn) -> Result<BTreeSet<TableName>, WireError> {
    let rows = conn.rows(&format!(
        "SELECT table_schema, table_name FROM information_schema.statistics \
         WHERE index_name = 'PRIMARY' AND seq_in_index = 1 AND {}",
        not_system("table_schema")
    ))?;
    Ok(rows.iter().map(|r| TableName::new(r.text(0), r.text(1))).collect())
}

/// The first names, and how many more; `None` for none.
fn names<'a>(tables: impl Iterator<Item = &'a Listed>) -> Option<String> {
    listed(tables.map(|t| t.name.to_string()))
}

fn listed(names: impl Iterator<Item = String>) -> Option<String> {
    const SHOWN: usize = 10;
    let all: Vec<String> = names.collect();
    let more = all.len().saturating_sub(SHOWN);
    let shown: Vec<&str> = all.iter().take(SHOWN).map(String::as_str).collect();
    match (shown.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(shown.join(", ")),
        (_, more) => Some(format!("{} and {more} more", shown.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_cut() {
        let table = |n: usize| Listed {
            name: TableName::new("d", format!("t{n}")),
            kind: TableKind::Base,
            engine: "MyISAM".to_owned(),
            rows: 0,
            bytes: 0,
        };
        let all: Vec<Listed> = (0..12).map(table).collect();
        assert!(names(all.iter()).unwrap().ends_with("d.t9 and 2 more"));
        assert_eq!(names(all.iter().take(1)).as_deref(), Some("d.t0"));
        assert_eq!(names(all.iter().take(0)), None);
    }
}
