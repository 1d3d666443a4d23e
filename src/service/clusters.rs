//! Looking at a cluster's fitness for backups, and accepting another database in its place.

use super::acts::confirmed;
use super::desk::{Answer, Finding, Refusal, Severity};
use super::local::LocalDesk;
use super::ward::Ward;
use crate::archive::state::LogDoc;
use crate::cluster::{Cluster, ClusterError, ClusterFacts, ClusterState};
use crate::engine::adopt;
use crate::engine::error::EngineError;
use crate::engine::log::goes_on;

impl LocalDesk {
    /// What a cluster has and lacks; one that cannot be reached is the answer, not an error.
    pub(super) fn check_cluster(&self, ward: &Ward) -> Result<Answer, Refusal> {
        let facts = ward.cluster().and_then(|c| Ok(c.facts()?));
        let mut findings = vec![match &facts {
            Ok(facts) => reached(ward, facts),
            Err(e) => finding("reached", Severity::Missing, super::refusal::chain(e).join(": "), None),
        }];
        if let Ok(facts) = &facts {
            findings.push(identity(ward, facts)?);
            if let Some(server) = ward.server()? {
                findings.extend(server.check().map_err(EngineError::from)?);
                findings.extend(log_goes_on(ward, &*server)?);
            }
        }
        Ok(Answer::Findings(findings))
    }

    /// Lets the archive go on with the database that is there now.
    pub(super) fn adopt(&self, ward: &Ward, confirm: Option<&str>) -> Result<Answer, Refusal> {
        confirmed(ward.name(), confirm)?;
        let archive = ward.archive_for_reading()?;
        // No log is written meanwhile from a database that is perhaps not its own.
        ward.keeper.stop_task();
        let cluster = ward.accept()?;
        let lock = ward.lock_archive()?;
        let adopted = adopt::run(&*cluster, &archive, &lock, &self.at_once());
        ward.forget_facts();
        ward.keeper.poke();
        Ok(Answer::Adopted(adopted?))
    }
}

fn finding(name: &str, severity: Severity, found: String, mend: Option<String>) -> Finding {
    Finding {
        name: name.to_owned(),
        severity,
        found,
        mend,
    }
}

fn reached(ward: &Ward, facts: &ClusterFacts) -> Finding {
    let tables = match facts.tables {
        1 => "1 table".to_owned(),
        n => format!("{n} tables"),
    };
    let product = format!("{}, {tables}", facts.version);
    match &facts.state {
        ClusterState::Available => finding("reached", Severity::Ok, product, None),
        ClusterState::Restoring { .. } => finding(
            "reached",
            Severity::Warning,
            format!("{product}; closed by a restore"),
            None,
        ),
        ClusterState::Closed { why } => finding(
            "reached",
            Severity::Warning,
            format!("{product}; closed: {why}"),
            Some(format!("brine cluster open {}", ward.name())),
        ),
        ClusterState::Unreachable { error } => finding("reached", Severity::Missing, error.clone(), None),
    }
}

/// Whether its log goes on from where the archive's ends, if it is wanted.
fn log_goes_on(ward: &Ward, server: &dyn Cluster) -> Result<Option<Finding>, Refusal> {
    const NAME: &str = "archived log";
    let Some(archive) = ward.archive_if_any()? else {
        return Ok(None);
    };
    let log = archive.state::<LogDoc>().map_err(EngineError::from)?.value;
    let Some(run) = log.runs.last().filter(|r| r.ended.is_none()) else {
        return Ok(None);
    };
    Ok(match goes_on(server, &archive, run)? {
        Ok(()) => Some(finding(
            NAME,
            Severity::Ok,
            "the server's log goes on from its end".to_owned(),
            None,
        )),
        // The settings that are in its way are named already.
        Err(ClusterError::Unsupported { .. }) => None,
        Err(e) => {
            let way = match e.ends_log() {
                true => format!("brine backup create {}", ward.name()),
                false => format!("brine cluster adopt {0}, then brine backup create {0}", ward.name()),
            };
            Some(finding(
                NAME,
                Severity::Missing,
                super::refusal::chain(&e).join(": "),
                Some(way),
            ))
        }
    })
}

/// Whether it is the database that the archive belongs to.
fn identity(ward: &Ward, facts: &ClusterFacts) -> Result<Finding, Refusal> {
    let Some(archive) = ward.archive_if_any()? else {
        let text = format!("{}; it has no backups yet", facts.identity);
        return Ok(finding("identity", Severity::Ok, text, None));
    };
    let expected = adopt::expected(&archive)?;
    if expected == facts.identity {
        let text = format!("{}, the one that the archive belongs to", facts.identity);
        return Ok(finding("identity", Severity::Ok, text, None));
    }
    Ok(finding(
        "identity",
        Severity::Missing,
        format!("{}, and the archive belongs to {expected}", facts.identity),
        Some(format!("brine cluster adopt {}", ward.name())),
    ))
}
