//! Whether commits can wait for the log backup, where that is wanted.

use super::{Finding, Variables};
use crate::cluster::mysql::wire::Flavor;

const NAME: &str = "semi-sync";

/// What the server needs for it; with the words of older versions where it has those.
pub(super) fn check(variables: &Variables, flavor: Flavor) -> Finding {
    let words = [("source", "replica"), ("master", "slave")];
    let known = words.into_iter().find_map(|(ours, theirs)| {
        let enabled = variables.on(&format!("rpl_semi_sync_{ours}_enabled"))?;
        Some((ours, theirs, enabled))
    });
    let Some((ours, theirs, enabled)) = known else {
        let mend = match flavor {
            Flavor::MariaDb => "a server with semi-synchronous replication",
            Flavor::MySql => "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'",
        };
        return Finding::warning(
            NAME,
            "the server cannot do it: commits do not wait for the log backup",
            mend,
        );
    };
    let of = format!("rpl_semi_sync_{ours}");
    let clients = format!("{of}_wait_no_{theirs}");
    match (enabled, variables.on(&clients)) {
        (false, _) => Finding::warning(
            NAME,
            "off at the server: commits do not wait for the log backup",
            format!("SET GLOBAL {of}_enabled = ON, {clients} = OFF"),
        ),
        (true, Some(true)) => Finding::warning(
            NAME,
            format!(
                "on, but when no replica is left the next commit waits for {} ms",
                variables.get(&format!("{of}_timeout")).unwrap_or("10000")
            ),
            format!("SET GLOBAL {clients} = OFF"),
        ),
        (true, _) => Finding::ok(
            NAME,
            "on: commits wait until the log backup or another replica has them",
        ),
    }
}
