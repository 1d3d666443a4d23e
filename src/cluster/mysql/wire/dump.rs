//! The stream of a server's binary log.
//!
//! *Invariant: events are handed out whole, in order, byte for byte; a wait that ends loses nothing.*

use std::io;
use std::time::{Duration, Instant};

use super::conn::{Conn, Flavor};
use super::packet::{CONTINUED, LONGEST};
use super::semisync::{self, Attention};
use super::{WireError, answer, gtid_set};

const DUMP: u8 = 0x12;
const DUMP_GTID: u8 = 0x1E;
/// The first event of every file.
const FIRST: u64 = 4;

/// Where a dump starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DumpStart {
    /// After these transactions: `domain-server-seq,...` (MariaDB) or `uuid:1-9,...` (MySQL, the executed set).
    Gtid(String),
    /// At a place.
    File {
        /// The file.
        name: String,
        /// The offset in it.
        offset: u64,
    },
}

/// A dump that is asked for.
#[derive(Clone, Debug)]
pub struct DumpRequest {
    /// Our replica id; no other replica of the server may have it. 0 for one at random.
    pub server_id: u32,
    /// Where.
    pub start: DumpStart,
    /// How often the server says that nothing happened.
    pub heartbeat: Duration,
    /// Whether commits at the server shall wait until we have them, see [`Dump::acknowledge`].
    pub semi_sync: bool,
}

/// A running dump.
pub struct Dump {
    conn: Conn,
    /// A long event while it comes.
    spill: Vec<u8>,
    /// What of the present packet is still to come into `spill`, and whether another continues it; `None` between events.
    rest: Option<(usize, bool)>,
    /// The bytes in the buffer that the event handed out last takes up.
    given: usize,
    /// When something came last.
    heard: Instant,
    /// Longer silence means that the server is gone.
    silence: Duration,
    /// Commits wait for us: whether we read.
    attention: Option<Attention>,
    /// One waits for the event that was handed out last.
    is_awaited: bool,
}

/// Where an event lies.
enum Event {
    /// So many payload bytes in the buffer, behind their header.
    Ahead(usize),
    /// In `spill`.
    Spilled,
}

impl Conn {
    /// Turns the connection into a stream of events.
    pub fn dump(mut self, request: &DumpRequest) -> Result<Dump, WireError> {
        self.none_under_way()?;
        let heartbeat = request.heartbeat.max(Duration::from_millis(100));
        let id = match request.server_id {
            0 => random_id()?,
            id => id,
        };
        let settings = settings(self.info().flavor, heartbeat, &request.start);
        let mut settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let mut attention = None;
        if request.semi_sync {
            settings.extend(semisync::REQUEST);
            let begun = self.raw().net().latch().and_then(Attention::pay);
            attention = Some(begun.map_err(|e| self.raw().lost(e))?);
        }
        self.run_all(&settings)?;
        let (command, parts) = request_packet(self.info().flavor, id, &request.start)?;
        self.command(command, &[&parts])?;
        self.begin_answer()?;
        let silence = heartbeat.saturating_mul(3) + self.patience();
        Ok(Dump {
            conn: self,
            spill: Vec::new(),
            rest: None,
            given: 0,
            heard: Instant::now(),
            silence,
            attention,
            is_awaited: false,
        })
    }
}

/// The session settings of a replica.
fn settings(flavor: Flavor, heartbeat: Duration, start: &DumpStart) -> Vec<String> {
    let nanos = heartbeat.as_nanos();
    let mut sql = vec![
        "SET @master_binlog_checksum = @@global.binlog_checksum".to_owned(),
        format!("SET @master_heartbeat_period = {nanos}"),
    ];
    match flavor {
        Flavor::MariaDb => {
            sql.push("SET @mariadb_slave_capability = 4".to_owned());
            if let DumpStart::Gtid(gtid) = start {
                let gtid = gtid.replace(['\\', '\''], "");
                sql.push(format!("SET @slave_connect_state = '{gtid}'"));
                sql.push("SET @slave_gtid_strict_mode = 1".to_owned());
                sql.push("SET @slave_gtid_ignore_duplicates = 0".to_owned());
            }
        }
        Flavor::MySql => {
            sql.push("SET @source_binlog_checksum = @@global.binlog_checksum".to_owned());
            sql.push(format!("SET @source_heartbeat_period = {nanos}"));
        }
    }
    sql
}

