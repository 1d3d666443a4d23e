//! The session in which a statement of the log is run: as it was at the source.
//!
//! The log says what a statement depends on, but for the values with which every session of the source begins, and for what
//! `SYSTEM` was as a time zone. Those the base knows, the zone also the log. A statement that depends on the zone is run in
//! one of this server that is like it.

use crate::cluster::ClusterError;
use crate::cluster::mysql::binlog::query::{Query, SYSTEM};
use crate::cluster::mysql::restore::links::create_of;
use crate::cluster::mysql::restore::own_directories;
use crate::cluster::mysql::schema::create::{CreateTable, ItemKind};
use crate::cluster::mysql::schema::definition::{self, DefinitionText, kind};
use crate::cluster::mysql::schema::zone::{self, Zone};
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::words;
use crate::cluster::mysql::sql::zoned::{self, There};
use crate::cluster::mysql::text::{ident, string};
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};
use crate::model::definition::Definition;
use crate::model::table::TableName;
use crate::model::text::safe;

/// The server's errors for a database and a time zone that it does not know.
pub(super) const UNKNOWN_DATABASE: u16 = 1049;
const UNKNOWN_ZONE: u16 = 1298;
/// The same for engines, variables and their values.
const UNKNOWN_SETTINGS: &[u16] = &[1193, 1231, 1286];

/// What is known of the source's sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// How they begin, as far as the log does not say it.
    settings: Vec<String>,
    /// The time zone `SYSTEM` when the base was taken. Older ones do not tell.
    of_base: Option<Zone>,
    /// The same when the transaction that is replayed was archived.
    pub noted: Option<Zone>,
    /// What stands for such a zone here, if anything does.
    found: Vec<(Zone, Option<String>)>,
}

/// A statement that is run.
pub(super) struct Run<'a> {
    /// As the log has it.
    pub query: &'a Query<'a>,
    /// As it is run.
    pub sql: &'a str,
    /// The shadow of its default database.
    pub shadow: Option<&'a str>,
    /// Its transaction.
    pub id: &'a str,
    /// How its words are read.
    pub modes: Modes,
    /// The table that it makes or alters, as it is built.
    pub built: Option<TableName>,
}

impl Sessions {
    /// Of the server of a base.
    pub fn of(definitions: &[Definition]) -> Result<Sessions, ClusterError> {
        let mut settings = Vec::new();
        for definition in definitions.iter().filter(|d| d.kind == kind::SETTING) {
            settings.extend(DefinitionText::parse(&definition.text)?.statements);
        }
        Ok(Sessions {
            settings,
            of_base: definition::zones(definitions)?.map(|(zone, _)| zone),
            ..Sessions::default()
        })
    }

    /// Makes the session as it was for a statement.
    pub fn set_up(&mut self, conn: &mut Conn, run: &Run<'_>) -> Result<(), ClusterError> {
        let zone = self.zone(conn, run)?;
        let failed = |e: WireError| {
            e.doing(format!(
                "setting up a session for the statement of transaction {}",
                run.id
            ))
        };
        for setting in &self.settings {
            match conn.run(setting) {
                // Who names no engine, and that of the source is lacking here, gets InnoDB.
                Err(e) if !e.code().is_some_and(|code| UNKNOWN_SETTINGS.contains(&code)) => return Err(failed(e)),
                _ => {}
            }
        }
        let place = run.shadow.map(|shadow| format!("USE {}", ident(shadow)));
        let mut settings: Vec<String> = place.into_iter().collect();
        settings.extend(run.query.settings.statements(conn.info()));
        settings.extend(zone.map(|zone| format!("SET SESSION time_zone = {}", string(&zone))));
        // Rows that broke a rule at the source break it here too.
        if conn.info().flavor == Flavor::MariaDb {
            settings.push("SET SESSION system_versioning_alter_history = KEEP, check_constraint_checks = 0".to_owned());
            if own_directories::has_any(run.sql, run.modes) {
                settings.push(own_directories::PASSED_OVER.to_owned());
            }
        }
        for setting in &settings {
            match conn.run(setting) {
                Ok(_) => {}
                // It was dropped, and every name in the statement has its own.
                Err(e) if e.code() == Some(UNKNOWN_DATABASE) => {}
                Err(e) if e.code() == Some(UNKNOWN_ZONE) => return Err(unknown_zone(run, conn.info().flavor)),
                Err(e) => return Err(failed(e)),
            }
        }
        Ok(())
    }

    fn found(&mut self, conn: &mut Conn, wanted: &Zone) -> Result<Option<String>, ClusterError> {
        if let Some((_, found)) = self.found.iter().find(|(zone, _)| zone == wanted) {
            return Ok(found.clone());
        }
        let found = stands_for(conn, wanted)?;
        self.found.push((wanted.clone(), found.clone()));
        Ok(found)
    }

