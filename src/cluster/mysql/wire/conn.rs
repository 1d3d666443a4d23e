//! One connection.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::connect::{self, Refused};
use super::packet::{Limit, PacketStream};
use super::parse::Parse;
use super::rows::{self, Head};
use super::{Killer, WireError, answer, refusal};
use crate::cluster::mysql::options::{Endpoint, MysqlOptions};
use crate::cluster::mysql::sessions::MARK;

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// MariaDB.
    MariaDb,
    /// MySQL, Percona Server and kin.
    MySql,
}

/// Major, minor, patch.
pub type Version = (u16, u16, u16);

/// Who answered.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// Whose.
    pub flavor: Flavor,
    /// As numbers.
    pub version: Version,
    /// As it says itself.
    pub version_text: String,
    /// The id of this connection.
    pub connection_id: u64,
}

/// The answer to a statement without rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows changed.
    pub affected: u64,
    /// Warnings.
    pub warnings: u16,
}

/// A row of a small result, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub Vec<Option<Vec<u8>>>);

impl Row {
    /// A column as text; empty for NULL and for columns that are not there.
    pub fn text(&self, column: usize) -> String {
        self.opt(column).unwrap_or_default()
    }

    /// A column as text, or `None` for NULL.
    pub fn opt(&self, column: usize) -> Option<String> {
        let value = self.0.get(column)?.as_ref()?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// A column as a number; 0 when it is none.
    pub fn number(&self, column: usize) -> u64 {
        self.opt(column).and_then(|t| t.parse().ok()).unwrap_or(0)
    }

    /// A column's bytes.
    pub fn bytes(&self, column: usize) -> Option<&[u8]> {
        self.0.get(column)?.as_deref()
    }
}

/// Statements that may be under way at once, and their bytes: less than the sockets' buffers hold, so that neither side
/// waits for the other for ever.
const AHEAD: usize = 64;
const AHEAD_BYTES: usize = 32 << 10;

/// Takes a row's payload and the number of its columns.
type TakeRow<'a> = dyn FnMut(&[u8], usize) -> Result<(), WireError> + 'a;

/// One connection.
pub struct Conn {
    info: ServerInfo,
    stream: PacketStream,
    options: MysqlOptions,
    endpoint: Endpoint,
    /// Answers that are still to be read: the bytes of the statement, and the sequence number that its answer begins with.
    under_way: VecDeque<(usize, u8)>,
    broken: bool,
    /// MariaDB's further capabilities of the server.
    extended: u32,
}

impl Conn {
    /// Connects and logs in, within the options' timeout. Afterwards an answer may take as long as the server lives; see
    /// [`Conn::set_timeout`].
    pub fn connect(options: &MysqlOptions, endpoint: &Endpoint) -> Result<Conn, WireError> {
        let mut conn = Conn::open(options, endpoint).map_err(|refused| refused.error)?;
        let killer = conn.killer();
        conn.stream
            .watch(options.timeout, Box::new(move || killer.server_answers()));
        Ok(conn)
    }

    /// A connection that nobody watches.
    pub(super) fn open(options: &MysqlOptions, endpoint: &Endpoint) -> Result<Conn, Refused> {
        let end = Instant::now() + options.timeout;
        let (stream, greeting) = connect::dial(options, endpoint, end)?;
        let mut conn = Conn {
            extended: greeting.extended,
            info: ServerInfo {
                flavor: greeting.flavor,
                version: greeting.version,
                version_text: greeting.version_text,
                connection_id: u64::from(greeting.connection_id),
            },
            stream,
            options: options.clone(),
            endpoint: endpoint.clone(),
            under_way: VecDeque::new(),
            broken: false,
        };
        // A proxy greets with an id of its own, and that one must never be killed. And it is marked as brine's.
        let id = conn.row(MARK);
        let id = id.map_err(|e| Refused {
            answered: e.code().is_some(),
            error: refusal::failed(endpoint, &options.user, e),
        })?;
        conn.info.connection_id = id.map_or(0, |row| row.number(0));
        conn.stream.set_limit(Limit::Silence(None));
        Ok(conn)
    }

    /// Who answered.
    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// The server that answered.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Ends from another thread what this connection is doing.
    pub fn killer(&self) -> Killer {
        Killer {
            options: self.options.clone(),
            endpoint: self.endpoint.clone(),
            id: self.info.connection_id,
        }
    }

    /// Runs a statement; rows that it gives are thrown away.
    pub fn run(&mut self, sql: &str) -> Result<Done, WireError> {
        self.none_under_way()?;
        self.send(sql)?;
        self.finish()
    }

    /// Makes the session a new one (its variables are the server's again, its temporary tables and locks are gone), then runs
    /// all statements, those of `may` even where the server answers them with one of the codes in `passed`. Everything is sent
    /// at once, like [`Conn::run_all`] does it.
    pub fn reset_and_run(&mut self, must: &[&str], may: &[&str], passed: &[u16]) -> Result<(), WireError> {
        self.none_under_way()?;
        self.command(31, &[])?;
        let all = [must, may].concat();
        // The first answer is that to the command.
        self.in_flight(&all, &|at, code| at > must.len() && passed.contains(&code))
    }

    /// Sends all statements at once, then reads all answers; the first error is returned after all were read.
    pub fn run_all(&mut self, sql: &[&str]) -> Result<(), WireError> {
        self.none_under_way()?;
        self.in_flight(sql, &|_, _| false)
    }

