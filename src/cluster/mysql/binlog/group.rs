//! Putting the events of the stream together to transactions.
//!
//! *Invariant: a transaction is given out when its last event has come, whole, in the order of the log, and only then.*

use crate::cluster::mysql::options::SpoolOptions;
use crate::cluster::mysql::spool::{Kept, Spool};
use crate::cluster::{ClusterError, Pieces};

use super::event::{ARTIFICIAL, CHECKSUM, Event, HEADER, Kind, build, malformed};
use super::gtid_event::GtidEvent;
use super::payload::{self, HEAD, Head};
use super::query::Query;
use super::summary::{Summary, Summing};
use super::unfold;

/// A whole transaction.
#[derive(Debug)]
pub(super) struct Group {
    /// How it is named.
    pub gtid: GtidEvent,
    /// Seconds since the epoch, as its first event was stamped.
    pub stamp: u32,
    /// What it did.
    pub summary: Summary,
    /// As the archive keeps it; when there are pieces, their opening.
    pub payload: Vec<u8>,
    /// What is too large for memory.
    pub pieces: Option<Pieces>,
}

/// Collects events.
pub(super) struct Groups {
    head: Head,
    /// Whether the server has described its format.
    described: bool,
    spool: SpoolOptions,
    open: Option<Open>,
}

struct Open {
    gtid: GtidEvent,
    stamp: u32,
    head: Head,
    spool: Spool,
    summing: Summing,
    /// BEGIN was seen or is meant: the end is a commit. Otherwise the first statement is all there is.
    transaction: bool,
}

impl Groups {
    pub fn new(head: Head, spool: &SpoolOptions) -> Self {
        Groups {
            head,
            described: false,
            spool: spool.clone(),
            open: None,
        }
    }

    /// What the events come from; another one begins with a new file.
    pub fn set_head(&mut self, head: Head) {
        self.head = head;
        self.described = true;
    }

    /// Whether the server has described its format.
    pub fn has_format(&self) -> bool {
        self.described
    }

    pub fn checksum(&self) -> bool {
        self.head.checksum
    }

    /// Whether a transaction has begun that is not at its end.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// A new file begins: what a crash of the server left half written was never committed.
    pub fn forget(&mut self) {
        self.open = None;
    }

    /// Takes an event that was checked; gives the transaction that it ends.
    pub fn feed(&mut self, event: &Event<'_>) -> Result<Option<Group>, ClusterError> {
        match event.kind() {
            kind if kind.is_gtid() => {
                if let Some(open) = &self.open {
                    let gtid = open.gtid.gtid.as_ref();
                    let name = gtid.map_or_else(|| "without a GTID".to_owned(), ToString::to_string);
                    return Err(malformed(format!(
                        "transaction {name} has no end before the next one begins"
                    )));
                }
                self.begin(event)?;
                Ok(None)
            }
            Kind::INCIDENT => Err(malformed(
                "the server says that changes are missing from its log (an incident, LOST_EVENTS): take a new snapshot",
            )),
            _ if self.open.is_none() || event.header.flags & ARTIFICIAL != 0 => Ok(None),
            Kind::TRANSACTION_PAYLOAD => {
                let mut inner = unfold::transaction(event)?;
                let (mut done, mut raw) = (None, Vec::new());
                while inner.next(&mut raw)? {
                    done = self.take(&Event::parse(&raw, false)?, false)?.or(done);
                }
                Ok(done)
            }
            _ => match unfold::event(event, false)? {
                Some(plain) => self.take(&Event::parse(&plain, false)?, false),
                None => self.take(event, true),
            },
        }
    }

    fn begin(&mut self, event: &Event<'_>) -> Result<(), ClusterError> {
        let gtid = GtidEvent::parse(event)?;
        let mut payload = Vec::with_capacity(HEAD + 512);
        payload.extend_from_slice(&self.head.encode());
        payload.extend_from_slice(event.raw);
        let transaction = event.kind() == Kind::MARIADB_GTID && !gtid.standalone;
        self.open = Some(Open {
            gtid,
            stamp: event.header.timestamp,
            head: self.head,
            spool: Spool::new(&self.spool, payload),
            summing: Summing::new(self.head.flavor),
            transaction,
        });
        Ok(())
    }

