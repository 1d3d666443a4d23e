//! Ranges of a primary key: how a key's values become literals again, and which rows lie in a range.
//!
//! *Invariants: a literal compares with its column exactly as the value it came from does, in the column's own collation, and
//! the index can be used for it. Ranges that meet at a point share no row and leave none out. Nothing that came from a row
//! gets into a statement except as hex digits or after a look at each of its characters.*

use serde::{Deserialize, Serialize};

use super::record;
use crate::cluster::mysql::schema::table::{TableKind, TableSchema};
use crate::cluster::mysql::schema::tables::{ColumnInfo, Details};
use crate::cluster::mysql::text;
use crate::cluster::{ChunkRange, ClusterError};

/// How a value is written in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    /// An integer.
    Integer,
    /// Another number, as it is.
    Number,
    /// A date, a time, an address: between quotes.
    Quoted,
    /// Text of this character set, in hex.
    Text {
        /// Of the column.
        charset: String,
    },
    /// Bytes, in hex.
    Binary,
}

impl Literal {
    /// For a type of column; `None` when its values cannot be compared safely.
    fn of(column: &ColumnInfo) -> Option<Literal> {
        Some(match column.data_type.as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Literal::Integer,
            "decimal" => Literal::Number,
            "date" | "datetime" | "timestamp" | "time" | "uuid" | "inet4" | "inet6" => Literal::Quoted,
            "binary" | "varbinary" => Literal::Binary,
            "char" | "varchar" => {
                let charset = column.charset.clone()?;
                if !charset.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    return None;
                }
                Literal::Text { charset }
            }
            // ENUM and SET sort by number and compare as text; FLOAT, DOUBLE and BIT lose on their way as text.
            _ => return None,
        })
    }

    /// A value as a literal.
    fn write(&self, value: &[u8]) -> Result<String, ClusterError> {
        let plain = |allowed: &[u8]| {
            let fine = !value.is_empty() && value.iter().all(|b| b.is_ascii_digit() || allowed.contains(b));
            match std::str::from_utf8(value) {
                Ok(text) if fine => Ok(text.to_owned()),
                _ => Err(malformed("a key's value is not of its type")),
            }
        };
        Ok(match self {
            Literal::Integer => plain(b"-")?,
            Literal::Number => plain(b"-.")?,
            Literal::Quoted => format!("'{}'", plain(b"abcdefABCDEF-:. ")?),
            Literal::Text { charset } => format!("_{charset} x'{}'", text::hex(value)),
            Literal::Binary => format!("x'{}'", text::hex(value)),
        })
    }
}

fn malformed(why: &str) -> ClusterError {
    ClusterError::Malformed {
        what: "a range of rows",
        why: why.to_owned(),
    }
}

/// A column of a key.
#[derive(Clone, Debug)]
pub(super) struct KeyColumn {
    pub name: String,
    pub literal: Literal,
    /// Its collation, of text.
    pub collation: Option<String>,
    /// Its place in a record.
    pub at: usize,
}

/// As much of a primary key as ranges can be made of, from its first column on.
#[derive(Clone, Debug, Default)]
pub(super) struct Key {
    pub columns: Vec<KeyColumn>,
    /// It is the whole key: a point names one row, and reading can go on behind it.
    pub whole: bool,
}

impl Key {
    /// The key of a table.
    pub fn of(schema: &TableSchema, details: &Details) -> Key {
        let mut key = Key {
            columns: Vec::new(),
            whole: !details.key.is_empty(),
        };
        let place = |name: &str| schema.columns.iter().position(|c| c.name == name);
        for part in &details.key {
            let info = details.columns.iter().find(|c| c.name == part.column);
            let usable = info
                .filter(|_| part.plain)
                .and_then(|info| Some((Literal::of(info)?, info.collation.clone(), place(&info.name)?)));
            let Some((literal, collation, at)) = usable else {
                key.whole = false;
                break;
            };
            key.columns.push(KeyColumn {
                name: part.column.clone(),
                literal,
                collation,
                at,
            });
        }
        // The server adds the end of a row's time to the key of a versioned table, and does not always say so.
        if key.whole
            && schema.kind == TableKind::Versioned
            && !details.key.iter().any(|p| details.is_row_end(&p.column))
        {
            match place("row_end") {
                Some(at) if !details.columns.iter().any(|c| c.row_end) => key.columns.push(KeyColumn {
                    name: "row_end".to_owned(),
                    literal: Literal::Quoted,
                    collation: None,
                    at,
                }),
                _ => key.whole = false,
            }
        }
        key
    }

