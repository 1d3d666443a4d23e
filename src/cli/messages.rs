//! `brine messages`.

use super::Outcome;
use super::call::{Call, answer};
use super::table::columns;
use super::words::At;
use crate::model::job::LineLevel;
use crate::service::desk::{Answer, Message, Question};

/// Lists them, newest first as in the console.
pub(super) fn run(call: &mut Call<'_>, limit: u32) -> Outcome {
    let at = At {
        zone: call.any_zone(),
        now: call.now(),
        server: false,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let messages = answer!(call, Question::Messages { limit }, Answer::Messages);
    let row = |m: &Message| {
        let level = match m.level {
            LineLevel::Info => "",
            LineLevel::Warning => "warning",
            LineLevel::Error => "error",
        };
        let cluster = m.cluster.as_ref().map(ToString::to_string);
        vec![
            at.local(m.at),
            level.to_owned(),
            cluster.unwrap_or_default(),
            at.told(&m.text),
        ]
    };
    let rows: Vec<Vec<String>> = messages.iter().map(row).collect();
    call.print(&messages, at.zone, || match rows.is_empty() {
        true => vec!["there are no messages".to_owned()],
        false => columns(&["WHEN", "LEVEL", "CLUSTER", "MESSAGE"], &[], &rows),
    })
}
