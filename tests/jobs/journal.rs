//! The journal under kill -9, a full disk and an umask of zero.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use brine::jobs::error::{ErrorKind, JobError};
use brine::jobs::journal::Journal;
use brine::jobs::lease::{HolderKind, Lease};
use brine::jobs::runner::{JobSpec, Runner, Work};
use brine::jobs::socket::Server;
use brine::model::clock::{Clock, SystemClock};
use brine::model::ids::{ClusterName, JobId};
use brine::model::job::{JobState, LineLevel, Unit, Verb};
use serde_json::json;

use crate::role::{LONG, Player, until};

fn runner(dir: &Path) -> Runner {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let lease = Lease::acquire_within(dir, HolderKind::Agent, &clock, LONG).unwrap();
    Runner::start(Journal::open(lease, Arc::clone(&clock)).unwrap(), clock).unwrap()
}

fn spec() -> JobSpec {
    JobSpec {
        verb: Verb::Backup,
        cluster: ClusterName::new("demo").unwrap(),
        title: "back up demo".into(),
        command: None,
        plan: json!({"chunks": "all"}),
        asked_by: "test".into(),
        exclusive: None,
        resumable: true,
        slot: None,
    }
}

/// Two jobs that save one chunk after the other, without end, and say each when it is saved.
pub fn work(dir: &Path) {
    let runner = runner(dir);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (tell, me) = crossbeam_channel::bounded::<JobId>(1);
        let work: Work = Box::new(move |cx| {
            let me = me.recv().unwrap();
            let meter = cx.step("copy", Unit::Rows, None);
            for n in 1u64.. {
                cx.resume_log().save(&format!("chunk {n}"), &json!(n))?;
                meter.add(1);
                cx.line(LineLevel::Info, format!("chunk {n} of table \u{202e}x"));
                let mut out = std::io::stdout().lock();
                writeln!(out, "\nsaved {me} {n}").unwrap();
                out.flush().unwrap();
            }
            Ok(json!({}))
        });
        let id = runner.submit(spec(), work).unwrap();
        tell.send(id).unwrap();
        ids.push(id);
    }
    runner.wait(ids[0], 4 * LONG).unwrap();
}

/// What `kill -9` leaves is whole: every acknowledged chunk, no job stuck, and the next process goes on.
#[test]
fn kill_nine_loses_nothing_that_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let mut killed = Vec::new();
    for round in 0..12 {
        let mut player = Player::start("worker", dir.path());
        let mut saved = std::collections::BTreeMap::new();
        // Each round dies a little later, in the middle of whatever is going on then.
        let deaths_after = 1 + round * 7;
        let mut lines = BufReader::new(player.0.stdout.take().unwrap()).lines();
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some(rest) = line.strip_prefix("saved ") {
                let (id, n) = rest.split_once(' ').unwrap();
                saved.insert(id.parse::<u64>().unwrap(), n.parse::<u64>().unwrap());
                if saved.values().sum::<u64>() >= deaths_after {
                    break;
                }
            }
        }
        player.kill();
        assert!(!saved.is_empty(), "round {round} did nothing");
        killed.extend(saved);
    }
    let check = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let integrity: String = check.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
    assert_eq!(integrity, "ok");
    let runner = runner(dir.path());
    assert!(
        runner.journal().reader().messages(10).unwrap().is_empty(),
        "nothing was found damaged"
    );
    runner.set_rebuild(Arc::new(|_| {
        Ok(Box::new(|cx| Ok(json!(cx.resume_log().load()?.len()))))
    }));
    assert_eq!(
        runner.list(&brine::jobs::journal::JobQuery::default()).unwrap().len(),
        24
    );
    for (id, n) in killed {
        let id = JobId(id);
        assert_eq!(runner.get(id).unwrap().state, JobState::Interrupted);
        runner.resume(id).unwrap();
        let job = runner.wait(id, LONG).unwrap();
        assert_eq!(job.state, JobState::Succeeded);
        assert!(
            job.receipt.unwrap().as_u64().unwrap() >= n,
            "job {id} lost a chunk that was saved"
        );
    }
}

