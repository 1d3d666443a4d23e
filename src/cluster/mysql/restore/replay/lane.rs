//! One lane of the replay: a connection that applies merged transactions of its tables, in order.
//!
//! Rows of many transactions become one statement: first every table map, then all rows events, of which only the last ends
//! the statement. (A map behind rows would make the server drop that table's rows without a word.) The lane's progress is
//! written in the same transaction, so that after a crash each is applied exactly once.
//!
//! What is sent is not waited for until the lane sends again: lanes work side by side.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::cluster::ClusterError;
use crate::cluster::mysql::binlog::event::Event;
use crate::cluster::mysql::binlog::payload::{Head, format_description};
use crate::cluster::mysql::restore::{session, state};
use crate::cluster::mysql::text::string;
use crate::cluster::mysql::wire::{Conn, Flavor};
use crate::model::crash::crash_point;

use super::rewrite::{self, NO_FOREIGN_KEYS, STATEMENT_END};

/// Transactions in one commit.
const TRANSACTIONS: u64 = 500;
/// Bytes of rows in one statement, and about in one commit.
const BYTES: usize = 1 << 20;

/// What stands before the events.
const BEFORE: &str = "BINLOG '";

/// A statement in the making.
#[derive(Default)]
struct Statement {
    maps: BTreeMap<u64, Vec<u8>>,
    rows: Vec<u8>,
    /// Where the flags of the last rows event are.
    last: usize,
    /// Whether foreign keys are checked, of its rows.
    checks: bool,
}

impl Statement {
    fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its events in order. One of them may be as large as a row can be, so nothing is copied.
    fn close(self) -> Vec<u8> {
        let Statement {
            maps, mut rows, last, ..
        } = self;
        if let Some(flags) = rows.get_mut(last) {
            *flags |= STATEMENT_END as u8;
        }
        let length = maps.values().map(Vec::len).sum();
        rows.reserve_exact(length);
        maps.values().for_each(|map| rows.extend_from_slice(map));
        rows.rotate_right(length);
        rows
    }
}

/// A lane.
pub(super) struct Lane {
    conn: Conn,
    restore: u64,
    index: usize,
    allowed: u64,
    /// The format that the connection was told.
    told: Option<Head>,
    statement: Statement,
    /// A transaction is open at the server.
    open: bool,
    /// Answers that are still to be read.
    waiting: usize,
    transactions: u64,
    bytes: usize,
    /// What was sent is to be committed up to this transaction, once the server has said that the rows are in.
    due: Option<u64>,
    /// The note about rows of tables without transactions in what was collected, and in what is due.
    plain: Option<u64>,
    due_plain: Option<u64>,
    /// The last transaction that is whole in what was collected or sent.
    reached: u64,
    /// The last transaction that is in.
    pub done: u64,
}

impl Lane {
    /// A lane that goes on behind the transaction `done`; `zone` is that in which sessions of the source begin, where it is not UTC:
    /// MySQL computes stored columns anew when it applies a row.
    pub fn new(
        mut conn: Conn,
        restore: u64,
        index: usize,
        done: u64,
        zone: Option<&str>,
    ) -> Result<Lane, ClusterError> {
        let allowed = conn
            .row("SELECT @@SESSION.max_allowed_packet")
            .map_err(|e| e.doing("preparing the replay"))?
            .map_or(1 << 24, |r| r.number(0));
        conn.run("SET SESSION foreign_key_checks = 1")
            .map_err(|e| e.doing("preparing the replay"))?;
        if let Some(zone) = zone {
            conn.run(&format!("SET SESSION time_zone = {}", string(zone)))
                .map_err(|e| e.doing("preparing the replay"))?;
        }
        session::exact(&mut conn)?;
        Ok(Lane {
            conn,
            restore,
            index,
            allowed,
            told: None,
            statement: Statement::default(),
            open: false,
            waiting: 0,
            due: None,
            transactions: 0,
            bytes: 0,
            plain: None,
            due_plain: None,
            reached: done,
            done,
        })
    }

    /// Takes a rows event of a table; `alone`, in a statement of its own: one that has a table open by two names (its own, and
    /// that of a table that merges it) would overwrite its own rows without a word.
    pub fn rows(
        &mut self,
        head: Head,
        number: u64,
        map: &[u8],
        event: &Event<'_>,
        alone: bool,
    ) -> Result<(), ClusterError> {
        let flags = rewrite::number_and_flags(event).map_or(0, |(_, flags)| flags);
        let checks = rewrite::replayed(flags) & NO_FOREIGN_KEYS == 0;
        let full = self.statement.rows.len() + event.body.len() > BYTES;
        if !self.statement.is_empty() && (full || alone || self.statement.checks != checks || self.told != Some(head)) {
            self.send_statement()?;
        }
        self.tell(head)?;
        self.statement.checks = checks;
        self.statement.maps.entry(number).or_insert_with(|| map.to_vec());
        self.statement.last = rewrite::rows(event, number, &mut self.statement.rows)?;
        self.bytes += event.body.len();
        match alone {
            true => self.send_statement(),
            false => Ok(()),
        }
    }

