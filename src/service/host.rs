//! The process that holds the runner lease: its desk, its jobs, its log keepers, its schedule, its socket.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::desk::Refusal;
use super::keeper::Tell;
use super::local::{LocalDesk, Role};
use super::refusal::{failed, of_error, of_journal};
use super::remote::Served;
use super::ward::{Ward, WardOptions};
use super::wards::{Wards, open_storage};
use crate::archive::Holder;
use crate::archive::state::LogDoc;
use crate::config::Config;
use crate::engine::error::EngineError;
use crate::engine::log::LogOptions;
use crate::jobs::journal::Journal;
use crate::jobs::lease::{HolderKind, Lease, LeaseError};
use crate::jobs::runner::{JobSpec, Runner, Shutdown};
use crate::jobs::schedule::{self, DueBackup};
use crate::jobs::socket::Server;
use crate::model::backup::BackupType;
use crate::model::clock::Clock;
use crate::model::ids::ClusterName;
use crate::model::job::{LineLevel, Verb};
use crate::service::desk::BackupRequest;

/// How a host is started.
pub struct HostOptions {
    /// What is in effect.
    pub config: Config,
    /// The clock of everything.
    pub clock: Arc<dyn Clock>,
    /// What this process is.
    pub role: Role,
    /// The same for the lease.
    pub kind: HolderKind,
    /// History window of embedded clusters; `None` keeps all history.
    pub history: Option<Duration>,
    /// Whether schedules and log backups run here: not in a single command.
    pub keeps: bool,
}

/// Why a host could not be started.
#[derive(Debug)]
pub enum NotHost {
    /// Another process has the lease.
    Held(LeaseError),
    /// Anything else.
    Refused(Refusal),
}

/// The process that does the work.
pub struct Host {
    /// Answers the questions of who started this process; others ask by the socket.
    pub desk: Arc<LocalDesk>,
    wards: Arc<Wards>,
    runner: Arc<Runner>,
    schedule: Mutex<Option<JoinHandle<()>>>,
    server: Mutex<Option<Server>>,
    stop: Arc<Stop>,
}

#[derive(Default)]
struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Host {
    /// Takes the lease of the data directory and starts.
    pub fn start(options: HostOptions) -> Result<Host, NotHost> {
        let HostOptions {
            config,
            clock,
            role,
            kind,
            history,
            keeps,
        } = options;
        let refused = NotHost::Refused;
        crate::config::prepare_data_dir(&config.data_dir).map_err(|e| refused(failed(e.to_string())))?;
        let lease = match Lease::acquire_within(&config.data_dir, kind, &clock, Duration::from_millis(300)) {
            Ok(lease) => lease,
            Err(e @ LeaseError::Held { .. }) => return Err(NotHost::Held(e)),
            Err(e) => return Err(refused(of_error(&e))),
        };
        // What a killed process left of its scratch clusters.
        let scratch = config.data_dir.join("scratch");
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch)
                .map_err(|e| refused(failed(format!("clearing {}: {e}", scratch.display()))))?;
        }
        let journal = Journal::open(lease, Arc::clone(&clock)).map_err(|e| refused(of_journal(e)))?;
        let runner = Arc::new(Runner::start(journal, Arc::clone(&clock)).map_err(|e| refused(of_journal(e)))?);
        let holder = Holder::here(&role.asked_by, role.word).map_err(|e| refused(EngineError::from(e).into()))?;
        let storages = config.clone();
        let options = WardOptions {
            clock: Arc::clone(&clock),
            history,
            log: LogOptions::default(),
            spool: config.data_dir.clone(),
            holder,
            open_storage: Arc::new(move |name| open_storage(&storages, name)),
            tell: teller(&runner),
        };
        let wards = Arc::new(Wards::new(config, &options));
        // Who may only look is who started this process; what others ask of it is theirs to be refused.
        let read_only = role.read_only;
        let role = Role {
            read_only: false,
            ..role
        };
        let everybodys = LocalDesk::new(Arc::clone(&wards), Arc::clone(&runner), clock, role);
        let own = everybodys.for_user(&everybodys.role.asked_by, read_only);
        let host = Host {
            desk: Arc::new(own),
            wards,
            runner,
            schedule: Mutex::default(),
            server: Mutex::default(),
            stop: Arc::default(),
        };
        host.serve(Arc::new(everybodys))?;
        if keeps {
            host.keep();
        }
        Ok(host)
    }

    /// Answers other processes of this user from now on.
    fn serve(&self, everybodys: Arc<LocalDesk>) -> Result<(), NotHost> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let served = Arc::new(Served(everybodys));
        let server = Server::start(self.runner.journal().lease(), &runtime, served);
        *self.server.lock() = Some(server.map_err(|e| NotHost::Refused(of_error(&e)))?);
        Ok(())
    }

    /// The clusters.
    pub fn wards(&self) -> &Arc<Wards> {
        &self.wards
    }

    /// The jobs.
    pub fn runner(&self) -> &Arc<Runner> {
        &self.runner
    }

    /// Runs log backups and schedules from now on.
    pub fn keep(&self) {
        for ward in self.wards.all() {
            start_keeper(ward);
        }
        let (desk, runner, stop) = (Arc::clone(&self.desk), Arc::clone(&self.runner), Arc::clone(&self.stop));
        let mut schedule = self.schedule.lock();
        if schedule.is_none() {
            *schedule = Some(std::thread::spawn(move || run_schedule(&desk, &runner, &stop)));
        }
    }

    /// Whether jobs or log backups run, so that leaving is worth a question.
    pub fn is_busy(&self) -> bool {
        self.runner.active() > 0 || self.wards.all().any(|w| w.keeper.task().is_some())
    }

    /// Flushes the logs, ends or leaves the jobs, closes everything.
    pub fn shut(&self, how: Shutdown) {
        *self.stop.asked.lock() = true;
        self.stop.changed.notify_all();
        let schedule = self.schedule.lock().take();
        if let Some(thread) = schedule
            && thread.join().is_err()
        {
            // The thread's own panic message has been printed; there is nobody left to tell here.
        }
        if let Some(server) = self.server.lock().take() {
            server.stop();
        }
        self.runner.shutdown(how, Duration::from_secs(30));
        self.wards.all().for_each(|w| w.shut());
    }
}

