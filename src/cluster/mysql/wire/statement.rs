//! Prepared statements and their bulk execution, which MariaDB has.

use super::conn::{Conn, Done};
use super::handshake::MARIADB_BULK;
use super::parse::Parse;
use super::{WireError, answer, rows};

const PREPARE: u8 = 0x16;
const CLOSE: u8 = 0x19;
const BULK: u8 = 0xFA;
/// The types of the parameters come with the rows.
const SEND_TYPES: u16 = 128;

/// How a parameter is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamType {
    /// Bytes as they are.
    Blob,
    /// Text in the session's character set.
    Text,
}

impl ParamType {
    /// MYSQL_TYPE_BLOB and MYSQL_TYPE_STRING.
    fn code(self) -> u8 {
        match self {
            ParamType::Blob => 252,
            ParamType::Text => 254,
        }
    }
}

/// A statement that the server has prepared, on the connection that prepared it.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    id: u32,
    /// Its parameters.
    pub params: u16,
}

impl Conn {
    /// Prepares a statement.
    pub fn prepare(&mut self, sql: &str) -> Result<Statement, WireError> {
        self.none_under_way()?;
        self.command(PREPARE, &[sql.as_bytes()])?;
        self.begin_answer()?;
        self.exchange(|stream| {
            let mut packet = Vec::new();
            stream.packet(&mut packet)?;
            let mut parse = Parse::new("the answer to a prepare", &packet);
            match parse.u8()? {
                0x00 => {}
                0xFF => return Err(answer::err(&packet)),
                _ => {
                    return Err(WireError::Protocol(
                        "a prepare was answered by something else".to_owned(),
                    ));
                }
            }
            let id = parse.u32()?;
            let columns = parse.u16()?;
            let params = parse.u16()?;
            for count in [params, columns] {
                if count > 0 {
                    rows::definitions(stream, u64::from(count))?;
                }
            }
            Ok(Statement { id, params })
        })
    }

    /// Whether [`Conn::bulk`] works here: on MariaDB.
    pub fn has_bulk(&self) -> bool {
        self.extended() & MARIADB_BULK != 0
    }

    /// Executes an INSERT for `count` rows (MariaDB). `rows` holds, for each row and parameter in order, an indicator byte: 1
    /// for NULL, or 0 and a length-encoded string. It goes in one packet: keep it under the server's max_allowed_packet (1 MiB
    /// is best). An answer that tells of fewer rows is an error.
    pub fn bulk(
        &mut self,
        statement: &Statement,
        types: &[ParamType],
        rows: &[u8],
        count: u64,
    ) -> Result<Done, WireError> {
        if !self.has_bulk() {
            return Err(WireError::Protocol("this server has no bulk execution".to_owned()));
        }
        if types.len() != usize::from(statement.params) || types.is_empty() {
            return Err(WireError::Protocol(
                "a statement has other parameters than are sent".to_owned(),
            ));
        }
        self.none_under_way()?;
        let mut head = Vec::with_capacity(6 + 2 * types.len());
        head.extend_from_slice(&statement.id.to_le_bytes());
        head.extend_from_slice(&SEND_TYPES.to_le_bytes());
        for way in types {
            head.extend_from_slice(&[way.code(), 0]);
        }
        self.command(BULK, &[&head, rows])?;
        let done = self.finish()?;
        if done.affected < count {
            let affected = done.affected;
            return Err(WireError::Protocol(format!(
                "the server took {affected} of {count} rows"
            )));
        }
        Ok(done)
    }

    /// Forgets a prepared statement; there is no answer.
    pub fn close_statement(&mut self, statement: Statement) -> Result<(), WireError> {
        self.none_under_way()?;
        self.exchange(|stream| stream.command(&[&[CLOSE], &statement.id.to_le_bytes()]))
    }
}
