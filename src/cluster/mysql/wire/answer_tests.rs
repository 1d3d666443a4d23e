//! Answers of every shape: what comes whole is told whole, and what is malformed is an error, never a guess.

use std::io;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::scripted::{Peer, connect, logged_in, on_tcp, packets, row};
use super::{Conn, DumpRequest, DumpStart, ParamType, WireError};
use crate::cluster::{BatchSink, BatchSource, Stop};

/// Keeps what it gets.
#[derive(Default)]
struct Keep {
    bytes: Vec<u8>,
    rows: u64,
    stop_after: Option<usize>,
}

impl BatchSink for Keep {
    fn put(&mut self, batch: &[u8], rows: u64) -> Result<(), Stop> {
        self.bytes.extend_from_slice(batch);
        self.rows += rows;
        match self.stop_after {
            Some(n) if self.bytes.len() > n => Err(Stop(Box::new(io::Error::other("full")))),
            _ => Ok(()),
        }
    }
}

struct Give(Vec<Vec<u8>>, bool);

impl BatchSource for Give {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        if self.0.is_empty() && self.1 {
            return Err(Stop(Box::new(io::Error::other("dry"))));
        }
        Ok((!self.0.is_empty()).then(|| self.0.remove(0)))
    }
}

/// Writes `bytes` in pieces of these sizes, over and over.
fn in_pieces(peer: &mut Peer, bytes: &[u8], sizes: &[usize]) {
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        let (now, later) = rest.split_at(rest.len().min(*size));
        peer.raw(now);
        rest = later;
        if rest.is_empty() {
            return;
        }
    }
}

/// Plays rows of such lengths in such pieces, and checks what arrives.
fn rows_arrive(lengths: &[usize], pieces: Vec<usize>) {
    let rows: Vec<Vec<u8>> = lengths
        .iter()
        .enumerate()
        .map(|(i, n)| row(&[Some(&vec![i as u8 | 0xC0; *n]), None]))
        .collect();
    let sent = rows.clone();
    let (mut conn, server) = logged_in(move |peer| {
        peer.recv();
        peer.columns(2);
        let mut bytes = Vec::new();
        for row in &sent {
            bytes.extend_from_slice(&packets(row, &mut peer.seq));
        }
        bytes.extend_from_slice(&packets(&[0xFE, 0, 0, 2, 0], &mut peer.seq));
        in_pieces(peer, &bytes, &pieces);
        peer.recv();
        peer.ok();
    });
    let mut sink = Keep::default();
    assert_eq!(conn.stream("SELECT", &mut sink).unwrap(), rows.len() as u64);
    assert_eq!(sink.rows, rows.len() as u64);
    let mut expected = Vec::new();
    for row in &rows {
        expected.extend_from_slice(&(row.len() as u32).to_le_bytes());
        expected.extend_from_slice(row);
    }
    assert!(sink.bytes == expected, "the records differ");
    conn.run("x").unwrap();
    server.join().unwrap();
}

#[test]
fn rows_around_every_limit_arrive() {
    const M: usize = CONTINUED_PAYLOAD;
    rows_arrive(
        &[1, 880 << 10, 897 << 10, 898 << 10, 900 << 10, 2, 1 << 20, 1200 << 10, 3],
        vec![1 << 20],
    );
    rows_arrive(&[5, M - 1, M, M + 1, 7, 2 * M, 3], vec![1 << 20]);
}

/// A string of this length makes a row of exactly one full packet: the string's length takes 4 or 9 bytes, NULL one.
const CONTINUED_PAYLOAD: usize = 0xFF_FFFF - 5;

#[test]
fn a_stopped_sink_comes_back_and_ends_the_connection() {
    let (mut conn, server) = logged_in(|peer| {
        peer.recv();
        peer.columns(1);
        for _ in 0..1000 {
            peer.send(&row(&[Some(&[1; 10_000])]));
        }
        peer.eof();
    });
    let mut sink = Keep {
        stop_after: Some(1000),
        ..Keep::default()
    };
    assert!(matches!(conn.stream("SELECT", &mut sink), Err(WireError::Stopped(_))));
    assert!(matches!(conn.run("x"), Err(WireError::Lost { .. })));
    drop(conn);
    server.join().unwrap();
}

