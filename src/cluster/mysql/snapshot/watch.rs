//! Statements of others that wait for a table which a backup reads.
//!
//! A reader holds a table's metadata lock. An ALTER waits for it, and every later statement on that table waits behind the
//! ALTER. So a wait is bounded: when one lasts too long, the backup ends and says for whom.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::start::processlist;
use crate::cluster::ClusterError;
use crate::cluster::mysql::core::Core;
use crate::model::table::TableName;

/// Seconds that somebody may wait for a range that is being read: it will end.
const PATIENCE: u64 = 30;
/// Seconds where locks cannot be given back before the end of the view.
const SHORT_PATIENCE: u64 = 5;

/// Which tables are locked by us.
pub(super) struct Watch {
    /// Locks are given back after each range.
    gives_back: bool,
    locked: Mutex<BTreeMap<TableName, usize>>,
}

/// A table is being read while this lives.
pub(super) struct Reading<'a> {
    watch: &'a Watch,
    name: TableName,
}

impl Watch {
    pub fn new(gives_back: bool) -> Watch {
        Watch {
            gives_back,
            locked: Mutex::new(BTreeMap::new()),
        }
    }

    /// A table is going to be read.
    pub fn reading(&self, name: &TableName) -> Reading<'_> {
        *self.locked.lock().entry(name.clone()).or_default() += 1;
        Reading {
            watch: self,
            name: name.clone(),
        }
    }

    /// An error when somebody has waited too long for one of our tables.
    pub fn check(&self, core: &Core) -> Result<(), ClusterError> {
        let locked: Vec<TableName> = self.locked.lock().keys().cloned().collect();
        if locked.is_empty() {
            return Ok(());
        }
        let patience = if self.gives_back { PATIENCE } else { SHORT_PATIENCE };
        let waiting = core.ask("looking for statements that wait for the backup", |conn| {
            conn.rows(&format!(
                "SELECT user, time, LEFT(info, 1000) FROM {} WHERE state LIKE 'Waiting for table metadata lock%' \
                 AND time >= {patience} AND info IS NOT NULL ORDER BY time DESC LIMIT 20",
                processlist(conn.info().flavor)
            ))
        })?;
        let ours = waiting.iter().find_map(|row| {
            let statement = row.text(2);
            let table = locked.iter().find(|t| statement.contains(&t.table))?;
            Some((row, table, statement))
        });
        let Some((row, table, statement)) = ours else {
            return Ok(());
        };
        let hint = if self.gives_back {
            "run it before or after the backup; a table without a primary key is read in one piece".to_owned()
        } else {
            "GRANT BINLOG ADMIN to brine's account, so that it can give back a table's lock as soon as the table is read".to_owned()
        };
        Err(ClusterError::Unsupported {
            what: format!(
                "the backup was ended because a statement of {} had waited {} s for table {table}, which the backup was \
                 reading, and others wait behind it: {}",
                row.text(0),
                row.text(1),
                crate::model::text::safe(&statement, 120)
            ),
            hint,
        })
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if !self.watch.gives_back {
            return;
        }
        let mut locked = self.watch.locked.lock();
        if let Some(count) = locked.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                locked.remove(&self.name);
            }
        }
    }
}
