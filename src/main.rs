//! The `brine` binary: arguments in, exit code out.

mod front;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use brine::cli::args::{Cli, Command};
use brine::jobs::detach::{Link, Role, behind_parent};

fn main() -> ExitCode {
    let link = match screen_wanted() {
        true => match behind_parent() {
            Ok(Role::Parent { code }) => return ExitCode::from(u8::try_from(code).unwrap_or(1)),
            Ok(Role::Child(link)) => link,
            // Without the parent the console works too; only the shell's prompt has to wait for it.
            Err(_) => Link::none(),
        },
        false => Link::none(),
    };
    brine::cli::run(std::env::args_os(), &front::Front::new(link)).into()
}

/// Whether the arguments ask for the console or the demo, on a terminal.
fn screen_wanted() -> bool {
    let screen = |cli: Cli| matches!(cli.command, None | Some(Command::Demo(_)));
    std::io::stdin().is_terminal()
        && std::io::stdout().is_terminal()
        && Cli::parse_args(std::env::args_os()).is_ok_and(screen)
}
