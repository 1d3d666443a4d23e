//! The demo as a running thing: a throw-away data directory, its past, and a host with live traffic.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use super::clock::DemoClock;
use super::history::{Story, tell};
use super::leftovers;
use crate::config::{Config, Flags, Sources};
use crate::jobs::lease::HolderKind;
use crate::jobs::runner::Shutdown;
use crate::model::clock::{Clock, SystemClock};
use crate::service::host::{Host, HostOptions, NotHost};
use crate::service::local::Role;
use crate::service::wards::open_storage;

/// What the demo is asked to be.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Orders a second.
    pub rate: u32,
    /// Days of history.
    pub days: u32,
    /// The dice; the same seed tells the same story.
    pub seed: u64,
}

impl Default for DemoOptions {
    fn default() -> Self {
        DemoOptions {
            rate: 12,
            days: 5,
            seed: 7,
        }
    }
}

/// A demo that runs. Dropping it ends everything and removes its directory.
pub struct Stage {
    /// Its host.
    pub host: Host,
    dir: PathBuf,
}

impl Stage {
    /// Makes the past and starts the present.
    pub fn open(options: &DemoOptions, role: Role) -> anyhow::Result<Stage> {
        let random = getrandom::u64().context("asking the system for random numbers")?;
        let temp = std::env::temp_dir();
        leftovers::clear(&temp, SystemClock.now());
        let dir = temp.join(format!("{}{random:016x}", leftovers::PREFIX));
        let opened = open_in(options, role, dir.clone());
        if opened.is_err() && dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| format!("clearing away {}", dir.display()))?;
        }
        opened
    }
}

fn open_in(options: &DemoOptions, role: Role, dir: PathBuf) -> anyhow::Result<Stage> {
    let flags = Flags {
        data_dir: Some(dir.clone()),
        ..Flags::default()
    };
    let no_env = |_: &str| None::<OsString>;
    let sources = Sources {
        flags,
        env: &no_env,
        standard: None,
        working_dir: dir.clone(),
    };
    let config = Config::load(&sources).context("making the demo's config")?;
    crate::config::prepare_data_dir(&dir)?;
    let until = SystemClock.now();
    let clock = Arc::new(DemoClock::new(until));
    {
        let cluster = config.clusters.first().context("the default config has a cluster")?;
        let crate::config::ClusterSource::Embedded { path } = &cluster.source else {
            anyhow::bail!("the default config's cluster is embedded");
        };
        let storage = cluster.storages.first().context("the default config has a storage")?;
        let storage = open_storage(&config, storage).map_err(anyhow::Error::from)?;
        let story = Story {
            days: options.days,
            seed: options.seed,
            until,
        };
        tell(&story, &cluster.name, path, storage, &clock)?;
    }
    clock.go_live();
    let host = Host::start(HostOptions {
        config,
        clock,
        role,
        kind: HolderKind::Console,
        history: None,
        keeps: true,
    });
    let host = host.map_err(|e| match e {
        NotHost::Held(e) => anyhow::Error::from(e),
        NotHost::Refused(e) => anyhow::Error::from(e),
    })?;
    for ward in host.wards().all() {
        ward.traffic
            .start(ward.embedded("the demo")?, options.rate, None, options.seed);
    }
    Ok(Stage { host, dir })
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.host.shut(Shutdown::Cancel);
        // In the system's own folder for temporary things: what cannot be removed now goes with the rest of it.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