/// No file of this process may grow beyond this; writing on gives an error, as on a full disk.
fn limit_files_to(bytes: Option<u64>) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Fsize);
    limit.current = bytes.or(limit.maximum);
    setrlimit(Resource::Fsize, limit).unwrap();
}

pub fn fill_the_disk(dir: &Path) {
    // Without a handler the signal that comes with the error would end the process.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _file_too_large = runtime
        .block_on(async { tokio::signal::unix::signal(25.into()) })
        .unwrap();
    let runner = runner(dir);
    let fill: Work = Box::new(|cx| {
        limit_files_to(Some(600_000));
        cx.step("copy", Unit::Rows, None).add(1);
        for n in 0..10_000 {
            cx.resume_log()
                .save(&format!("chunk {n}"), &json!("x".repeat(10_000)))?;
        }
        Err(JobError::new(ErrorKind::Usage, "the disk did not get full"))
    });
    let id = runner.submit(spec(), fill).unwrap();
    let job = runner.wait(id, LONG).unwrap();
    assert_eq!(job.state, JobState::Failed);
    assert!(
        job.error.iter().any(|e| e.contains("progress could not be saved")),
        "{:?}",
        job.error
    );
    let refused = runner.submit(spec(), Box::new(|_| Ok(json!({}))));
    limit_files_to(None);
    // With room again the journal is caught up, and work goes on.
    until("the end of the job in the journal", || {
        runner.journal().reader().job(id).unwrap().unwrap().state == JobState::Failed
    });
    let after = runner.submit(spec(), Box::new(|_| Ok(json!({})))).unwrap();
    assert_eq!(runner.wait(after, LONG).unwrap().state, JobState::Succeeded);
    println!("\nrefused: {}", refused.is_err());
}

#[test]
fn a_full_disk_fails_the_job_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut player = Player::start("full-disk", dir.path());
    let out = std::io::read_to_string(player.0.stdout.take().unwrap()).unwrap();
    assert!(player.0.wait().unwrap().success(), "{out}");
    assert!(
        out.contains("refused: true"),
        "a job that cannot be written down is not begun: {out}"
    );
    let check = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let integrity: String = check.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
    assert_eq!(integrity, "ok");
}

pub fn live_with_umask_zero(dir: &Path) {
    rustix::process::umask(rustix::fs::Mode::empty());
    let runner = runner(&dir.join("state"));
    let _server = Server::start(runner.journal().lease(), dir, Arc::new(|_| Ok(json!({})))).unwrap();
    let long = dir.join("x".repeat(150));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let far_lease = Lease::acquire(&long, HolderKind::Agent, &clock).unwrap();
    let _far = Server::start(&far_lease, &dir.join("runtime"), Arc::new(|_| Ok(json!({})))).unwrap();
    let id = runner
        .submit(
            spec(),
            Box::new(|cx| Ok(cx.resume_log().save("a", &json!(1)).map(|()| json!({}))?)),
        )
        .unwrap();
    runner.wait(id, LONG).unwrap();
    until("the daily copy", || dir.join("state/journal.copy.db").exists());
    let mut open = Vec::new();
    look(dir, &mut open);
    assert!(open.is_empty(), "open to others: {open:?}");
}

fn look(dir: &Path, open: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        // SQLite's side files come and go.
        let Ok(found) = std::fs::symlink_metadata(entry.path()) else {
            continue;
        };
        if found.permissions().mode() & 0o077 != 0 {
            open.push(format!("{:?} {:o}", entry.path(), found.permissions().mode()));
        }
        if found.is_dir() {
            look(&entry.path(), open);
        }
    }
}

#[test]
fn nothing_is_open_to_others_whatever_the_umask() {
    let dir = tempfile::tempdir().unwrap();
    let mut player = Player::start("umask", dir.path());
    let out = std::io::read_to_string(player.0.stdout.take().unwrap()).unwrap();
    assert!(player.0.wait().unwrap().success(), "{out}");
}
