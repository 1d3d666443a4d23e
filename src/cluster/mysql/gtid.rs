//! GTIDs and sets of them, as MariaDB and MySQL write them, and places in binlog files.
//!
//! MariaDB writes `domain-server-sequence`, and a position has the last one of each domain: within a domain sequence numbers
//! only grow. MySQL writes `uuid:number` or `uuid:tag:number`, and a position is a set of them. A server without GTIDs
//! (MySQL with `gtid_mode=OFF`) has the file and offset behind a transaction as its name: `binlog.000003:4711`.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::position::Position;

/// The name of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gtid {
    /// MariaDB's.
    Maria {
        /// The domain.
        domain: u32,
        /// The server that wrote it first.
        server: u32,
        /// Grows within the domain.
        seq: u64,
    },
    /// MySQL's.
    MySql {
        /// Who counts.
        source: Source,
        /// The number.
        number: u64,
    },
    /// None: the place behind it.
    Place(Place),
}

/// Who counts the transactions of MySQL: a server, or a tag of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The server's UUID.
    pub uuid: [u8; 16],
    /// Lower case; mostly empty.
    pub tag: String,
}

/// A place in a binlog file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// The offset of the next event.
    pub offset: u64,
}

impl Place {
    /// None that is known; no place reaches it, and it reaches none.
    pub fn unknown() -> Place {
        Place {
            file: String::new(),
            offset: 0,
        }
    }

    /// Whether this place is at or behind the other; `false` for files that cannot be compared.
    pub fn reaches(&self, other: &Place) -> bool {
        match (number(&self.file), number(&other.file)) {
            (Some((base, n)), Some((other_base, m))) => base == other_base && (n, self.offset) >= (m, other.offset),
            _ => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)
    }
}

/// A binlog file's name without its number, and the number.
fn number(file: &str) -> Option<(&str, u64)> {
    let (base, number) = file.rsplit_once('.')?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    Some((base, number.parse().ok().filter(|_| digits)?))
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gtid::Maria { domain, server, seq } => write!(f, "{domain}-{server}-{seq}"),
            Gtid::MySql { source, number } => write!(f, "{source}:{number}"),
            Gtid::Place(place) => place.fmt(f),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(f, &self.uuid)?;
        if self.tag.is_empty() {
            return Ok(());
        }
        write!(f, ":{}", self.tag)
    }
}

fn write_uuid(f: &mut fmt::Formatter<'_>, uuid: &[u8; 16]) -> fmt::Result {
    for (i, byte) in uuid.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

/// 32 hex digits, with or without dashes.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
    let mut uuid = [0; 16];
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in uuid.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(uuid)
}

fn is_tag(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && text.len() <= 32
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A whole number without sign or blanks.
fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

impl Gtid {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Gtid> {
        if let Some(maria) = parse_maria(text) {
            return Some(maria);
        }
        let (before, last) = text.rsplit_once(':')?;
        let last = whole(last)?;
        let (uuid, tag) = before.split_once(':').unwrap_or((before, ""));
        if let Some(uuid) = parse_uuid(uuid) {
            let tag = tag.trim().to_ascii_lowercase();
            let source = (tag.is_empty() || is_tag(&tag)).then_some(Source { uuid, tag })?;
            return (last > 0).then_some(Gtid::MySql { source, number: last });
        }
        number(before)?;
        Some(Gtid::Place(Place {
            file: before.to_owned(),
            offset: last,
        }))
    }
}

fn parse_maria(text: &str) -> Option<Gtid> {
    let mut parts = text.trim().split('-');
    let (domain, server, seq) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some(Gtid::Maria {
        domain: whole(domain)?.try_into().ok()?,
        server: whole(server)?.try_into().ok()?,
        seq: whole(seq)?,
    })
}

/// Ranges of numbers, first and last, in order, neither touching nor overlapping.
type Ranges = Vec<(u64, u64)>;

/// Where a server's history is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GtidSet {
    /// Nothing, of whichever kind.
    Empty,
    /// MariaDB: domain to server and sequence number of its last transaction.
    Maria(BTreeMap<u32, (u32, u64)>),
    /// MySQL.
    MySql(BTreeMap<Source, Ranges>),
}

