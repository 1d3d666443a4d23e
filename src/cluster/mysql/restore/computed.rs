//! Columns that the server computes from moments and stores. Their values hang on the time zone of the session that writes a row:
//! nobody can give them, and a session of brine, which is in UTC, would give the day of another place.
//!
//! So they are computed in the zone in which sessions of the source begin. A row that a session in another zone wrote differs
//! from that, which nothing but the source can tell: it is said.

use std::collections::BTreeSet;

use super::building::Building;
use super::replay::stands_for;
use super::state::KnownTable;
use crate::cluster::ClusterError;
use crate::cluster::mysql::schema::create::{CreateTable, ItemKind};
use crate::cluster::mysql::schema::definition::{self, DefinitionText, kind};
use crate::cluster::mysql::schema::table::{TableKind, TableSchema};
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::{Token, words};
use crate::cluster::mysql::text::{ident, string, table};
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};
use crate::model::definition::Definition;
use crate::model::table::TableName;

/// The zone of brine's sessions.
const UTC: &str = "+00:00";
const UNKNOWN_ZONE: u16 = 1298;

/// The zone in which sessions of the source begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// What stands for it here.
    Here(String),
    /// It is not known here, or the backup does not tell it.
    Unknown(Option<String>),
}

impl Begins {
    /// Of the server of a base.
    pub fn of(conn: &mut Conn, definitions: &[Definition]) -> Result<Begins, ClusterError> {
        for of in definitions.iter().filter(|d| d.kind == kind::SETTING) {
            let Some(name) = DefinitionText::parse(&of.text)?.default_zone else {
                continue;
            };
            let set = conn.run(&format!("SET SESSION time_zone = {}", string(&name)));
            let begins = match set {
                Ok(_) => Begins::Here(name),
                Err(e) if e.code() == Some(UNKNOWN_ZONE) => Begins::Unknown(Some(name)),
                Err(e) => return Err(e.doing("looking for the time zone of the source")),
            };
            set_zone(conn, UTC)?;
            return Ok(begins);
        }
        let Some((zone, _)) = definition::zones(definitions)? else {
            return Ok(Begins::Unknown(None));
        };
        if let Some(fixed) = zone.fixed() {
            return Ok(Begins::Here(fixed));
        }
        Ok(match stands_for(conn, &zone)? {
            Some(here) => Begins::Here(here),
            None => Begins::Unknown(Some(zone.name)),
        })
    }

    /// The zone, where brine's sessions are in another.
    pub fn other(&self) -> Option<&str> {
        match self {
            Begins::Here(zone) if zone != UTC => Some(zone),
            _ => None,
        }
    }
}

/// With which values, on which what a server computes may hang, sessions of the source begin.
pub(super) fn settings(definitions: &[Definition]) -> Result<Vec<String>, ClusterError> {
    const VALUES: [&str; 4] = [
        "div_precision_increment",
        "default_week_format",
        "block_encryption_mode",
        "sql_mode",
    ];
    let mut out = Vec::new();
    for of in definitions.iter().filter(|d| d.kind == kind::SETTING) {
        out.extend(DefinitionText::parse(&of.text)?.statements);
    }
    out.retain(|statement| VALUES.iter().any(|name| statement.contains(name)));
    Ok(out)
}

fn set_zone(conn: &mut Conn, zone: &str) -> Result<(), ClusterError> {
    conn.run(&format!("SET SESSION time_zone = {}", string(zone)))
        .map(drop)
        .map_err(|e| e.doing("setting the time zone of a session"))
}