    /// Sets a savepoint behind what was taken so far, or goes back to one.
    pub fn savepoint(&mut self, sql: &str) -> Result<(), ClusterError> {
        self.send_statement()?;
        self.begin()?;
        self.send(sql)
    }

    /// Opens a transaction, where none is, when all that was sent is done.
    fn begin(&mut self) -> Result<(), ClusterError> {
        self.wait()?;
        if !self.open {
            self.open = true;
            self.send("START TRANSACTION")?;
        }
        Ok(())
    }

    /// Whether the next commit is known to hold rows of tables without transactions.
    pub fn is_noted(&self) -> bool {
        self.plain.is_some()
    }

    /// It was noted, under that number, that the next commit holds rows of tables without transactions.
    pub fn noted(&mut self, batch: u64) {
        self.plain = Some(batch);
    }

    /// The transaction whose rows came is whole.
    pub fn end_transaction(&mut self, txn: u64) -> Result<(), ClusterError> {
        if self.statement.is_empty() && !self.open {
            return Ok(());
        }
        self.reached = txn;
        self.transactions += 1;
        if self.transactions >= TRANSACTIONS || self.bytes >= BYTES {
            self.commit()?;
        }
        Ok(())
    }

    fn failed(&self) -> impl Fn(crate::cluster::mysql::wire::WireError) -> ClusterError + use<> {
        let reached = self.reached;
        move |e| e.doing(format!("replaying the log up to TSO {reached}"))
    }

    fn tell(&mut self, head: Head) -> Result<(), ClusterError> {
        if self.told == Some(head) {
            return Ok(());
        }
        self.wait()?;
        let event = format_description(&Head {
            checksum: false,
            ..head
        });
        let failed = self.failed();
        self.conn
            .run(&format!("BINLOG '{}'", STANDARD.encode(event)))
            .map_err(failed)?;
        if self.conn.info().flavor == Flavor::MySql {
            // The event leaves it to the next one to say which transaction it is; ours are none of the log.
            let failed = self.failed();
            self.conn.run("SET SESSION gtid_next = 'AUTOMATIC'").map_err(failed)?;
        }
        self.told = Some(head);
        Ok(())
    }

    fn send(&mut self, sql: &str) -> Result<(), ClusterError> {
        let failed = self.failed();
        self.conn.send(sql).map_err(failed)?;
        self.waiting += 1;
        Ok(())
    }

    /// Reads the answers that are awaited, and commits what is due.
    ///
    /// Nothing is noted or committed before the rows are known to be in: a server goes on behind a statement that failed,
    /// and would commit the note without the rows.
    fn wait(&mut self) -> Result<(), ClusterError> {
        let failed = self.failed();
        // After an error nothing is due any more.
        let due = self.due.take();
        while self.waiting > 0 {
            self.waiting -= 1;
            self.conn.finish().map_err(&failed)?;
        }
        if let Some(reached) = due {
            let progress = state::progress_statement(self.restore, self.index, reached);
            self.conn.run(&progress).map_err(&failed)?;
            if let Some(batch) = self.due_plain.take() {
                let strike = state::end_plain_statement(self.restore, batch);
                self.conn.run(&strike).map_err(&failed)?;
            }
            crash_point("mysql.restore.batch-in");
            self.conn.run("COMMIT").map_err(&failed)?;
            self.done = reached;
        }
        Ok(())
    }

    fn send_statement(&mut self) -> Result<(), ClusterError> {
        if self.statement.is_empty() {
            return Ok(());
        }
        self.begin()?;
        let events = std::mem::take(&mut self.statement).close();
        let mut sql = String::with_capacity(events.len().div_ceil(3) * 4 + BEFORE.len() + 1);
        sql.push_str(BEFORE);
        STANDARD.encode_string(&events, &mut sql);
        drop(events);
        if (sql.len() as u64) + 64 < self.allowed {
            sql.push('\'');
            return self.send(&sql);
        }
        self.send_in_halves(sql.get(BEFORE.len()..).unwrap_or_default())
    }

    /// MariaDB takes a large statement from two variables.
    fn send_in_halves(&mut self, text: &str) -> Result<(), ClusterError> {
        let half = text.len().div_ceil(2).next_multiple_of(4);
        if self.conn.info().flavor != Flavor::MariaDb || half as u64 + 64 > self.allowed {
            return Err(ClusterError::Unsupported {
                what: format!(
                    "a change of the log takes {} bytes as a statement, and the server allows {}",
                    text.len(),
                    self.allowed
                ),
                hint: "SET GLOBAL max_allowed_packet = 1073741824, then resume".to_owned(),
            });
        }
        let (first, second) = text.split_at(half.min(text.len()));
        let failed = self.failed();
        self.wait()?;
        for (variable, half) in [("@brine_0", first), ("@brine_1", second)] {
            self.conn.run(&format!("SET {variable} = '{half}'")).map_err(&failed)?;
        }
        for statement in ["BINLOG @brine_0, @brine_1", "SET @brine_0 = NULL, @brine_1 = NULL"] {
            self.conn.run(statement).map_err(&failed)?;
        }
        Ok(())
    }

