//! What a transaction did: rows by table, the schema change, the statements that cannot be replayed.

use std::collections::HashMap;

use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::lacks;
use crate::cluster::mysql::sql::statement::{Statement, TransactionWord, XaWord};
use crate::cluster::mysql::sql::tokens::{TokenKind, tokens};
use crate::cluster::mysql::wire::{Conn, Flavor};
use crate::cluster::mysql::{OWN_DB, SHADOW_PREFIX};
use crate::cluster::{ClusterError, Ddl, Lack, Step, TableDelta};
use crate::model::table::TableName;

use super::event::{Event, Header, Kind};
use super::payload::{Events, Payload};
use super::query::{Query, SYSTEM};
use super::rows::{self, TableMap};
use super::savepoints::{Savepoints, Word};
use super::{marker, notes, savepoints, xa};
use crate::model::tso::Tso;

/// What a transaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// Table by table, in the order of their first change.
    pub deltas: Vec<TableDelta>,
    /// The schema change.
    pub ddl: Option<Ddl>,
    /// Whether all of it is about databases of brine's own.
    pub own: bool,
    /// The restore that wrote its marker with it.
    pub restored: Option<Tso>,
    /// The schema change, where only a server can read its letters.
    pub unread: Option<Unread>,
    /// A statement of it depends on what `SYSTEM` was as a time zone.
    pub in_system_zone: bool,
    /// What no replay of it gives.
    pub lack: Option<Lack>,
    /// It goes back to a savepoint, and the log has the rows that were taken back all the same.
    pub goes_back: bool,
    /// Whether it is a step of an XA transaction.
    pub step: Option<Step>,
}

impl Summary {
    /// The schema change has these letters.
    pub fn reads_as(&mut self, ddl: Ddl) {
        if let Some(lack) = &mut self.lack
            && lack.table.is_some()
        {
            lack.table.clone_from(&ddl.table);
        }
        self.ddl = Some(ddl);
    }

    /// No server reads it as it was.
    pub fn cannot_be_read(&mut self) {
        let table = self.ddl.as_ref().and_then(|ddl| ddl.table.clone());
        let what = lacks::UNREAD.to_owned();
        self.lack.get_or_insert(Lack { table, what });
    }
}

/// Whether a database is one of brine's own: its tables, or what a restore builds.
pub fn is_own(db: &str) -> bool {
    db.eq_ignore_ascii_case(OWN_DB)
        || db
            .get(..SHADOW_PREFIX.len())
            .is_some_and(|p| p.eq_ignore_ascii_case(SHADOW_PREFIX))
}

/// Sums events up.
pub(super) fn of(payload: &Payload<'_>, events: Events<'_>) -> Result<Summary, ClusterError> {
    let mut sum = Summing::new(payload.head.flavor);
    for event in events {
        sum.see(&event?)?;
    }
    Ok(sum.finish())
}

/// Sums up events one after the other.
#[derive(Debug)]
pub(super) struct Summing {
    flavor: Flavor,
    maps: HashMap<u64, TableMap>,
    /// Where a table's delta is.
    places: HashMap<TableName, usize>,
    savepoints: Savepoints,
    seen_own: bool,
    seen_other: bool,
    out: Summary,
}

impl Summing {
    pub fn new(flavor: Flavor) -> Summing {
        Summing {
            flavor,
            maps: HashMap::new(),
            places: HashMap::new(),
            savepoints: Savepoints::default(),
            seen_own: false,
            seen_other: false,
            out: Summary::default(),
        }
    }

    /// Takes the next event.
    pub fn see(&mut self, event: &Event<'_>) -> Result<(), ClusterError> {
        match event.kind() {
            Kind::TABLE_MAP => {
                let map = TableMap::parse(event)?;
                self.maps.insert(map.id, map);
            }
            Kind::QUERY => self.query(event)?,
            Kind::XA_PREPARE => self.out.step = xa::prepared(event)?.map(Step::Prepared),
            Kind::IGNORABLE => {
                if let Some(text) = notes::text(event)
                    && let Some(unread) = self.out.unread.take()
                {
                    let ddl = unread.ddl(text.to_owned(), self.flavor)?;
                    self.out.reads_as(ddl);
                }
            }
            Kind::EXECUTE_LOAD_QUERY => {
                self.lacks(None, lacks::rows_of("LOAD DATA", self.flavor));
                self.seen_other = true;
            }
            _ => self.rows(event),
        }
        Ok(())
    }

