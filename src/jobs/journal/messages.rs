//! What the operator shall be told that belongs to no job.

use serde::{Deserialize, Serialize};

use super::{Journal, JournalError, Reader, from_word, int, uint, word};
use crate::model::clock::Millis;
use crate::model::ids::ClusterName;
use crate::model::job::LineLevel;
use crate::model::text::{redact, safe};

/// So many are kept.
const KEPT: u32 = 1_000;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its number, rising.
    pub id: u64,
    /// When.
    pub at: Millis,
    /// How bad.
    pub level: LineLevel,
    /// Which cluster it is about, if one.
    pub cluster: Option<String>,
    /// The text.
    pub text: String,
    /// Whether an operator has marked it as seen.
    pub seen: bool,
}

impl Journal {
    /// Keeps a message for the operator.
    pub fn tell(&self, level: LineLevel, cluster: Option<&ClusterName>, text: &str) -> Result<(), JournalError> {
        let text = safe(&redact(text), 2_000);
        self.write("keeping a message", |tx| {
            tx.execute(
                "INSERT INTO messages (at, level, cluster, text) VALUES (?1, ?2, ?3, ?4)",
                (self.clock.now().0, word(level)?, cluster.map(ClusterName::as_str), text),
            )?;
            tx.execute(
                "DELETE FROM messages WHERE id <= (SELECT max(id) FROM messages) - ?1",
                [KEPT],
            )?;
            Ok(())
        })
    }

    /// Marks all messages up to this one as seen.
    pub fn seen_messages(&self, up_to: u64) -> Result<(), JournalError> {
        self.write("marking messages as seen", |tx| {
            tx.execute("UPDATE messages SET seen = 1 WHERE id <= ?1 AND seen = 0", [int(up_to)])?;
            Ok(())
        })
    }
}

impl Reader {
    /// The newest messages, newest first.
    pub fn messages(&self, limit: u32) -> Result<Vec<Message>, JournalError> {
        self.read("reading messages", |conn| {
            conn.prepare_cached("SELECT id, at, level, cluster, text, seen FROM messages ORDER BY id DESC LIMIT ?1")?
                .query_map([limit], |r| {
                    Ok(Message {
                        id: uint(r.get(0)?),
                        at: Millis(r.get(1)?),
                        level: from_word(r.get(2)?)?,
                        cluster: r.get(3)?,
                        text: r.get(4)?,
                        seen: r.get(5)?,
                    })
                })?
                .collect()
        })
    }
}
