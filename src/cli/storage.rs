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
            room(c).unwrap_or_default(),
            archives.join(" "),
            error,
        ]
    };
    let rows: Vec<Vec<String>> = cards.iter().map(row).collect();
    let heads = ["STORAGE", "URL", "STORED", "FREE", "ARCHIVES", "ERROR"];
    let mut lines = columns(&heads, &["STORED"], &rows);
    lines.extend(cards.iter().flat_map(facts));
    call.print(&cards, zone, || lines)
}

/// `41.2 GiB of 1.8 TiB`, where that is known.
fn room(card: &StorageCard) -> Option<String> {
    let facts = card.facts.as_ref()?;
    let (free, size) = facts.free.zip(facts.size)?;
    Some(format!("{} of {}", size::iec(free), size::iec(size)))
}

/// What is known of a place, below the table: sentences are too long for columns.
fn facts(card: &StorageCard) -> Vec<String> {
    let Some(facts) = &card.facts else { return Vec::new() };
    let known = [
        ("access", &facts.credentials),
        ("versions", &facts.versioning),
        ("immutability", &facts.immutability),
    ];
    let line = |(label, text): (&str, &Option<String>)| {
        let text = text.as_deref().unwrap_or("not known");
        format!("  {label:<14}{text}")
    };
    let head = [String::new(), format!("{}:", card.name)];
    head.into_iter().chain(known.into_iter().map(line)).collect()
}
