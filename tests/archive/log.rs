//! The log: whole between any two moments, and no hole, swap or stranger goes unnoticed.

use std::sync::Arc;

use brine::archive::log::{ChainHash, Entry, OwnedEntry, SegmentEnd, SegmentIndex, SegmentName, SegmentStart};
use brine::archive::{Archive, ArchiveError, ArchiveLock, Level};
use brine::model::ids::IncarnationId;
use brine::model::log::LogRun;
use brine::model::position::{Moment, Position};
use brine::storage::Storage;
use brine::storage::faults::Faults;

use crate::env::{Env, NOW, moment, object, position};

/// Milliseconds between two entries.
const STEP: i64 = 10;

/// A run of segments with so many entries each; entry `i` (from 1) commits at `i * STEP`.
pub fn write_run(env: &Env, first_seq: u64, counts: &[usize]) -> LogRun {
    append(&env.archive, &env.lock, new_run(first_seq), counts, "")
}

pub fn new_run(first_seq: u64) -> LogRun {
    let start = ChainHash::start(IncarnationId(1), moment(0)).hex();
    LogRun {
        incarnation: IncarnationId(1),
        from: moment(0),
        from_position: position(0),
        to: moment(0),
        to_position: position(0),
        first_seq,
        end_seq: first_seq,
        first_hash: start.clone(),
        last_hash: start,
        ended: None,
        lacking: Vec::new(),
        waiting: Vec::new(),
    }
}

pub fn append(archive: &Archive, lock: &ArchiveLock, mut run: LogRun, counts: &[usize], mark: &str) -> LogRun {
    let mut at = run.to.at.since(NOW);
    for count in counts {
        let start = SegmentStart {
            seq: run.end_seq,
            prev_hash: ChainHash::from_hex(&run.last_hash).unwrap(),
            incarnation: run.incarnation,
            from: run.to,
            from_position: run.to_position.clone(),
        };
        let mut writer = archive.segment_writer(lock, start, Level::default()).unwrap();
        for _ in 0..*count {
            at += STEP;
            let payload = format!("change at {at}{mark}").into_bytes();
            let id = at.to_string();
            writer
                .put(Entry {
                    commit: moment(at),
                    id: &id,
                    payload: &payload,
                })
                .unwrap();
        }
        let end = SegmentEnd {
            to: moment(at),
            to_position: position(at),
            index: SegmentIndex::default(),
        };
        let info = writer.finish(lock, end).unwrap();
        run.end_seq += 1;
        run.to = moment(at);
        run.to_position = position(at);
        run.last_hash = info.last_hash.hex();
    }
    run
}

pub fn segment_names(env: &Env) -> Vec<SegmentName> {
    let mut segments = env.archive.segments(0..u64::MAX, None).unwrap();
    std::iter::from_fn(|| segments.next().unwrap()).collect()
}

fn read(archive: &Archive, run: &LogRun, from: Moment, until: Moment) -> brine::archive::Result<Vec<OwnedEntry>> {
    let mut reader = archive.read_log(run, from, until)?;
    let mut entries = Vec::new();
    while let Some(entry) = reader.next()? {
        entries.push(entry);
    }
    assert!(reader.next()?.is_none(), "the end stays the end");
    Ok(entries)
}

/// What reading from `from` until `until` must give: the commit times, by the model.
fn model(last: i64, from: i64, until: i64) -> Vec<String> {
    (1..=last)
        .map(|i| i * STEP)
        .filter(|at| from < *at && *at <= until)
        .map(|at| at.to_string())
        .collect()
}

fn ids(entries: &[OwnedEntry]) -> Vec<String> {
    entries.iter().map(|e| e.id.clone()).collect()
}

/// Every pair of moments: on each commit, between, one off on both sides.
fn reads_everywhere(archive: &Archive, run: &LogRun) {
    let last = run.to.at.since(NOW) / STEP;
    let edges: Vec<i64> = (0..=last)
        .flat_map(|i| [i * STEP - 1, i * STEP, i * STEP + 1])
        .collect();
    for from in edges.iter().copied().filter(|f| (0..=last * STEP).contains(f)) {
        for until in edges.iter().copied().filter(|u| (from..=last * STEP).contains(u)) {
            let plan = archive.check_log(run, moment(from), moment(until)).unwrap();
            let got = read(archive, run, moment(from), moment(until)).unwrap();
            assert_eq!(ids(&got), model(last, from, until), "({from}, {until}]");
            assert!(plan.entries >= got.len() as u64);
        }
    }
}

