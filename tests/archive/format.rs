//! The format: what comes back is what went in, and every damage is found.

use brine::archive::state::{LogDoc, ProtectDoc};
use brine::archive::{Archive, ErrorKind, Level};
use brine::model::clock::Millis;
use brine::model::log::LogError;
use proptest::prelude::*;
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

use crate::env::{Env, id, object, objects, read_data};
use crate::log::{segment_names, write_run};
use crate::snapshots::note;

/// Reads one object completely.
type Read = Box<dyn Fn(&Env) -> brine::archive::Result<()>>;

/// An object, and what reads it.
struct Reader {
    within: String,
    read: Read,
}

/// One small object of each kind, and how it is read.
fn one_of_each(env: &Env) -> Vec<Reader> {
    let backup = env.backup("20261120100000-aaaa", &[b"first batch", b"second batch"]);
    let data = objects(&backup)[0].clone();
    env.archive.update(&env.lock, |doc: &mut LogDoc| doc.task = 7).unwrap();
    write_run(env, 1, &[2]);
    let segment = segment_names(env)[0].clone();
    env.archive
        .trash(&env.lock, &id("20261120100000-bbbb"), &note())
        .unwrap();
    let backup = backup.summary.id;
    let dir = format!("snapshot-{backup}");
    let (data_id, data_name) = (backup.clone(), format!("{dir}/{}", data.name));
    let segment_name = segment.object.as_str().strip_prefix("backup-shop/").unwrap().to_owned();
    vec![
        Reader {
            within: data_name,
            read: Box::new(move |env| read_data(&env.archive, &data_id, &data).map(drop)),
        },
        Reader {
            within: format!("{dir}/manifest"),
            read: Box::new(move |env| env.archive.read_manifest(&backup).map(drop)),
        },
        Reader {
            within: segment_name,
            read: Box::new(move |env| env.archive.verify_segment(&segment).map(drop)),
        },
        Reader {
            within: "trash/20261120100000-bbbb".to_owned(),
            read: Box::new(|env| env.archive.in_trash().map(drop)),
        },
        Reader {
            within: "state/log".to_owned(),
            read: Box::new(|env| env.archive.state::<LogDoc>().map(drop)),
        },
        Reader {
            within: "archive.json".to_owned(),
            read: Box::new(|env| {
                let storage = std::sync::Arc::new(env.memory.clone());
                Archive::open(storage, &crate::env::identity().cluster).map(drop)
            }),
        },
    ]
}

#[test]
fn every_flipped_bit_is_found_and_named() {
    let env = Env::new();
    for reader in one_of_each(&env) {
        (reader.read)(&env).unwrap();
        let good = env.bytes(&reader.within);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            env.overwrite(&reader.within, &bad);
            let error = (reader.read)(&env).expect_err(&format!("{}: bit {bit} unnoticed", reader.within));
            assert!(
                matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::TooNew),
                "{}: bit {bit}: {error}",
                reader.within
            );
            assert!(error.to_string().contains(&reader.within), "{error}");
        }
        env.overwrite(&reader.within, &good);
        (reader.read)(&env).unwrap();
    }
}

#[test]
fn every_cut_and_every_appendix_is_found() {
    let env = Env::new();
    for reader in one_of_each(&env) {
        let good = env.bytes(&reader.within);
        for len in 0..good.len() {
            env.overwrite(&reader.within, &good[..len]);
            let error = (reader.read)(&env).expect_err(&format!("{}: cut to {len} unnoticed", reader.within));
            assert!(error.is_corrupt(), "{}: {error}", reader.within);
        }
        for extra in [&b"\0"[..], b"}", &good] {
            env.overwrite(&reader.within, &[&good, extra].concat());
            assert!(
                (reader.read)(&env).is_err(),
                "{}: {extra:?} appended unnoticed",
                reader.within
            );
        }
        env.overwrite(&reader.within, &good);
    }
}

#[test]
fn a_file_in_the_place_of_another_is_refused() {
    let (env, other) = (Env::new(), Env::new());
    let (readers, theirs) = (one_of_each(&env), one_of_each(&other));
    // The same place in another archive.
    for (reader, their) in readers.iter().zip(&theirs).filter(|(r, _)| !r.within.contains("data-")) {
        let good = env.bytes(&reader.within);
        if reader.within == "archive.json" {
            continue;
        }
        env.overwrite(&reader.within, &other.bytes(&their.within));
        let error = (reader.read)(&env).expect_err(&reader.within);
        assert!(
            error.is_corrupt() && error.to_string().contains("belongs to archive"),
            "{error}"
        );
        env.overwrite(&reader.within, &good);
    }
    // Every other file of the same archive.
    for reader in &readers {
        let good = env.bytes(&reader.within);
        for other in readers.iter().filter(|other| other.within != reader.within) {
            env.overwrite(&reader.within, &env.bytes(&other.within));
            let error = (reader.read)(&env).expect_err(&format!("{} as {}", other.within, reader.within));
            assert!(error.is_corrupt(), "{error}");
            env.overwrite(&reader.within, &good);
        }
    }
}

