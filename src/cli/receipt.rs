//! What a job did, in words.

use serde::de::DeserializeOwned;

use super::table::pairs;
use super::words::{self, At, count};
use super::{follow, plan};
use crate::engine::delete::DeletePlan;
use crate::engine::restore::plan::RestoreReceipt;
use crate::engine::retention::RetentionReceipt;
use crate::engine::truncate::Truncated;
use crate::engine::verify::VerifyReceipt;
use crate::model::backup::BackupSummary;
use crate::model::job::{Job, Verb};
use crate::model::{size, time};

/// The receipt of a job that succeeded. One that is of another version is shown as it is.
pub(super) fn lines(job: &Job, at: At) -> Vec<String> {
    let own = match job.verb {
        Verb::Backup => read(job).map(|r: BackupSummary| backup(&r, at)),
        Verb::Restore | Verb::Undo => read(job).map(|r: RestoreReceipt| restore(&r, at)),
        Verb::Delete => read(job).map(|r: DeletePlan| delete(&r, at)),
        Verb::Verify => read(job).map(|r: VerifyReceipt| verify(&r)),
        Verb::Retention => read(job).map(|r: RetentionReceipt| retention(&r)),
        Verb::Truncate => read(job).map(|r: Truncated| truncate(&r)),
        Verb::Compact => None,
    };
    let mut lines = own.unwrap_or_else(|| job.receipt.iter().map(ToString::to_string).collect());
    let took = follow::took(job).map(|ms| format!(", took {}", time::took(ms)));
    lines.push(format!(
        "job {}: {}{}",
        job.id,
        job.state.word().to_lowercase(),
        took.unwrap_or_default()
    ));
    lines
}

fn read<T: DeserializeOwned>(job: &Job) -> Option<T> {
    serde_json::from_value(job.receipt.clone()?).ok()
}

fn backup(b: &BackupSummary, at: At) -> Vec<String> {
    let mut lines = vec![format!("backup {} of {}", b.id, b.cluster)];
    lines.extend(pairs(&[
        ("  moment", at.forms(b.commit)),
        ("  position", words::position(&b.position)),
        ("  holds", held(b.tables, b.totals.rows, b.totals.bytes)),
        ("  filter", b.filter.join(" ")),
        (
            "  stored",
            format!(
                "{} in {}",
                size::iec(b.stored_bytes),
                count(b.objects, "object", "objects")
            ),
        ),
        ("  note", b.note.clone().unwrap_or_default()),
    ]));
    lines
}

/// `3 tables, 1,000 rows, 12.0 KiB`
pub(super) fn held(tables: u64, rows: u64, bytes: u64) -> String {
    format!(
        "{}, {}, {}",
        count(tables, "table", "tables"),
        count(rows, "row", "rows"),
        size::iec(bytes)
    )
}

fn restore(r: &RestoreReceipt, at: At) -> Vec<String> {
    let mut lines = vec![format!("{} restored to {}", r.target, r.point)];
    let transactions = count(r.replayed, "transaction", "transactions");
    lines.extend(pairs(&[
        ("  moment", at.forms(r.until)),
        ("  base", r.base.to_string()),
        ("  log", if r.replayed == 0 { String::new() } else { transactions }),
        ("  last in", plan::txn(r.last_in.as_ref(), at)),
        ("  first out", plan::txn(r.first_out.as_ref(), at)),
        ("  holds", held(r.tables, r.rows, r.bytes)),
        ("  compared", r.compared.clone()),
        (
            "  history",
            r.incarnation.map(|i| format!("number {i} began")).unwrap_or_default(),
        ),
        (
            "  undo",
            r.undo_until
                .map(|u| format!("until {}: brine undo {}", at.local(u), r.target))
                .unwrap_or_default(),
        ),
    ]));
    lines.extend(r.warnings.iter().map(|w| format!("  warning: {w}")));
    lines.extend(r.next_steps.iter().map(|s| format!("  next: {s}")));
    lines
}

fn delete(d: &DeletePlan, at: At) -> Vec<String> {
    vec![
        format!("backup {} is in the trash until {}", d.id, at.local(d.trash_until)),
        format!(
            "  {} are freed then; until then `brine backup undelete` brings it back",
            size::iec(d.freed_bytes)
        ),
    ]
}

fn verify(v: &VerifyReceipt) -> Vec<String> {
    vec![format!(
        "backup {} holds: {}, {}, {}, {}",
        v.id,
        v.level.word(),
        count(v.tables, "table", "tables"),
        count(v.objects, "object", "objects"),
        count(v.rows, "row", "rows")
    )]
}

fn retention(r: &RetentionReceipt) -> Vec<String> {
    let ids = |list: &[crate::model::ids::BackupId]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut lines = vec![format!("retention freed {}", size::iec(r.freed_bytes))];
    lines.extend(pairs(&[
        ("  into the trash", ids(&r.trashed)),
        ("  out of the trash", ids(&r.purged)),
        ("  cleared away", ids(&r.cleared)),
        (
            "  log",
            if r.segments == 0 {
                String::new()
            } else {
                count(r.segments, "segment", "segments")
            },
        ),
    ]));
    lines
}

fn truncate(t: &Truncated) -> Vec<String> {
    vec![format!(
        "{} of the log deleted, {} freed",
        count(t.segments, "segment", "segments"),
        size::iec(t.freed_bytes)
    )]
}
