//! What `brine completions` and `brine man` print, both made from the description of the command line.

use std::io::{self, Write};

use clap_complete::Shell;
use clap_mangen::Man;

use super::args::Cli;

/// The completions for a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::describe(), "brine", &mut script);
    script
}

/// The manual: one page for the program and one for each command.
pub fn manual() -> io::Result<Vec<u8>> {
    let mut command = Cli::describe();
    command.build();
    let mut pages = Vec::new();
    write_pages(&command, &mut pages)?;
    Ok(pages)
}

fn write_pages(command: &clap::Command, out: &mut impl Write) -> io::Result<()> {
    Man::new(command.clone()).render(out)?;
    command.get_subcommands().try_for_each(|inner| write_pages(inner, out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_shell_gets_completions() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(completions(*shell)).unwrap();
            assert!(script.contains("brine") && script.contains("truncate"), "{shell}");
        }
    }

    #[test]
    fn the_manual_has_a_page_for_every_command() {
        let text = String::from_utf8(manual().unwrap()).unwrap();
        for page in ["brine 1", "brine-restore 1", "brine-log-truncate 1"] {
            assert!(text.contains(&format!(".TH {page}")), "{page}");
        }
        assert!(text.contains("in\\-place"), "flags stand in it");
    }
}