/// The command and its content.
fn request_packet(flavor: Flavor, id: u32, start: &DumpStart) -> Result<(u8, Vec<u8>), WireError> {
    let mut out = Vec::new();
    match (flavor, start) {
        (Flavor::MySql, DumpStart::Gtid(gtid)) => {
            let set = gtid_set::encode(gtid)
                .ok_or_else(|| WireError::Protocol(format!("\"{gtid}\" is no set of transactions")))?;
            out.extend_from_slice(&0u16.to_le_bytes());
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&0u32.to_le_bytes());
            out.extend_from_slice(&FIRST.to_le_bytes());
            let len = u32::try_from(set.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(&set);
            return Ok((DUMP_GTID, out));
        }
        (Flavor::MariaDb, DumpStart::Gtid(_)) => {
            out.extend_from_slice(&4u32.to_le_bytes());
            out.extend_from_slice(&0u16.to_le_bytes());
            out.extend_from_slice(&id.to_le_bytes());
        }
        (_, DumpStart::File { name, offset }) => {
            let offset = u32::try_from(*offset).map_err(|_| {
                WireError::Protocol(format!(
                    "{name} cannot be read from {offset}: the protocol ends at 4 GiB"
                ))
            })?;
            out.extend_from_slice(&offset.to_le_bytes());
            out.extend_from_slice(&0u16.to_le_bytes());
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(name.as_bytes());
        }
    }
    Ok((DUMP, out))
}

/// A replica id in the upper half, where hand-made ones are rare.
fn random_id() -> Result<u32, WireError> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|e| WireError::Protocol(format!("no random numbers: {e}")))?;
    Ok(u32::from_le_bytes(bytes) | 1 << 31)
}

impl Dump {
    /// The next event with its 19-byte header, its checksum as the server has it, heartbeats and artificial events too;
    /// `None` when none came within `wait`. The server's own end of the stream is [`WireError::Lost`], its error (1236 when
    /// the log is gone) [`WireError::Server`].
    pub fn next(&mut self, wait: Duration) -> Result<Option<&[u8]>, WireError> {
        let end = Instant::now() + wait;
        self.attention.iter().for_each(Attention::reads);
        let found = self.find(end);
        self.attention.iter().for_each(Attention::leaves);
        let Some(event) = found? else {
            return Ok(None);
        };
        let announced = match (&self.attention, self.packet(&event)) {
            (Some(_), [0x00, event @ ..]) => semisync::announced(event).map(|(awaited, _)| awaited),
            _ => None,
        };
        self.is_awaited = announced == Some(true);
        if self.is_awaited {
            // Behind such an event the server counts its packets anew.
            self.conn.raw_mut().expect_seq(1);
        }
        let packet = self.packet(&event);
        match packet.split_first() {
            Some((0x00, event)) => Ok(event.get(if announced.is_some() { 2.. } else { 0.. })),
            Some((0xFF, _)) => Err(answer::err(packet)),
            Some((0xFE, _)) => Err(WireError::Lost {
                address: self.conn.endpoint().to_string(),
                source: io::Error::new(io::ErrorKind::UnexpectedEof, "the server ended the binary log stream"),
            }),
            _ => Err(WireError::Protocol(
                "something else than an event came in the binary log stream".to_owned(),
            )),
        }
    }

    /// The payload in which an event lies.
    fn packet(&self, event: &Event) -> &[u8] {
        match event {
            Event::Ahead(len) => self.conn.raw().ahead().get(4..4 + len).unwrap_or_default(),
            Event::Spilled => &self.spill,
        }
    }