    /// What is to be said of a statement that makes moments of local times, before it is run, or after (`ran`, before a crash).
    /// A server takes another of two hours, or of none, in its own zone than in one by name.
    pub fn unclear(&mut self, conn: &mut Conn, run: &Run<'_>, ran: bool) -> Result<Option<String>, ClusterError> {
        let wanted = self.noted.as_ref().or(self.of_base.as_ref()).cloned();
        let zone = run.query.settings.time_zone.as_deref();
        let of_system = zone.is_some_and(|zone| zone.eq_ignore_ascii_case(SYSTEM));
        let Some(wanted) = wanted.filter(|zone| of_system && zone.fixed().is_none() && run.query.error == 0) else {
            return Ok(None);
        };
        let strings = zoned::strings(run.sql, run.modes);
        let makes = |there: &There| zoned::makes_moments(run.sql, run.modes, there);
        if !strings.iter().any(|text| wanted.is_unclear(text)) {
            let may = makes(&There::default());
            if !may || (!ran && !makes(&there(conn, run)?.unwrap_or_default())) {
                return Ok(None);
            }
        }
        let found = self.found(conn, &wanted)?.filter(|found| found != SYSTEM);
        Ok(found.map(|found| {
            format!(
                "transaction {} made moments of local times in the time zone of its server ({}), for which {found} stands here: those of \
                 an hour that clocks repeat or leave out may be another hour than at the source: {}",
                run.id,
                wanted.name,
                safe(run.sql, 160)
            )
        }))
    }

    /// The zone to be set where a statement depends on `SYSTEM`; none where that is this server's own, for all that is known.
    fn zone(&mut self, conn: &mut Conn, run: &Run<'_>) -> Result<Option<String>, ClusterError> {
        let zone = run.query.settings.time_zone.as_deref();
        let (Some(wanted), true) = (
            self.noted.as_ref().or(self.of_base.as_ref()),
            zone.is_some_and(|zone| zone.eq_ignore_ascii_case(SYSTEM)),
        ) else {
            return Ok(None);
        };
        let wanted = wanted.clone();
        let found = self.found(conn, &wanted)?;
        // What ended with an error at the source depends on nothing.
        match found {
            None if run.query.error == 0 && depends(conn, run)? => Err(ClusterError::Unsupported {
                what: format!(
                    "transaction {} depends on the time zone of its server ({}), and this one has no such zone: {}",
                    run.id,
                    wanted.name,
                    safe(run.sql, 160)
                ),
                hint: format!(
                    "{}, or start this server in that zone (TZ), then resume; or restore to just before it (--before {})",
                    zone::load(conn.info().flavor),
                    run.id
                ),
            }),
            found => Ok(found),
        }
    }
}

/// Whether a statement that used the zone can come out otherwise in another one.
fn depends(conn: &mut Conn, run: &Run<'_>) -> Result<bool, ClusterError> {
    let there = there(conn, run)?;
    Ok(there.is_some_and(|there| zoned::depends(run.sql, run.modes, &there)))
}

/// The table that a statement makes or alters, as it is now.
fn there(conn: &mut Conn, run: &Run<'_>) -> Result<Option<There>, ClusterError> {
    let Some(built) = &run.built else {
        return Ok(None);
    };
    let shown = create_of(conn, built)?.unwrap_or_default();
    let mut there = There {
        by_time: shown.contains("SYSTEM_TIME"),
        ..There::default()
    };
    if let Ok(create) = CreateTable::parse(&shown) {
        for item in &create.items {
            let words = words(&item.text, Modes::of(0, conn.info().flavor));
            let name = words.first().map(|t| t.name().to_lowercase());
            let is_timestamp = words.get(1).is_some_and(|t| t.is("TIMESTAMP"));
            match item.kind {
                ItemKind::Column(_) if is_timestamp => there.timestamps.extend(name),
                ItemKind::Column(_) => there.computed |= words.iter().any(|t| t.is("AS") || t.is("GENERATED")),
                ItemKind::Other | ItemKind::Foreign(_) => {}
                _ => there.computed |= words.windows(2).any(|two| two.iter().all(|t| t.is_symbol('('))),
            }
        }
    }
    Ok(Some(there))
}

/// What stands for a zone on this server, if anything does.
pub(in crate::cluster::mysql::restore) fn stands_for(
    conn: &mut Conn,
    wanted: &Zone,
) -> Result<Option<String>, ClusterError> {
    let doing = "comparing the time zones of the source and of this server";
    if Zone::system(conn).map_err(|e| e.doing(doing))?.is_like_for_ever(wanted) {
        return Ok(Some(SYSTEM.to_owned()));
    }
    let found = wanted.found(conn).map_err(|e| e.doing(doing))?;
    Ok(found.map(|(name, _)| name))
}

fn unknown_zone(run: &Run<'_>, flavor: Flavor) -> ClusterError {
    ClusterError::Unsupported {
        what: format!(
            "transaction {} ran in the time zone {}, which this server does not know: {}",
            run.id,
            run.query.settings.time_zone.as_deref().unwrap_or(SYSTEM),
            safe(run.sql, 160)
        ),
        hint: format!("{}, then resume", zone::load(flavor)),
    }
}
