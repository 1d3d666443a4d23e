//! Cutting a large table into ranges of about the same size.
//!
//! The server's own guesses of how many rows lie in a range (two dives into the index each) are used to find the cuts, so that
//! it costs the same for a table of any size and for keys however sparse. Nothing is counted and no index is walked.

use super::keys::{Literal, Point, Range};
use super::read::ViewTable;
use crate::cluster::ClusterError;
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};

/// A range is not made smaller than this.
const RANGE_BYTES: u64 = 32 << 20;
/// A guess this near to what is wanted is near enough, as a part of it.
const NEAR: u64 = 16;

/// The ranges of a table; none when it is empty.
pub(super) fn split(conn: &mut Conn, table: &ViewTable, parts: usize) -> Result<Vec<Range>, WireError> {
    let name = text::table(&table.listed.name.db, &table.listed.name.table);
    let any = format!("{} LIMIT 1", super::select_one(table));
    if conn.row(&any)?.is_none() {
        return Ok(Vec::new());
    }
    let most = usize::try_from(table.listed.bytes / RANGE_BYTES).unwrap_or(usize::MAX);
    let parts = parts.min(most);
    if parts < 2 || !table.can_split() {
        return Ok(vec![Range::default()]);
    }
    let mut guess = Guess { conn, table, name };
    Ok(Range::between(guess.cuts(parts)?))
}

struct Guess<'a> {
    conn: &'a mut Conn,
    table: &'a ViewTable,
    name: String,
}

impl Guess<'_> {
    /// Points that cut the table, in the key's order.
    fn cuts(&mut self, parts: usize) -> Result<Vec<Point>, WireError> {
        let Some(first) = self.table.key.columns.first().cloned() else {
            return Ok(Vec::new());
        };
        let column = text::ident(&first.name);
        let ends = format!(
            "SELECT MIN({column}), MAX({column}) FROM {} FORCE INDEX (PRIMARY)",
            self.name
        );
        let Some(row) = self.conn.row(&ends)? else {
            return Ok(Vec::new());
        };
        match first.literal {
            Literal::Integer => {
                let number = |n: usize| row.opt(n).and_then(|t| t.parse::<i128>().ok());
                match (number(0), number(1)) {
                    (Some(low), Some(high)) => self.integers(low, high, parts),
                    _ => Ok(Vec::new()),
                }
            }
            Literal::Binary => {
                let (low, high) = (row.bytes(0).unwrap_or_default(), row.bytes(1).unwrap_or_default());
                let candidates = (0u8..=255).step_by(4).map(|b| [shared(low, high), &[b]].concat());
                self.choose(candidates.collect(), parts)
            }
            Literal::Text { charset } => {
                let (low, high) = (row.bytes(0).unwrap_or_default(), row.bytes(1).unwrap_or_default());
                let candidates = self.text_candidates(shared(low, high), &charset, first.collation.as_deref())?;
                self.choose(candidates, parts)
            }
            Literal::Number | Literal::Quoted => Ok(Vec::new()),
        }
    }

    /// About how many rows lie in a range.
    fn rows(&mut self, range: &Range) -> Result<u64, WireError> {
        let protocol = |e: ClusterError| WireError::Protocol(e.to_string());
        let condition = range.condition(&self.table.key).map_err(protocol)?;
        let (explain, column) = match self.conn.info().flavor {
            Flavor::MariaDb => ("EXPLAIN", 8),
            Flavor::MySql => ("EXPLAIN FORMAT=TRADITIONAL", 9),
        };
        let condition = condition.unwrap_or_else(|| "1 = 1".to_owned());
        let sql = format!(
            "{explain} SELECT 1 FROM {} FORCE INDEX (PRIMARY) WHERE {condition}",
            self.name
        );
        Ok(self.conn.row(&sql)?.map_or(0, |row| row.number(column)))
    }

    /// Halves the space between two integers until the halves hold about the same, and so on with each.
    fn integers(&mut self, low: i128, high: i128, parts: usize) -> Result<Vec<Point>, WireError> {
        let mut cuts = Vec::new();
        let all = self.rows(&between(low - 1, high))?;
        self.halve(low - 1, high, all, parts, &mut cuts)?;
        Ok(cuts.into_iter().map(|n| Point::one(n.to_string().as_bytes())).collect())
    }

    /// Cuts (low, high], which holds about `rows`, into `parts`.
    fn halve(&mut self, low: i128, high: i128, rows: u64, parts: usize, cuts: &mut Vec<i128>) -> Result<(), WireError> {
        if parts < 2 || high - low < 2 || rows < 2 {
            return Ok(());
        }
        let left_parts = parts / 2;
        let wanted = (u128::from(rows) * left_parts as u128 / parts as u128) as u64;
        let (mut from, mut to) = (low + 1, high - 1);
        let (mut cut, mut held) = (low + (high - low) / 2, 0);
        while from <= to {
            cut = from + (to - from) / 2;
            held = self.rows(&between(low, cut))?;
            if held.abs_diff(wanted) <= wanted / NEAR {
                break;
            }
            if held < wanted {
                from = cut + 1;
            } else {
                to = cut - 1;
            }
        }
        self.halve(low, cut, held, left_parts, cuts)?;
        cuts.push(cut);
        self.halve(cut, high, rows.saturating_sub(held), parts - left_parts, cuts)
    }

    /// Values that begin as all keys do, in the order of the column's collation.
    fn text_candidates(
        &mut self,
        shared: &[u8],
        charset: &str,
        collation: Option<&str>,
    ) -> Result<Vec<Vec<u8>>, WireError> {
        let plain = |b: &u8| b.is_ascii_graphic() || *b == b' ';
        let Some(collation) = collation.filter(|c| c.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')) else {
            return Ok(Vec::new());
        };
        if !shared.iter().all(plain) || matches!(charset, "ucs2" | "utf16" | "utf16le" | "utf32") {
            return Ok(Vec::new());
        }
        let ends = (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z');
        let values = ends.map(|b| {
            format!(
                "SELECT _{charset} x'{}{b:02x}' COLLATE {collation} AS v",
                text::hex(shared)
            )
        });
        let values: Vec<String> = values.collect();
        let sql = format!(
            "SELECT HEX(v) FROM ({}) brine GROUP BY v ORDER BY v",
            values.join(" UNION ALL ")
        );
        let rows = self.conn.rows(&sql)?;
        Ok(rows.iter().filter_map(|r| text::unhex(&r.text(0))).collect())
    }

    /// Of values in order, those that cut best.
    fn choose(&mut self, candidates: Vec<Vec<u8>>, parts: usize) -> Result<Vec<Point>, WireError> {
        let all = self.rows(&Range::default())?.max(1);
        let mut held = Vec::with_capacity(candidates.len());
        for value in &candidates {
            let range = Range {
                after: None,
                through: Some(Point::one(value)),
            };
            held.push(self.rows(&range)?);
        }
        let chosen = quantiles(&held, all, parts);
        Ok(chosen
            .into_iter()
            .filter_map(|at| candidates.get(at))
            .map(|v| Point::one(v))
            .collect())
    }
}

