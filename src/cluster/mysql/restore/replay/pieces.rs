//! Replaying a transaction that is too large for memory, piece by piece.
//!
//! Its rows go through the lanes as those of any other: a lane sends them bit by bit within one transaction and commits at
//! the end, with its progress. So after a crash in the middle nothing of it is there, and it is applied again from its
//! beginning; a lane that had committed skips it.

use crate::cluster::mysql::binlog::event::Event;
use crate::cluster::mysql::binlog::payload::{self, Opening};
use crate::cluster::mysql::spool::Spilled;
use crate::cluster::{BatchSource, ClusterError, ReplayTxn};
use crate::model::crash::crash_point;

use super::ending::{Ending, ending};
use super::rewrite::malformed;
use super::{Applying, Prepared, Replay};
use crate::cluster::mysql::restore::names::wanted;

/// Gives the next piece.
type Next<'a> = dyn FnMut() -> Result<Option<Vec<u8>>, ClusterError> + 'a;

impl Replay {
    /// Takes the next transaction, which comes in pieces.
    pub fn take_pieces(&mut self, txn: &ReplayTxn<'_>, source: &mut dyn BatchSource) -> Result<(), ClusterError> {
        let at = self.goes_on(txn)?;
        let opening = payload::parse_opening(txn.payload)?;
        self.statements.sessions.noted = None;
        let events = opening.events().collect::<Result<Vec<Event<'_>>, _>>()?;
        let mut next = || source.next().map_err(ClusterError::Stopped);
        match ending(&events, opening.head)?.how {
            Ending::Committed | Ending::RolledBack if txn.early => Ok(()),
            Ending::Committed => self.pieces(&opening, &mut next, at, txn.id, false),
            Ending::RolledBack => self.pieces(&opening, &mut next, at, txn.id, true),
            Ending::Prepared(xid) => {
                if !self.concerns(&opening) {
                    self.prepared.insert(xid, Prepared::Unwanted);
                    return Ok(());
                }
                let mut spilled = Spilled::begin(&self.spool)?;
                while let Some(piece) = next()? {
                    spilled.add(&piece)?;
                }
                let prepared = Prepared::Large(txn.payload.to_vec(), spilled.pieces());
                self.prepared.insert(xid, prepared);
                Ok(())
            }
            Ending::XaCommit(_) | Ending::XaRollback(_) => {
                Err(malformed("the end of an XA transaction comes with rows"))
            }
        }
    }

    /// Whether any of it is restored, or has to be looked at.
    fn concerns(&self, opening: &Opening<'_>) -> bool {
        let tables = || opening.deltas.iter().map(|d| &d.table);
        opening.ddl.is_some() || tables().any(|t| wanted(&self.ask, t) || self.outside_parents.contains_key(t))
    }

    /// Whether every lane that it touches has it already.
    fn is_in(&self, opening: &Opening<'_>, at: u64) -> bool {
        let has = |lane: usize| self.lanes.get(lane).is_some_and(|lane| at <= lane.done);
        opening.ddl.is_none() && opening.deltas.iter().all(|d| has(self.choice.of(&d.table)))
    }

    pub(super) fn pieces(
        &mut self,
        opening: &Opening<'_>,
        next: &mut Next<'_>,
        at: u64,
        id: &str,
        rolled_back: bool,
    ) -> Result<(), ClusterError> {
        if !self.concerns(opening) || self.is_in(opening, at) {
            return Ok(());
        }
        // Where the counts tell nothing, the table is looked at too.
        let only_new = |puts: u64, updates: u64, deletes: u64| puts > 0 && updates == 0 && deletes == 0;
        let changed = opening
            .deltas
            .iter()
            .filter(|d| !only_new(d.puts, d.updates, d.deletes))
            .filter(|d| self.keyless.wants(&d.table) && wanted(&self.ask, &d.table))
            .map(|d| d.table.clone());
        let changed = changed.collect();
        self.index(changed)?;
        let mut applying = Applying::new(opening.head, at, id, rolled_back);
        if opening.goes_back {
            applying = self.with_savepoints(applying)?;
        }
        while let Some(piece) = next()? {
            let events = payload::piece(&opening.head, &piece).collect::<Result<Vec<Event<'_>>, _>>()?;
            for event in &events {
                self.event(&mut applying, event)?;
            }
            crash_point("mysql.replay.piece");
        }
        self.end_transaction(at)
    }
}
