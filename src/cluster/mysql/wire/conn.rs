//! One connection.

use std::collections::VecDeque;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::auth::{self, Road};
use super::handshake::Greeting;
use super::net::Net;
use super::packet::{Limit, PacketStream};
use super::parse::Parse;
use super::rows::{self, Head};
use super::{Killer, WireError, answer, refusal};
use crate::cluster::mysql::options::{Endpoint, MysqlOptions};

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

/// One connection.
pub struct Conn {
    info: ServerInfo,
    stream: PacketStream,
    options: MysqlOptions,
    endpoint: Endpoint,
    /// Answers that are still to be read, with the bytes of their statements.
    under_way: VecDeque<usize>,
    broken: bool,
}

impl Conn {
    /// Connects and logs in, within the options' timeout. Afterwards an answer may take for ever; see [`Conn::set_timeout`].
    pub fn connect(options: &MysqlOptions, endpoint: &Endpoint) -> Result<Conn, WireError> {
        let end = Instant::now() + options.timeout;
        let net = open(endpoint, end)?;
        let password = (options.password)()
            .map_err(|why| refusal::refused(endpoint, format!("no password: {why}"), "check the cluster's password"))?;
        let mut stream = PacketStream::new(net, endpoint.to_string(), Limit::Until(end));
        let failed = |e| refusal::failed(endpoint, &options.user, e);
        let mut packet = Vec::new();
        stream.packet(&mut packet).map_err(failed)?;
        if packet.first() == Some(&0xFF) {
            return Err(failed(answer::err(&packet)));
        }
        let greeting = Greeting::read(&packet).map_err(failed)?;
        let road = if stream.net().is_private() {
            Road::Private
        } else {
            Road::Open
        };
        auth::log_in(&mut stream, &greeting, false, road, &options.user, password.reveal())
            .map_err(|e| refusal::login(endpoint, &options.user, e))?;
        stream.set_limit(Limit::Silence(None));
        Ok(Conn {
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
        })
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

    /// Sends all statements at once, then reads all answers; the first error is returned after all were read.
    pub fn run_all(&mut self, sql: &[&str]) -> Result<(), WireError> {
        self.none_under_way()?;
        let mut first = None;
        let mut keep = |result: Result<Done, WireError>| match result {
            Ok(_) => Ok(()),
            Err(e @ WireError::Server { .. }) => {
                first.get_or_insert(e);
                Ok(())
            }
            Err(e) => Err(e),
        };
        for statement in sql {
            while !self.under_way.is_empty()
                && (self.under_way.len() >= AHEAD
                    || self.under_way.iter().sum::<usize>() + statement.len() > AHEAD_BYTES)
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

    /// How long the server may be silent during an answer; `None`, as after connecting, for ever.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> Result<(), WireError> {
        self.stream.set_limit(Limit::Silence(timeout));
        Ok(())
    }

    /// Sends a command whose answer is read later.
    pub(super) fn command(&mut self, command: u8, parts: &[&[u8]]) -> Result<(), WireError> {
        let bytes = parts.iter().map(|p| p.len()).sum();
        let mut all: Vec<&[u8]> = Vec::with_capacity(parts.len() + 1);
        let first = [command];
        all.push(&first);
        all.extend_from_slice(parts);
        self.exchange(|stream| stream.command(&all))?;
        self.under_way.push_back(bytes);
        Ok(())
    }

    /// The oldest statement's answer will be read now.
    pub(super) fn begin_answer(&mut self) -> Result<(), WireError> {
        if self.under_way.pop_front().is_none() {
            return Err(WireError::Protocol("no answer is due".to_owned()));
        }
        self.stream.expect_seq(1);
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
        if result.as_ref().is_err_and(|e| !matches!(e, WireError::Server { .. })) {
            self.broken = true;
            self.stream.net().shut();
        }
        result
    }

    /// Reads an answer, giving its rows' payloads and their columns to `take`.
    pub(super) fn answer(
        &mut self,
        take: &mut dyn FnMut(&[u8], usize) -> Result<(), WireError>,
    ) -> Result<Done, WireError> {
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
            let _ = self.stream.set_limit(Limit::Silence(Some(Duration::from_secs(1))));
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

/// Connects the socket.
fn open(endpoint: &Endpoint, end: Instant) -> Result<Net, WireError> {
    match endpoint {
        Endpoint::Socket(path) => UnixStream::connect(path)
            .map(Net::Unix)
            .map_err(|e| refusal::unreachable(endpoint, &e)),
        Endpoint::Tcp { host, port } => {
            let host = host.trim_matches(['[', ']']);
            let addresses = (host, *port).to_socket_addrs().map_err(|e| {
                refusal::refused(
                    endpoint,
                    format!("the name {host} is not known ({e})"),
                    "check the name, and the resolver of this host",
                )
            })?;
            let mut last = io::Error::from(io::ErrorKind::NotFound);
            for address in addresses {
                let left = end
                    .saturating_duration_since(Instant::now())
                    .max(Duration::from_millis(1));
                match TcpStream::connect_timeout(&address, left) {
                    Ok(socket) => {
                        socket
                            .set_nodelay(true)
                            .map_err(|e| refusal::unreachable(endpoint, &e))?;
                        return Ok(Net::Tcp(socket));
                    }
                    Err(e) => last = e,
                }
            }
            Err(refusal::unreachable(endpoint, &last))
        }
    }
}
