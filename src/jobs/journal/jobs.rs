//! The rows of jobs: the job itself, its steps, lines and resume entries.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde_json::Value;

use super::runs::{ScheduleSlot, claim};
use super::{Journal, JournalError, Reader, WriteError, from_json, from_word, int, json, millis, uint, word};
use crate::jobs::error::JobError;
use crate::jobs::state;
use crate::model::clock::Millis;
use crate::model::ids::{ClusterName, JobId};
use crate::model::job::{Job, JobLine, JobProgress, JobState, JobStep, StepProgress, Verb};

/// So many finished jobs are kept.
const KEPT: u32 = 1_000;

/// A job about to be queued.
#[derive(Clone, Debug)]
pub struct NewJob<'a> {
    /// What it does.
    pub verb: Verb,
    /// The cluster it works on.
    pub cluster: &'a ClusterName,
    /// Jobs with the same key run one after the other.
    pub exclusive: Option<&'a str>,
    /// What exactly, in one line.
    pub title: &'a str,
    /// The command line that does the same.
    pub command: Option<&'a str>,
    /// The plan.
    pub plan: &'a Value,
    /// Who asked.
    pub asked_by: &'a str,
    /// Whether it can go on after a crash.
    pub resumable: bool,
    /// The slot of the schedule that it is the run of.
    pub slot: Option<ScheduleSlot>,
}

/// A step as it is written.
#[derive(Clone, Debug)]
pub struct StepRow<'a> {
    /// The job.
    pub job: JobId,
    /// The step's place among the job's steps.
    pub n: usize,
    /// The step.
    pub step: &'a JobStep,
}

/// How a job ended.
#[derive(Clone, Debug)]
pub struct Ended<'a> {
    /// The state it ends in.
    pub state: JobState,
    /// When.
    pub at: Millis,
    /// Progress at the end.
    pub progress: &'a JobProgress,
    /// Why it ended badly.
    pub error: Option<&'a JobError>,
    /// The receipt.
    pub receipt: Option<&'a Value>,
    /// Whether it can be resumed; if not, its resume entries go.
    pub resumable: bool,
}

/// Which jobs are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JobQuery {
    /// Of this cluster.
    pub cluster: Option<ClusterName>,
    /// Of this verb.
    pub verb: Option<Verb>,
    /// At most so many of the newest; `None` for all that are kept.
    pub limit: Option<u32>,
}

