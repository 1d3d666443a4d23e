//! How fast it is: run by hand, with optimisation.

use super::env::*;
use brine::cluster::{Cluster, LogEvent, ReplayTxn};
use brine::model::position::Position;
use brine::model::tso::Tso;
use std::time::Instant;

#[test]
#[ignore = "a measurement"]
fn speed() {
    let env = Env::new();
    let s = env.c().session("app").unwrap();
    s.create_table(&t("a"), "").unwrap();
    let rows = 1_000_000u64;
    let value = |n: u64| {
        let mut v = vec![0u8; 200];
        v.chunks_mut(8).enumerate().for_each(|(i, c)| {
            c.copy_from_slice(&(n.wrapping_mul(0x9E3779B97F4A7C15).wrapping_add(i as u64)).to_le_bytes()[..c.len()])
        });
        v
    };
    let time = |what: &str, start: Instant, bytes: u64, n: u64| {
        let s = start.elapsed().as_secs_f64();
        println!(
            "{what}: {s:.2} s, {:.0} MB/s, {:.0} rows/s, rss {}",
            bytes as f64 / s / 1e6,
            n as f64 / s,
            rss()
        );
    };
    let start = Instant::now();
    s.load(
        &t("a"),
        &mut (0..rows).map(|n| (format!("row{n:012}").into_bytes(), value(n))),
    )
    .unwrap();
    time("load through sessions", start, rows * 215, rows);
    let start = Instant::now();
    let snap = env.c().open_snapshot(None).unwrap();
    let (batches, sum) = read_all(&*snap, &t("a"), 4, 64 << 20);
    time("snapshot read 1 thread", start, sum.bytes, sum.rows);
    let defs = snap.tables().unwrap();
    let at = snap.mark().moment.last_tso();
    // updates
    let start = Instant::now();
    let ups = 500_000u64;
    s.load(
        &t("a"),
        &mut (0..ups).map(|n| (format!("row{:012}", n * 7919 % rows).into_bytes(), value(n + 1))),
    )
    .unwrap();
    time("random updates by 1000", start, ups * 215, ups);
    let start = Instant::now();
    let mut stream = env.c().changes(&Position::Tso(at)).unwrap();
    let mut log = Vec::new();
    let mut bytes = 0;
    loop {
        match stream.next(std::time::Duration::ZERO).unwrap().unwrap() {
            LogEvent::Txn(txn) => {
                bytes += txn.payload.len() as u64;
                log.push(txn)
            }
            LogEvent::Reached(_) => break,
            _ => panic!(),
        }
    }
    time("stream", start, bytes, ups);
    let until = log.last().unwrap().commit.last_tso();
    let r = env.c().restorer(&ask(until)).unwrap();
    defs.iter().for_each(|d| r.define(d).unwrap());
    let start = Instant::now();
    for txn in &log {
        r.replay(&ReplayTxn {
            commit: txn.commit,
            id: &txn.id,
            payload: &txn.payload,
        })
        .unwrap();
    }
    r.end_of_log().unwrap();
    time("replay", start, bytes, ups);
    drop(log);
    let start = Instant::now();
    r.load(&t("a"), &mut Given(batches.into_iter())).unwrap();
    time("restore load", start, rows * 215, rows);
    for d in defs {
        if d.system {
            r.load(&d.name, &mut Given(vec![].into_iter())).unwrap();
        }
    }
    let start = Instant::now();
    let sums = r.checksums().unwrap();
    time("restore checksums", start, rows * 215, rows);
    let start = Instant::now();
    r.publish().unwrap();
    time("publish", start, 0, 0);
    let start = Instant::now();
    let now = env.c().checksums(&user_tables(), None).unwrap();
    time("checksum", start, rows * 215, rows);
    assert_eq!(now[0].1, sums[0].1);
    let start = Instant::now();
    for n in 0..2000u64 {
        s.put(&t("a"), &n.to_be_bytes(), b"x").unwrap();
    }
    time("durable commits one by one", start, 0, 2000);
    let start = Instant::now();
    std::thread::scope(|sc| {
        for w in 0..16u64 {
            let env = &env;
            sc.spawn(move || {
                let s = env.c().session("x").unwrap();
                for n in 0..1000u64 {
                    s.put(&t("a"), &(w * 10000 + n).to_be_bytes(), b"x").unwrap();
                }
            });
        }
    });
    time("durable commits 16 threads", start, 0, 16000);
    let _ = Tso::ZERO;
}

fn rss() -> String {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    s.lines()
        .filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM"))
        .map(|l| l.split_whitespace().skip(1).collect::<Vec<_>>().join(""))
        .collect::<Vec<_>>()
        .join("/")
}