impl GtidSet {
    /// Reads a position of MariaDB or a set of MySQL; white space is ignored.
    pub fn parse(text: &str) -> Option<GtidSet> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let mut set = GtidSet::Empty;
        for part in text.split(',').filter(|p| !p.is_empty()) {
            match parse_maria(part) {
                Some(gtid) => set.add(&gtid),
                None => set.parse_mysql(part)?,
            }
        }
        Some(set)
    }

    fn parse_mysql(&mut self, part: &str) -> Option<()> {
        if matches!(self, GtidSet::Maria(_)) {
            return None;
        }
        let mut pieces = part.split(':');
        let uuid = parse_uuid(pieces.next()?)?;
        let mut source = Source {
            uuid,
            tag: String::new(),
        };
        let mut any = false;
        for piece in pieces {
            if is_tag(piece) {
                source.tag = piece.to_ascii_lowercase();
                continue;
            }
            let (first, last) = match piece.split_once('-') {
                Some((first, last)) => (whole(first)?, whole(last)?),
                None => (whole(piece)?, whole(piece)?),
            };
            (0 < first && first <= last).then_some(())?;
            self.add_range(&source, first, last);
            any = true;
        }
        any.then_some(())
    }

    /// Takes a transaction in. One of another kind of server is ignored, and so is a place.
    pub fn add(&mut self, gtid: &Gtid) {
        match gtid {
            Gtid::Maria { domain, server, seq } => {
                if *self == GtidSet::Empty {
                    *self = GtidSet::Maria(BTreeMap::new());
                }
                if let GtidSet::Maria(domains) = self {
                    domains.insert(*domain, (*server, *seq));
                }
            }
            Gtid::MySql { source, number } => self.add_range(source, *number, *number),
            Gtid::Place(_) => {}
        }
    }

    fn add_range(&mut self, source: &Source, first: u64, last: u64) {
        if *self == GtidSet::Empty {
            *self = GtidSet::MySql(BTreeMap::new());
        }
        let GtidSet::MySql(sources) = self else { return };
        if let Some(ranges) = sources.get_mut(source) {
            insert(ranges, first, last);
        } else {
            sources.insert(source.clone(), vec![(first, last)]);
        }
    }

    /// Takes a transaction of MySQL out. MariaDB's positions have only the last one of each domain, and stay.
    pub fn remove(&mut self, gtid: &Gtid) {
        let (GtidSet::MySql(sources), Gtid::MySql { source, number }) = (&mut *self, gtid) else {
            return;
        };
        let Some(ranges) = sources.get_mut(source) else { return };
        let parts = |&(first, last): &(u64, u64)| match (first..=last).contains(number) {
            false => [Some((first, last)), None],
            true => [
                (first < *number).then(|| (first, number - 1)),
                (*number < last).then(|| (number + 1, last)),
            ],
        };
        *ranges = ranges.iter().flat_map(parts).flatten().collect();
        if ranges.is_empty() {
            sources.remove(source);
        }
        // As it would be read again.
        if sources.is_empty() {
            *self = GtidSet::Empty;
        }
    }

    /// What of it one server of MySQL has counted itself.
    pub fn counted_by(&self, uuid: &str) -> GtidSet {
        let (GtidSet::MySql(sources), Some(uuid)) = (self, parse_uuid(uuid)) else {
            return GtidSet::Empty;
        };
        let own = sources.iter().filter(|(source, _)| source.uuid == uuid);
        let own: BTreeMap<Source, Ranges> = own.map(|(s, r)| (s.clone(), r.clone())).collect();
        if own.is_empty() {
            GtidSet::Empty
        } else {
            GtidSet::MySql(own)
        }
    }

    /// Whether it has this transaction. Never a place.
    pub fn contains(&self, gtid: &Gtid) -> bool {
        match (self, gtid) {
            (GtidSet::Maria(domains), Gtid::Maria { domain, seq, .. }) => {
                domains.get(domain).is_some_and(|(_, last)| last >= seq)
            }
            (GtidSet::MySql(sources), Gtid::MySql { source, number }) => {
                sources.get(source).is_some_and(|r| has(r, *number, *number))
            }
            _ => false,
        }
    }

    /// Whether it has everything that the other has.
    pub fn contains_all(&self, other: &GtidSet) -> bool {
        match (self, other) {
            (_, other) if other.is_empty() => true,
            (GtidSet::Maria(mine), GtidSet::Maria(others)) => others
                .iter()
                .all(|(domain, (_, seq))| mine.get(domain).is_some_and(|(_, last)| last >= seq)),
            (GtidSet::MySql(mine), GtidSet::MySql(others)) => others.iter().all(|(source, ranges)| {
                let mine = mine.get(source).map_or(&[][..], Vec::as_slice);
                ranges.iter().all(|(first, last)| has(mine, *first, *last))
            }),
            _ => false,
        }
    }

    /// Whether it has nothing.
    pub fn is_empty(&self) -> bool {
        match self {
            GtidSet::Empty => true,
            GtidSet::Maria(domains) => domains.is_empty(),
            GtidSet::MySql(sources) => sources.is_empty(),
        }
    }
}

