//! `brine storage`.

use super::Outcome;
use super::args::StorageCommand;
use super::backup::act;
use super::call::{Call, answer};
use super::table::columns;
use crate::model::size;
use crate::service::desk::{Answer, Question, StorageCard};

pub(super) fn run(call: &mut Call<'_>, command: StorageCommand) -> Outcome {
    match command {
        StorageCommand::List => list(call),
        StorageCommand::Check { storage } => act(call, Question::CheckStorage { storage }),
    }
}

fn list(call: &mut Call<'_>) -> Outcome {
    let zone = call.any_zone();
    let cards = answer!(call, Question::Storages, Answer::Storages);
    let row = |c: &StorageCard| {
        let archives: Vec<String> = c.archives.iter().map(|(name, _)| name.to_string()).collect();
        let bytes: u64 = c.archives.iter().map(|(_, bytes)| bytes).sum();
        let error = c.error.clone().unwrap_or_default();
        vec![
            c.name.to_string(),
            c.url.clone(),
            size::iec(bytes),
            archives.join(" "),
            error,
        ]
    };
    let rows: Vec<Vec<String>> = cards.iter().map(row).collect();
    let lines = columns(&["STORAGE", "URL", "STORED", "ARCHIVES", "ERROR"], &["STORED"], &rows);
    call.print(&cards, zone, || lines)
}
