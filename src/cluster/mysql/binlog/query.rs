//! QUERY events: a statement with the settings of the session that ran it.

use crate::cluster::ClusterError;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::{TokenKind, words};
use crate::cluster::mysql::wire::{Conn, Flavor, ServerInfo};
use crate::model::text::safe;

use super::charset;
use super::event::{Cursor, Event, malformed};
use super::payload::Head;

/// A statement of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The session's id at the source.
    pub thread: u32,
    /// The error that the statement ended with at the source; 0 for none.
    pub error: u16,
    /// The default database; empty for none.
    pub db: String,
    /// The statement, in the session's client charset.
    pub text: &'a [u8],
    /// What else it depends on.
    pub settings: Settings,
}

/// What a statement depends on besides its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Seconds since the epoch, from the event's header.
    pub timestamp: u32,
    /// And microseconds, where the statement used them.
    pub micros: Option<u32>,
    /// Bits of `foreign_key_checks` and others; see [`Settings::statements`].
    pub flags2: Option<u32>,
    /// `sql_mode` as a number.
    pub sql_mode: Option<u64>,
    /// auto_increment_increment and auto_increment_offset.
    pub auto_increment: Option<(u16, u16)>,
    /// Collation ids: character_set_client, collation_connection, collation_server.
    pub charset: Option<(u16, u16, u16)>,
    /// The session's time zone; none where the statement did not use it.
    pub time_zone: Option<String>,
    /// The number of `lc_time_names`.
    pub lc_time_names: Option<u16>,
    /// The default database's collation id.
    pub charset_database: Option<u16>,
    /// The account that counts as the definer: user and host.
    pub invoker: Option<(String, String)>,
    /// `explicit_defaults_for_timestamp`.
    pub explicit_defaults: Option<bool>,
    /// `default_collation_for_utf8mb4` (MySQL), a collation id.
    pub utf8mb4_collation: Option<u16>,
    /// `sql_require_primary_key` (MySQL).
    pub require_primary_key: Option<bool>,
    /// `default_table_encryption` (MySQL).
    pub table_encryption: Option<bool>,
    /// `character_set_collations` (MariaDB): pairs of collation ids, a charset's default and what stands for it.
    pub collations: Vec<(u16, u16)>,
}

/// The name of the zone that the server has from its host.
pub const SYSTEM: &str = "SYSTEM";
const NO_FOREIGN_KEY_CHECKS: u32 = 1 << 26;
const NO_UNIQUE_CHECKS: u32 = 1 << 27;
const AUTO_IS_NULL: u32 = 1 << 14;
/// MariaDB's `check_constraint_checks`, and `sql_if_exists`.
const NO_CHECK_CONSTRAINT_CHECKS: u32 = 1 << 25;
const IF_EXISTS: u32 = 1 << 28;
/// MariaDB's `explicit_defaults_for_timestamp`.
const EXPLICIT_DEFAULTS: u32 = 1 << 24;
/// The first MariaDB whose default collations can be chosen for a session.
const CHOSEN_COLLATIONS: (u16, u16, u16) = (11, 2, 0);