/// What a server took in by replication and did not write into its own log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Unlogged {
    /// Nobody asked.
    #[default]
    Unknown,
    /// Up to these; empty for nothing.
    Upto(GtidSet),
    /// More was to come at any time.
    More,
}

impl Unlogged {
    /// As a position has it.
    pub fn parse(text: Option<&str>) -> Option<Unlogged> {
        Some(match text {
            None => Unlogged::Unknown,
            Some("*") => Unlogged::More,
            Some(set) => Unlogged::Upto(GtidSet::parse(set)?),
        })
    }

    /// For a position.
    pub fn text(&self) -> Option<String> {
        match self {
            Unlogged::Unknown => None,
            Unlogged::More => Some("*".to_owned()),
            Unlogged::Upto(set) => Some(set.to_string()),
        }
    }
}

fn has(ranges: &[(u64, u64)], first: u64, last: u64) -> bool {
    let behind = ranges.partition_point(|(from, _)| *from <= first);
    let range = behind.checked_sub(1).and_then(|at| ranges.get(at));
    range.is_some_and(|(_, to)| *to >= last)
}

fn insert(ranges: &mut Ranges, first: u64, last: u64) {
    // What touches it: from the first range that ends at or behind `first - 1` to the last that begins at or before `last + 1`.
    let from = ranges.partition_point(|(_, to)| to.saturating_add(1) < first);
    let to = ranges.partition_point(|(begin, _)| *begin <= last.saturating_add(1));
    let touched = ranges.get(from..to).unwrap_or_default();
    let first = touched.first().map_or(first, |(begin, _)| first.min(*begin));
    let last = touched.last().map_or(last, |(_, end)| last.max(*end));
    ranges.splice(from..to.max(from), [(first, last)]);
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GtidSet::Empty => Ok(()),
            GtidSet::Maria(domains) => {
                for (i, (domain, (server, seq))) in domains.iter().enumerate() {
                    let comma = if i > 0 { "," } else { "" };
                    write!(f, "{comma}{domain}-{server}-{seq}")?;
                }
                Ok(())
            }
            GtidSet::MySql(sources) => {
                let mut uuid = None;
                for (source, ranges) in sources {
                    if uuid != Some(source.uuid) {
                        f.write_str(if uuid.is_some() { "," } else { "" })?;
                        write_uuid(f, &source.uuid)?;
                        uuid = Some(source.uuid);
                    }
                    if !source.tag.is_empty() {
                        write!(f, ":{}", source.tag)?;
                    }
                    for (first, last) in ranges {
                        write!(f, ":{first}")?;
                        if last > first {
                            write!(f, "-{last}")?;
                        }
                    }
                }
                Ok(())
            }
        }
    }
}

/// Whether a position includes a transaction; `None` when the id is no name of a transaction of these servers.
pub fn covers(position: &Position, transaction: &str) -> Option<bool> {
    let Position::Binlog { gtid, file, offset, .. } = position else {
        return None;
    };
    match Gtid::parse(transaction)? {
        Gtid::Place(place) => Some(
            Place {
                file: file.clone(),
                offset: *offset,
            }
            .reaches(&place),
        ),
        named => Some(GtidSet::parse(gtid)?.contains(&named)),
    }
}