    /// The columns, for ORDER BY.
    pub fn order(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|c| text::ident(&c.name)).collect();
        names.join(",")
    }

    /// A row's values of the key.
    pub fn point(&self, row: &[u8]) -> Result<Point, ClusterError> {
        let cells: Vec<Option<&[u8]>> = record::cells(row).collect();
        let values = self.columns.iter().map(|c| cells.get(c.at).copied().flatten());
        let values: Option<Vec<String>> = values.map(|v| v.map(text::hex)).collect();
        values
            .map(Point)
            .ok_or_else(|| malformed("a row has no value for its key"))
    }
}

/// Values of the first columns of a key, in hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Point(pub Vec<String>);

impl Point {
    /// A point of one value.
    pub fn one(value: &[u8]) -> Point {
        Point(vec![text::hex(value)])
    }
}

/// The rows behind a point, up to and including another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Range {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Point>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Point>,
}

impl Range {
    pub fn read(range: &ChunkRange) -> Result<Range, ClusterError> {
        serde_json::from_value(range.0.clone()).map_err(|e| malformed(&e.to_string()))
    }

    pub fn write(&self) -> Result<ChunkRange, ClusterError> {
        serde_json::to_value(self)
            .map(ChunkRange)
            .map_err(|e| malformed(&e.to_string()))
    }

    /// The ranges between points that are in the key's order.
    pub fn between(points: Vec<Point>) -> Vec<Range> {
        let mut ranges = Vec::with_capacity(points.len() + 1);
        let mut after = None;
        for point in points {
            ranges.push(Range {
                after: after.replace(point.clone()),
                through: Some(point),
            });
        }
        ranges.push(Range { after, through: None });
        ranges
    }

