//! Transactions in pieces: they come back whole or not at all.

use brine::archive::log::{ChainHash, Entry, LargeSegment, SegmentEnd, SegmentIndex, SegmentInfo, SegmentStart};
use brine::archive::{Archive, ArchiveError, ArchiveLock, Level};
use brine::model::log::LogRun;
use brine::storage::Storage;

use crate::env::NOW;
use crate::env::{Env, moment, object, position};
use crate::log::{append, new_run, segment_names};

/// What each piece of the transaction at `at` holds.
pub fn piece(at: i64, number: usize) -> Vec<u8> {
    format!("piece {number} of {at} ").into_bytes().repeat(1 + number * 40)
}

fn start(run: &LogRun) -> SegmentStart {
    SegmentStart {
        seq: run.end_seq,
        prev_hash: ChainHash::from_hex(&run.last_hash).unwrap(),
        incarnation: run.incarnation,
        from: run.to,
        from_position: run.to_position.clone(),
    }
}

fn end(at: i64) -> SegmentEnd {
    SegmentEnd {
        to: moment(at),
        to_position: position(at),
        index: SegmentIndex::default(),
    }
}

fn begin(archive: &Archive, run: &LogRun, at: i64, pieces: usize) -> LargeSegment {
    let entry = Entry {
        commit: moment(at),
        id: &at.to_string(),
        payload: b"opening",
    };
    archive.large_segment(start(run), entry, pieces as u64).unwrap()
}

fn write(archive: &Archive, lock: &ArchiveLock, run: &LogRun, at: i64, pieces: usize) -> SegmentInfo {
    let mut segment = begin(archive, run, at, pieces);
    (0..pieces).for_each(|n| segment.hash(&piece(at, n)).unwrap());
    let mut writer = segment.write(lock, Level::default(), end(at)).unwrap();
    (0..pieces).for_each(|n| writer.put(&piece(at, n)).unwrap());
    writer.finish(lock).unwrap()
}

/// Adds a segment of one transaction in pieces.
pub fn append_large(archive: &Archive, lock: &ArchiveLock, mut run: LogRun, pieces: usize) -> LogRun {
    let at = run.to.at.since(NOW) + 10;
    let info = write(archive, lock, &run, at, pieces);
    run.end_seq += 1;
    (run.to, run.to_position) = (moment(at), position(at));
    run.last_hash = info.last_hash.hex();
    run
}

/// Two small ones, one of three pieces, a small one, one of a single piece, a small one.
fn mixed(env: &Env) -> LogRun {
    let small = |run, counts: &[usize]| append(&env.archive, &env.lock, run, counts, "");
    let run = small(new_run(1), &[2]);
    let run = append_large(&env.archive, &env.lock, run, 3);
    let run = small(run, &[1]);
    let run = append_large(&env.archive, &env.lock, run, 1);
    small(run, &[1])
}

/// The ids, and the numbers of the pieces, between two moments; every piece is compared.
fn read(archive: &Archive, run: &LogRun, from: i64, until: i64) -> Vec<(String, usize)> {
    let mut reader = archive.read_log(run, moment(from), moment(until)).unwrap();
    let mut found = Vec::new();
    while let Some(entry) = reader.next().unwrap() {
        let mut pieces = 0;
        while let Some(bytes) = reader.next_piece().unwrap() {
            assert_eq!(bytes, piece(entry.id.parse().unwrap(), pieces));
            pieces += 1;
        }
        assert_eq!(entry.pieces, pieces as u64);
        assert_eq!(entry.payload == b"opening", pieces > 0);
        found.push((entry.id, pieces));
    }
    found
}

fn all() -> Vec<(String, usize)> {
    [(10, 0), (20, 0), (30, 3), (40, 0), (50, 1), (60, 0)]
        .into_iter()
        .map(|(at, n)| (format!("{at}"), n))
        .collect()
}

#[test]
fn pieces_come_back_behind_their_opening_also_from_merged_segments() {
    let env = Env::new();
    let run = mixed(&env);
    assert_eq!(read(&env.archive, &run, 0, 60), all());
    assert_eq!(read(&env.archive, &run, 20, 49), all()[2..4]);
    assert_eq!(read(&env.archive, &run, 29, 30), all()[2..3]);
    assert_eq!(read(&env.archive, &run, 30, 60), all()[3..]);
    let plan = env.archive.check_log(&run, moment(0), moment(60)).unwrap();
    assert_eq!(plan.entries, 6, "pieces are no transactions");

    let names = segment_names(&env);
    assert_eq!(names.len(), 5);
    let version = |env: &Env, n: usize| {
        let names = segment_names(env);
        let within = names[n].object.as_str().strip_prefix("backup-shop/").unwrap();
        env.bytes(within)[8]
    };
    let versions: Vec<u8> = (0..5).map(|n| version(&env, n)).collect();
    assert_eq!(
        versions,
        [1, 2, 1, 2, 1],
        "an older brine reads what has no pieces, and refuses the rest"
    );
    let merged = env.archive.compact(&env.lock, &names).unwrap();
    assert_eq!(
        (merged.entries, merged.pieces, merged.last_hash.hex()),
        (6, 4, run.last_hash.clone())
    );
    assert_eq!((segment_names(&env).len(), version(&env, 0)), (1, 2));
    assert_eq!(read(&env.archive, &run, 0, 60), all());
    assert_eq!(read(&env.archive, &run, 29, 30), all()[2..3]);
}