/// The columns of a table that are computed from moments, and stored: in the table, or in a key.
pub(super) fn columns(schema: &TableSchema) -> Vec<String> {
    let Ok(create) = CreateTable::parse(&schema.create) else {
        return Vec::new();
    };
    let lower = |names: Vec<String>| names.into_iter().map(|n| n.to_lowercase());
    let keys = create
        .items
        .iter()
        .filter(|i| !matches!(i.kind, ItemKind::Column(_) | ItemKind::Other));
    let keyed: BTreeSet<String> = keys.flat_map(|key| lower(key.key_columns())).collect();
    let all = column_words(&create, Flavor::MariaDb);
    let mut local: BTreeSet<String> = BTreeSet::new();
    // A column may be computed from one that is computed.
    loop {
        let before = local.len();
        for column in &all {
            let Some((name, rest)) = column.split_first() else {
                continue;
            };
            let hangs = match computed(rest.iter().map(|t| t.name())) {
                true => rest.iter().any(|t| {
                    t.is("UNIX_TIMESTAMP") || t.is("FROM_UNIXTIME") || local.contains(&t.name().to_lowercase())
                }),
                false => rest.first().is_some_and(|t| t.is("TIMESTAMP")),
            };
            if hangs {
                local.insert(name.name().to_lowercase());
            }
        }
        if local.len() == before {
            break;
        }
    }
    let stored = |column: &&Vec<Token<'_>>| -> bool {
        let Some((name, rest)) = column.split_first() else {
            return false;
        };
        let name = name.name().to_lowercase();
        let kept = rest.iter().any(|t| t.is("STORED") || t.is("PERSISTENT")) || keyed.contains(&name);
        kept && local.contains(&name) && computed(rest.iter().map(|t| t.name()))
    };
    let names = all.iter().filter(stored).filter_map(|column| column.first());
    names.map(|name| name.name().to_string()).collect()
}

/// The words of each column.
fn column_words(create: &CreateTable, flavor: Flavor) -> Vec<Vec<Token<'_>>> {
    let columns = create.items.iter().filter(|i| matches!(i.kind, ItemKind::Column(_)));
    columns.map(|i| words(&i.text, Modes::of(0, flavor))).collect()
}

fn computed<T: AsRef<str>>(mut words: impl Iterator<Item = T>) -> bool {
    words.any(|word| word.as_ref().eq_ignore_ascii_case("GENERATED") || word.as_ref().eq_ignore_ascii_case("AS"))
}

/// Works in a zone other than that of brine's sessions, if one is given.
pub(super) fn in_zone<T>(
    conn: &mut Conn,
    zone: Option<&str>,
    work: impl FnOnce(&mut Conn) -> Result<T, ClusterError>,
) -> Result<T, ClusterError> {
    let Some(zone) = zone else { return work(conn) };
    set_zone(conn, zone)?;
    // After an error the connection is not used again.
    let done = work(conn)?;
    set_zone(conn, UTC)?;
    Ok(done)
}

/// Lets the server compute them anew, once all rows are in, in the session's zone.
///
/// A copy is the fastest way. But MySQL copies a moment by its local time, of which there are two in an hour that clocks repeat: rows
/// of such an hour are updated in place.
pub(super) fn again(conn: &mut Conn, schema: &TableSchema, place: &TableName) -> Result<(), ClusterError> {
    // What a table keeps of its history would be rewritten too.
    if schema.kind != TableKind::Base {
        return Ok(());
    }
    let name = table(&place.db, &place.table);
    let failed = |e: WireError| e.doing(format!("computing the stored columns of {place}"));
    let moments = match conn.info().flavor {
        Flavor::MySql => moments(&CreateTable::parse(&schema.create)?),
        Flavor::MariaDb => Moments::default(),
    };
    let repeated = match moments.repeated(&name) {
        Some(sql) => conn.row(&sql).map_err(failed)?.is_some(),
        None => false,
    };
    let anew = match repeated {
        true => moments.update(&name),
        false => format!("ALTER TABLE {name} FORCE, ALGORITHM=COPY"),
    };
    conn.run(&anew).map(drop).map_err(failed)
}

/// Columns of a table of MySQL.
#[derive(Debug, Default, PartialEq, Eq)]
struct Moments {
    /// Those of the type TIMESTAMP.
    timestamps: Vec<String>,
    /// More that an update of other columns would change.
    updated: Vec<String>,
}

