//! The rows of jobs, written and read back.

use super::*;
use crate::jobs::error::ErrorKind;
use crate::jobs::lease::{HolderKind, Lease};
use crate::model::clock::{Clock, SystemClock};
use crate::model::job::{LineLevel, Unit};
use std::path::Path;
use std::sync::Arc;

/// A running job with one step.
pub(in crate::jobs) fn sample_job() -> Job {
    Job {
        id: JobId(1),
        verb: Verb::Backup,
        cluster: ClusterName::new("demo").unwrap(),
        title: "back up demo".into(),
        state: JobState::Running,
        asked_by: "test".into(),
        created: Millis(1),
        started: Some(Millis(2)),
        ended: None,
        steps: vec![JobStep {
            name: "read".into(),
            started: Millis(2),
            ended: None,
            progress: StepProgress::default(),
        }],
        progress: JobProgress::default(),
        error: Vec::new(),
        resumable: true,
        command: None,
        plan: Value::Null,
        receipt: None,
    }
}

fn journal(dir: &Path) -> Journal {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Journal::open(Lease::acquire(dir, HolderKind::Agent, &clock).unwrap(), clock).unwrap()
}

fn insert(journal: &Journal, resumable: bool) -> JobId {
    let cluster = ClusterName::new("demo").unwrap();
    let plan = serde_json::json!({"tables": ["a.b"]});
    let new = NewJob {
        verb: Verb::Backup,
        cluster: &cluster,
        exclusive: Some("demo"),
        title: "back up demo",
        command: Some("brine backup create demo"),
        plan: &plan,
        asked_by: "ann",
        resumable,
        slot: None,
    };
    journal.insert_job(&new, Millis(10)).unwrap()
}

#[test]
fn a_job_is_read_back_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let j = journal(dir.path());
    let id = insert(&j, true);
    j.set_state(id, JobState::Queued, JobState::Running, Millis(20))
        .unwrap();
    let mut step = JobStep {
        name: "read".into(),
        started: Millis(20),
        ended: None,
        progress: StepProgress {
            done: u64::MAX,
            total: None,
            unit: Unit::Rows,
        },
    };
    j.save_progress(
        &[StepRow {
            job: id,
            n: 0,
            step: &step,
        }],
        &[],
        &[],
    )
    .unwrap();
    step.ended = Some(Millis(30));
    step.progress = StepProgress {
        done: 5,
        total: Some(5),
        unit: Unit::Rows,
    };
    let line = JobLine {
        at: Millis(25),
        level: LineLevel::Warning,
        text: "slow".into(),
    };
    let error = JobError::new(ErrorKind::Corrupt, "block 3 of x").context("backup failed");
    let progress = JobProgress {
        basis_points: Some(9_999),
        rate: 1.5,
        left_ms: Some((1, 2)),
        moved: Some(Millis(29)),
    };
    let end = Ended {
        state: JobState::Failed,
        at: Millis(30),
        progress: &progress,
        error: Some(&error),
        receipt: None,
        resumable: false,
    };
    j.end_job(
        id,
        JobState::Running,
        &[StepRow {
            job: id,
            n: 0,
            step: &step,
        }],
        &[(0, line.clone())],
        &end,
    )
    .unwrap();

    let job = j.reader().job(id).unwrap().unwrap();
    assert_eq!(
        (job.state, job.started, job.ended),
        (JobState::Failed, Some(Millis(20)), Some(Millis(30)))
    );
    assert_eq!(
        (job.steps, job.progress, job.error),
        (vec![step], progress, error.chain.clone())
    );
    assert_eq!(job.plan["tables"][0], "a.b");
    assert_eq!(j.reader().lines(id, 0).unwrap(), [line]);
    assert_eq!(j.reader().error(id).unwrap(), Some(error));
    assert_eq!(j.reader().jobs(&JobQuery::default()).unwrap().len(), 1);
    let other = JobQuery {
        verb: Some(Verb::Restore),
        ..JobQuery::default()
    };
    assert!(j.reader().jobs(&other).unwrap().is_empty());
    assert_eq!(j.reader().job(JobId(99)).unwrap(), None);
}

#[test]
fn a_state_moves_only_from_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let j = journal(dir.path());
    let id = insert(&j, true);
    for (from, to) in [
        (JobState::Running, JobState::Cancelling),
        (JobState::Queued, JobState::Succeeded),
    ] {
        let e = j.set_state(id, from, to, Millis(1)).unwrap_err();
        assert!(matches!(e, JournalError::StateMoved { .. }), "{e:?}");
    }
    assert_eq!(j.reader().job(id).unwrap().unwrap().state, JobState::Queued);
}

#[test]
fn jobs_of_a_dead_process_are_interrupted_and_remember() {
    let dir = tempfile::tempdir().unwrap();
    let j = journal(dir.path());
    let (queued, running) = (insert(&j, true), insert(&j, true));
    j.set_state(running, JobState::Queued, JobState::Running, Millis(11))
        .unwrap();
    for (key, value) in [("a", 1), ("b", 2), ("a", 3)] {
        j.resume_save(running, key, &value.into()).unwrap();
    }
    assert!(j.interrupt_dead(Millis(12)).unwrap().is_empty(), "our own jobs live");
    drop(j);
    let j = journal(dir.path());
    assert_eq!(j.interrupt_dead(Millis(12)).unwrap(), [queued, running]);
    assert_eq!(j.reader().job(running).unwrap().unwrap().state, JobState::Interrupted);
    let kept = j.reader().resume_entries(running).unwrap();
    assert_eq!(kept, [("a".to_owned(), 3.into()), ("b".to_owned(), 2.into())]);
    j.resume_clear(running).unwrap();
    assert!(j.reader().resume_entries(running).unwrap().is_empty());
}

#[test]
fn old_finished_jobs_go_and_numbers_do_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let j = journal(dir.path());
    let resumable = insert(&j, true);
    j.set_state(resumable, JobState::Queued, JobState::Interrupted, Millis(1))
        .unwrap();
    let raw = |sql: &str| j.write("test", |tx| Ok(tx.execute_batch(sql)?)).unwrap();
    raw(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
             INSERT INTO jobs (epoch, verb, cluster, title, state, asked_by, created, resumable, plan)
             SELECT 1, 'backup', 'demo', '', 'succeeded', '', 0, 0, 'null' FROM n",
    );
    let last = insert(&j, false);
    let all = j.reader().jobs(&JobQuery::default()).unwrap();
    assert_eq!(all.len(), 1_002);
    assert_eq!((all.first().unwrap().id, all.last().unwrap().id), (last, resumable));
    raw("DELETE FROM jobs");
    assert!(insert(&j, false) > last);
}