#[test]
fn an_error_between_rows_is_an_error() {
    let (mut conn, server) = logged_in(|peer| {
        for _ in 0..2 {
            peer.recv();
            peer.columns(1);
            peer.send(&row(&[Some(b"a")]));
            peer.err(1317, "interrupted");
        }
        peer.recv();
        peer.ok();
    });
    assert_eq!(
        conn.stream("SELECT", &mut Keep::default()).unwrap_err().code(),
        Some(1317)
    );
    assert_eq!(conn.rows("SELECT").unwrap_err().code(), Some(1317));
    conn.run("x").unwrap();
    server.join().unwrap();
}

#[test]
fn all_statements_are_answered_and_the_first_error_is_told() {
    let (mut conn, server) = logged_in(|peer| {
        for i in 0..500 {
            assert_eq!(peer.recv().unwrap(), format!("\x03s{i}").into_bytes());
            match i {
                7 => peer.err(1, "seven"),
                9 => peer.err(2, "nine"),
                _ => peer.ok(),
            }
        }
        peer.recv();
        peer.ok();
    });
    let statements: Vec<String> = (0..500).map(|i| format!("s{i}")).collect();
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    assert_eq!(conn.run_all(&statements).unwrap_err().code(), Some(1));
    conn.run("x").unwrap();
    server.join().unwrap();
}

#[test]
fn an_answer_that_was_not_read_is_not_taken_for_another() {
    let (mut conn, server) = logged_in(|peer| {
        peer.recv();
        peer.ok();
    });
    conn.send("a").unwrap();
    assert!(matches!(conn.run("b"), Err(WireError::Protocol(_))));
    conn.finish().unwrap();
    assert!(matches!(conn.finish(), Err(WireError::Protocol(_))));
    server.join().unwrap();
}

#[test]
fn long_statements_go_in_continued_packets() {
    for len in [0xFF_FFFE, 0xFF_FFFF - 1, 0xFF_FFFF, 0x100_0000, 2 * 0xFF_FFFF - 1] {
        let (mut conn, server) = logged_in(move |peer| {
            let got = peer.recv().unwrap();
            assert_eq!(got.len(), len + 1);
            assert!(got[1..].iter().all(|b| *b == b'x'));
            peer.ok();
            peer.recv();
            peer.ok();
        });
        conn.run(&"x".repeat(len)).unwrap();
        conn.run("y").unwrap();
        server.join().unwrap();
    }
}

#[test]
fn malformed_answers_are_errors_and_end_the_connection() {
    type Play = fn(&mut Peer);
    let plays: [(&str, Play); 9] = [
        ("a wrong sequence number", |p| {
            p.seq += 1;
            p.ok();
        }),
        ("no columns", |p| p.send(&[0xFC, 0, 0])),
        ("too many columns", |p| p.send(&[0xFE, 0, 0, 0, 0, 0, 0, 0, 1])),
        ("an OK packet that is cut", |p| p.send(&[0, 0])),
        ("an empty row", |p| {
            p.columns(1);
            p.send(&[]);
        }),
        ("a row with too few columns", |p| {
            p.columns(2);
            p.send(&row(&[Some(b"a")]));
            p.eof();
        }),
        ("a row with too many", |p| {
            p.columns(1);
            p.send(&row(&[Some(b"a"), None]));
            p.eof();
        }),
        ("a row that is cut", |p| {
            p.columns(1);
            p.raw(&[9, 0, 0, p.seq, 8, 1, 2]);
        }),
        ("a question for a file", |p| p.send(b"\xFB/etc/passwd")),
    ];
    for (what, play) in plays {
        let (mut conn, server) = logged_in(move |peer| {
            peer.recv();
            play(peer);
        });
        let e = conn.rows("SELECT").unwrap_err();
        assert!(
            matches!(e, WireError::Protocol(_) | WireError::Lost { .. }),
            "{what}: {e}"
        );
        assert!(matches!(conn.run("x"), Err(WireError::Lost { .. })), "{what}");
        drop(conn);
        server.join().unwrap();
    }
}

