//! Words in; lines or JSON out.
//!
//! ```text
//! args       what can be typed
//! open       the desk: of this process, or of the one that holds the lease
//! call       one command: asks the desk, reads moments, prints
//! follow     a job, from the question to its receipt
//! backup ... one file for each family of verbs
//! output     stdout and stderr
//! exit       exit codes
//! ```
//!
//! *Invariant: every verb goes through [`Desk`](crate::service::desk::Desk); nothing here opens a cluster or an archive.*

mod agent;
pub mod args;
mod ask;
mod backup;
mod call;
mod check;
mod cluster;
mod config;
mod data;
pub mod exit;
mod follow;
mod job;
mod log;
pub mod manual;
mod messages;
mod open;
pub mod output;
mod plan;
mod receipt;
mod refuse;
mod restore;
mod retention;
mod settings;
mod signals;
mod storage;
mod table;
mod words;

use std::ffi::OsString;
use std::io::{self, Write};

pub use agent::carry_on;
pub use open::{Opened, asked_by, console};

use serde::Serialize;

use args::{Cli, Command, DemoArgs, GlobalArgs};
use call::Call;
use exit::ExitCode;
use output::Output;

use crate::config::Config;
use crate::jobs::runner::STOPPING;
use crate::service::desk::Refusal;

/// What is drawn on the whole terminal: main knows how, because the command line does not know the console.
pub trait Screens {
    /// The console.
    fn console(&self, global: &GlobalArgs, config: Config) -> Result<(), Refusal>;
    /// The console on a throw-away cluster.
    fn demo(&self, global: &GlobalArgs, demo: &DemoArgs) -> Result<(), Refusal>;
    /// The keys of the console as they are in effect.
    fn keys(&self, config: &Config) -> Result<Vec<KeyRow>, Refusal>;
    /// Whether the console can work with its part of the config; what is worth a word, as sentences.
    fn check(&self, config: &Config) -> Result<Vec<String>, Refusal>;
}

/// One command of the console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    /// Its id, as `[keys]` in the config names it.
    pub id: String,
    /// Its keys.
    pub keys: Vec<String>,
    /// Where it is offered.
    pub place: String,
    /// What it does.
    pub help: String,
}

/// Does what the arguments say.
pub fn run<I>(args: I, screens: &dyn Screens) -> ExitCode
where
    I: IntoIterator<Item = OsString>,
{
    let cli = match Cli::parse_args(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to hear that even this could not be printed.
            let _ = error.print();
            return ExitCode::from(&error);
        }
    };
    // Where it cannot be had, such a file ends the process as it always did.
    let _ = signals::outlive_full_files();
    let mut out = Output::std(cli.global.json, cli.global.quiet);
    match perform(cli, &mut out, screens) {
        Ok(code) => code,
        Err(refusal) => {
            let _ = out.refusal(&refusal);
            refusal.kind.into()
        }
    }
}

type Std = Output<io::Stdout, io::Stderr>;

/// A verb's end: how it went, or why not.
type Outcome = Result<ExitCode, Refusal>;

fn perform(cli: Cli, out: &mut Std, screens: &dyn Screens) -> Outcome {
    let Cli { global, command } = cli;
    match command {
        None => screens
            .console(&global, config::load(&global)?)
            .map(|()| ExitCode::Done),
        Some(Command::Demo(demo)) => screens.demo(&global, &demo).map(|()| ExitCode::Done),
        Some(Command::Agent) => agent::run(&global, out),
        Some(Command::Config(command)) => config::run(&global, &command, out, screens),
        Some(Command::Keys) => {
            let keys = screens.keys(&config::load(&global)?)?;
            out.result(&keys, |keys| key_lines(keys)).map_err(refuse::printing)?;
            Ok(ExitCode::Done)
        }
        Some(Command::Completions { shell }) => print_raw(&manual::completions(shell)),
        Some(Command::Man) => print_raw(&manual::manual().map_err(refuse::printing)?),
        Some(verb) => at_the_desk(global, verb, out),
    }
}

fn key_lines(keys: &[KeyRow]) -> Vec<String> {
    let row = |k: &KeyRow| vec![k.keys.join(" "), k.place.clone(), k.id.clone(), k.help.clone()];
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    table::columns(&["KEYS", "WHERE", "COMMAND", "DOES"], &[], &rows)
}

/// So often a command that came to a process which was just ending looks for another.
const DESKS: usize = 5;

/// Opens the desk, does the verb, and closes what was opened whatever came out.
fn at_the_desk(global: GlobalArgs, verb: Command, out: &mut Std) -> Outcome {
    let config = config::load(&global)?;
    let mut left = DESKS;
    loop {
        left -= 1;
        let opened = open::desk(&config, &global)?;
        let is_here = opened.is_here();
        let mut call = Call::new(&opened, config.clone(), global.clone(), out);
        let outcome = dispatch(&mut call, verb.clone());
        let leave_now = call.leaves_now();
        opened.shut(leave_now);
        match &outcome {
            Err(refusal) if left > 0 && !is_here && is_stopping(refusal) => {}
            _ => return outcome,
        }
    }
}

/// Whether nothing was begun because the process that was asked ends.
fn is_stopping(refusal: &Refusal) -> bool {
    refusal.chain.iter().any(|said| said == STOPPING)
}

fn dispatch(call: &mut Call<'_>, verb: Command) -> Outcome {
    match verb {
        Command::Check { cluster } => check::run(call, cluster),
        Command::Cluster(command) => cluster::run(call, command),
        Command::Storage(command) => storage::run(call, command),
        Command::Backup(command) => backup::run(call, command),
        Command::Settings(command) => settings::run(call, command),
        Command::Log(command) => log::run(call, command),
        Command::Restore(args) => restore::run(call, &args),
        Command::Undo(args) => restore::undo(call, &args),
        Command::Job(command) => job::run(call, command),
        Command::Messages { limit } => messages::run(call, limit),
        Command::Retention(command) => retention::run(call, command),
        Command::Data(command) => data::run(call, command),
        // These need no desk and were done before one was opened.
        Command::Demo(_)
        | Command::Agent
        | Command::Config(_)
        | Command::Keys
        | Command::Completions { .. }
        | Command::Man => Ok(ExitCode::Done),
    }
}

/// Bytes that are meant for other programs.
fn print_raw(bytes: &[u8]) -> Outcome {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(refuse::printing(e)),
        _ => Ok(ExitCode::Done),
    }
}
