//! The slots of daily schedules: which job ran for which slot, and since when a schedule stands.
//!
//! *Invariant: a slot has one run at a time; it is claimed in the same transaction that queues its job.*

use rusqlite::{OptionalExtension as _, Transaction};
use serde::{Deserialize, Serialize};

use super::{Journal, JournalError, Reader, WriteError, from_word, int, uint};
use crate::model::clock::Millis;
use crate::model::ids::{ClusterName, JobId};
use crate::model::job::JobState;

/// So many slots of a cluster are kept.
const KEPT: u32 = 400;

/// The run of a slot that a job is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleSlot {
    /// The slot's instant.
    pub slot: Millis,
    /// The how-many-th try, from 1.
    pub attempt: u32,
}

/// What has become of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRun {
    /// The slot's instant.
    pub slot: Millis,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was tried last.
    pub tried_at: Millis,
    /// The job of the last try.
    pub job: JobId,
    /// That job's state; `None` when the job is no longer in the journal.
    pub state: Option<JobState>,
    /// When that job ended.
    pub ended: Option<Millis>,
}

/// Takes the slot for a job: the first try makes the row, a later one needs that the one before ended badly.
pub(super) fn claim(
    tx: &Transaction<'_>,
    cluster: &ClusterName,
    slot: &ScheduleSlot,
    job: JobId,
    now: Millis,
) -> Result<(), WriteError> {
    let rows = if slot.attempt <= 1 {
        tx.execute(
            "INSERT INTO slots (cluster, slot_utc, attempts, tried_at, job) VALUES (?1, ?2, 1, ?3, ?4) ON CONFLICT DO NOTHING",
            (cluster.as_str(), slot.slot.0, now.0, int(job.0)),
        )?
    } else {
        tx.execute(
            "UPDATE slots SET attempts = ?3, tried_at = ?4, job = ?5
             WHERE cluster = ?1 AND slot_utc = ?2 AND attempts = ?3 - 1
               AND EXISTS (SELECT 1 FROM jobs WHERE id = slots.job AND state IN ('failed', 'interrupted'))",
            (cluster.as_str(), slot.slot.0, slot.attempt, now.0, int(job.0)),
        )?
    };
    tx.execute(
        "DELETE FROM slots WHERE cluster = ?1 AND slot_utc NOT IN
             (SELECT slot_utc FROM slots WHERE cluster = ?1 ORDER BY slot_utc DESC LIMIT ?2)",
        (cluster.as_str(), KEPT),
    )?;
    if rows == 1 {
        Ok(())
    } else {
        Err(WriteError::Refused(JournalError::SlotTaken))
    }
}

impl Journal {
    /// Remembers that a cluster's schedule was switched on or changed now: earlier slots are not missed.
    pub fn schedule_changed(&self, cluster: &ClusterName, now: Millis) -> Result<(), JournalError> {
        self.write("remembering a change of schedule", |tx| {
            tx.execute(
                "INSERT INTO schedules (cluster, since) VALUES (?1, ?2) ON CONFLICT (cluster) DO UPDATE SET since = excluded.since",
                (cluster.as_str(), now.0),
            )?;
            Ok(())
        })
    }
}

impl Reader {
    /// The latest slot of a cluster, up to an instant, that was tried.
    pub fn last_slot(&self, cluster: &ClusterName, up_to: Millis) -> Result<Option<SlotRun>, JournalError> {
        self.read("reading the schedule's runs", |conn| {
            conn.prepare_cached(
                "SELECT s.slot_utc, s.attempts, s.tried_at, s.job, j.state, j.ended
                 FROM slots s LEFT JOIN jobs j ON j.id = s.job WHERE s.cluster = ?1 AND s.slot_utc <= ?2 ORDER BY s.slot_utc DESC LIMIT 1",
            )?
            .query_row((cluster.as_str(), up_to.0), |r| {
                Ok(SlotRun {
                    slot: Millis(r.get(0)?),
                    attempts: r.get(1)?,
                    tried_at: Millis(r.get(2)?),
                    job: JobId(uint(r.get(3)?)),
                    state: r.get::<_, Option<String>>(4)?.map(from_word).transpose()?,
                    ended: r.get::<_, Option<i64>>(5)?.map(Millis),
                })
            })
            .optional()
        })
    }

    /// Since when a cluster's schedule stands as it is, where that is known.
    pub fn schedule_since(&self, cluster: &ClusterName) -> Result<Option<Millis>, JournalError> {
        self.read("reading the schedule", |conn| {
            conn.query_row(
                "SELECT since FROM schedules WHERE cluster = ?1",
                [cluster.as_str()],
                |r| r.get(0).map(Millis),
            )
            .optional()
        })
    }
}