#[test]
fn a_farewell_out_of_turn_is_told() {
    let (mut conn, server) = logged_in(|peer| {
        peer.seq = 0;
        peer.err(4031, "disconnected by the server because of inactivity");
        peer.recv();
    });
    // It may be read as the answer, or found when sending fails.
    let e = conn.run("x").unwrap_err();
    assert!(e.code().is_none(), "a new connection is worth a try");
    let cause = std::error::Error::source(&e).unwrap().to_string();
    assert!(cause.contains("4031") && cause.contains("inactivity"), "{cause}");
    assert!(matches!(conn.run("x"), Err(WireError::Lost { .. })));
    drop(conn);
    server.join().unwrap();
}

#[test]
fn too_long_a_statement_is_told_although_the_server_hangs_up() {
    let (mut conn, server) = logged_in(|peer| {
        let mut head = [0; 4];
        peer.take(&mut head);
        peer.seq = 1;
        peer.err(1153, "Got a packet bigger than 'max_allowed_packet' bytes");
    });
    let e = conn.run(&"x".repeat(50_000_000)).unwrap_err();
    assert_eq!(e.code(), Some(1153), "{e}");
    assert!(matches!(conn.run("x"), Err(WireError::Lost { .. })));
    server.join().unwrap();
}

#[test]
fn bulk_execution_is_encoded_and_counted() {
    let (mut conn, server) = logged_in(|peer| {
        assert_eq!(peer.recv().unwrap(), b"\x16INSERT");
        peer.send(&[0, 9, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
        peer.send(b"\x03def");
        peer.send(b"\x03def");
        peer.eof();
        for _ in 0..2 {
            let expected = [b"\xFA\x09\0\0\0\x80\0\xFC\0\xFE\0".as_slice(), b"\0\x01a\x01"].concat();
            assert_eq!(peer.recv().unwrap(), expected);
            peer.send(&[0, 1, 0, 2, 0, 0, 0]);
        }
        assert_eq!(peer.recv().unwrap(), b"\x19\x09\0\0\0");
    });
    let statement = conn.prepare("INSERT").unwrap();
    let types = [ParamType::Blob, ParamType::Text];
    assert_eq!(statement.params, 2);
    assert!(conn.bulk(&statement, &types[..1], b"", 0).is_err());
    assert_eq!(conn.bulk(&statement, &types, b"\0\x01a\x01", 1).unwrap().affected, 1);
    let e = conn.bulk(&statement, &types, b"\0\x01a\x01", 2).unwrap_err();
    assert!(e.to_string().contains("1 of 2 rows"), "{e}");
    conn.close_statement(statement).unwrap();
    server.join().unwrap();
}

#[test]
fn a_load_gets_its_source_and_nothing_else() {
    let (mut conn, server) = logged_in(|peer| {
        peer.recv();
        peer.send(b"\xFB/etc/passwd");
        let mut got = Vec::new();
        loop {
            let piece = peer.recv().unwrap();
            if piece.is_empty() {
                break;
            }
            got.extend_from_slice(&piece);
        }
        assert_eq!(got, [b"abc".to_vec(), vec![7; 1 << 20]].concat());
        peer.send(&[0, 3, 0, 2, 0, 0, 0]);
    });
    let batches = vec![b"abc".to_vec(), Vec::new(), vec![7; 1 << 20]];
    assert_eq!(conn.load_local("LOAD", &mut Give(batches, false)).unwrap().affected, 3);
    server.join().unwrap();
}

#[test]
fn a_load_whose_source_stops_is_never_finished() {
    let (mut conn, server) = logged_in(|peer| {
        peer.recv();
        peer.send(b"\xFBx");
        while let Some(piece) = peer.recv() {
            assert!(!piece.is_empty(), "the file must not end");
        }
    });
    let stopped = conn.load_local("LOAD", &mut Give(vec![b"abc".to_vec()], true));
    assert!(matches!(stopped, Err(WireError::Stopped(_))));
    server.join().unwrap();
}

/// A dump whose server sends these events in these pieces, with pauses.
fn events_arrive(events: Vec<Vec<u8>>, pieces: Vec<usize>, pause: Option<Duration>) {
    let sent = events.clone();
    let (conn, server) = logged_in(move |peer| {
        for _ in 0..6 {
            peer.recv();
            peer.ok();
        }
        assert_eq!(peer.recv().unwrap()[0], 0x12);
        let mut bytes = Vec::new();
        for event in &sent {
            bytes.extend_from_slice(&packets(&[&[0], event.as_slice()].concat(), &mut peer.seq));
        }
        bytes.extend_from_slice(&packets(&[0xFE, 0, 0, 2, 0], &mut peer.seq));
        match pause {
            None => in_pieces(peer, &bytes, &pieces),
            Some(pause) => {
                for piece in bytes.chunks(pieces[0]) {
                    peer.raw(piece);
                    std::thread::sleep(pause);
                }
            }
        }
    });
    let mut dump = conn
        .dump(&DumpRequest {
            server_id: 0,
            start: DumpStart::Gtid("0-1-2".to_owned()),
            heartbeat: Duration::from_secs(1),
            semi_sync: false,
        })
        .unwrap();
    let mut got = Vec::new();
    let end = loop {
        match dump.next(Duration::from_millis(1)) {
            Ok(Some(event)) => got.push(event.to_vec()),
            Ok(None) => {}
            Err(e) => break e,
        }
    };
    assert!(got == events, "the events differ");
    assert!(matches!(end, WireError::Lost { .. }), "{end}");
    server.join().unwrap();
}

#[test]
fn events_around_every_limit_arrive() {
    let of = |lengths: &[usize]| -> Vec<Vec<u8>> { lengths.iter().map(|n| vec![0xFF; *n]).collect() };
    events_arrive(
        of(&[19, 30, (1 << 20) - 5, (1 << 20) - 4, 1200 << 10, 20]),
        vec![1 << 20],
        None,
    );
    events_arrive(
        of(&[19, 0xFF_FFFD, 0xFF_FFFE, 0xFF_FFFF, 19, 2 * 0xFF_FFFF - 1, 20]),
        vec![1 << 20],
        None,
    );
}

#[test]
fn a_wait_that_ends_loses_nothing() {
    let events = (0..30usize).map(|i| vec![i as u8; 19 + i * 7]).collect();
    events_arrive(events, vec![13], Some(Duration::from_millis(3)));
}

#[test]
fn a_dump_without_heartbeats_is_lost() {
    let (mut options, server) = on_tcp(|peer| {
        peer.let_in();
        while peer.recv().is_some_and(|p| p[0] != 0x12) {
            peer.ok();
        }
        assert!(peer.is_gone());
    });
    options.timeout = Duration::from_millis(200);
    let request = DumpRequest {
        server_id: 3,
        start: DumpStart::File {
            name: "bin.1".to_owned(),
            offset: 4,
        },
        heartbeat: Duration::from_millis(100),
        semi_sync: false,
    };
    let mut dump = connect(&options).unwrap().dump(&request).unwrap();
    let e = loop {
        match dump.next(Duration::from_millis(50)) {
            Ok(event) => assert!(event.is_none()),
            Err(e) => break e,
        }
    };
    assert!(matches!(e, WireError::Lost { .. }), "{e}");
    drop(dump);
    server.join().unwrap();
}

#[test]
fn a_server_that_is_gone_ends_the_wait_and_one_that_lives_does_not() {
    // Nobody listens any more: the answer never comes.
    let (mut options, server) = on_tcp(|peer| {
        peer.let_in();
        peer.recv();
        assert!(peer.is_gone());
    });
    options.timeout = Duration::from_millis(100);
    let mut conn = connect(&options).unwrap();
    let began = Instant::now();
    assert!(matches!(conn.run("x"), Err(WireError::Lost { .. })));
    assert!(began.elapsed() < Duration::from_secs(10));
    drop(conn);
    server.join().unwrap();

    // Somebody listens and says that there are too many connections: it lives, and answers in the end.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, asks) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            use std::io::Write;
            let mut seq = 0;
            let _ = socket.unwrap().write_all(&packets(b"\xFF\x10\x04#08004full", &mut seq));
            if asked.send(()).is_err() {
                return;
            }
        }
    });
    let (mut options, server) = on_tcp(move |peer| {
        peer.let_in();
        peer.recv();
        for _ in 0..4 {
            asks.recv().unwrap();
        }
        peer.ok();
    });
    options.timeout = Duration::from_millis(100);
    let mut conn = connect(&options).unwrap();
    let mut other = options.clone();
    other.endpoints = vec![crate::cluster::mysql::Endpoint::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
    }];
    watch_elsewhere(&mut conn, other);
    conn.run("x").unwrap();
    server.join().unwrap();
}

