//! A host over a config in a directory of its own.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brine::config::{Config, Flags, Sources};
use brine::jobs::lease::HolderKind;
use brine::jobs::runner::Shutdown;
use brine::model::clock::SystemClock;
use brine::model::ids::ClusterName;
use brine::model::table::TableName;
use brine::service::desk::{Answer, BackupRequest, DataQuestion, Desk, Question, Refusal, RefusalKind};
use brine::service::host::{Host, HostOptions};
use brine::service::local::Role;
use tempfile::TempDir;

/// A process that holds the lease.
pub struct World {
    pub host: Host,
    pub dir: TempDir,
}

pub fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

impl World {
    /// The cluster `demo` with `demo_lines`, and whatever else stands in `more`.
    pub fn new(demo_lines: &str, more: &str) -> World {
        World::open(tempfile::tempdir().unwrap(), demo_lines, more, false)
    }

    /// The same in a directory that is there; `keeps` runs schedules and log backups.
    pub fn open(dir: TempDir, demo_lines: &str, more: &str, keeps: bool) -> World {
        let config = format!(
            "[[storage]]\nname = \"local\"\nurl = \"backups\"\n[[cluster]]\nname = \"demo\"\nkind = \"embedded\"\n\
             path = \"demo\"\n{demo_lines}\n{more}\n"
        );
        fs::write(dir.path().join("config.toml"), config).unwrap();
        fs::create_dir_all(dir.path().join("backups")).unwrap();
        let sources = Sources {
            flags: Flags {
                config: Some(dir.path().join("config.toml")),
                data_dir: Some(dir.path().join("data")),
                ..Flags::default()
            },
            env: &|_| None,
            standard: None,
            working_dir: dir.path().to_path_buf(),
        };
        let host = Host::start(HostOptions {
            config: Config::load(&sources).unwrap(),
            clock: Arc::new(SystemClock),
            role: Role {
                word: "agent",
                demo: false,
                read_only: false,
                asked_by: "tester@here".to_owned(),
            },
            kind: HolderKind::Agent,
            history: None,
            keeps,
        });
        World {
            host: host.unwrap(),
            dir,
        }
    }

    pub fn ask(&self, question: Question) -> Result<Answer, Refusal> {
        self.host.desk.ask(question)
    }

    #[track_caller]
    pub fn ok(&self, question: Question) -> Answer {
        self.ask(question).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The question is refused by a guard, in these words.
    #[track_caller]
    pub fn refused(&self, question: Question, words: &[&str]) {
        let e = self.ask(question.clone()).expect_err(&format!("{question:?}"));
        assert_eq!(e.kind, RefusalKind::Refused, "{question:?}: {e}");
        let text = format!("{e} {}", e.hint.clone().unwrap_or_default());
        for word in words {
            assert!(text.contains(word), "{question:?} should say `{word}`: {text}");
        }
    }

    /// A row and a backup.
    pub fn backed_up(self) -> World {
        self.put("a");
        let request = BackupRequest::default();
        let Answer::Job(id) = self.ok(Question::TakeBackup {
            cluster: name("demo"),
            request,
        }) else {
            panic!()
        };
        self.done(id);
        self
    }

    /// Waits for a job, which must succeed.
    #[track_caller]
    pub fn done(&self, id: brine::model::ids::JobId) {
        let job = self.host.runner().wait(id, Duration::from_secs(60)).unwrap();
        assert_eq!(job.state.word(), "Succeeded", "{:?}", job.error);
    }

    pub fn put(&self, key: &str) {
        self.ok(Question::Data {
            cluster: name("demo"),
            question: DataQuestion::Put {
                table: TableName::new("shop", "notes"),
                key: key.to_owned(),
                value: "v".to_owned(),
            },
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.host.shut(Shutdown::Cancel);
    }
}

/// Waits for a condition.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