    /// The condition for the rows of the range; `None` when all are.
    pub fn condition(&self, key: &Key) -> Result<Option<String>, ClusterError> {
        let after = self.after.as_ref().map(|p| side(key, p, Side::After)).transpose()?;
        let through = self.through.as_ref().map(|p| side(key, p, Side::Through)).transpose()?;
        let both: Vec<String> = after.into_iter().chain(through).collect();
        Ok((!both.is_empty()).then(|| both.join(" AND ")))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    After,
    Through,
}

/// `(a > x) OR (a = x AND b > y)`: a comparison of rows, written so that the index is used for it.
fn side(key: &Key, point: &Point, side: Side) -> Result<String, ClusterError> {
    if point.0.is_empty() || point.0.len() > key.columns.len() {
        return Err(malformed("a point has other columns than its key"));
    }
    let mut equal = String::new();
    let mut cases = Vec::with_capacity(point.0.len());
    for (n, (column, value)) in key.columns.iter().zip(&point.0).enumerate() {
        let bytes = text::unhex(value).ok_or_else(|| malformed("a value is not hex"))?;
        let (name, literal) = (text::ident(&column.name), column.literal.write(&bytes)?);
        let sign = match side {
            Side::After => ">",
            Side::Through if n + 1 == point.0.len() => "<=",
            Side::Through => "<",
        };
        cases.push(format!("({equal}{name} {sign} {literal})"));
        equal.push_str(&format!("{name} = {literal} AND "));
    }
    Ok(format!("({})", cases.join(" OR ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, literal: Literal, at: usize) -> KeyColumn {
        KeyColumn {
            name: name.to_owned(),
            literal,
            collation: None,
            at,
        }
    }

    fn key(columns: Vec<KeyColumn>) -> Key {
        Key { columns, whole: true }
    }

    #[test]
    fn conditions_compare_whole_rows() {
        let key = key(vec![
            column("a", Literal::Integer, 0),
            column("b`", Literal::Text { charset: "gbk".into() }, 1),
        ]);
        let range = Range {
            after: Some(Point(vec![text::hex(b"-5"), text::hex(b"x'")])),
            through: Some(Point(vec![text::hex(b"7")])),
        };
        assert_eq!(
            range.condition(&key).unwrap().unwrap(),
            "((`a` > -5) OR (`a` = -5 AND `b``` > _gbk x'7827')) AND ((`a` <= 7))"
        );
        assert_eq!(Range::default().condition(&key).unwrap(), None);
    }

    #[test]
    fn what_is_no_value_of_its_type_is_refused() {
        let key = key(vec![column("a", Literal::Integer, 0)]);
        for bad in [&b"1 OR 1"[..], b"", b"0x1", b"'"] {
            let range = Range {
                after: Some(Point::one(bad)),
                through: None,
            };
            assert!(range.condition(&key).is_err());
        }
        let quoted = Literal::Quoted;
        assert_eq!(
            quoted.write(b"2020-01-01 00:00:00.5").unwrap(),
            "'2020-01-01 00:00:00.5'"
        );
        assert!(quoted.write(b"a' OR '").is_err());
        let long = Range {
            after: Some(Point(vec!["31".into(), "31".into()])),
            through: None,
        };
        assert!(long.condition(&key).is_err());
    }

    #[test]
    fn points_come_from_rows() {
        let key = key(vec![column("b", Literal::Binary, 2), column("a", Literal::Integer, 0)]);
        let row = [b"\x0242".as_slice(), b"\xfb", b"\x01\xff"].concat();
        assert_eq!(key.point(&row).unwrap(), Point(vec!["ff".into(), "3432".into()]));
        assert!(key.point(b"\x0242\xfb\xfb").is_err());
    }

    #[test]
    fn ranges_survive_json() {
        let range = Range {
            after: Some(Point::one(b"1")),
            through: None,
        };
        assert_eq!(Range::read(&range.write().unwrap()).unwrap(), range);
        assert_eq!(
            Range::read(&Range::default().write().unwrap()).unwrap(),
            Range::default()
        );
        assert!(Range::read(&ChunkRange(serde_json::json!({"after": 3}))).is_err());
    }

    /// What the condition means, evaluated on rows of small integers.
    fn holds(range: &Range, row: &[i64]) -> bool {
        let values = |p: &Point| -> Vec<i64> {
            let one = |v: &String| String::from_utf8(text::unhex(v).unwrap()).unwrap().parse().unwrap();
            p.0.iter().map(one).collect()
        };
        let after = range.after.as_ref().is_none_or(|p| {
            let p = values(p);
            row[..p.len()] > p[..]
        });
        let through = range.through.as_ref().is_none_or(|p| {
            let p = values(p);
            row[..p.len()] <= p[..]
        });
        after && through
    }

    proptest::proptest! {
        #[test]
        fn ranges_share_no_row_and_leave_none_out(
            mut points in proptest::collection::vec((-9i64..9, proptest::option::of(-9i64..9)), 0..6),
            row in (-9i64..9, -9i64..9),
        ) {
            // A point of one column lies behind all points that begin with it.
            points.sort_by_key(|(a, b)| (*a, b.unwrap_or(i64::MAX)));
            points.dedup();
            let point = |(a, b): &(i64, Option<i64>)| {
                Point(std::iter::once(*a).chain(*b).map(|v| text::hex(v.to_string().as_bytes())).collect())
            };
            let ranges = Range::between(points.iter().map(point).collect());
            let in_range = ranges.iter().filter(|r| holds(r, &[row.0, row.1])).count();
            proptest::prop_assert_eq!(in_range, 1);
        }
    }
}
