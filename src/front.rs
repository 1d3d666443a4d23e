//! What is drawn on the whole terminal: the console and the demo, wired to a desk.

use std::cell::RefCell;
use std::io::Write as _;
use std::sync::Arc;

use brine::cli::args::{DemoArgs, GlobalArgs};
use brine::cli::{Screens, asked_by, carry_on, console};
use brine::config::Config;
use brine::demo::{DemoOptions, Stage};
use brine::jobs::detach::{self, Link};
use brine::jobs::runner::Shutdown;
use brine::service::desk::{Desk, Refusal, RefusalKind};
use brine::service::host::Host;
use brine::service::local::Role;
use brine::service::shop::Shop;
use brine::tui::{self, DemoStrip, Exit, Options};

/// Orders that an empty cluster of the default config is given to look at.
const SAMPLE_ORDERS: u64 = 200;

/// The screens.
pub struct Front {
    link: RefCell<Link>,
}

impl Front {
    /// Screens of a process with that line to its parent.
    pub fn new(link: Link) -> Self {
        Front {
            link: RefCell::new(link),
        }
    }

    /// The terminal is gone, or was left: goes on as an agent while there is something to go on with.
    fn leave(&self, host: &Host, busy: bool) -> Result<(), Refusal> {
        if !busy {
            host.shut(Shutdown::Leave);
            return Ok(());
        }
        let gone = |e: std::io::Error| failed(&e.into());
        if let Err(e) = detach::leave(self.link.take()) {
            // It cannot go on without the terminal: what was archived so far is flushed, the jobs can be resumed.
            host.shut(Shutdown::Leave);
            return Err(gone(e));
        }
        carry_on(host).map_err(gone)
    }
}

impl Screens for Front {
    fn console(&self, global: &GlobalArgs, config: Config) -> Result<(), Refusal> {
        let opened = console(&config, global)?;
        let desk: Arc<dyn Desk> = Arc::clone(&opened.desk);
        if let Some(host) = opened.host.as_ref().filter(|_| config.file.is_none()) {
            stock_samples(host)?;
        }
        let exit = tui::run(desk, options(global, &config)).map_err(|e| failed(&e));
        let Some(host) = opened.host else {
            return exit.map(|_| ());
        };
        match exit {
            Ok(Exit::LeaveRunning | Exit::TerminalLost) => self.leave(&host, host.is_busy()),
            Ok(Exit::Quit) => {
                host.shut(Shutdown::Cancel);
                Ok(())
            }
            Err(e) => {
                host.shut(Shutdown::Leave);
                Err(e)
            }
        }
    }

    fn demo(&self, global: &GlobalArgs, demo: &DemoArgs) -> Result<(), Refusal> {
        let role = Role {
            word: "console",
            demo: true,
            read_only: global.read_only,
            asked_by: asked_by(),
        };
        let seed = demo.seed.unwrap_or(7);
        // It takes seconds, and a terminal that stays blank looks broken.
        let _ = writeln!(
            std::io::stderr(),
            "brine: making {} days of history for a throw-away cluster ...",
            demo.days
        );
        let stage = Stage::open(
            &DemoOptions {
                rate: demo.rate,
                days: demo.days,
                seed,
            },
            role,
        )
        .map_err(|e| failed(&e))?;
        let mut options = options(global, stage.host.wards().config());
        options.tour = demo.tour;
        options.demo = stage.host.wards().all().next().map(|w| DemoStrip {
            cluster: w.name().clone(),
        });
        let desk: Arc<dyn Desk> = stage.host.desk.clone();
        tui::run(desk, options).map(|_| ()).map_err(|e| failed(&e))
    }

    fn keys(&self) -> Result<Vec<String>, Refusal> {
        let line = |k: &tui::keys::KeyLine| format!("{:24} {:10} {}", k.keys.join(" "), k.place, k.help);
        Ok(tui::keys::table().iter().map(line).collect())
    }
}

/// With no config there is one cluster to play with; an empty one gets a small shop.
fn stock_samples(host: &Host) -> Result<(), Refusal> {
    for ward in host.wards().all() {
        // A cluster that cannot be opened is shown as such by the console itself.
        let Ok(cluster) = ward.embedded("a sample shop") else {
            continue;
        };
        let empty = brine::cluster::Cluster::tables(&*cluster).is_ok_and(|t| t.iter().all(|t| t.system));
        if empty {
            Shop::new(1)
                .open(&cluster, SAMPLE_ORDERS)
                .map_err(brine::engine::error::EngineError::from)?;
        }
    }
    Ok(())
}

fn options(global: &GlobalArgs, config: &Config) -> Options {
    Options {
        theme: global
            .theme
            .clone()
            .or_else(|| Some(config.console.theme.clone()).filter(|_| config_names_theme(config))),
        ascii: global.ascii || config.console.ascii,
        no_color: global.no_color,
        accessible: global.accessible || config.console.accessible,
        mouse: global.mouse || config.console.mouse,
        read_only: global.read_only,
        zone: global.tz,
        keys: config.keys.iter().map(|(id, b)| (id.clone(), b.keys.clone())).collect(),
        ..Options::default()
    }
}

/// Whether somebody chose the theme; otherwise the terminal decides.
fn config_names_theme(config: &Config) -> bool {
    config
        .settings
        .iter()
        .any(|s| s.key == "console.theme" && s.origin != brine::config::Origin::Default)
}

fn failed(e: &anyhow::Error) -> Refusal {
    let mut chain: Vec<String> = e.chain().map(ToString::to_string).collect();
    chain.dedup();
    Refusal {
        kind: RefusalKind::Failed,
        chain,
        hint: None,
    }
}