    /// Takes an event of the open transaction; `as_sent` says that its bytes are the server's, checksum included.
    fn take(&mut self, event: &Event<'_>, as_sent: bool) -> Result<Option<Group>, ClusterError> {
        let Some(mut open) = self.open.take() else {
            return Ok(None);
        };
        let room = open.spool.room(HEADER + event.body.len() + CHECKSUM)?;
        let start = room.len();
        match as_sent {
            true => room.extend_from_slice(event.raw),
            false => build(event.header, event.body, open.head.checksum, room),
        }
        let kept = Event::unchecked(room.get(start..).unwrap_or_default(), open.head.checksum)?;
        open.summing.see(&kept)?;
        if Open::is_ended_by(&mut open.transaction, event)? {
            let last = kept.raw.to_vec();
            return open.end(&last).map(Some);
        }
        self.open = Some(open);
        Ok(None)
    }
}

impl Open {
    fn end(self, last: &[u8]) -> Result<Group, ClusterError> {
        let (gtid, stamp) = (self.gtid, self.stamp);
        if gtid.is_idle() {
            return Ok(Group {
                gtid,
                stamp,
                summary: Summary::default(),
                payload: self.spool.front(),
                pieces: None,
            });
        }
        let summary = self.summing.finish();
        let (payload, pieces) = match self.spool.finish()? {
            Kept::Memory(payload) => (payload, None),
            Kept::Pieces(front, pieces) => {
                let named = front.get(HEAD..).unwrap_or_default();
                let opening = payload::opening(&self.head, &summary, named, last)?;
                (opening, Some(pieces))
            }
        };
        Ok(Group {
            gtid,
            stamp,
            summary,
            payload,
            pieces,
        })
    }

