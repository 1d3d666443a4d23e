//! The write transactions of the usual OLTP bench: two updates, a delete and an insert.

use std::time::{Duration, Instant};

use crate::TABLES;
use crate::server::Server;

/// What a workload did.
pub struct Outcome {
    /// Transactions in a second.
    pub rate: f64,
    /// Milliseconds that 99 of 100 transactions stayed below, from when they were due.
    pub p99: f64,
}

const SESSIONS: u64 = 4;

/// How long it goes on.
#[derive(Clone, Copy)]
pub enum Until {
    /// So many transactions.
    Count(u64),
    /// So long, at so many in a second, or as fast as it goes.
    Time(Duration, Option<f64>),
}

/// Runs transactions over the first `rows` rows of each table.
pub fn run(server: &Server, rows: u64, until: Until) -> Outcome {
    let began = Instant::now();
    let mut waits: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..SESSIONS)
            .map(|n| scope.spawn(move || session(server, n, rows, began, until)))
            .collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    let rate = waits.len() as f64 / began.elapsed().as_secs_f64();
    waits.sort_by(f64::total_cmp);
    let p99 = waits.get(waits.len() * 99 / 100).copied().unwrap_or(0.0);
    Outcome { rate, p99 }
}

fn session(server: &Server, n: u64, rows: u64, began: Instant, until: Until) -> Vec<f64> {
    let mut conn = server.session();
    let mut dice = fastrand::Rng::with_seed(began.elapsed().as_nanos() as u64 ^ (n << 40));
    let mut waits = Vec::new();
    let gap = match until {
        Until::Time(_, Some(rate)) => Some(Duration::from_secs_f64(SESSIONS as f64 / rate)),
        _ => None,
    };
    let mut due = Instant::now();
    while match until {
        Until::Count(count) => (waits.len() as u64) < count / SESSIONS,
        Until::Time(time, _) => began.elapsed() < time,
    } {
        if gap.is_some() {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        } else {
            due = Instant::now();
        }
        transaction(&mut conn, n, rows, &mut dice);
        // From when it was due: a stall counts for all that had to wait behind it.
        waits.push(due.elapsed().as_secs_f64() * 1e3);
        due += gap.unwrap_or_default();
    }
    waits
}

/// The sessions share the tables and not the rows, so that no deadlock ends one.
fn transaction(conn: &mut brine::cluster::mysql::wire::Conn, n: u64, rows: u64, dice: &mut fastrand::Rng) {
    let table = dice.u64(1..=TABLES);
    let mut id = || dice.u64(0..rows / SESSIONS) * SESSIONS + n + 1;
    let (a, b, c) = (id(), id(), id());
    let digits = dice.u64(..);
    conn.run_all(&[
        "begin",
        &format!("update bench.t{table} set k = k + 1 where id = {a}"),
        &format!("update bench.t{table} set c = repeat('{digits:020}-', 5) where id = {b}"),
        &format!("delete from bench.t{table} where id = {c}"),
        &format!(
            "insert into bench.t{table} (id, k, c, pad) values ({c}, {}, repeat('{digits:020}-', 5), '{digits}')",
            digits % rows
        ),
        "commit",
    ])
    .unwrap();
}
