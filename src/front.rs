//! What is drawn on the whole terminal: the console and the demo, wired to a desk.

use std::cell::RefCell;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::channel;

use brine::cli::args::{DemoArgs, GlobalArgs};
use brine::cli::output::chain_of;
use brine::cli::{KeyRow, Screens, asked_by, carry_on, console};
use brine::config::{Config, ConfigError, Problem, StandardPaths};
use brine::demo::{DemoOptions, Stage};
use brine::jobs::detach::{self, Link};
use brine::jobs::runner::Shutdown;
use brine::service::desk::{Desk, Refusal, RefusalKind};
use brine::service::host::Host;
use brine::service::local::Role;
use brine::service::opening::OpeningDesk;
use brine::service::shop::Shop;
use brine::tui::keys::Keymap;
use brine::tui::theme::{Depth, Library};
use brine::tui::{self, DemoStrip, Exit, Options};

/// Orders that an empty cluster of the default config is given to look at.
const SAMPLE_ORDERS: u64 = 200;

/// In the data directory: whoever works there has seen the tips of the first run.
const TIPS_SEEN: &str = "tips-seen";

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

/// Makes the table of open files large before there are threads.
///
/// Linux grows it past 64 with a wait of 10 to 30 ms (`expand_files` in fs/file.c: `synchronize_rcu` when threads share the
/// table), and a fleet whose archives are all opened at once gets there before the first picture is drawn.
fn room_for_files() {
    // Where so many are not allowed, it grows when it must.
    let _ = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 1000);
}

impl Screens for Front {
    fn console(&self, global: &GlobalArgs, config: Config) -> Result<(), Refusal> {
        self.check(&config)?;
        room_for_files();
        let mut options = options(global, &config);
        options.tips = Some(config.data_dir.join(TIPS_SEEN));
        let (keep, hosts) = channel();
        let read_only = global.read_only;
        let global = global.clone();
        let desk = OpeningDesk::begin(move || {
            let opened = console(&config, &global)?;
            if let Some(host) = opened.host {
                let stocked = if config.file.is_none() && !global.read_only {
                    stock_samples(&host)
                } else {
                    Ok(())
                };
                // Whoever runs the console closes it; the console has not ended, or nobody is there to close it.
                let _ = keep.send(host);
                stocked?;
            }
            Ok(opened.desk)
        })
        .map_err(|e| failed(&e.into()))?;
        let exit = tui::run(desk, options).map_err(|e| failed(&e));
        // One that is not open by now has not begun anything; what it still does ends with the process.
        let Ok(host) = hosts.try_recv() else {
            return exit.map(|_| ());
        };
        match exit {
            Ok(Exit::LeaveRunning | Exit::TerminalLost) => self.leave(&host, host.is_busy()),
            Ok(Exit::Quit) => {
                // Who may only look cancels nothing: the next process goes on with jobs that others started here.
                host.shut(if read_only { Shutdown::Leave } else { Shutdown::Cancel });
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
        tui::run(OpeningDesk::opened(desk), options)
            .map(|_| ())
            .map_err(|e| failed(&e))
    }

    fn keys(&self, config: &Config) -> Result<Vec<KeyRow>, Refusal> {
        self.check(config)?;
        let keymap = Keymap::new(&bindings(config)).map_err(|e| failed(&e.into()))?;
        let row = |k: &tui::keys::KeyLine<'_>| KeyRow {
            id: k.id.to_owned(),
            keys: k.keys.to_vec(),
            place: k.place.to_owned(),
            help: k.help.to_owned(),
        };
        Ok(keymap.table().iter().map(row).collect())
    }

    fn check(&self, config: &Config) -> Result<Vec<String>, Refusal> {
        let place = |id: &&str| config.keys.get(*id).map(|binding| binding.place);
        let problems: Vec<Problem> = Keymap::problems(&bindings(config))
            .iter()
            .map(|bad| Problem {
                place: bad.ids().iter().find_map(place),
                text: bad.to_string(),
            })
            .collect();
        if !problems.is_empty() {
            let file = config.file.clone();
            return Err(wrong(&ConfigError::Invalid { file, problems }));
        }
        let (library, mut warnings) = themes(config);
        library
            .load(&config.console.theme, Depth::True)
            .map_err(|e| wrong(&e))?;
        warnings.extend(library.warnings());
        Ok(warnings)
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

/// The themes to choose from, and what is wrong with the operator's own.
fn themes(config: &Config) -> (Library, Vec<String>) {
    // The demo has no config of its own; the themes are the operator's all the same.
    let standard = || Some(StandardPaths::of_user()?.config_file.parent()?.join("themes"));
    let Some(dir) = config.theme_dir.clone().or_else(standard) else {
        return (Library::default(), Vec::new());
    };
    let (library, bad) = Library::read(&dir);
    (library, bad.iter().map(|e| chain_of(e).join(": ")).collect())
}

/// The `[keys]` table.
fn bindings(config: &Config) -> Vec<(String, Vec<String>)> {
    config.keys.iter().map(|(id, b)| (id.clone(), b.keys.clone())).collect()
}

/// The config says something that the console cannot do.
fn wrong(error: &dyn std::error::Error) -> Refusal {
    Refusal {
        kind: RefusalKind::Usage,
        chain: chain_of(error),
        hint: None,
    }
}

fn options(global: &GlobalArgs, config: &Config) -> Options {
    let (themes, warnings) = themes(config);
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
        keys: bindings(config),
        themes,
        warnings,
        bell: config.console.bell,
        notify: config.console.notify,
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
    if let Some(refusal) = e.downcast_ref::<Refusal>() {
        return refusal.clone();
    }
    let mut chain: Vec<String> = e.chain().map(ToString::to_string).collect();
    chain.dedup();
    Refusal {
        kind: RefusalKind::Failed,
        chain,
        hint: None,
    }
}