    fn is_ended_by(transaction: &mut bool, event: &Event<'_>) -> Result<bool, ClusterError> {
        Ok(match event.kind() {
            Kind::XID | Kind::XA_PREPARE => true,
            Kind::EXECUTE_LOAD_QUERY => !*transaction,
            Kind::QUERY => {
                let text = Query::parse(event)?.text;
                let starts = |word: &[u8]| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word));
                if *transaction {
                    text.eq_ignore_ascii_case(b"COMMIT") || text.eq_ignore_ascii_case(b"ROLLBACK")
                } else if text.eq_ignore_ascii_case(b"BEGIN") || starts(b"XA START") {
                    *transaction = true;
                    false
                } else {
                    true
                }
            }
            _ => false,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::payload::{describe, parse};
    use super::super::rows::tests as rows;
    use super::*;
    use crate::cluster::mysql::wire::Flavor;
    use proptest::prelude::*;

    pub(in super::super) fn query(db: &str, sql: &str) -> Vec<u8> {
        let mut body = vec![0; 8];
        body.push(db.len() as u8);
        body.extend_from_slice(&[0, 0, 0, 0]);
        body.extend_from_slice(db.as_bytes());
        body.push(0);
        body.extend_from_slice(sql.as_bytes());
        rows::event(Kind::QUERY, &body)
    }

    pub(in super::super) fn gtid(seq: u64, standalone: bool) -> Vec<u8> {
        let mut body = seq.to_le_bytes().to_vec();
        body.extend_from_slice(&[0, 0, 0, 0, u8::from(standalone), 0, 0, 0, 0, 0, 0]);
        rows::event(Kind::MARIADB_GTID, &body)
    }

    fn groups(flavor: Flavor) -> Groups {
        let head = Head {
            flavor,
            version: (10, 11, 19),
            checksum: false,
        };
        Groups::new(head, &SpoolOptions::default())
    }

    fn feed(groups: &mut Groups, events: &[Vec<u8>]) -> Result<Vec<Group>, ClusterError> {
        let mut out = Vec::new();
        for raw in events {
            out.extend(groups.feed(&Event::parse(raw, false)?)?);
        }
        Ok(out)
    }

    #[test]
    fn transactions_are_put_together_and_summed_up() {
        let xid = rows::event(Kind::XID, &[0; 8]);
        let events = [
            rows::event(Kind::GTID_LIST, &[0; 4]),
            gtid(1, false),
            rows::map(5, "db", "t"),
            rows::rows(Kind::WRITE_ROWS_V1, 5, 3),
            rows::rows(Kind::UPDATE_ROWS_V1, 5, 2),
            rows::map(6, "db", "u"),
            rows::rows(Kind::DELETE_ROWS_V1, 6, 1),
            xid.clone(),
            gtid(2, true),
            query("db", "DROP TABLE `t` /* generated by server */"),
            gtid(3, false),
            rows::map(5, "db", "t"),
            rows::rows(Kind::WRITE_ROWS_V1, 5, 3),
            query("db", "SAVEPOINT a"),
            rows::rows(Kind::DELETE_ROWS_V1, 5, 2),
            query("db", "ROLLBACK TO a"),
            query("db", "COMMIT"),
        ];
        let out = feed(&mut groups(Flavor::MariaDb), &events).unwrap();
        assert_eq!(out.len(), 3);
        let (deltas, ddl) = describe(&out[0].payload).unwrap();
        let counts: Vec<_> = deltas
            .iter()
            .map(|d| (d.table.to_string(), d.puts, d.updates, d.deletes))
            .collect();
        assert_eq!(counts, [("db.t".to_owned(), 5, 2, 0), ("db.u".to_owned(), 0, 0, 1)]);
        assert!(ddl.is_none());
        let ddl = describe(&out[1].payload).unwrap().1.unwrap();
        assert_eq!(ddl.table.unwrap().to_string(), "db.t");
        assert_eq!(
            out.iter().map(|g| g.summary.goes_back).collect::<Vec<_>>(),
            [false, false, true]
        );
        let taken_back: Vec<_> = out[2].summary.deltas.iter().map(|d| (d.puts, d.deletes)).collect();
        assert_eq!(taken_back, [(out[0].summary.deltas[0].puts - 2, 0)]);
        let parsed = parse(&out[0].payload).unwrap();
        let kept: Vec<u8> = parsed.events().flat_map(|e| e.unwrap().raw.to_vec()).collect();
        assert_eq!(kept, events[1..8].concat(), "byte for byte");
        assert_eq!(parsed.gtid().unwrap().gtid.unwrap().to_string(), "0-1-1");
    }

    #[test]
    fn mysql_says_by_the_first_statement_how_it_goes_on() {
        let mut body = vec![0];
        body.extend_from_slice(&[1; 24]);
        let gtid = rows::event(Kind::GTID, &body);
        let events = [
            gtid.clone(),
            query("d", "BEGIN"),
            rows::event(Kind::XID, &[0; 8]),
            gtid.clone(),
            query("d", "CREATE TABLE t (a int)"),
            gtid.clone(),
            query("d", "XA START X'61',X'',1"),
            query("d", "XA END X'61',X'',1"),
            rows::event(Kind::XA_PREPARE, &[0; 13]),
            gtid,
            query("d", "XA COMMIT X'61',X'',1"),
        ];
        assert_eq!(feed(&mut groups(Flavor::MySql), &events).unwrap().len(), 4);
    }

    #[test]
    fn the_half_of_an_alter_that_does_nothing_is_only_a_name() {
        let alter = |seq: u8, phase: u8| {
            let body = [seq, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, phase, 0, 0, 0, 0, 0, 0, 0, 0];
            rows::event(Kind::MARIADB_GTID, &body)
        };
        let sql = query("d", "ALTER TABLE t ADD c int");
        let events = [alter(1, 2), sql.clone(), alter(2, 4), sql];
        let out = feed(&mut groups(Flavor::MariaDb), &events).unwrap();
        assert_eq!(parse(&out[0].payload).unwrap().events().count(), 1);
        assert!(describe(&out[0].payload).unwrap().1.is_none());
        assert!(describe(&out[1].payload).unwrap().1.is_some());
    }

    #[test]
    fn holes_are_errors_and_halves_are_forgotten() {
        let mut one = groups(Flavor::MariaDb);
        let half = [gtid(1, false), rows::map(5, "db", "t")];
        assert!(feed(&mut one, &half).unwrap().is_empty());
        assert!(one.is_open());
        assert!(feed(&mut one, &[gtid(2, true)]).is_err());
        one.forget();
        assert_eq!(
            feed(&mut one, &[gtid(2, true), query("", "FLUSH TABLES")])
                .unwrap()
                .len(),
            1
        );
        let incident = rows::event(Kind::INCIDENT, &[1, 0, 0]);
        assert!(
            feed(&mut one, &[incident])
                .unwrap_err()
                .to_string()
                .contains("snapshot")
        );
    }

    proptest! {
        #[test]
        fn any_events_are_grouped_or_refused(kinds in proptest::collection::vec((0u8..45, proptest::collection::vec(any::<u8>(), 0..40)), 0..12)) {
            let mut groups = groups(Flavor::MySql);
            for (kind, body) in kinds {
                let raw = rows::event(Kind(kind), &body);
                if let Ok(Some(group)) = groups.feed(&Event::parse(&raw, false).unwrap()) {
                    let _ = describe(&group.payload);
                }
            }
        }

        #[test]
        fn any_payload_is_described_or_refused(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = describe(&payload);
        }
    }
}