impl Journal {
    pub(in crate::jobs) fn insert_job(&self, job: &NewJob<'_>, now: Millis) -> Result<JobId, JournalError> {
        self.write("queueing a job", |tx| {
            tx.execute(
                "INSERT INTO jobs (epoch, verb, cluster, exclusive, title, state, asked_by, created, resumable, command, plan)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                params![
                    self.epoch(),
                    word(job.verb)?,
                    job.cluster.as_str(),
                    job.exclusive,
                    job.title,
                    word(JobState::Queued)?,
                    job.asked_by,
                    now.0,
                    job.resumable,
                    job.command,
                    json(job.plan)?
                ],
            )?;
            let id = JobId(uint(tx.last_insert_rowid()));
            if let Some(slot) = &job.slot {
                claim(tx, job.cluster, slot, id, now)?;
            }
            prune(tx)?;
            Ok(id)
        })
    }

    /// Changes a state that is not an end.
    pub(in crate::jobs) fn set_state(
        &self,
        id: JobId,
        from: JobState,
        to: JobState,
        at: Millis,
    ) -> Result<(), JournalError> {
        self.write("changing a job's state", |tx| {
            move_state(tx, id, from, to)?;
            match to {
                JobState::Running => tx.execute("UPDATE jobs SET started = ?2 WHERE id = ?1", (int(id.0), at.0))?,
                JobState::Queued => {
                    // Going on with the run of a slot is another try of it.
                    let again = "UPDATE slots SET attempts = attempts + 1, tried_at = ?2 WHERE job = ?1";
                    tx.execute(again, (int(id.0), at.0))?;
                    tx.execute(
                        "UPDATE jobs SET epoch = ?2, ended = NULL, error = NULL, receipt = NULL WHERE id = ?1",
                        (int(id.0), self.epoch()),
                    )?
                }
                _ => 0,
            };
            Ok(())
        })
    }

    pub(in crate::jobs) fn end_job(
        &self,
        id: JobId,
        from: JobState,
        steps: &[StepRow<'_>],
        lines: &[(usize, JobLine)],
        end: &Ended<'_>,
    ) -> Result<(), JournalError> {
        self.write("ending a job", |tx| {
            move_state(tx, id, from, end.state)?;
            tx.execute(
                "UPDATE jobs SET ended = ?2, progress = ?3, error = ?4, receipt = ?5, resumable = ?6 WHERE id = ?1",
                params![
                    int(id.0),
                    end.at.0,
                    json(end.progress)?,
                    end.error.map(json).transpose()?,
                    end.receipt.map(json).transpose()?,
                    end.resumable
                ],
            )?;
            steps.iter().try_for_each(|s| put_step(tx, s))?;
            put_lines(tx, id, lines)?;
            if !end.resumable {
                tx.execute("DELETE FROM resume WHERE job = ?1", [int(id.0)])?;
            }
            Ok(())
        })
    }

    /// Writes counters, progress and lines of running jobs; called at most once a second.
    pub(in crate::jobs) fn save_progress(
        &self,
        steps: &[StepRow<'_>],
        progress: &[(JobId, JobProgress)],
        lines: &[(JobId, Vec<(usize, JobLine)>)],
    ) -> Result<(), JournalError> {
        self.write("saving progress", |tx| {
            steps.iter().try_for_each(|s| put_step(tx, s))?;
            for (id, p) in progress {
                tx.execute("UPDATE jobs SET progress = ?2 WHERE id = ?1", (int(id.0), json(p)?))?;
            }
            for (id, lines) in lines {
                put_lines(tx, *id, lines)?;
            }
            Ok(())
        })
    }

    /// Ends jobs whose process has died, and names them.
    pub(in crate::jobs) fn interrupt_dead(&self, now: Millis) -> Result<Vec<JobId>, JournalError> {
        self.write("looking after jobs of an earlier process", |tx| {
            let open: Vec<(JobId, JobState)> = tx
                .prepare("SELECT id, state FROM jobs WHERE state IN ('queued', 'running', 'cancelling') AND epoch < ?1 ORDER BY id")?
                .query_map([self.epoch()], |r| Ok((JobId(uint(r.get(0)?)), from_word(r.get(1)?)?)))?
                .collect::<rusqlite::Result<_>>()?;
            for (id, from) in &open {
                move_state(tx, *id, *from, JobState::Interrupted)?;
                tx.execute("UPDATE jobs SET ended = ?2 WHERE id = ?1", (int(id.0), now.0))?;
                tx.execute("UPDATE steps SET ended = ?2 WHERE job = ?1 AND ended IS NULL", (int(id.0), now.0))?;
            }
            Ok(open.into_iter().map(|(id, _)| id).collect())
        })
    }

    pub(in crate::jobs) fn resume_save(&self, id: JobId, key: &str, value: &Value) -> Result<(), JournalError> {
        self.write("remembering how far a job is", |tx| {
            tx.execute(
                "INSERT INTO resume (job, key, value) VALUES (?1, ?2, ?3) ON CONFLICT (job, key) DO UPDATE SET value = excluded.value",
                (int(id.0), key, json(value)?),
            )?;
            Ok(())
        })
    }

    /// Puts one entry in the place of all.
    pub(in crate::jobs) fn resume_finish(&self, id: JobId, key: &str, value: &Value) -> Result<(), JournalError> {
        self.write("remembering what a job did", |tx| {
            tx.execute("DELETE FROM resume WHERE job = ?1", [int(id.0)])?;
            tx.execute(
                "INSERT INTO resume (job, key, value) VALUES (?1, ?2, ?3)",
                (int(id.0), key, json(value)?),
            )?;
            Ok(())
        })
    }

    pub(in crate::jobs) fn resume_clear(&self, id: JobId) -> Result<(), JournalError> {
        self.write("forgetting how far a job is", |tx| {
            tx.execute("DELETE FROM resume WHERE job = ?1", [int(id.0)])?;
            Ok(())
        })
    }
}

fn move_state(tx: &Transaction<'_>, id: JobId, from: JobState, to: JobState) -> Result<(), WriteError> {
    let moved = || WriteError::Refused(JournalError::StateMoved { job: id.0, from });
    state::check(from, to).map_err(|_| moved())?;
    let rows = tx.execute(
        "UPDATE jobs SET state = ?3 WHERE id = ?1 AND state = ?2",
        (int(id.0), word(from)?, word(to)?),
    )?;
    if rows == 1 { Ok(()) } else { Err(moved()) }
}

fn put_step(tx: &Transaction<'_>, row: &StepRow<'_>) -> Result<(), WriteError> {
    let (step, p) = (row.step, row.step.progress);
    tx.execute(
        "INSERT INTO steps (job, n, name, unit, started, ended, done, total) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (job, n) DO UPDATE SET ended = excluded.ended, done = excluded.done, total = excluded.total",
        params![
            int(row.job.0),
            int(row.n as u64),
            step.name,
            word(p.unit)?,
            step.started.0,
            step.ended.map(|t| t.0),
            int(p.done),
            p.total.map(int)
        ],
    )?;
    Ok(())
}

fn put_lines(tx: &Transaction<'_>, id: JobId, lines: &[(usize, JobLine)]) -> Result<(), WriteError> {
    for (n, line) in lines {
        tx.execute(
            "INSERT OR REPLACE INTO lines (job, n, at, level, text) VALUES (?1, ?2, ?3, ?4, ?5)",
            (int(id.0), int(*n as u64), line.at.0, word(line.level)?, &line.text),
        )?;
    }
    Ok(())
}

/// Forgets the oldest finished jobs, but none that can be resumed.
fn prune(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute(
        "DELETE FROM jobs WHERE id IN (
             SELECT id FROM jobs
             WHERE state IN ('succeeded', 'failed', 'cancelled', 'interrupted') AND NOT (state = 'interrupted' AND resumable)
             ORDER BY id DESC LIMIT -1 OFFSET ?1)",
        [KEPT],
    )?;
    Ok(())
}

