//! The first base of the history that a restore begins.
//!
//! Without it no moment after the restore can be restored, and the cluster is still closed: nothing else needs it yet. So a
//! connection that is lost now is waited for.

use std::time::Duration;

use super::plan::RestorePlan;
use super::run::TargetArchive;
use crate::cluster::Cluster;
use crate::engine::backup::{self, BackupPlan};
use crate::engine::cx::JobCx;
use crate::engine::error::EngineError;
use crate::engine::scope::Scoped;
use crate::model::backup::BackupType;
use crate::model::job::{LineLevel, Unit};

/// Seconds before each further try.
const WAITS: [u64; 5] = [1, 2, 5, 10, 20];

/// Takes it; a lost connection is tried again a few times, and each time is said.
pub(super) fn take(
    cluster: &dyn Cluster,
    target: TargetArchive<'_>,
    plan: &RestorePlan,
    cx: &dyn JobCx,
) -> Result<(), EngineError> {
    cx.step("Take the first base of the new history", Unit::Bytes, None);
    let identity = plan.assumptions.target_identity.clone();
    let wanted = BackupPlan::full(plan.target.clone(), identity, BackupType::Base);
    let scoped = Scoped::finishing(cx, "base/");
    for wait in WAITS {
        match backup::run(cluster, target.archive, target.lock, &wanted, &scoped) {
            Err(e) if e.is_lost_connection() => {
                let text = format!(
                    "the first base of the new history was not taken: {}; trying again in {wait} s",
                    e.chain()
                );
                cx.line(LineLevel::Warning, text);
                std::thread::sleep(Duration::from_secs(wait));
            }
            other => return other.map(drop),
        }
    }
    backup::run(cluster, target.archive, target.lock, &wanted, &scoped).map(drop)
}