    /// Whether a commit at the server waits until it is said that the event which was handed out last has come.
    pub fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    /// Says that everything up to this place has come.
    pub fn acknowledge(&mut self, file: &str, offset: u64) -> Result<(), WireError> {
        self.is_awaited = false;
        let word = semisync::word(file, offset);
        self.conn.exchange(|stream| stream.command(&[&word]))
    }

    /// Whether commits may wait for us at all.
    pub fn is_semi_sync(&self) -> bool {
        self.attention.is_some()
    }

    /// Whether we ended the connection ourselves, so that no commit waits for a reader that pauses.
    pub fn has_paused(&self) -> bool {
        self.attention.as_ref().is_some_and(Attention::has_ended)
    }

    /// Who sends.
    pub fn conn(&self) -> &Conn {
        &self.conn
    }

    /// Waits for a whole event.
    fn find(&mut self, end: Instant) -> Result<Option<Event>, WireError> {
        let given = std::mem::take(&mut self.given);
        self.conn.raw_mut().skip(given);
        if self.rest.is_none() {
            self.spill.clear();
            // One huge event must not keep its memory for ever.
            self.spill.shrink_to(1 << 20);
        }
        loop {
            let stepped = match self.rest {
                None => self.begin()?,
                Some((left, more)) => self.go_on(left, more)?,
            };
            match stepped {
                Step::Whole(event) => return Ok(Some(event)),
                Step::Again => {}
                Step::More(n) => {
                    if !self.conn.exchange(|stream| stream.poll(n, end))? {
                        return self.silent();
                    }
                    self.heard = Instant::now();
                }
            }
        }
    }

    /// At the beginning of an event.
    fn begin(&mut self) -> Result<Step, WireError> {
        self.conn.exchange(|stream| {
            let Some((len, seq)) = stream.header() else {
                return Ok(Step::More(4));
            };
            if len == CONTINUED || !stream.holds(4 + len) {
                stream.check_seq(seq, len)?;
                stream.skip(4);
                self.rest = Some((len, len == CONTINUED));
                return Ok(Step::Again);
            }
            if stream.ahead().len() < 4 + len {
                return Ok(Step::More(4 + len));
            }
            stream.check_seq(seq, len)?;
            self.given = 4 + len;
            Ok(Step::Whole(Event::Ahead(len)))
        })
    }

    /// In a long event.
    fn go_on(&mut self, left: usize, more: bool) -> Result<Step, WireError> {
        self.conn.exchange(|stream| {
            if left > 0 {
                let ahead = stream.ahead();
                let part = ahead.get(..left).unwrap_or(ahead);
                let n = part.len();
                self.spill.extend_from_slice(part);
                stream.skip(n);
                self.rest = Some((left - n, more));
                return Ok(if n < left { Step::More(1) } else { Step::Again });
            }
            if !more {
                self.rest = None;
                return Ok(Step::Whole(Event::Spilled));
            }
            let Some((len, seq)) = stream.header() else {
                return Ok(Step::More(4));
            };
            if self.spill.len() + len > LONGEST {
                return Err(WireError::Protocol("an event is longer than 1 GiB".to_owned()));
            }
            stream.check_seq(seq, len)?;
            stream.skip(4);
            self.rest = Some((len, len == CONTINUED));
            Ok(Step::Again)
        })
    }

    /// Nothing came: that is fine until heartbeats are overdue.
    fn silent(&mut self) -> Result<Option<Event>, WireError> {
        if self.heard.elapsed() <= self.silence {
            return Ok(None);
        }
        self.conn
            .exchange(|stream| Err(stream.lost(io::ErrorKind::TimedOut.into())))
    }
}

/// What reading came to.
enum Step {
    /// An event is there.
    Whole(Event),
    /// Look again.
    Again,
    /// So many bytes have to be ahead first.
    More(usize),
}
