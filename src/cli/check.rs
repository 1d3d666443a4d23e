//! `brine check`: health as words, JSON and exit code.

use serde_json::json;

use super::call::{Call, answer};
use super::{Outcome, exit::ExitCode};
use crate::model::ids::ClusterName;
use crate::service::desk::{Answer, ClusterCard, HealthLevel, Question};

pub(super) fn run(call: &mut Call<'_>, cluster: Option<ClusterName>) -> Outcome {
    let cards = match cluster {
        Some(cluster) => vec![answer!(call, Question::Cluster { cluster }, Answer::Cluster).card],
        None => answer!(call, Question::Fleet, Answer::Fleet),
    };
    let healthy = cards
        .iter()
        .all(|c| matches!(c.health.level, HealthLevel::Ok | HealthLevel::Off));
    let each: Vec<_> = cards
        .iter()
        .map(|c| {
            json!({
                "cluster": c.name, "level": c.health.level, "word": c.health.word, "reasons": c.health.reasons,
                "restorable_to": c.window.bounds().map(|(_, to)| to), "rpo_gap_ms": c.log.rpo_gap_ms,
            })
        })
        .collect();
    let zone = call.any_zone();
    call.print(&json!({ "ok": healthy, "clusters": each }), zone, || {
        cards.iter().flat_map(lines).collect()
    })?;
    Ok(if healthy { ExitCode::Done } else { ExitCode::Failed })
}

fn lines(card: &ClusterCard) -> Vec<String> {
    let level = match card.health.level {
        HealthLevel::Ok => "ok",
        HealthLevel::Off => "off",
        HealthLevel::Warning => "WARNING",
        HealthLevel::Bad => "BAD",
    };
    let mut lines = vec![match card.health.word == level {
        true => format!("{}: {level}", card.name),
        false => format!("{}: {level} ({})", card.name, card.health.word),
    }];
    lines.extend(card.health.reasons.iter().map(|r| format!("  {r}")));
    lines
}
