//! Tests of the clock: what is dated, and that places and times never contradict each other.

use super::*;
use proptest::prelude::*;

fn place(n: u64) -> Place {
    Place {
        file: "b.000001".to_owned(),
        offset: n,
    }
}

fn gtid(n: u64) -> Gtid {
    Gtid::Maria {
        domain: 0,
        server: 1,
        seq: n,
    }
}

/// The place behind transaction `n`.
fn behind(n: u64) -> Position {
    Position::Binlog {
        gtid: if n == 0 { String::new() } else { gtid(n).to_string() },
        file: "b.000001".to_owned(),
        offset: n,
        begun: None,
        unlogged: None,
    }
}

fn mark(at: u64, n: u64) -> Mark {
    Mark {
        moment: Moment::of_tso(Tso::from_millis(Millis(at as i64))),
        position: behind(n),
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// The server's clock moves, also back.
    Tick(i64),
    /// A transaction commits, stamped so far from the server's clock.
    Commit(i64),
    /// The stream hands out transactions.
    Hand(u8),
    /// A snapshot or mark is dated.
    Place,
    /// The stream takes a mark of its own.
    Aim,
    /// The stream starts again, behind one of the last things that it gave.
    Restart(u8),
    /// The process too; the archive gives the places back.
    Process(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (-5_000i64..5_000).prop_map(Step::Tick),
        6 => prop_oneof![Just(0i64), -3_000i64..0, -5_000_000i64..5_000_000].prop_map(Step::Commit),
        5 => (1u8..6).prop_map(Step::Hand),
        2 => Just(Step::Place),
        3 => Just(Step::Aim),
        1 => (0u8..8).prop_map(Step::Restart),
        1 => (0u8..8).prop_map(Step::Process),
    ]
}

/// A server, the clock and one stream.
struct World {
    now: i64,
    /// The stamps of the transactions 1, 2, ...
    stamps: Vec<i64>,
    clock: CommitClock,
    dates: StreamDates,
    /// The stream's place.
    at: u64,
    /// What the stream gave: moments with the last transaction before them, in order.
    given: Vec<Mark>,
    /// Times of transactions 1, 2, ... as they were given last.
    times: Vec<Tso>,
    places: Vec<(Tso, u64)>,
    archived: usize,
    reached: Vec<(Tso, u64)>,
}

impl World {
    fn new() -> World {
        let clock = CommitClock::default();
        let start = mark(1_000_000, 0);
        let dates = StreamDates::begin(&mut clock.hold(), &start, &[]).unwrap();
        World {
            now: 1_000_000,
            stamps: Vec::new(),
            clock,
            dates,
            at: 0,
            given: vec![start],
            times: Vec::new(),
            places: Vec::new(),
            archived: 0,
            reached: Vec::new(),
        }
    }

    fn give(&mut self, moment: Moment) {
        self.given.push(Mark {
            moment,
            position: behind(self.at),
        });
    }

    fn reach_if(&mut self, due: bool) {
        if due && let Some((moment, _)) = self.dates.reach() {
            self.reached.push((moment.last_tso(), self.at));
            self.give(moment);
        }
    }

    fn hand(&mut self) {
        let at = Where::of(&behind(self.at)).unwrap();
        self.reach_if(self.dates.is_at_target(&at));
        let next = self.at + 1;
        let Some(stamp) = self.stamps.get(self.at as usize).copied() else {
            return;
        };
        self.reach_if(self.dates.is_beyond_target(Some(&gtid(next)), &place(next)));
        let mut state = self.clock.hold();
        let (name, now) = (gtid(next), Millis(self.now));
        let moment = self
            .dates
            .date(&mut state, Some(&name), &place(next), Millis(stamp), now);
        drop(state);
        self.at = next;
        self.times.push(moment.last_tso());
        self.give(moment);
    }

    fn restart(&mut self, back: u8, process: bool) {
        let keep = self.given.len().saturating_sub(back.into()).max(1);
        self.given.truncate(keep);
        let after = self.given.last().unwrap().clone();
        self.at = match &after.position {
            Position::Binlog { offset, .. } => *offset,
            Position::Tso(_) => unreachable!(),
        };
        self.times.truncate(self.at as usize);
        self.reached.retain(|(moment, _)| *moment <= after.moment.last_tso());
        self.dates.end(&mut self.clock.hold());
        if process {
            self.clock = CommitClock::default();
        }
        // What an earlier process dated is in the archive; what this one dated may not be there yet.
        if process {
            self.archived = self.places.len();
        }
        let archived = self.places.iter().take(self.archived);
        let later = archived.filter(|(m, _)| *m > after.moment.last_tso());
        let anchors: Vec<Mark> = later
            .map(|(moment, n)| Mark {
                moment: Moment::of_tso(*moment),
                position: behind(*n),
            })
            .collect();
        self.dates = StreamDates::begin(&mut self.clock.hold(), &after, &anchors).unwrap();
    }

    fn run(&mut self, step: &Step) {
        let committed = self.stamps.len() as u64;
        match step {
            Step::Tick(by) => self.now += by,
            Step::Commit(off) => {
                self.now += 1;
                self.stamps.push(self.now + off);
            }
            Step::Hand(n) => (0..*n).for_each(|_| self.hand()),
            Step::Place => {
                let moment = self
                    .clock
                    .hold()
                    .date_place(Millis(self.now), &behind(committed))
                    .unwrap();
                self.places.push((moment.last_tso(), committed));
            }
            Step::Aim => {
                if !self.dates.has_target() {
                    let at = Where::of(&behind(committed)).unwrap();
                    let mut state = self.clock.hold();
                    self.dates.aim(&mut state, Millis(self.now), &at).unwrap();
                }
            }
            Step::Restart(back) => self.restart(*back, false),
            Step::Process(back) => self.restart(*back, true),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn moments_and_positions_never_contradict_each_other(steps in proptest::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        while world.at < world.stamps.len() as u64 {
            world.hand();
        }
        for pair in world.times.windows(2) {
            prop_assert!(pair[0] < pair[1], "times grow: {:?}", pair);
        }
        for (moment, n) in world.places.iter().chain(&world.reached) {
            for (i, time) in world.times.iter().enumerate() {
                prop_assert_eq!(time <= moment, (i as u64) < *n, "transaction {} at {}, place {} at {}", i + 1, time, n, moment);
            }
        }
    }
}

#[test]
fn honest_stamps_are_kept() {
    let mut world = World::new();
    for step in [
        Step::Tick(10_000),
        Step::Commit(0),
        Step::Tick(5_000),
        Step::Commit(-900),
        Step::Hand(2),
    ] {
        world.run(&step);
    }
    let at: Vec<i64> = world.times.iter().map(|t| t.millis().0).collect();
    assert_eq!(at, [1_010_001, 1_014_102]);
}

#[test]
fn the_future_is_not_believed() {
    let mut world = World::new();
    for step in [Step::Commit(3_600_000), Step::Commit(0), Step::Hand(2)] {
        world.run(&step);
    }
    let at: Vec<i64> = world.times.iter().map(|t| t.millis().0).collect();
    assert_eq!(at, [1_000_000, 1_000_002]);
}

#[test]
fn a_lagging_host_is_refused() {
    let mut world = World::new();
    for step in [Step::Commit(0), Step::Commit(0), Step::Hand(2)] {
        world.run(&step);
    }
    let behind = world.clock.hold().date_place(Millis(2_000_000), &behind(1));
    assert!(behind.unwrap_err().to_string().contains("lags"));
}

#[test]
fn a_crowd_before_a_place_keeps_the_order_at_least() {
    let clock = CommitClock::default();
    let mut state = clock.hold();
    let start = mark(1_000, 0);
    let tight = Mark {
        moment: Moment::of_tso(start.moment.last_tso().next()),
        position: behind(3),
    };
    let mut dates = StreamDates::begin(&mut state, &start, std::slice::from_ref(&tight)).unwrap();
    let mut times = Vec::new();
    for n in 1..=4 {
        let name = gtid(n);
        times.push(dates.date(&mut state, Some(&name), &place(n), Millis(5_000), Millis(9_000)));
    }
    assert_eq!(times[..3], [tight.moment; 3]);
    assert!(times[3] > tight.moment);
}
