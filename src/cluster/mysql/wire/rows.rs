//! Results with rows.

use super::conn::{Conn, Done, Row};
use super::packet::PacketStream;
use super::parse::Parse;
use super::{WireError, answer};
use crate::cluster::BatchSink;

/// More columns than any table or query can have.
const COLUMNS: u64 = 1 << 16;

/// The beginning of an answer.
pub(super) enum Head {
    /// No rows; the status flags.
    Done(Done, u16),
    /// Rows of so many columns follow.
    Rows(usize),
    /// The server asks for a local file.
    File,
}

/// Reads the beginning of an answer, with the definitions of its columns.
pub(super) fn head(stream: &mut PacketStream) -> Result<Head, WireError> {
    let mut packet = Vec::new();
    stream.packet(&mut packet)?;
    match packet.first() {
        Some(0x00) => answer::ok(&packet).map(|(done, status)| Head::Done(done, status)),
        Some(0xFF) => Err(answer::err(&packet)),
        Some(0xFB) => Ok(Head::File),
        _ => {
            let columns = Parse::new("the head of a result", &packet).number()?.unwrap_or(0);
            if columns == 0 || columns > COLUMNS {
                return Err(WireError::Protocol(
                    "a result has no sensible number of columns".to_owned(),
                ));
            }
            definitions(stream, columns)?;
            Ok(Head::Rows(usize::try_from(columns).unwrap_or(0)))
        }
    }
}

/// Reads so many definitions, and the EOF behind them.
pub(super) fn definitions(stream: &mut PacketStream, count: u64) -> Result<(), WireError> {
    let mut packet = Vec::new();
    for _ in 0..count {
        packet.clear();
        stream.packet(&mut packet)?;
        if packet.first() == Some(&0xFF) {
            return Err(answer::err(&packet));
        }
    }
    packet.clear();
    stream.packet(&mut packet)?;
    match packet.first() {
        Some(0xFF) => Err(answer::err(&packet)),
        _ if answer::is_eof(&packet) => Ok(()),
        _ => Err(WireError::Protocol("a result's columns do not end".to_owned())),
    }
}

/// The last packet of rows: warnings and status, or the error.
pub(super) fn tail(packet: &[u8]) -> Result<(u16, u16), WireError> {
    if answer::is_eof(packet) {
        answer::eof(packet)
    } else {
        Err(answer::err(packet))
    }
}

impl Conn {
    /// A small result, whole.
    pub fn rows(&mut self, sql: &str) -> Result<Vec<Row>, WireError> {
        self.none_under_way()?;
        self.send(sql)?;
        let mut rows = Vec::new();
        self.answer(&mut |record, columns| {
            let mut parse = Parse::new("a row", record);
            let mut row = Vec::with_capacity(columns);
            for _ in 0..columns {
                row.push(parse.string()?.map(<[u8]>::to_vec));
            }
            if !parse.rest().is_empty() {
                return Err(WireError::Protocol("a row has more than its columns".to_owned()));
            }
            rows.push(Row(row));
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first row of a small result.
    pub fn row(&mut self, sql: &str) -> Result<Option<Row>, WireError> {
        Ok(self.rows(sql)?.into_iter().next())
    }

    /// A result of any size as snapshot records (see [`crate::cluster::mysql`]), in batches of whole records of up to about
    /// 512 KiB; returns the rows. When the sink stops, the connection is of no more use.
    pub fn stream(&mut self, sql: &str, sink: &mut dyn BatchSink) -> Result<u64, WireError> {
        self.none_under_way()?;
        self.send(sql)?;
        self.begin_answer()?;
        self.exchange(|stream| {
            match head(stream)? {
                Head::Rows(_) => {}
                Head::Done(..) => return Ok(0),
                Head::File => return Err(WireError::Protocol("the server asks for a file".to_owned())),
            }
            let (rows, last) = stream.records(&mut |batch, rows| Ok(sink.put(batch, rows)?))?;
            let (_, status) = tail(&last)?;
            if status & answer::MORE_RESULTS != 0 {
                return Err(WireError::Protocol("a stream gave more than one result".to_owned()));
            }
            Ok(rows)
        })
    }
}
