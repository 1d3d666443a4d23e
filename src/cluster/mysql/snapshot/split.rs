//! Cutting a large table into ranges of about the same size.
//!
//! The server's own guesses of how many rows lie in a range (two dives into the index each) are used to find the cuts, so that
//! it costs the same for a table of any size and for keys however sparse. Nothing is counted and no index is walked.

use super::cuts::{quantiles, shared, walk};
use super::keys::{Literal, Point, Range};
use super::read::ViewTable;
use crate::cluster::ClusterError;
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};

/// A range is not made smaller than this.
const RANGE_BYTES: u64 = 32 << 20;
/// How often a step that holds too many strings is looked at more closely.
const REFINEMENTS: usize = 6;

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
    let mut guess = Guesser { conn, table, name };
    Ok(Range::between(guess.cuts(parts)?))
}

struct Guesser<'a> {
    conn: &'a mut Conn,
    table: &'a ViewTable,
    name: String,
}

impl Guesser<'_> {
    /// Points that cut the table, in the key's order.
    fn cuts(&mut self, parts: usize) -> Result<Vec<Point>, WireError> {
        let Some(first) = self.table.key.columns.first().cloned() else {
            return Ok(Vec::new());
        };
        let column = text::ident(&first.name);
        let order = match first.literal {
            Literal::Integer => return self.integers(&column, parts),
            Literal::Binary => Order::Bytes,
            Literal::Text { charset } => match first.collation {
                Some(collation) if collation.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
                    Order::Collation { charset, collation }
                }
                _ => return Ok(Vec::new()),
            },
            Literal::Number | Literal::Quoted => return Ok(Vec::new()),
        };
        self.strings(&column, &order, parts)
    }

    fn condition(&self, range: &Range) -> Result<String, WireError> {
        let protocol = |e: ClusterError| WireError::Protocol(e.to_string());
        let condition = range.condition(&self.table.key).map_err(protocol)?;
        Ok(condition.unwrap_or_else(|| "1 = 1".to_owned()))
    }

    /// The least and the greatest value of a column within a range.
    fn ends(&mut self, column: &str, range: &Range) -> Result<Option<Ends>, WireError> {
        let condition = self.condition(range)?;
        let sql = format!(
            "SELECT MIN({column}), MAX({column}) FROM {} FORCE INDEX (PRIMARY) WHERE {condition}",
            self.name
        );
        let row = self.conn.row(&sql)?;
        let end = |n: usize| row.as_ref().and_then(|r| r.bytes(n)).map(<[u8]>::to_vec);
        Ok(end(0).zip(end(1)))
    }

    /// About how many rows lie in a range.
    fn rows(&mut self, range: &Range) -> Result<u64, WireError> {
        let condition = self.condition(range)?;
        let (name, flavor) = (&self.name, self.conn.info().flavor);
        let (sql, column) = match flavor {
            Flavor::MariaDb => (
                format!("EXPLAIN SELECT 1 FROM {name} FORCE INDEX (PRIMARY) WHERE {condition}"),
                8,
            ),
            // Forced to an index it would not look how many rows there are.
            Flavor::MySql => (
                format!("EXPLAIN FORMAT=TRADITIONAL SELECT 1 FROM {name} USE INDEX (PRIMARY) WHERE {condition}"),
                9,
            ),
        };
        Ok(self.conn.row(&sql)?.map_or(0, |row| row.number(column)))
    }

    fn integers(&mut self, column: &str, parts: usize) -> Result<Vec<Point>, WireError> {
        let number = |v: Vec<u8>| String::from_utf8(v).ok()?.parse::<i128>().ok();
        let ends = self.ends(column, &Range::default())?;
        let Some((low, high)) = ends.and_then(|(low, high)| number(low).zip(number(high))) else {
            return Ok(Vec::new());
        };
        // Half a part at a time: guesses of large ranges are cut off at half the table.
        let target = (self.table.listed.rows / (parts as u64 * 2)).max(1);
        let mut guess = |from, to| self.rows(&between(from, to));
        let cuts = walk(low - 1, high, target, parts, &mut guess)?;
        Ok(cuts.into_iter().map(|n| Point::one(n.to_string().as_bytes())).collect())
    }

    /// Values between which strings lie; where too many lie between two of them, values that tell those apart are added.
    fn strings(&mut self, column: &str, order: &Order, parts: usize) -> Result<Vec<Point>, WireError> {
        let mut steps = vec![Step {
            after: None,
            through: None,
            held: self.table.listed.rows.max(1),
        }];
        for _ in 0..REFINEMENTS {
            let all: u64 = steps.iter().map(|s| s.held).sum();
            let largest = steps.iter().enumerate().max_by_key(|(_, s)| s.held);
            let Some((at, step)) = largest.filter(|(_, s)| s.held > all / (parts as u64 * 2)) else {
                break;
            };
            let finer = self.finer(column, order, step)?;
            if finer.len() < 2 {
                break;
            }
            steps.splice(at..=at, finer);
        }
        let mut sum = 0;
        let grown = steps.iter().map(|s| {
            sum += s.held;
            sum
        });
        let held: Vec<u64> = grown.collect();
        let ends = held.get(..held.len().saturating_sub(1)).unwrap_or_default();
        let chosen = quantiles(ends, sum, parts);
        let point = |at: usize| steps.get(at).and_then(|s| s.through.as_deref()).map(Point::one);
        Ok(chosen.into_iter().filter_map(point).collect())
    }

    /// A step in smaller ones; in one when it cannot be made smaller.
    fn finer(&mut self, column: &str, order: &Order, step: &Step) -> Result<Vec<Step>, WireError> {
        let Some((low, high)) = self.ends(column, &step.range())? else {
            return Ok(Vec::new());
        };
        let values = self.candidates(order, shared(&low, &high), step)?;
        let mut steps = Vec::with_capacity(values.len() + 1);
        let mut after = step.after.clone();
        for through in values.into_iter().map(Some).chain([step.through.clone()]) {
            let mut step = Step {
                after: after.clone(),
                through: through.clone(),
                held: 0,
            };
            step.held = self.rows(&step.range())?;
            steps.push(step);
            after = through;
        }
        Ok(steps)
    }

    /// Values that begin with what the keys of a step share, in the key's order, strictly within the step.
    fn candidates(&mut self, order: &Order, shared: &[u8], step: &Step) -> Result<Vec<Vec<u8>>, WireError> {
        let (charset, collation) = match order {
            Order::Bytes => {
                let values = (0u8..=252).step_by(4).map(|b| [shared, &[b]].concat());
                let within = |v: &Vec<u8>| {
                    step.after.as_ref().is_none_or(|after| v > after)
                        && step.through.as_ref().is_none_or(|through| v < through)
                };
                return Ok(values.filter(within).collect());
            }
            Order::Collation { charset, collation } => (charset, collation),
        };
        let plain = |b: &u8| b.is_ascii_graphic() || *b == b' ';
        if !shared.iter().all(plain) || matches!(charset.as_str(), "ucs2" | "utf16" | "utf16le" | "utf32") {
            return Ok(Vec::new());
        }
        let literal = |v: &[u8]| format!("_{charset} x'{}' COLLATE {collation}", text::hex(v));
        let ends = (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z');
        let values: Vec<String> = ends
            .map(|b| format!("SELECT {} AS v", literal(&[shared, &[b]].concat())))
            .collect();
        let mut within = vec!["1 = 1".to_owned()];
        within.extend(step.after.as_ref().map(|v| format!("v > {}", literal(v))));
        within.extend(step.through.as_ref().map(|v| format!("v < {}", literal(v))));
        let sql = format!(
            "SELECT MIN(HEX(v)) FROM ({}) brine WHERE {} GROUP BY v ORDER BY v",
            values.join(" UNION ALL "),
            within.join(" AND ")
        );
        let rows = self.conn.rows(&sql)?;
        Ok(rows.iter().filter_map(|r| text::unhex(&r.text(0))).collect())
    }
}

/// The least and the greatest value of a column.
type Ends = (Vec<u8>, Vec<u8>);

/// The strings behind one value, up to and including another, and about how many rows those are.
struct Step {
    after: Option<Vec<u8>>,
    through: Option<Vec<u8>>,
    held: u64,
}

impl Step {
    fn range(&self) -> Range {
        Range {
            after: self.after.as_deref().map(Point::one),
            through: self.through.as_deref().map(Point::one),
        }
    }
}

/// In which order strings stand in an index.
enum Order {
    Bytes,
    Collation { charset: String, collation: String },
}

/// The integers of (low, high].
fn between(low: i128, high: i128) -> Range {
    let point = |n: i128| Some(Point::one(n.to_string().as_bytes()));
    Range {
        after: point(low),
        through: point(high),
    }
}
