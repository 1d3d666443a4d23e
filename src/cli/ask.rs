//! Confirmations: given beforehand, or asked for on a terminal.

use std::io::{self, BufRead as _, Write as _};

use super::args::ConfirmArgs;
use super::call::Call;
use super::refuse;
use crate::model::ids::ClusterName;
use crate::service::desk::{Refusal, RefusalKind};

/// How much an act wants to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Danger {
    /// Asked y/N on a terminal, done without asking elsewhere: nothing is overwritten, or it can be taken back.
    Mild,
    /// Needs `--yes`.
    Serious,
    /// Needs `--yes` and the typed name.
    Grave,
}

/// Makes sure that an act is meant; gives the name that was typed. `about` is shown before anything is asked.
pub(super) fn confirm(
    call: &mut Call<'_>,
    given: &ConfirmArgs,
    name: &ClusterName,
    danger: Danger,
    about: &[String],
) -> Result<Option<String>, Refusal> {
    let typed = given.confirm_name.clone();
    if let Some(other) = typed.as_ref().filter(|t| *t != name.as_str()) {
        return Err(refuse::guarded(
            format!("the typed name `{other}` is not {name}"),
            format!("--confirm-name {name}"),
        ));
    }
    let named = danger != Danger::Grave || typed.is_some();
    if (given.yes && named) || (danger == Danger::Mild && !call.can_ask()) {
        return Ok(typed);
    }
    if !call.can_ask() || given.yes {
        let missing = match (named, given.yes) {
            (false, true) => format!("--confirm-name {name}"),
            (false, false) => format!("--confirm-name {name} --yes"),
            (true, _) => "--yes".to_owned(),
        };
        return Err(refuse::guarded("this needs a confirmation", format!("add {missing}")));
    }
    call.notes(about);
    if named {
        return match line("Go on? [y/N] ")?.to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(typed),
            _ => Err(not_done()),
        };
    }
    let answer = line(&format!("Type the name {name} to go on: "))?;
    if answer == name.as_str() {
        return Ok(Some(answer));
    }
    Err(not_done())
}

/// Wants the typed name for an act that is dangerous on a protected cluster only; gives it when it was typed.
pub(super) fn if_protected(
    call: &mut Call<'_>,
    given: &ConfirmArgs,
    cluster: &ClusterName,
    about: &str,
) -> Result<Option<String>, Refusal> {
    if !call.is_protected(cluster) {
        return Ok(given.confirm_name.clone());
    }
    let about = format!("{cluster} is protected: {about}");
    confirm(call, given, cluster, Danger::Grave, &[about])
}

fn not_done() -> Refusal {
    refuse::of(RefusalKind::Refused, "not confirmed: nothing was changed", None)
}

/// Asks on the terminal and reads one line.
fn line(question: &str) -> Result<String, Refusal> {
    let mut answer = String::new();
    let mut ask = || -> io::Result<()> {
        let mut err = io::stderr();
        err.write_all(question.as_bytes())?;
        err.flush()?;
        io::stdin().lock().read_line(&mut answer).map(|_| ())
    };
    ask().map_err(refuse::printing)?;
    Ok(answer.trim().to_owned())
}