#[test]
fn same_kinds_do_not_change_places() {
    let env = Env::new();
    let one = env.backup("20261120100000-aaaa", &[b"rows"]);
    let two = env.backup("20261121100000-aaaa", &[b"rows"]);
    let manifests = [
        "snapshot-20261120100000-aaaa/manifest",
        "snapshot-20261121100000-aaaa/manifest",
    ];
    let good = env.bytes(manifests[0]);
    env.overwrite(manifests[0], &env.bytes(manifests[1]));
    let error = env.archive.read_summary(&one.summary.id).unwrap_err();
    assert!(error.to_string().contains("another name"), "{error}");
    env.overwrite(manifests[0], &good);

    // A data file of another backup, under the very name that the manifest has.
    let (mine, theirs) = (objects(&one).remove(0), objects(&two).remove(0));
    let theirs = env.bytes(&format!("snapshot-{}/{}", two.summary.id, theirs.name));
    env.overwrite(&format!("snapshot-{}/{}", one.summary.id, mine.name), &theirs);
    assert!(
        read_data(&env.archive, &one.summary.id, &mine)
            .unwrap_err()
            .is_corrupt()
    );

    env.archive.update(&env.lock, |doc: &mut LogDoc| doc.task = 7).unwrap();
    env.overwrite("state/protect", &env.bytes("state/log"));
    assert!(env.archive.state::<ProtectDoc>().unwrap_err().is_corrupt());
}

