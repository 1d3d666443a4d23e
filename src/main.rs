//! The `brine` binary: arguments in, exit code out.

use std::process::ExitCode;

use brine::cli::Screens;
use brine::cli::args::{DemoArgs, GlobalArgs};
use brine::config::Config;
use brine::service::desk::{Refusal, RefusalKind};

/// What is drawn on the whole terminal.
struct Front;

impl Screens for Front {
    fn console(&self, _global: &GlobalArgs, _config: Config) -> Result<(), Refusal> {
        Err(not_yet("the console"))
    }

    fn demo(&self, _global: &GlobalArgs, _demo: &DemoArgs) -> Result<(), Refusal> {
        Err(not_yet("the demo"))
    }

    fn keys(&self) -> Result<Vec<String>, Refusal> {
        Err(not_yet("the console"))
    }
}

fn not_yet(what: &str) -> Refusal {
    Refusal {
        kind: RefusalKind::Failed,
        chain: vec![format!("{what} is not in this build")],
        hint: Some("every verb works from the command line: brine --help".to_owned()),
    }
}

fn main() -> ExitCode {
    brine::cli::run(std::env::args_os(), &Front).into()
}