impl<'a> Query<'a> {
    /// Takes a QUERY event apart.
    pub fn parse(event: &Event<'a>) -> Result<Query<'a>, ClusterError> {
        parse(event).ok_or_else(|| malformed("a statement's fields do not fit its length"))
    }

    /// The same, of that server: what its flags mean depends on its version.
    pub fn parse_of(event: &Event<'a>, head: Head) -> Result<Query<'a>, ClusterError> {
        let mut query = Query::parse(event)?;
        if head.flavor == Flavor::MariaDb
            && logs_explicit_defaults(head.version)
            && let Some(flags) = query.settings.flags2
        {
            query.settings.explicit_defaults = Some(flags & EXPLICIT_DEFAULTS != 0);
        }
        Ok(query)
    }

    /// The statement as text, where that needs no server.
    pub fn sql(&self) -> Option<String> {
        charset::decode(self.text, self.client())
    }

    /// The statement as text, for a session that speaks utf8mb4.
    pub fn read(&self, conn: &mut Conn, modes: Modes) -> Result<String, ClusterError> {
        match self.text_of(conn)? {
            Some(text) if self.is_kept_by(&text, modes) => Ok(text),
            _ => Err(ClusterError::Unsupported {
                what: format!(
                    "a statement of the log is written in the charset of collation {}, and cannot be read: {}",
                    self.client(),
                    safe(&self.shown(), 120)
                ),
                hint: "restore to a moment before it, or from a snapshot that was taken after it".to_owned(),
            }),
        }
    }

    /// Whether this text says all that the bytes do.
    pub(super) fn is_kept_by(&self, text: &str, modes: Modes) -> bool {
        text.as_bytes() == self.text || !has_bytes(text, modes)
    }

    /// The text by itself, if the server can read it.
    pub(super) fn text_of(&self, conn: &mut Conn) -> Result<Option<String>, ClusterError> {
        match self.sql() {
            Some(text) => Ok(Some(text)),
            None => charset::by_server(conn, self.text, self.client())
                .map_err(|e| e.doing("reading a statement of the log in its charset")),
        }
    }

    /// The same where a server cannot be asked, or could not read it: its words, and marks for letters.
    pub fn shown(&self) -> String {
        charset::marked(self.text, self.client())
    }

    /// The collation of the session's client charset.
    fn client(&self) -> u16 {
        self.settings.charset.map_or(45, |c| c.0)
    }
}

/// Whether a statement has a string whose bytes count, because it names its charset: as text they would be others.
fn has_bytes(text: &str, modes: Modes) -> bool {
    words(text, modes).windows(2).any(|two| match two {
        [charset, string] => {
            let names = charset.kind == TokenKind::Word && (charset.text.starts_with('_') || charset.is("N"));
            names && string.kind == TokenKind::Text && !string.text.is_ascii()
        }
        _ => false,
    })
}

/// Whether a MariaDB of that version says in its flags how a TIMESTAMP is declared.
fn logs_explicit_defaults((major, minor, patch): (u16, u16, u16)) -> bool {
    // By minor version, the first patch that does.
    const SINCE: [u16; 10] = [u16::MAX, u16::MAX, u16::MAX, 36, 26, 17, 9, 5, 4, 2];
    let of_ten = || SINCE.get(usize::from(minor)).is_none_or(|since| patch >= *since);
    major > 10 || (major == 10 && of_ten())
}

fn parse<'a>(event: &Event<'a>) -> Option<Query<'a>> {
    let mut at = Cursor::new(event.body);
    let thread = at.u32()?;
    let _seconds = at.u32()?;
    let db_len = at.u8()?;
    let error = at.u16()?;
    let vars_len = at.u16()?;
    let vars = at.take(vars_len.into())?;
    let db = String::from_utf8_lossy(at.take(db_len.into())?).into_owned();
    let _zero = at.u8()?;
    let mut settings = Settings {
        timestamp: event.header.timestamp,
        ..Settings::default()
    };
    settings.read(vars);
    Some(Query {
        thread,
        error,
        db,
        text: at.rest(),
        settings,
    })
}

impl Settings {
    /// Reads the status variables; what is behind the first unknown one cannot be read and is left at its default.
    fn read(&mut self, vars: &[u8]) {
        let mut at = Cursor::new(vars);
        while let Some(code) = at.u8() {
            if self.read_one(code, &mut at).is_none() {
                return;
            }
        }
    }