    /// What they did together.
    pub fn finish(mut self) -> Summary {
        self.out.own = self.seen_own && !self.seen_other;
        self.out
    }

    fn lacks(&mut self, table: Option<TableName>, what: String) {
        self.out.lack.get_or_insert(Lack { table, what });
    }

    fn see_db(&mut self, db: &str) {
        match is_own(db) {
            true => self.seen_own = true,
            false => self.seen_other = true,
        }
    }

    fn rows(&mut self, event: &Event<'_>) {
        let Some(act) = event.kind().rows() else { return };
        let Some(map) = rows::table_id(event).and_then(|id| self.maps.get(&id)) else {
            // The dummy event that only ends a statement, or one whose table is not replicated.
            return;
        };
        let (puts, updates, deletes) = rows::effect(act, rows::count(event, map));
        let db = map.table.db.clone();
        let at = match self.places.get(&map.table) {
            Some(at) => *at,
            None => {
                let at = self.out.deltas.len();
                self.places.insert(map.table.clone(), at);
                self.out.deltas.push(TableDelta {
                    table: map.table.clone(),
                    puts: 0,
                    updates: 0,
                    deletes: 0,
                    bytes: 0,
                });
                at
            }
        };
        if let Some(delta) = self.out.deltas.get_mut(at) {
            delta.puts += puts;
            delta.updates += updates;
            delta.deletes += deletes;
            delta.bytes += event.raw.len() as u64;
        }
        self.savepoints.count(at, (puts, updates, deletes));
        self.see_db(&db);
    }

    fn savepoint(&mut self, word: Option<Word>) {
        match word {
            Some(Word::Set(name)) => self.savepoints.set(&name),
            Some(Word::BackTo(name)) => {
                self.out.goes_back = true;
                for (at, (puts, updates, deletes)) in self.savepoints.back_to(&name) {
                    if let Some(delta) = self.out.deltas.get_mut(at) {
                        delta.puts = delta.puts.saturating_sub(puts);
                        delta.updates = delta.updates.saturating_sub(updates);
                        delta.deletes = delta.deletes.saturating_sub(deletes);
                    }
                }
            }
            Some(Word::Release(_)) | None => {}
        }
    }

    fn query(&mut self, event: &Event<'_>) -> Result<(), ClusterError> {
        let query = Query::parse(event)?;
        if matches!(query.text, b"BEGIN" | b"COMMIT" | b"ROLLBACK") {
            return Ok(());
        }
        // What cannot be read without a server is shown as well as it can be; nothing is run from here.
        let sql = query.sql();
        let is_read = sql.is_some();
        let text = sql.unwrap_or_else(|| query.shown());
        let modes = Modes::of(query.settings.sql_mode.unwrap_or_default(), self.flavor);
        let statement = Statement::classify(&text, &query.db, modes);
        match &statement {
            Statement::Transaction(TransactionWord::Savepoint) => {
                self.savepoint(savepoints::word(&text, modes));
                return Ok(());
            }
            Statement::Xa(XaWord::Commit, id) => {
                self.out.step = Some(Step::Committed(xa::plain(id)));
                return Ok(());
            }
            Statement::Xa(XaWord::Rollback, id) => {
                self.out.step = Some(Step::RolledBack(xa::plain(id)));
                return Ok(());
            }
            Statement::Transaction(_) | Statement::Xa(..) | Statement::Session | Statement::Admin => return Ok(()),
            Statement::Rows => {
                self.lacks(None, lacks::rows_of(&text, self.flavor));
                self.seen_other = true;
                return Ok(());
            }
            _ => {}
        }
        let zone = query.settings.time_zone.as_deref();
        self.out.in_system_zone |= zone.is_some_and(|zone| zone.eq_ignore_ascii_case(SYSTEM));
        if is_read && !query.is_kept_by(&text, modes) {
            self.lacks(
                statement.tables().first().map(|t| (*t).clone()),
                lacks::UNREAD.to_owned(),
            );
        }
        if let Some(what) = lacks::of(&text, modes) {
            self.lacks(statement.tables().first().map(|t| (*t).clone()), what);
        }
        self.out.restored = marker::parse(&text).map(|(_, at)| at);
        let databases = statement.databases();
        databases.iter().for_each(|db| self.see_db(db));
        if databases.is_empty() {
            self.seen_other = true;
        }
        if self.out.ddl.is_none() {
            self.out.unread = (!is_read).then(|| Unread {
                header: event.header,
                body: event.body.to_vec(),
            });
            self.out.ddl = Some(ddl(&statement, text, modes));
        }
        Ok(())
    }
}