const JOB_COLUMNS: &str = "id, verb, cluster, title, state, asked_by, created, started, ended, progress, error, resumable, \
                           command, plan, receipt, exclusive";

fn job_of(r: &Row<'_>) -> rusqlite::Result<Job> {
    let error: Option<JobError> = r.get::<_, Option<String>>(10)?.as_deref().map(from_json).transpose()?;
    Ok(Job {
        id: JobId(uint(r.get(0)?)),
        verb: from_word(r.get(1)?)?,
        cluster: from_word(r.get(2)?)?,
        title: r.get(3)?,
        state: from_word(r.get(4)?)?,
        asked_by: r.get(5)?,
        created: Millis(r.get(6)?),
        started: millis(r.get(7)?),
        ended: millis(r.get(8)?),
        steps: Vec::new(),
        progress: from_json(&r.get::<_, String>(9)?)?,
        error: error.map(|e| e.chain).unwrap_or_default(),
        resumable: r.get(11)?,
        command: r.get(12)?,
        plan: from_json(&r.get::<_, String>(13)?)?,
        receipt: r.get::<_, Option<String>>(14)?.as_deref().map(from_json).transpose()?,
    })
}

impl Reader {
    /// One job; `None` when there is none of that id.
    pub fn job(&self, id: JobId) -> Result<Option<Job>, JournalError> {
        self.read("reading a job", |conn| {
            let mut job = conn
                .prepare_cached(&format!("SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?1"))?
                .query_row([int(id.0)], job_of)
                .optional()?;
            if let Some(job) = &mut job {
                job.steps = steps_of(conn, id)?;
            }
            Ok(job)
        })
    }