    /// Has all transactions committed that are whole, when the lane next waits; what came of one that is not goes with the next commit only if the caller
    /// says so by [`Lane::end_transaction`] first.
    pub fn commit(&mut self) -> Result<(), ClusterError> {
        self.send_statement()?;
        if !self.open {
            return Ok(());
        }
        self.open = false;
        self.due = Some(self.reached);
        self.due_plain = self.plain.take();
        (self.transactions, self.bytes) = (0, 0);
        Ok(())
    }

    /// Commits, and waits until the server has done it.
    pub fn settle(&mut self) -> Result<(), ClusterError> {
        self.commit()?;
        self.wait()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::wire::scripted::{Peer, logged_in, row};
    use std::sync::{Arc, Mutex};

    /// A server that answers what a lane asks, and every statement of rows with an error; what it was asked.
    fn refuses_rows(peer: &mut Peer, asked: &Mutex<Vec<String>>) {
        while let Some(command) = peer.recv() {
            let sql = String::from_utf8_lossy(command.get(1..).unwrap()).into_owned();
            asked.lock().unwrap().push(sql.clone());
            if let Some(value) = sql.strip_prefix("SELECT ") {
                let value: &[u8] = if value.contains("slave_exec_mode") {
                    b"STRICT"
                } else {
                    b"16777216"
                };
                peer.columns(1);
                peer.send(&row(&[Some(value)]));
                peer.eof();
            } else if sql.starts_with("BINLOG") && sql.len() > 600 {
                peer.err(1032, "Can't find record");
            } else {
                peer.ok();
            }
        }
    }

    /// Progress without rows would be the worst: the next run would believe that they are in.
    #[test]
    fn rows_that_are_refused_are_never_noted_as_in() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (conn, server) = logged_in({
            let asked = asked.clone();
            move |peer| refuses_rows(peer, &asked)
        });
        let mut lane = Lane::new(conn, 1, 0, 0, None).unwrap();
        let head = Head {
            flavor: Flavor::MariaDb,
            version: (10, 11, 0),
            checksum: false,
        };
        let (mut raw, mut map) = (Vec::new(), Vec::new());
        let mut body = 7_u64.to_le_bytes()[..6].to_vec();
        body.extend([0, 0]);
        body.extend([5; 400]);
        let header = |kind| Header {
            timestamp: 0,
            kind,
            server_id: 1,
            size: 0,
            log_pos: 0,
            flags: 0,
        };
        build(header(Kind::TABLE_MAP), &body, false, &mut map);
        build(header(Kind::WRITE_ROWS_V1), &body, false, &mut raw);
        let event = Event::parse(&raw, false).unwrap();
        let fed = lane.rows(head, 7, &map, &event, false);
        let fed = fed.and_then(|()| lane.end_transaction(100));
        let error = fed.and_then(|()| lane.settle()).unwrap_err().to_string();
        assert!(error.contains("1032"), "{error}");
        // Whoever goes on with it all the same gets nothing committed either.
        let _ = lane.end_transaction(101);
        let _ = lane.settle();
        assert_eq!(lane.done, 0);
        drop(lane);
        server.join().unwrap();
        let asked = asked.lock().unwrap();
        assert!(asked.iter().any(|sql| sql.starts_with("BINLOG")), "{asked:?}");
        let bad = |sql: &&String| sql.contains("_brine.progress") || sql.contains("COMMIT");
        assert_eq!(asked.iter().find(bad), None);
    }

    use crate::cluster::mysql::binlog::event::{Header, Kind, build};

    #[test]
    fn maps_come_first_and_only_the_last_event_ends_the_statement() {
        let mut statement = Statement::default();
        for (number, flags) in [(1_u64, 1_u8), (2, 1), (1, 1)] {
            let mut body = number.to_le_bytes()[..6].to_vec();
            body.extend([flags, 0, 7]);
            let header = |kind| Header {
                timestamp: 0,
                kind,
                server_id: 1,
                size: 0,
                log_pos: 0,
                flags: 0,
            };
            let (mut raw, mut map) = (Vec::new(), Vec::new());
            build(header(Kind::WRITE_ROWS_V1), &body, false, &mut raw);
            build(header(Kind::TABLE_MAP), &body, false, &mut map);
            let event = Event::parse(&raw, false).unwrap();
            statement.maps.entry(number).or_insert(map);
            statement.last = rewrite::rows(&event, number, &mut statement.rows).unwrap();
        }
        let out = statement.close();
        let mut rest = &out[..];
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let size = Header::parse(rest).unwrap().size as usize;
            let event = Event::parse(&rest[..size], false).unwrap();
            seen.push((event.kind(), rewrite::number_and_flags(&event).unwrap()));
            rest = &rest[size..];
        }
        assert_eq!(
            seen,
            [
                (Kind::TABLE_MAP, (1, 1)),
                (Kind::TABLE_MAP, (2, 1)),
                (Kind::WRITE_ROWS_V1, (1, 0)),
                (Kind::WRITE_ROWS_V1, (2, 0)),
                (Kind::WRITE_ROWS_V1, (1, 1)),
            ]
        );
    }
}