/// The schema change.
fn ddl(statement: &Statement, text: String, modes: Modes) -> Ddl {
    let text = match statement {
        Statement::Account => without_secrets(&text, modes),
        _ => text,
    };
    Ddl {
        text,
        table: statement.tables().first().map(|t| (*t).clone()),
        rows: 0,
    }
}

/// A schema change that only a server can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    header: Header,
    body: Vec<u8>,
}

impl Unread {
    fn query(&self) -> Result<Query<'_>, ClusterError> {
        Query::parse(&Event {
            header: self.header,
            body: &self.body,
            raw: &self.body,
        })
    }

    /// Its text, if this server can read it.
    pub fn read(&self, conn: &mut Conn) -> Result<Option<String>, ClusterError> {
        self.query()?.text_of(conn)
    }

    /// Whether that text says all.
    pub fn is_kept_by(&self, text: &str, flavor: Flavor) -> Result<bool, ClusterError> {
        let query = self.query()?;
        let modes = Modes::of(query.settings.sql_mode.unwrap_or_default(), flavor);
        Ok(query.is_kept_by(text, modes))
    }

    /// The same as it is listed.
    pub fn ddl(&self, text: String, flavor: Flavor) -> Result<Ddl, ClusterError> {
        let query = self.query()?;
        let modes = Modes::of(query.settings.sql_mode.unwrap_or_default(), flavor);
        Ok(ddl(&Statement::classify(&text, &query.db, modes), text, modes))
    }
}

/// A statement about accounts with its passwords, also hashed ones, left out.
fn without_secrets(text: &str, modes: Modes) -> String {
    let mut secret = false;
    let mut out = String::with_capacity(text.len());
    for token in tokens(text, modes) {
        let hex = token.text.get(..2).is_some_and(|p| p.eq_ignore_ascii_case("0x"));
        if secret && (token.kind == TokenKind::Text || hex) {
            out.push_str("'...'");
            continue;
        }
        out.push_str(token.text);
        match token.kind {
            TokenKind::Word => secret = ["BY", "AS", "PASSWORD", "USING", "REPLACE"].iter().any(|w| token.is(w)),
            TokenKind::Symbol if token.is_symbol('=') => secret = true,
            TokenKind::Symbol if !token.is_symbol('(') => secret = false,
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_left_out() {
        let hide = |sql: &str| without_secrets(sql, Modes::of(0, Flavor::MariaDb));
        assert_eq!(
            hide("CREATE USER 'a'@'%' IDENTIFIED BY PASSWORD '*12'"),
            "CREATE USER 'a'@'%' IDENTIFIED BY PASSWORD '...'"
        );
        assert_eq!(
            hide("CREATE USER 'a'@'%' IDENTIFIED WITH 'x' AS '$A$' REQUIRE NONE"),
            "CREATE USER 'a'@'%' IDENTIFIED WITH 'x' AS '...' REQUIRE NONE"
        );
        assert_eq!(
            hide("SET PASSWORD FOR 'a'@'b' = PASSWORD('x')"),
            "SET PASSWORD FOR 'a'@'b' = PASSWORD('...')"
        );
        assert_eq!(hide("SET PASSWORD FOR 'a'@'b'='*1'"), "SET PASSWORD FOR 'a'@'b'='...'");
        assert_eq!(hide("GRANT ALL ON *.* TO 'a'@'b'"), "GRANT ALL ON *.* TO 'a'@'b'");
    }

    #[test]
    fn own_databases() {
        assert!(is_own("_brine") && is_own("_brine_1_shop") && is_own("_BRINE"));
        assert!(!is_own("_brines") && !is_own("brine") && !is_own("_brin\u{e4}"));
    }
}