fn moments(create: &CreateTable) -> Moments {
    let mut out = Moments::default();
    for words in column_words(create, Flavor::MySql) {
        let Some((name, rest)) = words.split_first() else {
            continue;
        };
        if computed(rest.iter().map(|t| t.name())) {
            continue;
        }
        let name = ident(&name.name());
        let is_updated = |two: &[Token<'_>]| matches!(two, [on, update] if on.is("ON") && update.is("UPDATE"));
        if rest.first().is_some_and(|t| t.is("TIMESTAMP")) {
            out.timestamps.push(name);
        } else if rest.windows(2).any(is_updated) {
            out.updated.push(name);
        }
    }
    out
}

impl Moments {
    /// Finds out whether a row has a moment that its local time does not tell.
    fn repeated(&self, table: &str) -> Option<String> {
        let told = |c: &String| format!("UNIX_TIMESTAMP({c}) <> UNIX_TIMESTAMP(CAST({c} AS DATETIME(6)))");
        let all: Vec<String> = self.timestamps.iter().map(told).collect();
        (!all.is_empty()).then(|| format!("SELECT 1 FROM {table} WHERE {} LIMIT 1", all.join(" OR ")))
    }

    /// Changes nothing but what is computed.
    fn update(&self, table: &str) -> String {
        let itself = self
            .timestamps
            .iter()
            .chain(&self.updated)
            .map(|c| format!("{c} = {c}"));
        format!("UPDATE {table} SET {}", itself.collect::<Vec<_>>().join(", "))
    }
}

/// The zone in which sessions of the source begin.
pub(super) fn begins(building: &Building) -> Result<Begins, ClusterError> {
    let mut inner = building.inner.lock();
    if let Some(begins) = &inner.begins {
        return Ok(begins.clone());
    }
    let begins = building.pool.with(|conn| Begins::of(conn, &inner.definitions))?;
    inner.begins = Some(begins.clone());
    Ok(begins)
}

/// The zone that sessions need which apply rows: MySQL computes stored columns anew then. MariaDB takes those of the log, and looks
/// for rows by what it computes of the others.
pub(super) fn of_lanes(building: &Building) -> Result<Option<String>, ClusterError> {
    let flavor = building.pool.with(|conn| Ok(conn.info().flavor))?;
    if flavor == Flavor::MariaDb && !has_any(building) {
        return Ok(None);
    }
    Ok(begins(building)?.other().map(str::to_owned))
}

fn has_any(building: &Building) -> bool {
    let inner = building.inner.lock();
    inner.known.values().any(|of| !columns(&of.schema).is_empty())
}

/// What is to be said of the columns of the base's tables.
pub(super) fn of(building: &Building) -> Result<Vec<String>, ClusterError> {
    if !has_any(building) {
        return Ok(Vec::new());
    }
    let begins = begins(building)?;
    let inner = building.inner.lock();
    Ok(remarks(inner.known.values(), &begins))
}

fn remarks<'a>(known: impl Iterator<Item = &'a KnownTable>, begins: &Begins) -> Vec<String> {
    let said = |of: &KnownTable| {
        let columns = columns(&of.schema);
        let list = match columns.as_slice() {
            [] => return None,
            [one] => format!("the column {one}"),
            more => format!("the columns {}", more.join(", ")),
        };
        let how = match begins {
            Begins::Here(zone) => format!("computed anew in {zone}, the one of the source"),
            Begins::Unknown(Some(zone)) => {
                format!("computed anew in UTC: this server does not know {zone}, the one of the source")
            }
            Begins::Unknown(None) => "computed anew in UTC: the backup does not tell the one of the source".to_owned(),
        };
        Some(format!(
            "{}: {list} hold what the time zone of a session made of a moment: {how}; rows that a session in another zone had \
             written may hold something else now",
            of.name
        ))
    };
    known.filter_map(said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_updated_by_themselves() {
        let create = "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `a``b` timestamp NULL DEFAULT NULL,\n  `u` datetime DEFAULT \
                      CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,\n  `d` datetime GENERATED ALWAYS AS (`a``b`) STORED,\n  `t` \
                      timestamp(6) NOT NULL ON UPDATE CURRENT_TIMESTAMP(6),\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB";
        let moments = moments(&CreateTable::parse(create).unwrap());
        assert_eq!(
            moments.update("`d`.`t`"),
            "UPDATE `d`.`t` SET `a``b` = `a``b`, `t` = `t`, `u` = `u`"
        );
        let asked = moments.repeated("`d`.`t`").unwrap();
        assert!(
            asked.contains("UNIX_TIMESTAMP(`a``b`) <> ") && asked.contains(" OR "),
            "{asked}"
        );
        assert_eq!(Moments::default().repeated("`d`.`t`"), None);
    }
}