    fn read_one(&mut self, code: u8, at: &mut Cursor<'_>) -> Option<()> {
        match code {
            0 => self.flags2 = Some(at.u32()?),
            1 => self.sql_mode = Some(at.u64()?),
            // Catalog, with and without a zero byte.
            2 => drop(at.name()?),
            3 => self.auto_increment = Some((at.u16()?, at.u16()?)),
            4 => self.charset = Some((at.u16()?, at.u16()?, at.u16()?)),
            5 => self.time_zone = Some(text(at)?),
            6 => drop(text(at)?),
            7 => self.lc_time_names = Some(at.u16()?),
            8 => self.charset_database = Some(at.u16()?),
            // Tables that a multi-table update changes, and what the master wrote: for replicas only.
            9 => drop(at.u64()?),
            10 => drop(at.u32()?),
            11 => self.invoker = Some((text(at)?, text(at)?)),
            12 => updated_databases(at)?,
            13 => self.micros = Some(at.number(3)? as u32),
            // 14 and 15 were never released.
            16 => self.explicit_defaults = Some(at.u8()? != 0),
            17 => drop(at.u64()?),
            18 => self.utf8mb4_collation = Some(at.u16()?),
            19 => self.require_primary_key = Some(at.u8()? != 0),
            20 => self.table_encryption = Some(at.u8()? != 0),
            128 => self.micros = Some(at.number(3)? as u32),
            129 => drop(at.u64()?),
            130 => {
                // Flags of a two-phase ALTER; the sequence number follows where it is its second half.
                let flags = at.u8()?;
                if flags & 0x0C != 0 {
                    at.u64()?;
                }
            }
            131 => {
                for _ in 0..at.u8()? {
                    self.collations.push((at.u16()?, at.u16()?));
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Statements that put a session into the state in which the statement ran, without the default database. The session
    /// speaks utf8mb4 afterwards: the statement is sent as [`Query::sql`] gives it.
    pub fn statements(&self, target: &ServerInfo) -> Vec<String> {
        let flavor = target.flavor;
        let mut out = vec![match self.micros {
            Some(us) => format!("SET SESSION timestamp = {}.{us:06}", self.timestamp),
            None => format!("SET SESSION timestamp = {}", self.timestamp),
        }];
        if let Some(flags) = self.flags2 {
            let on = |bit: u32| u8::from(flags & bit == 0);
            out.push(format!(
                "SET SESSION foreign_key_checks = {}, unique_checks = {}, sql_auto_is_null = {}",
                on(NO_FOREIGN_KEY_CHECKS),
                on(NO_UNIQUE_CHECKS),
                u8::from(flags & AUTO_IS_NULL != 0)
            ));
            if flavor == Flavor::MariaDb {
                out.push(format!(
                    "SET SESSION check_constraint_checks = {}, sql_if_exists = {}",
                    on(NO_CHECK_CONSTRAINT_CHECKS),
                    u8::from(flags & IF_EXISTS != 0)
                ));
            }
        }
        if let Some((_, connection, server)) = self.charset {
            out.push(format!(
                "SET SESSION character_set_client = utf8mb4, collation_connection = {connection}, collation_server = {server}"
            ));
        }
        if let Some(mode) = self.sql_mode {
            out.push(format!("SET SESSION sql_mode = {mode}"));
        }
        if let Some((increment, offset)) = self.auto_increment {
            out.push(format!(
                "SET SESSION auto_increment_increment = {increment}, auto_increment_offset = {offset}"
            ));
        }
        let zone = self.time_zone.as_deref().unwrap_or(SYSTEM).replace('\'', "''");
        out.push(format!("SET SESSION time_zone = '{zone}'"));
        if let Some(number) = self.lc_time_names {
            out.push(format!("SET SESSION lc_time_names = {number}"));
        }
        match self.charset_database {
            Some(id) => out.push(format!("SET SESSION collation_database = {id}")),
            None => out.push("SET SESSION collation_database = DEFAULT".to_owned()),
        }
        if let Some(on) = self.explicit_defaults {
            out.push(format!(
                "SET SESSION explicit_defaults_for_timestamp = {}",
                u8::from(on)
            ));
        }
        match flavor {
            Flavor::MySql => self.mysql_statements(&mut out),
            Flavor::MariaDb if target.version >= CHOSEN_COLLATIONS => out.push(self.chosen_collations()),
            Flavor::MariaDb => {}
        }
        out
    }

    /// A statement that was logged without any was run with each charset's own default collation.
    fn chosen_collations(&self) -> String {
        if self.collations.is_empty() {
            return "SET SESSION character_set_collations = ''".to_owned();
        }
        let ids: Vec<String> = self.collations.iter().map(|(_, id)| id.to_string()).collect();
        format!(
            "SET SESSION character_set_collations = (SELECT COALESCE(GROUP_CONCAT(CONCAT(character_set_name, '=', \
             full_collation_name)), '') FROM information_schema.collation_character_set_applicability WHERE id IN ({}))",
            ids.join(",")
        )
    }

    fn mysql_statements(&self, out: &mut Vec<String>) {
        if let Some(id) = self.utf8mb4_collation {
            out.push(format!("SET SESSION default_collation_for_utf8mb4 = {id}"));
        }
        if let Some(on) = self.require_primary_key {
            out.push(format!("SET SESSION sql_require_primary_key = {}", u8::from(on)));
        }
        if let Some(on) = self.table_encryption {
            out.push(format!("SET SESSION default_table_encryption = {}", u8::from(on)));
        }
    }
}

fn text(at: &mut Cursor<'_>) -> Option<String> {
    let len = at.u8()?;
    Some(String::from_utf8_lossy(at.take(len.into())?).into_owned())
}

fn updated_databases(at: &mut Cursor<'_>) -> Option<()> {
    // 254: more than fit in the list, no names follow.
    let count = at.u8()?;
    if count == 254 {
        return Some(());
    }
    for _ in 0..count {
        while at.u8()? != 0 {}
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_that_names_its_charset_is_bytes() {
        let has = |sql: &str| has_bytes(sql, Modes::of(0, Flavor::MariaDb));
        assert!(has("create table t (a text default _binary '\u{e4}')"));
        assert!(has("select n'\u{e4}'"));
        assert!(!has(
            "create table t (a text default _binary 'a' comment '\u{e4}', `_x` int comment '\u{e4}')"
        ));
    }
}