/// Whether a log that is at `now` goes on from `end`. A log that was reset and has counted as far again is not told from the one
/// that was.
pub fn continues(now: &Position, end: &Position) -> Option<bool> {
    let (
        Position::Binlog {
            gtid,
            file,
            offset,
            begun,
            ..
        },
        Position::Binlog {
            gtid: end_gtid,
            file: end_file,
            offset: end_offset,
            begun: end_begun,
            ..
        },
    ) = (now, end)
    else {
        return None;
    };
    if !end_gtid.is_empty() {
        return Some(GtidSet::parse(gtid)?.contains_all(&GtidSet::parse(end_gtid)?));
    }
    if end_file.is_empty() {
        return None;
    }
    let place = |file: &str, offset| Place {
        file: file.to_owned(),
        offset,
    };
    let anew = file == end_file && begun.zip(*end_begun).is_some_and(|(now, then)| now != then);
    Some(gtid.is_empty() && !anew && place(file, *offset).reaches(&place(end_file, *end_offset)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn set(text: &str) -> GtidSet {
        GtidSet::parse(text).unwrap()
    }

    #[test]
    fn both_kinds_are_read_and_shown() {
        for text in ["", "0-1-100", "0-1-100,3-2-5"] {
            assert_eq!(set(text).to_string(), text);
        }
        let mysql = format!("{A}:1-5:7:tag:1-3,{B}:9");
        assert_eq!(set(&mysql.replace(',', ",\n")).to_string(), mysql);
        assert_eq!(set(&format!("{A}:1-3:4:2-6")).to_string(), format!("{A}:1-6"));
        for bad in [
            "x",
            "0-1",
            "0-1-2-3",
            "0-1-100,x:1",
            A,
            &format!("{A}:0"),
            &format!("{A}:5-3"),
            "0-+1-2",
        ] {
            assert_eq!(GtidSet::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_log_goes_on_from_where_it_was() {
        let at = |gtid: &str, file: &str, offset, begun| Position::Binlog {
            gtid: gtid.to_owned(),
            file: file.to_owned(),
            offset,
            begun,
            unlogged: None,
        };
        let goes_on = |now, end| continues(&now, &end).unwrap();
        let end = || at("0-1-100,1-2-5", "b.000009", 50, None);
        assert!(goes_on(end(), end()));
        assert!(goes_on(at("0-9-101,1-2-5,3-1-1", "b.000001", 4, None), end()));
        for reset in ["", "0-1-99,1-2-5", "0-1-100"] {
            assert!(!goes_on(at(reset, "b.000010", 4, None), end()), "{reset}");
        }
        let end = || at("", "b.000009", 50, Some(7));
        assert!(goes_on(end(), end()));
        assert!(goes_on(at("", "b.000010", 4, Some(9)), end()));
        assert!(!goes_on(at("", "b.000009", 90, Some(8)), end()));
        assert!(!goes_on(at("", "b.000009", 40, Some(7)), end()));
        assert!(!goes_on(at("", "b.000001", 90, Some(8)), end()));
        assert!(!goes_on(at("0-1-1", "b.000010", 90, None), end()), "GTIDs since then");
        assert_eq!(continues(&end(), &Position::Tso(crate::model::tso::Tso(1))), None);
    }

    #[test]
    fn positions_include_what_came_before() {
        let at = |gtid: &str, file: &str, offset| Position::Binlog {
            gtid: gtid.to_owned(),
            file: file.to_owned(),
            offset,
            begun: None,
            unlogged: None,
        };
        let maria = at("0-1-100,1-2-5", "b.000009", 50);
        assert_eq!(covers(&maria, "0-9-100"), Some(true));
        assert_eq!(covers(&maria, "0-1-101"), Some(false));
        assert_eq!(covers(&maria, "7-1-1"), Some(false));
        let mysql = at(&format!("{A}:1-5:t:2"), "b.000009", 50);
        assert_eq!(covers(&mysql, &format!("{A}:5")), Some(true));
        assert_eq!(covers(&mysql, &format!("{A}:6")), Some(false));
        assert_eq!(covers(&mysql, &format!("{A}:t:2")), Some(true));
        assert_eq!(covers(&mysql, &format!("{B}:1")), Some(false));
        let plain = at("", "b.000009", 50);
        assert_eq!(covers(&plain, "b.000009:50"), Some(true));
        assert_eq!(covers(&plain, "b.000009:51"), Some(false));
        assert_eq!(covers(&plain, "b.000008:99999"), Some(true));
        assert_eq!(
            covers(&plain, "b.1000000:4"),
            Some(false),
            "the number decides, not the text"
        );
        assert_eq!(covers(&plain, "123456789"), None);
    }

    proptest! {
        #[test]
        fn a_set_is_a_set(adds in proptest::collection::vec((0u8..2, 1u64..30), 0..60), asks in proptest::collection::vec((0u8..2, 1u64..30), 20)) {
            let source = |n: u8| Source { uuid: [n; 16], tag: String::new() };
            let gtid = |(n, number): (u8, u64)| Gtid::MySql { source: source(n), number };
            let (mut set, mut model) = (GtidSet::Empty, BTreeSet::new());
            for (i, add) in adds.into_iter().enumerate() {
                if i % 3 == 2 {
                    set.remove(&gtid(add));
                    model.remove(&add);
                } else {
                    set.add(&gtid(add));
                    model.insert(add);
                }
                prop_assert_eq!(GtidSet::parse(&set.to_string()), Some(set.clone()));
            }
            let mut other = GtidSet::Empty;
            for ask in &asks {
                prop_assert_eq!(set.contains(&gtid(*ask)), model.contains(ask));
                other.add(&gtid(*ask));
            }
            prop_assert_eq!(set.contains_all(&other), asks.iter().all(|a| model.contains(a)));
        }

        #[test]
        fn any_text_is_a_set_or_not(text in "[0-9a-f:,-]{0,40}") {
            if let Some(set) = GtidSet::parse(&text) {
                prop_assert_eq!(GtidSet::parse(&set.to_string()), Some(set));
            }
            let _ = Gtid::parse(&text);
        }
    }
}