/// Which of the growing counts lie nearest to equal shares of all.
fn quantiles(held: &[u64], all: u64, parts: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    for part in 1..parts as u64 {
        let wanted = (u128::from(all) * u128::from(part) / parts as u128) as u64;
        let nearest = held.iter().enumerate().min_by_key(|(_, h)| h.abs_diff(wanted));
        if let Some((at, &h)) = nearest
            && h > 0
            && h < all
            && chosen.last().is_none_or(|last| *last < at)
        {
            chosen.push(at);
        }
    }
    chosen
}

/// What two keys begin with alike.
fn shared<'a>(low: &'a [u8], high: &[u8]) -> &'a [u8] {
    let alike = low.iter().zip(high).take_while(|(a, b)| a == b).count();
    low.get(..alike).unwrap_or_default()
}

/// The integers of (low, high].
fn between(low: i128, high: i128) -> Range {
    let point = |n: i128| Some(Point::one(n.to_string().as_bytes()));
    Range {
        after: point(low),
        through: point(high),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_lie_near_equal_shares() {
        // Sixteen hex digits, evenly used.
        let held: Vec<u64> = (1..=16).map(|n| n * 100).collect();
        assert_eq!(quantiles(&held, 1600, 4), [3, 7, 11]);
        // All in one place: one cut at most on each side of it.
        assert_eq!(quantiles(&[0, 0, 1000, 1000], 1000, 4), Vec::<usize>::new());
        assert_eq!(quantiles(&[0, 10, 990, 1000], 1000, 4), [1, 2]);
    }

    #[test]
    fn keys_share_a_beginning() {
        assert_eq!(shared(b"user:001", b"user:777"), b"user:");
        assert_eq!(shared(b"", b"x"), b"");
    }
}