    /// The jobs that match, newest first.
    pub fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>, JournalError> {
        self.read("listing jobs", |conn| {
            let verb = query.verb.map(word).transpose()?;
            let mut jobs: Vec<Job> = conn
                .prepare_cached(&format!(
                    "SELECT {JOB_COLUMNS} FROM jobs WHERE (?1 IS NULL OR cluster = ?1) AND (?2 IS NULL OR verb = ?2)
                     ORDER BY id DESC LIMIT ?3"
                ))?
                .query_map(
                    (
                        query.cluster.as_ref().map(ClusterName::as_str),
                        verb,
                        query.limit.map_or(-1, i64::from),
                    ),
                    job_of,
                )?
                .collect::<rusqlite::Result<_>>()?;
            for job in &mut jobs {
                job.steps = steps_of(conn, job.id)?;
            }
            Ok(jobs)
        })
    }

    /// The lines of a job's log from number `from` (counted from 0) on, oldest first.
    pub fn lines(&self, id: JobId, from: usize) -> Result<Vec<JobLine>, JournalError> {
        self.read("reading a job's log", |conn| {
            conn.prepare_cached("SELECT at, level, text FROM lines WHERE job = ?1 AND n >= ?2 ORDER BY n")?
                .query_map((int(id.0), int(from as u64)), |r| {
                    Ok(JobLine {
                        at: Millis(r.get(0)?),
                        level: from_word(r.get(1)?)?,
                        text: r.get(2)?,
                    })
                })?
                .collect()
        })
    }

    /// Why a job ended badly.
    pub fn error(&self, id: JobId) -> Result<Option<JobError>, JournalError> {
        self.read("reading a job's error", |conn| {
            let text: Option<Option<String>> = conn
                .prepare_cached("SELECT error FROM jobs WHERE id = ?1")?
                .query_row([int(id.0)], |r| r.get(0))
                .optional()?;
            text.flatten().as_deref().map(from_json).transpose()
        })
    }

    pub(in crate::jobs) fn exclusive_key(&self, id: JobId) -> Result<Option<String>, JournalError> {
        self.read("reading a job", |conn| {
            conn.query_row("SELECT exclusive FROM jobs WHERE id = ?1", [int(id.0)], |r| r.get(0))
        })
    }

    pub(in crate::jobs) fn resume_entries(&self, id: JobId) -> Result<Vec<(String, Value)>, JournalError> {
        self.read("reading how far a job was", |conn| {
            conn.prepare_cached("SELECT key, value FROM resume WHERE job = ?1 ORDER BY n")?
                .query_map([int(id.0)], |r| Ok((r.get(0)?, from_json(&r.get::<_, String>(1)?)?)))?
                .collect()
        })
    }
}

fn steps_of(conn: &rusqlite::Connection, id: JobId) -> rusqlite::Result<Vec<JobStep>> {
    conn.prepare_cached("SELECT name, unit, started, ended, done, total FROM steps WHERE job = ?1 ORDER BY n")?
        .query_map([int(id.0)], |r| {
            Ok(JobStep {
                name: r.get(0)?,
                started: Millis(r.get(2)?),
                ended: millis(r.get(3)?),
                progress: StepProgress {
                    done: uint(r.get(4)?),
                    total: r.get::<_, Option<i64>>(5)?.map(uint),
                    unit: from_word(r.get(1)?)?,
                },
            })
        })?
        .collect()
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
pub(in crate::jobs) mod tests;
