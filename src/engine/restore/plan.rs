//! The plan of a restore: what will happen, shown before it does, and run exactly so.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::engine::point::{RestorePoint, RestoreRequest};
use crate::model::ids::{BackupId, ClusterName, IncarnationId};
use crate::model::position::Moment;
use crate::model::table::TableName;

/// A transaction, as plans and receipts name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnRef {
    /// GTID or TSO.
    pub id: String,
    /// Its commit time.
    pub at: Moment,
}

/// A base that could be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseOption {
    /// The backup.
    pub id: BackupId,
    /// Its moment.
    pub commit: Moment,
    /// Why it was, or was not, chosen.
    pub reason: String,
}

/// The stretch of log that will be replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpan {
    /// Everything after this moment
    pub from: Moment,
    /// up to and including this one.
    pub to: Moment,
    /// Segments to read.
    pub segments: u64,
    /// Their stored bytes.
    pub stored_bytes: u64,
}

/// One table of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTable {
    /// Its name in the backup.
    pub source: TableName,
    /// The name it gets.
    pub target: TableName,
    /// Rows in the base (the log may change them).
    pub rows: u64,
    /// Bytes of rows in the base.
    pub bytes: u64,
    /// Whether the target has a table of that name now, which will be replaced.
    pub replaces: bool,
}

/// The result of one preflight check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckState {
    /// As wanted.
    Ok,
    /// Cannot be known, or worth a look.
    Warning,
    /// Restore is impossible until it is mended.
    Blocked,
}

/// One line of the preflight table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// The result.
    pub state: CheckState,
    /// What was found.
    pub found: String,
    /// What is wanted, or how to mend it.
    pub wanted: String,
}

/// How a restore in place can be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum WayBackPlan {
    /// A bookmark: base and log reach the moment before the restore.
    Bookmark {
        /// The base that will be used.
        base: BackupId,
    },
    /// A safety snapshot is taken first.
    Snapshot,
    /// The source is dead: there is no way back.
    None {
        /// Why.
        why: String,
    },
}

/// What an in-place restore takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Transactions after the moment, where they can be counted.
    pub transactions: Option<u64>,
    /// Tables they touched.
    pub tables: u64,
    /// Sessions that will be ended.
    pub sessions: u32,
    /// Tables that exist now and will not exist afterwards.
    pub dropped: Vec<TableName>,
}

/// The facts a plan rests on; the run checks them again and stops with "drifted" when one differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumptions {
    /// The base, by the hash of its manifest's first frame.
    pub base: BackupId,
    /// Its commit moment.
    pub base_commit: Moment,
    /// The incarnation of the archive that was live when the plan was made.
    pub live_incarnation: IncarnationId,
    /// The target's identity.
    pub target_identity: String,
    /// The names that will be written, those of tables that the log creates included.
    pub writes: Vec<TableName>,
    /// The tables in the way at the target.
    pub in_the_way: Vec<TableName>,
}

/// A restore, planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePlan {
    /// What was asked.
    pub request: RestoreRequest,
    /// The cluster that is written to.
    pub target: ClusterName,
    /// The point in words: `just before DROP TABLE shop.orders`.
    pub point: String,
    /// Changes after this moment are left out.
    pub until: Moment,
    /// The incarnation that is read.
    pub incarnation: IncarnationId,
    /// The last transaction that will be in; `None` when only the snapshot is.
    pub last_in: Option<TxnRef>,
    /// The first transaction that will be left out; `None` when nothing is known after.
    pub first_out: Option<TxnRef>,
    /// The base and why.
    pub base: BaseOption,
    /// Other bases that would do.
    pub alternatives: Vec<BaseOption>,
    /// The log that will be replayed; `None` for a snapshot alone.
    pub log: Option<LogSpan>,
    /// The tables of the base that will be restored.
    pub tables: Vec<PlannedTable>,
    /// Whether the target will hold exactly the source at that moment (else only the tables are touched).
    pub whole: bool,
    /// What an in-place restore takes away.
    pub losses: Option<Losses>,
    /// How it can be undone; `None` where nothing is overwritten.
    pub way_back: Option<WayBackPlan>,
    /// The preflight table.
    pub checks: Vec<Check>,
    /// Expected duration in milliseconds, as a range.
    pub duration_ms: (i64, i64),
    /// From so many restores of the target that had about as much to do; 0: from speeds that were measured elsewhere.
    #[serde(default)]
    pub measured: u32,
    /// What the run checks again.
    pub assumptions: Assumptions,
    /// The command line that does the same.
    pub command: String,
}

impl RestorePlan {
    /// Whether a check forbids to run it.
    pub fn blocked(&self) -> Option<&Check> {
        self.checks.iter().find(|c| c.state == CheckState::Blocked)
    }

    /// How long it will take, and how that is known: `34-51 min, from 3 restores of this cluster`.
    pub fn duration_words(&self) -> String {
        let (from, to) = self.duration_ms;
        let takes = crate::model::time::range(from, to);
        match self.measured {
            0 => format!("{takes}, a guess: none like it was run here"),
            1 => format!("{takes}, from 1 restore of this cluster"),
            n => format!("{takes}, from {n} restores of this cluster"),
        }
    }

    /// Whether the operator must type the target's name.
    pub fn needs_typed_name(&self) -> bool {
        self.losses.is_some() || self.request.replace
    }

    /// Six hex digits that stand for what was agreed to. A checkpoint that moves on does not change them.
    pub fn hash(&self) -> String {
        let until = match self.request.point {
            RestorePoint::Latest => None,
            _ => Some(self.until),
        };
        let agreed = (&self.request, &self.target, until, &self.assumptions, self.whole);
        let json = serde_json::to_vec(&agreed).unwrap_or_default();
        format!("{:06x}", xxh3_128(&json) & 0xff_ffff)
    }
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreReceipt {
    /// The cluster that was written.
    pub target: ClusterName,
    /// The point in words.
    pub point: String,
    /// The moment.
    pub until: Moment,
    /// The base.
    pub base: BackupId,
    /// The last transaction in.
    pub last_in: Option<TxnRef>,
    /// The first transaction left out.
    pub first_out: Option<TxnRef>,
    /// Tables restored.
    pub tables: u64,
    /// Rows restored.
    pub rows: u64,
    /// Bytes of rows restored; where the log was applied after the rows, those of the base.
    pub bytes: u64,
    /// Transactions of the log that were merged in.
    pub replayed: u64,
    /// Milliseconds.
    pub took_ms: i64,
    /// What was compared: `checksums of 12 tables with the backup's`.
    pub compared: String,
    /// The incarnation that began, for a restore into a cluster with an archive.
    pub incarnation: Option<IncarnationId>,
    /// Until when `undo` works.
    pub undo_until: Option<crate::model::clock::Millis>,
    /// What to do next, in plain words.
    pub next_steps: Vec<String>,
    /// Warnings of the run.
    pub warnings: Vec<String>,
}