/// Makes the connection look after another server.
fn watch_elsewhere(conn: &mut Conn, options: crate::cluster::mysql::MysqlOptions) {
    let endpoint = options.endpoints[0].clone();
    let killer = super::Killer {
        options,
        endpoint,
        id: 1,
    };
    conn.raw_mut()
        .watch(Duration::from_millis(100), Box::new(move || killer.server_answers()));
}

proptest! {
    #[test]
    fn rows_arrive_however_they_are_cut(
        lengths in proptest::collection::vec(prop_oneof![8 => 0usize..400, 3 => 0usize..70_000, 1 => 0usize..700_000], 1..60),
        pieces in proptest::collection::vec(prop_oneof![1usize..9, 1usize..5000, 1usize..300_000], 1..6),
    ) {
        let total: usize = lengths.iter().sum();
        let least = total / 20_000 + 1;
        rows_arrive(&lengths, pieces.into_iter().map(|p| p.max(least)).collect());
    }

    #[test]
    fn events_arrive_however_they_are_cut(
        lengths in proptest::collection::vec(prop_oneof![8 => 19usize..400, 3 => 19usize..70_000, 1 => 19usize..700_000], 1..60),
        pieces in proptest::collection::vec(prop_oneof![1usize..9, 1usize..5000, 1usize..300_000], 1..6),
    ) {
        let total: usize = lengths.iter().sum();
        let least = total / 20_000 + 1;
        let events = lengths.iter().enumerate().map(|(i, n)| vec![i as u8; *n]).collect();
        events_arrive(events, pieces.into_iter().map(|p| p.max(least)).collect(), None);
    }

    #[test]
    fn any_answer_ends(
        bytes in proptest::collection::vec(any::<u8>(), 0..400), framed in any::<bool>(), way in 0u8..6,
    ) {
        let (mut conn, server) = logged_in(move |peer| {
            peer.recv();
            if way == 5 {
                for _ in 0..5 {
                    peer.ok();
                    peer.recv();
                }
                peer.ok();
                peer.recv();
            }
            if framed {
                for part in bytes.chunks(9) {
                    peer.send(part);
                }
            } else {
                peer.raw(&bytes);
            }
        });
        match way {
            0 => drop(conn.rows("SELECT")),
            1 => drop(conn.stream("SELECT", &mut Keep::default())),
            2 => drop(conn.prepare("SELECT")),
            3 => drop(conn.run_all(&["a", "b"])),
            4 => drop(conn.load_local("LOAD", &mut Give(vec![vec![1; 10]], false))),
            _ => {
                let request = DumpRequest {
                    server_id: 1,
                    start: DumpStart::Gtid(String::new()),
                    heartbeat: Duration::from_secs(1),
                    semi_sync: false,
                };
                if let Ok(mut dump) = conn.dump(&request) {
                    while dump.next(Duration::from_secs(5)).is_ok() {}
                }
                server.join().unwrap();
                return Ok(());
            }
        }
        drop(conn);
        server.join().unwrap();
    }
}