    /// Sends statements behind what is under way; `passes` says of an answer's number, from 0, and its error's code whether it
    /// is as good as none.
    fn in_flight(&mut self, sql: &[&str], passes: &dyn Fn(usize, u16) -> bool) -> Result<(), WireError> {
        let (mut first, mut number) = (None, 0);
        let mut keep = |result: Result<Done, WireError>| {
            let passed = |code| passes(number, code);
            let kept = match result {
                Ok(_) => Ok(()),
                Err(e @ WireError::Server { .. }) => {
                    if !e.code().is_some_and(passed) {
                        first.get_or_insert(e);
                    }
                    Ok(())
                }
                Err(e) => Err(e),
            };
            number += 1;
            kept
        };
        for statement in sql {
            while !self.under_way.is_empty()
                && (self.under_way.len() >= AHEAD
                    || self.under_way.iter().map(|(bytes, _)| bytes).sum::<usize>() + statement.len() > AHEAD_BYTES)
            {
                keep(self.finish())?;
            }
            self.send(statement)?;
        }
        while !self.under_way.is_empty() {
            keep(self.finish())?;
        }
        first.map_or(Ok(()), Err)
    }

    /// Sends a statement without waiting; [`Conn::finish`] reads its answer. Not for many or large ones at once:
    /// [`Conn::run_all`] minds how much is under way.
    pub fn send(&mut self, sql: &str) -> Result<(), WireError> {
        self.command(3, &[sql.as_bytes()])
    }

    /// Reads the answer to the oldest statement that was sent; rows are thrown away.
    pub fn finish(&mut self) -> Result<Done, WireError> {
        self.answer(&mut |_, _| Ok(()))
    }

    /// How long the server may be silent during an answer. `None`, as after connecting: as long as it takes. A statement that
    /// takes its time and a server that is gone look alike from here, so meanwhile a second connection asks now and then
    /// whether the server lives; when it does not, the answer ends as [`WireError::Lost`]. [`Conn::killer`] ends it earlier.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> Result<(), WireError> {
        self.stream.set_limit(Limit::Silence(timeout));
        Ok(())
    }

    /// What the server can besides.
    pub(super) fn extended(&self) -> u32 {
        self.extended
    }

    /// How long a living server may take for something short.
    pub(super) fn patience(&self) -> Duration {
        self.options.timeout
    }

    /// The packets themselves.
    pub(super) fn raw(&self) -> &PacketStream {
        &self.stream
    }

    /// The packets themselves, to be taken.
    pub(super) fn raw_mut(&mut self) -> &mut PacketStream {
        &mut self.stream
    }

    /// It is not used again.
    pub(super) fn give_up(&mut self) {
        self.broken = true;
        self.stream.net().shut();
    }

    /// Sends a command whose answer is read later.
    pub(super) fn command(&mut self, command: u8, parts: &[&[u8]]) -> Result<(), WireError> {
        let bytes = parts.iter().map(|p| p.len()).sum();
        let mut all: Vec<&[u8]> = Vec::with_capacity(parts.len() + 1);
        let first = [command];
        all.push(&first);
        all.extend_from_slice(parts);
        self.exchange(|stream| stream.command(&all))?;
        self.under_way.push_back((bytes, self.stream.seq()));
        Ok(())
    }

    /// The oldest statement's answer will be read now.
    pub(super) fn begin_answer(&mut self) -> Result<(), WireError> {
        let Some((_, seq)) = self.under_way.pop_front() else {
            return Err(WireError::Protocol("no answer is due".to_owned()));
        };
        self.stream.expect_seq(seq);
        Ok(())
    }

    /// Refuses when an answer is still to be read: the next one would be taken for another's.
    pub(super) fn none_under_way(&self) -> Result<(), WireError> {
        if self.under_way.is_empty() {
            return Ok(());
        }
        Err(WireError::Protocol("an earlier answer was not read yet".to_owned()))
    }

    /// Talks to the server. Anything but the server's own errors makes the connection unusable.
    pub(super) fn exchange<T>(
        &mut self,
        talk: impl FnOnce(&mut PacketStream) -> Result<T, WireError>,
    ) -> Result<T, WireError> {
        if self.broken {
            return Err(self.stream.lost(io::ErrorKind::NotConnected.into()));
        }
        let result = talk(&mut self.stream);
        if self.stream.is_over() || result.as_ref().is_err_and(|e| !matches!(e, WireError::Server { .. })) {
            self.give_up();
        }
        result
    }

    /// Reads an answer, giving its rows' payloads and their columns to `take`.
    pub(super) fn answer(&mut self, take: &mut TakeRow<'_>) -> Result<Done, WireError> {
        self.begin_answer()?;
        self.exchange(|stream| {
            let mut done = Done::default();
            loop {
                let status = match rows::head(stream)? {
                    Head::Done(now, status) => {
                        done.affected += now.affected;
                        done.warnings = now.warnings;
                        status
                    }
                    Head::Rows(columns) => {
                        let (_, last) = stream.records(&mut |batch, _| each(batch, |row| take(row, columns)))?;
                        let (warnings, status) = rows::tail(&last)?;
                        done.warnings = warnings;
                        status
                    }
                    Head::File => {
                        return Err(WireError::Protocol("the server asks for a file".to_owned()));
                    }
                };
                if status & answer::MORE_RESULTS == 0 {
                    return Ok(done);
                }
            }
        })
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if !self.broken {
            // COM_QUIT, so that the server does not count an aborted client. It is gone either way.
            self.stream.set_limit(Limit::Silence(Some(Duration::from_secs(1))));
            let _ = self.stream.command(&[&[1]]);
        }
    }
}

/// Gives each record's payload of a batch.
fn each(batch: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), WireError>) -> Result<(), WireError> {
    let mut parse = Parse::new("a row", batch);
    while !parse.rest().is_empty() {
        let len = parse.u32()? as usize;
        take(parse.bytes(len)?)?;
    }
    Ok(())
}