/// Messages go into the journal; where that fails there is nowhere else to put them.
fn teller(runner: &Arc<Runner>) -> Tell {
    let runner = Arc::downgrade(runner);
    Arc::new(move |level, text| {
        if let Some(runner) = runner.upgrade() {
            let _ = runner.journal().tell(level, None, &text);
        }
    })
}

fn start_keeper(ward: &Arc<Ward>) {
    let (reads, makes) = (Arc::downgrade(ward), Arc::downgrade(ward));
    let gone = || EngineError::refused("the cluster was closed", "open it again");
    let lost = |r: Refusal| EngineError::Refused {
        what: r.chain.join(": "),
        hint: r.hint.unwrap_or_default(),
    };
    ward.keeper.start(
        Box::new(move || {
            let ward = reads.upgrade().ok_or_else(gone)?;
            match ward.archive_if_any().map_err(lost)? {
                Some(archive) => Ok(archive.state::<LogDoc>()?.value),
                None => Ok(LogDoc::default()),
            }
        }),
        Box::new(move |shared| makes.upgrade().ok_or_else(gone)?.log_task(shared).map_err(lost)),
    );
}

/// Looks at the schedules at least once a minute, and starts what is due.
fn run_schedule(desk: &Arc<LocalDesk>, runner: &Arc<Runner>, stop: &Stop) {
    let mut told = BTreeMap::new();
    loop {
        let (clusters, unreadable) = desk.scheduled_clusters();
        tell_unreadable(runner, unreadable, &mut told);
        let sleep = match schedule::tick(runner.journal().reader(), &clusters, desk.now()) {
            Ok(tick) => {
                tick.due.iter().for_each(|due| start_due(desk, runner, due));
                tick.sleep
            }
            Err(e) => {
                let _ = runner.journal().tell(LineLevel::Error, None, &format!("schedule: {e}"));
                Duration::from_secs(30)
            }
        };
        let mut asked = stop.asked.lock();
        if !*asked {
            stop.changed.wait_for(&mut asked, sleep);
        }
        if *asked {
            return;
        }
    }
}

/// Says once of each cluster, and of each new reason, that its schedule stands still.
fn tell_unreadable(
    runner: &Arc<Runner>,
    unreadable: Vec<(ClusterName, Refusal)>,
    told: &mut BTreeMap<ClusterName, String>,
) {
    let mut now = BTreeMap::new();
    for (cluster, why) in unreadable {
        let text = format!("no snapshot is taken on schedule while its archive cannot be read: {why}");
        if told.get(&cluster) != Some(&text) {
            let _ = runner.journal().tell(LineLevel::Error, Some(&cluster), &text);
        }
        now.insert(cluster, text);
    }
    *told = now;
}

/// Goes on with the interrupted job of the slot, or takes a new backup. A failure to even start is told.
fn start_due(desk: &Arc<LocalDesk>, runner: &Arc<Runner>, due: &DueBackup) {
    let resumed = due.interrupted.is_some_and(|job| runner.resume(job).is_ok());
    if resumed {
        return;
    }
    let started = desk.ward(&due.cluster).and_then(|ward| {
        desk.take_backup(
            &ward,
            &BackupRequest::default(),
            BackupType::Auto,
            Some(due.slot),
            "schedule",
        )
    });
    if let Err(e) = started {
        let text = format!("the scheduled snapshot could not be started: {e}");
        // As a failed job it takes its slot, so that the next try is in 20 minutes and everybody can see why.
        let spec = JobSpec {
            verb: Verb::Backup,
            cluster: due.cluster.clone(),
            title: format!("auto snapshot of {}", due.cluster),
            command: None,
            plan: serde_json::Value::Null,
            asked_by: "schedule".to_owned(),
            exclusive: None,
            resumable: false,
            slot: Some(due.slot),
        };
        if let Err(also) = runner.submit_failed(spec, e.into()) {
            let text = format!("{text}; nor could that be noted: {also}");
            let _ = runner.journal().tell(LineLevel::Error, Some(&due.cluster), &text);
        }
    }
}