#[test]
fn whoever_does_not_want_the_pieces_does_not_see_them() {
    let env = Env::new();
    let run = mixed(&env);
    let mut reader = env.archive.read_log(&run, moment(0), moment(60)).unwrap();
    let mut ids = Vec::new();
    while let Some(entry) = reader.next().unwrap() {
        // One of the three is looked at.
        if entry.pieces > 1 {
            assert_eq!(reader.next_piece().unwrap().unwrap(), piece(30, 0));
        }
        ids.push(entry.id);
    }
    assert_eq!(ids, all().into_iter().map(|(id, _)| id).collect::<Vec<_>>());
    let names = segment_names(&env);
    let mut reader = env.archive.segment_reader(&names[1]).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().pieces, 3);
    assert!(reader.next().unwrap().is_none());
    assert!(reader.next_piece().unwrap().is_none());
}

#[test]
fn a_segment_with_too_few_too_many_or_other_pieces_is_not_written() {
    let env = Env::new();
    let run = new_run(1);
    let unfit = |e: ArchiveError| assert!(e.to_string().contains("pieces"), "{e}");
    let mut few = begin(&env.archive, &run, 10, 2);
    few.hash(&piece(10, 0)).unwrap();
    unfit(few.write(&env.lock, Level::default(), end(10)).err().unwrap());

    let hashed = || {
        let mut segment = begin(&env.archive, &run, 10, 2);
        (0..2).for_each(|n| segment.hash(&piece(10, n)).unwrap());
        segment.write(&env.lock, Level::default(), end(10)).unwrap()
    };
    let mut few = hashed();
    few.put(&piece(10, 0)).unwrap();
    unfit(few.finish(&env.lock).unwrap_err());
    let mut many = hashed();
    (0..2).for_each(|n| many.put(&piece(10, n)).unwrap());
    unfit(many.put(&piece(10, 2)).unwrap_err());
    let mut other = hashed();
    (1..3).for_each(|n| other.put(&piece(10, n)).unwrap());
    unfit(other.finish(&env.lock).unwrap_err());
    assert!(segment_names(&env).is_empty(), "nothing is left of them");

    // Again after a crash: the same is no error.
    let first = write(&env.archive, &env.lock, &run, 10, 2);
    assert_eq!(write(&env.archive, &env.lock, &run, 10, 2), first);
}

/// The frames of a sealed file, with the header before and what follows the frames behind.
fn frames(bytes: &[u8]) -> Vec<&[u8]> {
    let (header, mut rest) = bytes.split_at(128);
    let mut parts = vec![header];
    while rest.len() > 32 {
        let stored = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let (frame, tail) = rest.split_at(28 + stored);
        parts.push(frame);
        rest = tail;
    }
    parts.push(rest);
    parts
}

#[test]
fn damage_cuts_and_missing_pieces_are_found() {
    let env = Env::new();
    let run = new_run(1);
    let info = write(&env.archive, &env.lock, &run, 10, 3);
    let within = info.name.object.as_str().strip_prefix("backup-shop/").unwrap();
    let good = env.bytes(within);
    let is_found = |bytes: &[u8], what: &str| {
        env.overwrite(within, bytes);
        let mut name = info.name.clone();
        name.size = env.memory.size(&object(within)).unwrap().unwrap();
        assert!(env.archive.verify_segment(&name).is_err(), "{what} goes unnoticed");
    };
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        is_found(&bad, &format!("bit {bit}"));
    }
    (0..good.len()).for_each(|len| is_found(&good[..len], &format!("a cut to {len}")));
    let parts = frames(&good);
    for n in 1..parts.len() {
        let without: Vec<&[u8]> = parts
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != n)
            .map(|(_, p)| *p)
            .collect();
        is_found(&without.concat(), &format!("part {n} missing"));
        let mut swapped = parts.clone();
        swapped.swap(n, n - 1);
        is_found(&swapped.concat(), &format!("parts {n} and {} swapped", n - 1));
    }
    env.overwrite(within, &good);
    env.archive.verify_segment(&info.name).unwrap();
}
