//! Questions about, and small acts on, the data of an embedded cluster: `brine data`.

use std::sync::Arc;

use serde_json::json;

use super::acts::named_if_protected;
use super::desk::{Answer, ChecksumAnswer, DataQuestion, Refusal, TableSum};
use super::shop;
use super::ward::Ward;
use crate::cluster::embedded::EmbeddedCluster;
use crate::cluster::{Cluster, ClusterError};
use crate::engine::error::EngineError;
use crate::model::filter::TableFilter;
use crate::model::position::Moment;
use crate::model::table::TableName;

/// The most rows of one scan.
const MAX_SCAN: usize = 10_000;

/// Answers one question.
pub fn answer(ward: &Ward, question: DataQuestion) -> Result<Answer, Refusal> {
    if let DataQuestion::Drop { confirm_name, .. } = &question {
        named_if_protected(ward, confirm_name.as_deref())?;
    }
    let cluster = ward.embedded("`brine data`")?;
    ask(ward, &cluster, question).map_err(|e| EngineError::from(e).into())
}

fn ask(ward: &Ward, cluster: &Arc<EmbeddedCluster>, question: DataQuestion) -> Result<Answer, ClusterError> {
    let session = || cluster.session("brine");
    Ok(match question {
        DataQuestion::Tables => Answer::Tables(cluster.tables()?),
        DataQuestion::Count => Answer::Checksums(checksums(cluster, None)?),
        DataQuestion::Checksum { at } => Answer::Checksums(checksums(cluster, at)?),
        DataQuestion::Put { table, key, value } => {
            ensure(cluster, &table)?;
            Answer::Committed(session()?.put(&table, key.as_bytes(), value.as_bytes())?)
        }
        DataQuestion::Get { table, key } => {
            let value = session()?.get(&table, key.as_bytes())?;
            Answer::Rows(value.into_iter().map(|v| (key.clone(), shown(&v))).collect())
        }
        DataQuestion::Delete { table, key } => Answer::Committed(session()?.delete(&table, key.as_bytes())?),
        DataQuestion::Scan {
            table,
            at,
            after,
            limit,
        } => {
            let rows = session()?.scan(&table, after.as_deref().map(str::as_bytes), limit.min(MAX_SCAN), at)?;
            Answer::Rows(rows.iter().map(|(k, v)| (shown(k), shown(v))).collect())
        }
        DataQuestion::Load {
            table,
            rows,
            size,
            seed,
        } => {
            ensure(cluster, &table)?;
            let n = session()?.load(&table, &mut generated(rows, size, seed))?;
            Answer::Done(format!("{n} rows loaded into {table}"))
        }
        DataQuestion::Drop { table, .. } => Answer::Committed(session()?.drop_table(&table)?),
        DataQuestion::Traffic { rate, seconds } => {
            shop::Shop::new(1).open(cluster, 0)?;
            ward.traffic.start(Arc::clone(cluster), rate, seconds, 2);
            Answer::Done(if rate == 0 {
                "traffic stopped".to_owned()
            } else {
                format!("{rate} orders a second")
            })
        }
    })
}

/// Rows that depend only on the seed.
fn generated(rows: u64, size: usize, seed: u64) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let mut dice = fastrand::Rng::with_seed(seed);
    (0..rows).map(move |n| {
        // Half words, half digits: compresses about as well as real rows do.
        let mut value = format!(r#"{{"n":{n},"note":"row number {n} of a generated table","digits":""#).into_bytes();
        while value.len() + 2 < size {
            value.extend_from_slice(format!("{:08}", dice.u32(0..100_000_000)).as_bytes());
        }
        value.truncate(size.saturating_sub(2).max(2));
        value.extend_from_slice(b"\"}");
        (format!("{n:012}").into_bytes(), value)
    })
}

/// Makes the table if it is not there.
fn ensure(cluster: &Arc<EmbeddedCluster>, table: &TableName) -> Result<(), ClusterError> {
    match cluster.session("brine")?.create_table(table, "{}") {
        Ok(_) | Err(ClusterError::TableExists(_)) => Ok(()),
        Err(e) => Err(e),
    }
}

fn checksums(cluster: &Arc<EmbeddedCluster>, at: Option<Moment>) -> Result<ChecksumAnswer, ClusterError> {
    let at = match at {
        Some(at) => at,
        None => cluster.mark()?.moment,
    };
    let tables = cluster.checksums(&TableFilter::all(), Some(at))?;
    Ok(ChecksumAnswer {
        at,
        tables: tables.into_iter().map(|(table, sum)| TableSum { table, sum }).collect(),
    })
}

/// Keys and values as text; bytes that are none are shown in hex.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => json!(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()).to_string(),
    }
}