#[test]
fn any_two_moments_give_what_lies_between() {
    let env = Env::new();
    let run = write_run(&env, 1, &[3, 0, 1, 4, 1]);
    reads_everywhere(&env.archive, &run);
    let names = segment_names(&env);
    assert_eq!(names.iter().map(|s| s.first_seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    for outside in [(moment(-1), moment(10)), (moment(0), moment(91))] {
        let error = env.archive.check_log(&run, outside.0, outside.1).unwrap_err();
        assert!(matches!(error, ArchiveError::OutsideLog { .. }), "{error}");
    }
    let empty = new_run(9);
    assert_eq!(
        env.archive.check_log(&empty, moment(0), moment(0)).unwrap(),
        Default::default()
    );
    assert!(read(&env.archive, &empty, moment(0), moment(0)).unwrap().is_empty());
}

#[test]
fn compaction_changes_nothing_that_is_read() {
    for (from, to) in [(0, 2), (1, 4), (0, 5), (3, 5)] {
        let env = Env::new();
        let run = write_run(&env, 1, &[3, 0, 1, 2, 1]);
        let before = read(&env.archive, &run, moment(0), run.to).unwrap();
        let small = &segment_names(&env)[from..to];
        let info = env.archive.compact(&env.lock, small).unwrap();
        assert_eq!((info.name.first_seq, info.name.last_seq), (from as u64 + 1, to as u64));
        assert_eq!(segment_names(&env).len(), 5 - (to - from) + 1);
        assert_eq!(read(&env.archive, &run, moment(0), run.to).unwrap(), before);
        reads_everywhere(&env.archive, &run);
        // Compacted ones are compacted again.
        let all = segment_names(&env);
        if all.len() > 1 {
            env.archive.compact(&env.lock, &all).unwrap();
            assert_eq!(env.names().iter().filter(|n| n.ends_with(".seg")).count(), 1);
            reads_everywhere(&env.archive, &run);
        }
    }
}

#[test]
fn compaction_refuses_what_does_not_belong_together() {
    let env = Env::new();
    write_run(&env, 1, &[1, 1, 1]);
    let names = segment_names(&env);
    for bad in [
        &[][..],
        &names[..1],
        &[names[0].clone(), names[2].clone()],
        &[names[1].clone(), names[0].clone()],
    ] {
        let error = env.archive.compact(&env.lock, bad).unwrap_err();
        assert!(matches!(error, ArchiveError::Unfit { .. }), "{error}");
    }
}

#[test]
fn compaction_that_fails_anywhere_loses_nothing() {
    for crash in [false, true] {
        for n in 1.. {
            let env = Env::new();
            let run = write_run(&env, 1, &[2, 1, 2]);
            let before = read(&env.archive, &run, moment(0), run.to).unwrap();
            let small = segment_names(&env);
            let faults = Faults::new(Arc::new(env.memory.clone()));
            let archive = env.through(Arc::new(faults.clone()));
            faults.clear();
            if crash {
                faults.crash_after(n - 1);
            } else {
                faults.fail_call(n, brine::storage::ErrorKind::Temporary);
            }
            let done = archive.compact(&env.lock, &small).is_ok();
            let hit = n <= if crash { faults.changes() } else { faults.calls() };
            let after = read(&env.archive, &run, moment(0), run.to).unwrap_or_else(|e| panic!("step {n}: {e}"));
            assert_eq!(after, before, "crash {crash}, step {n}");
            if !done && small.iter().all(|s| env.memory.size(&s.object).unwrap().is_some()) {
                env.archive.compact(&env.lock, &small).unwrap();
                assert_eq!(
                    env.names().iter().filter(|n| n.ends_with(".seg")).count(),
                    1,
                    "step {n}"
                );
                assert_eq!(read(&env.archive, &run, moment(0), run.to).unwrap(), before);
            }
            if !hit {
                assert!(done);
                break;
            }
        }
    }
}

/// Small segments that a crash left beside the compacted one that replaces them do not count.
#[test]
fn leftovers_of_a_compaction_do_not_count_twice() {
    let env = Env::new();
    let run = write_run(&env, 1, &[2, 1, 2, 1]);
    let small: Vec<_> = segment_names(&env)
        .iter()
        .map(|s| (s.object.clone(), s.clone()))
        .collect();
    let bytes: Vec<_> = small
        .iter()
        .map(|(name, _)| env.memory.read(name, u64::MAX).unwrap())
        .collect();
    let names: Vec<_> = small.iter().map(|(_, s)| s.clone()).collect();
    env.archive.compact(&env.lock, &names[..3]).unwrap();
    for kept in 0..8u32 {
        for (i, (name, _)) in small.iter().enumerate().take(3) {
            if kept & (1 << i) != 0 {
                env.memory.overwrite(name, &bytes[i]);
            } else {
                env.memory.delete(name).unwrap();
            }
        }
        reads_everywhere(&env.archive, &run);
        assert_eq!(segment_names(&env).len(), 2);
    }
    assert_eq!(env.archive.clean_segments(&env.lock, None).unwrap(), 3);
    assert_eq!(env.archive.clean_segments(&env.lock, None).unwrap(), 0);
    assert_eq!(env.names().iter().filter(|n| n.ends_with(".seg")).count(), 2);
    reads_everywhere(&env.archive, &run);
}

/// A reader that stands in the middle of small segments goes on in the compacted one.
#[test]
fn compaction_under_a_reader_is_not_noticed() {
    let env = Env::new();
    let run = write_run(&env, 1, &[1; 40]);
    let whole = read(&env.archive, &run, moment(0), run.to).unwrap();
    let mut reader = env.archive.read_log(&run, moment(0), run.to).unwrap();
    let mut got = vec![reader.next().unwrap().unwrap()];
    env.archive.compact(&env.lock, &segment_names(&env)).unwrap();
    while let Some(entry) = reader.next().unwrap() {
        got.push(entry);
    }
    assert_eq!(got, whole);
}

/// What goes wrong when a stretch is checked, or read to its end.
fn errors(env: &Env, run: &LogRun) -> (Option<ArchiveError>, Option<ArchiveError>) {
    let checked = env.archive.check_log(run, run.from, run.to).err();
    (checked, read(&env.archive, run, run.from, run.to).err())
}

#[test]
fn missing_segments_are_named_before_anything_is_read() {
    for gone in 0..4 {
        let env = Env::new();
        let run = write_run(&env, 5, &[1, 2, 1, 1]);
        let name = segment_names(&env)[gone].clone();
        env.memory.delete(&name.object).unwrap();
        let (checked, read) = errors(&env, &run);
        for error in [checked.unwrap(), read.unwrap()] {
            let ArchiveError::BrokenLog { seq, good, .. } = &error else {
                panic!("{error}")
            };
            assert_eq!((*seq, good.unwrap()), (name.first_seq, name.from), "{error}");
            assert!(error.is_corrupt());
        }
        // What comes before the hole can still be restored.
        let until = name.from;
        assert!(env.archive.check_log(&run, run.from, until).is_ok());
        let last = until.at.since(NOW);
        assert_eq!(
            ids(&self::read(&env.archive, &run, run.from, until).unwrap()),
            model(9, 0, last)
        );
        // What comes after it, from a later base, too.
        if gone < 3 {
            assert!(env.archive.check_log(&run, name.to, run.to).is_ok());
        }
    }
}

#[test]
fn swapped_renamed_and_copied_segments_are_found() {
    let swap = |env: &Env, a: &SegmentName, b: &SegmentName| {
        let (x, y) = (
            env.memory.read(&a.object, 1 << 20).unwrap(),
            env.memory.read(&b.object, 1 << 20).unwrap(),
        );
        env.memory.overwrite(&a.object, &y);
        env.memory.overwrite(&b.object, &x);
    };
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let env = Env::new();
        let run = write_run(&env, 1, &[1, 1, 1]);
        let names = segment_names(&env);
        swap(&env, &names[a], &names[b]);
        let (checked, read) = errors(&env, &run);
        assert!(checked.unwrap().to_string().contains(names[a].object.as_str()));
        assert!(read.unwrap().is_corrupt());
    }
    // One segment in the place of its neighbour.
    let env = Env::new();
    let run = write_run(&env, 1, &[1, 1, 1]);
    let names = segment_names(&env);
    let bytes = env.memory.read(&names[0].object, 1 << 20).unwrap();
    env.memory.overwrite(&names[1].object, &bytes);
    assert!(errors(&env, &run).0.unwrap().is_corrupt());
    // A segment under another number, another moment, another day.
    for (from, to) in [
        ("000000000002-000000000002", "000000000004-000000000004"),
        ("/20261120/", "/20261121/"),
    ] {
        let env = Env::new();
        let run = write_run(&env, 1, &[1, 1, 1]);
        let name = segment_names(&env)[1].clone();
        let bytes = env.memory.read(&name.object, 1 << 20).unwrap();
        env.memory.delete(&name.object).unwrap();
        let renamed = name.object.as_str().replace(from, to);
        env.memory
            .overwrite(&brine::storage::ObjectName::new(renamed).unwrap(), &bytes);
        let (checked, read) = errors(&env, &run);
        assert!(checked.unwrap().is_corrupt() && read.unwrap().is_corrupt());
    }
}

#[test]
fn another_history_of_the_same_numbers_is_a_stranger() {
    let (env, other) = (Env::new(), Env::new());
    let run = write_run(&env, 1, &[1, 1, 1]);
    let theirs = append(&other.archive, &other.lock, new_run(1), &[1, 1, 1], " elsewhere");
    assert_ne!(run.last_hash, theirs.last_hash);
    let error = env.archive.check_log(&theirs, run.from, run.to).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    // One of theirs in the middle, with the name it has there: the chain does not fit.
    let (mine, their) = (segment_names(&env)[1].clone(), segment_names(&other)[1].clone());
    env.memory.delete(&mine.object).unwrap();
    env.memory
        .overwrite(&their.object, &other.memory.read(&their.object, 1 << 20).unwrap());
    let (checked, read) = errors(&env, &run);
    assert!(checked.unwrap().to_string().contains("predecessor") && read.unwrap().is_corrupt());
}

/// A writer that lost its lock published its segment after the new holder did: the chain tells which one counts.
#[test]
fn the_segment_of_a_fenced_writer_does_not_count() {
    // The stale one sorts behind the right one, or before it.
    for (stale, entries) in (0..3).flat_map(|stale| [(stale, 2), (stale, 0)]) {
        let env = Env::new();
        let mut run = new_run(1);
        for seq in 0..3 {
            if seq == stale {
                append(&env.archive, &env.lock, run.clone(), &[entries], " stale");
            }
            run = append(&env.archive, &env.lock, run, &[1], "");
        }
        assert_eq!(env.names().iter().filter(|n| n.ends_with(".seg")).count(), 4);
        let got = read(&env.archive, &run, run.from, run.to).unwrap_or_else(|e| panic!("stale {stale}: {e}"));
        assert_eq!(ids(&got), model(3, 0, 30), "stale {stale}");
    }
}

#[test]
fn flipped_bits_stop_a_replay() {
    let env = Env::new();
    let run = write_run(&env, 1, &[1, 2]);
    for name in segment_names(&env) {
        let good = env.memory.read(&name.object, 1 << 20).unwrap();
        // The format's own test flips every single bit.
        for bit in (0..good.len() * 8).step_by(7) {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            env.memory.overwrite(&name.object, &bad);
            let error = errors(&env, &run)
                .1
                .unwrap_or_else(|| panic!("bit {bit} of {} unnoticed", name.object));
            assert!(matches!(error, ArchiveError::BrokenLog { .. }), "{error}");
        }
        env.memory.overwrite(&name.object, &good);
    }
}

#[test]
fn large_transactions_and_many_small_ones() {
    let env = Env::new();
    let run = new_run(1);
    let start = SegmentStart {
        seq: 1,
        prev_hash: ChainHash::from_hex(&run.first_hash).unwrap(),
        incarnation: run.incarnation,
        from: run.from,
        from_position: run.from_position.clone(),
    };
    let mut writer = env.archive.segment_writer(&env.lock, start, Level::default()).unwrap();
    let sizes: Vec<usize> = (0..3000).map(|i| if i == 1500 { 9 << 20 } else { i % 1200 }).collect();
    for (i, size) in sizes.iter().enumerate() {
        let payload = vec![i as u8; *size];
        writer
            .put(Entry {
                commit: moment(1 + i as i64),
                id: "x",
                payload: &payload,
            })
            .unwrap();
    }
    let back = writer
        .put(Entry {
            commit: moment(1),
            id: "back",
            payload: b"",
        })
        .unwrap_err();
    assert!(back.to_string().contains("before its predecessor"), "{back}");
    let end = |ms| SegmentEnd {
        to: moment(ms),
        to_position: position(ms),
        index: SegmentIndex::default(),
    };
    let info = writer.finish(&env.lock, end(3000)).unwrap();
    assert_eq!(
        (info.entries, info.raw_bytes),
        (3000, sizes.iter().map(|s| *s as u64 + 24).sum())
    );
    let mut reader = env.archive.segment_reader(&info.name).unwrap();
    for (i, size) in sizes.iter().enumerate() {
        let entry = reader.next().unwrap().unwrap();
        assert!(entry.commit == moment(1 + i as i64) && entry.payload == vec![i as u8; *size]);
    }
    assert!(reader.next().unwrap().is_none());
    assert_eq!(env.archive.segment_index(&info.name).unwrap(), info);
}

#[test]
fn publishing_the_same_segment_again_is_no_error() {
    let env = Env::new();
    let run = write_run(&env, 1, &[2]);
    let again = write_run(&env, 1, &[2]);
    assert_eq!(run, again);
    assert_eq!(segment_names(&env).len(), 1);
}

/// Where there is no timestamp oracle, moments have milliseconds only, and several commits share one.
#[test]
fn without_a_tso_an_instant_is_taken_whole() {
    let env = Env::new();
    let at = |s: i64| Moment::of_millis(NOW.plus(s * 1000));
    let place = |n: u64| Position::Binlog {
        gtid: String::new(),
        file: "binlog.1".to_owned(),
        offset: n,
        begun: None,
        unlogged: None,
    };
    let mut run = new_run(1);
    run.from = at(0);
    run.from_position = place(0);
    let start = ChainHash::start(run.incarnation, run.from);
    (run.first_hash, run.last_hash) = (start.hex(), start.hex());
    let mut from = (at(0), place(0), start);
    for (seq, seconds) in [(1u64, vec![1, 2, 2]), (2, vec![2, 2, 3]), (3, vec![3, 5])] {
        let start = SegmentStart {
            seq,
            prev_hash: from.2,
            incarnation: run.incarnation,
            from: from.0,
            from_position: from.1,
        };
        let mut writer = env.archive.segment_writer(&env.lock, start, Level::default()).unwrap();
        for (i, s) in seconds.iter().enumerate() {
            let id = format!("{seq}.{i}@{s}");
            writer
                .put(Entry {
                    commit: at(*s),
                    id: &id,
                    payload: b"p",
                })
                .unwrap();
        }
        let to = at(*seconds.last().unwrap());
        let end = SegmentEnd {
            to,
            to_position: place(seq),
            index: SegmentIndex::default(),
        };
        let info = writer.finish(&env.lock, end).unwrap();
        from = (to, place(seq), info.last_hash);
        (run.end_seq, run.to, run.to_position, run.last_hash) = (seq + 1, to, place(seq), info.last_hash.hex());
    }
    let got = |a, b| ids(&read(&env.archive, &run, at(a), at(b)).unwrap());
    assert_eq!(got(0, 1), ["1.0@1"]);
    assert_eq!(got(0, 2), ["1.0@1", "1.1@2", "1.2@2", "2.0@2", "2.1@2"]);
    assert_eq!(
        got(2, 2),
        ["1.1@2", "1.2@2", "2.0@2", "2.1@2"],
        "a base of that second may lie anywhere in it"
    );
    assert_eq!(got(3, 4), ["2.2@3", "3.0@3"]);
    assert_eq!(got(0, 5).len(), 8);
    assert!(object("x").as_str().ends_with('x'));
}