/// An older version of the same file is found by its hash, where a hash is remembered.
#[test]
fn a_data_file_written_anew_is_not_the_one_of_the_manifest() {
    let env = Env::new();
    let backup = env.backup("20261120100000-aaaa", &[b"rows"]);
    let mine = objects(&backup).remove(0);
    let forged = Forge::of(&env, &format!("snapshot-{}/{}", backup.summary.id, mine.name), 1);
    let file = forged.file(&[frame(1, 2, b"ROWS"), frame(0, 2, b"")]);
    assert_eq!(
        file.len() as u64,
        mine.size,
        "the forgery must be as long for the hash to be what tells"
    );
    env.overwrite(&format!("snapshot-{}/{}", backup.summary.id, mine.name), &file);
    let error = read_data(&env.archive, &backup.summary.id, &mine).unwrap_err();
    assert!(error.to_string().contains("hash"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn batches_come_back_as_they_were(
        batches in prop::collection::vec(prop::collection::vec(prop::sample::select(&[0u8, 1, 7, 255][..]), 0..3000), 0..8),
        level in 0..4,
    ) {
        let env = Env::new();
        let id = id("20261120100000-aaaa");
        let mut writer = env.archive.data_writer(&env.lock, &id, 3, Level::new(level).unwrap()).unwrap();
        batches.iter().for_each(|b| writer.put(b).unwrap());
        let object = writer.finish().unwrap();
        prop_assert_eq!(object.raw_bytes, batches.iter().map(|b| b.len() as u64).sum::<u64>());
        prop_assert_eq!(read_data(&env.archive, &id, &object).unwrap(), batches);
    }
}

#[test]
fn large_batches_span_frames() {
    let env = Env::new();
    let id = id("20261120100000-aaaa");
    let mut state = 1u64;
    let mut noise = |len: usize| -> Vec<u8> {
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect()
    };
    for batch in [noise(4 << 20), noise((4 << 20) + 1), vec![0; 9 << 20]] {
        let mut writer = env.archive.data_writer(&env.lock, &id, 0, Level::default()).unwrap();
        writer.put(&batch).unwrap();
        writer.put(b"next").unwrap();
        let object = writer.finish().unwrap();
        let back = read_data(&env.archive, &id, &object).unwrap();
        assert!(back == [batch, b"next".to_vec()]);
    }
}

/// Builds sealed files as the tables in the module's documentation say, with whatever is asked for in them.
struct Forge {
    header: Vec<u8>,
}

struct Frame {
    head: [u8; 12],
    stored: Vec<u8>,
}

fn frame_of(kind: u8, flags: u8, raw_len: u32, stored_len: u32, stored: &[u8]) -> Frame {
    let mut head = vec![kind, flags, 0, 0];
    head.extend(raw_len.to_le_bytes());
    head.extend(stored_len.to_le_bytes());
    Frame {
        head: head.try_into().unwrap(),
        stored: stored.to_vec(),
    }
}

fn frame(kind: u8, flags: u8, stored: &[u8]) -> Frame {
    frame_of(kind, flags, stored.len() as u32, stored.len() as u32, stored)
}

impl Forge {
    fn of(env: &Env, within: &str, kind: u8) -> Forge {
        Self::with(env, within, kind, 1, 0)
    }

    fn with(env: &Env, within: &str, kind: u8, version: u16, suite: u8) -> Forge {
        let archive = u128::from_str_radix(&env.archive.id().hex(), 16).unwrap();
        let mut header = b"BRINE\r\n\x1a".to_vec();
        header.extend(version.to_le_bytes());
        header.extend([suite, 1, kind, 0, 0, 0]);
        header.extend(archive.to_be_bytes());
        header.extend(blake3::hash(within.as_bytes()).as_bytes());
        header.extend([9; 32]);
        header.extend([0; 16]);
        header.extend(1u64.to_le_bytes());
        let sum = xxh3_64(&header);
        header.extend(sum.to_le_bytes());
        assert_eq!(header.len(), 128);
        Forge { header }
    }

    fn file(&self, frames: &[Frame]) -> Vec<u8> {
        let mut file = self.header.clone();
        for (number, frame) in frames.iter().enumerate() {
            let mut sum = Xxh3::new();
            sum.update(&xxh3_128(&self.header).to_le_bytes());
            sum.update(&(number as u64).to_le_bytes());
            sum.update(&frame.head);
            sum.update(&frame.stored);
            file.extend(frame.head);
            file.extend(sum.digest128().to_le_bytes());
            file.extend(&frame.stored);
        }
        file
    }
}

fn end() -> Frame {
    frame(0, 2, b"")
}

fn read_log_doc(env: &Env, file: &[u8]) -> Result<LogDoc, brine::archive::ArchiveError> {
    env.overwrite("state/log", file);
    env.archive.state::<LogDoc>().map(|doc| doc.value)
}

#[test]
fn the_documented_tables_are_the_format() {
    let env = Env::new();
    let forge = Forge::of(&env, "state/log", 4);
    let doc = LogDoc {
        last_error: Some(LogError {
            at: Millis(1),
            text: "x".repeat(500),
        }),
        ..LogDoc::default()
    };
    let json = serde_json::to_vec(&doc).unwrap();
    let plain = forge.file(&[frame(1, 2, &json), end()]);
    assert_eq!(read_log_doc(&env, &plain).unwrap(), doc);
    let packed = zstd::bulk::compress(&json, 1).unwrap();
    let packed = frame_of(1, 0, json.len() as u32, packed.len() as u32, &packed);
    assert_eq!(read_log_doc(&env, &forge.file(&[packed, end()])).unwrap(), doc);
    let (a, b) = json.split_at(100);
    let two = forge.file(&[frame(1, 3, a), frame(1, 2, b), end()]);
    assert_eq!(read_log_doc(&env, &two).unwrap(), doc);
}

#[test]
fn impossible_frames_with_right_checksums_are_refused() {
    let env = Env::new();
    let forge = Forge::of(&env, "state/log", 4);
    let json = serde_json::to_vec(&LogDoc::default()).unwrap();
    let doc = || frame(1, 2, &json);
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
    let small = zstd::bulk::compress(&json, 1).unwrap();
    let bomb_len = bomb.len() as u32;
    for (what, frames) in [
        (
            "a bomb that claims 4 MiB",
            vec![frame_of(1, 0, 4 << 20, bomb_len, &bomb), end()],
        ),
        (
            "a bomb that claims little",
            vec![frame_of(1, 0, bomb_len, bomb_len, &bomb), end()],
        ),
        (
            "a bomb that claims 64 MiB",
            vec![frame_of(1, 0, 64 << 20, bomb_len, &bomb), end()],
        ),
        ("4 GiB", vec![frame_of(1, 0, u32::MAX, 10, &[0; 10]), end()]),
        (
            "more stored than there is",
            vec![frame_of(1, 2, 4 << 20, 4 << 20, b"x"), end()],
        ),
        (
            "more than claimed",
            vec![frame_of(1, 0, json.len() as u32 + 1, small.len() as u32, &small), end()],
        ),
        ("not zstd", vec![frame_of(1, 0, 100, 5, b"junk!"), end()]),
        ("two sizes", vec![frame_of(1, 2, 5, 4, b"junk"), end()]),
        ("unknown kind", vec![frame(9, 2, &json), end()]),
        ("unknown flags", vec![frame(1, 6, &json), end()]),
        ("no end", vec![doc()]),
        ("an end with content", vec![doc(), frame(0, 2, b"x")]),
        ("only an end", vec![end()]),
        ("two documents", vec![doc(), doc(), end()]),
        ("frames behind the end", vec![doc(), end(), end()]),
        ("a batch without its rest", vec![frame(1, 3, &json), end()]),
        (
            "a batch that changes its kind",
            vec![frame(1, 3, b"{"), frame(3, 2, b"}"), end()],
        ),
        ("no JSON", vec![frame(1, 2, b"{"), end()]),
        ("deep JSON", vec![frame(1, 2, "[".repeat(100_000).as_bytes()), end()]),
    ] {
        let error = read_log_doc(&env, &forge.file(&frames)).expect_err(what);
        assert!(error.is_corrupt(), "{what}: {error}");
        assert!(error.to_string().contains("state/log"), "{what}: {error}");
    }
}

#[test]
fn newer_and_encrypted_files_say_so() {
    let env = Env::new();
    let doc = serde_json::to_vec(&LogDoc::default()).unwrap();
    let frames = || [frame(1, 2, &doc), end()];
    let newer = Forge::with(&env, "state/log", 4, 2, 0).file(&frames());
    assert_eq!(read_log_doc(&env, &newer).unwrap_err().kind(), ErrorKind::TooNew);
    let encrypted = Forge::with(&env, "state/log", 4, 1, 1).file(&frames());
    assert_eq!(read_log_doc(&env, &encrypted).unwrap_err().kind(), ErrorKind::WrongKey);
    let json = String::from_utf8(env.bytes("archive.json")).unwrap();
    env.overwrite("archive.json", json.replace("\"format\":1", "\"format\":2").as_bytes());
    let storage = std::sync::Arc::new(env.memory.clone());
    let error = Archive::open(storage, &crate::env::identity().cluster).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooNew, "{error}");
    assert_eq!(object("archive.json").as_str(), "backup-shop/archive.json");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever stands in frames with right checksums: an answer or an error, never a panic or a huge allocation.
    #[test]
    fn decoders_survive_anything(
        frames in prop::collection::vec((0u8..5, 0u8..8, 0u32..200, 0u32..200, prop::collection::vec(any::<u8>(), 0..120)), 0..5),
        kind in 1u8..6,
        tail in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let env = Env::new();
        let frames: Vec<Frame> = frames.iter().map(|(k, f, raw, stored, bytes)| frame_of(*k, *f, *raw, *stored, bytes)).collect();
        let backup = id("20261120100000-aaaa");
        for within in ["state/log", "snapshot-20261120100000-aaaa/manifest", "trash/20261120100000-aaaa"] {
            let mut file = Forge::of(&env, within, kind).file(&frames);
            file.extend(&tail);
            env.overwrite(within, &file);
        }
        let _ = env.archive.state::<LogDoc>();
        let _ = env.archive.read_manifest(&backup);
        let _ = env.archive.in_trash();
    }

    /// Bytes of real files, mangled.
    #[test]
    fn decoders_survive_mutation(
        which in 0usize..6,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        thread_local!(static ENV: Env = Env::new());
        thread_local!(static FILES: std::cell::OnceCell<Vec<(Reader, Vec<u8>)>> = const { std::cell::OnceCell::new() });
        ENV.with(|env| FILES.with(|files| {
            let files = files.get_or_init(|| {
                one_of_each(env).into_iter().map(|r| { let bytes = env.bytes(&r.within); (r, bytes) }).collect()
            });
            let (reader, good) = &files[which];
            let mut bytes = good.clone();
            edits.iter().for_each(|(at, byte)| { let at = at.index(bytes.len()); bytes[at] = *byte; });
            if let Some(cut) = cut { bytes.truncate(cut.index(bytes.len())); }
            env.overwrite(&reader.within, &bytes);
            let answer = (reader.read)(env);
            assert!(answer.is_err() || bytes == *good);
            env.overwrite(&reader.within, good);
        }));
    }
}
