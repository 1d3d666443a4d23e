//! Both sides in one process, and a rude client.

use super::*;
use crate::jobs::lease::{HolderKind, Lease};
use crate::model::clock::{Clock, SystemClock};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

fn lease(dir: &Path) -> Lease {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Lease::acquire(dir, HolderKind::Agent, &clock).unwrap()
}

/// Echoes; `{"fail": x}` is an error, `{"panic": ..}` a panic, `{"big": n}` an answer of n bytes.
fn echo() -> Arc<dyn Handler> {
    Arc::new(|q: Value| match (q.get("fail"), q.get("panic"), q.get("big")) {
        (Some(e), _, _) => Err(e.clone()),
        (_, Some(_), _) => panic!("asked to"),
        (_, _, Some(n)) => Ok("x".repeat(n.as_u64().unwrap() as usize).into()),
        _ => Ok(json!({ "you said": q })),
    })
}

#[test]
fn questions_and_answers() {
    let dir = tempfile::tempdir().unwrap();
    let lease = lease(dir.path());
    let server = Server::start(&lease, dir.path(), echo()).unwrap();
    assert_eq!(server.path().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let client = Client::connect(dir.path()).unwrap();
    assert_eq!(client.server_pid(), std::process::id());
    for n in 0..3 {
        assert_eq!(client.ask(&json!(n), LONG).unwrap(), json!({ "you said": n }));
    }
    match client.ask(&json!({"fail": {"kind": "refused"}}), LONG) {
        Err(SocketError::Answered(e)) => assert_eq!(e, json!({"kind": "refused"})),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        client.ask(&json!({"panic": 1}), LONG),
        Err(SocketError::Answered(_))
    ));
    assert_eq!(
        client
            .ask(&json!({"big": 9_000_000}), LONG)
            .unwrap()
            .as_str()
            .unwrap()
            .len(),
        9_000_000
    );
    assert!(matches!(
        client.ask(&json!({"big": 17_000_000}), LONG),
        Err(SocketError::Answered(_))
    ));
    assert_eq!(
        client.ask(&json!(4), LONG).unwrap(),
        json!({ "you said": 4 }),
        "the connection is still good"
    );
    server.stop();
    assert!(matches!(client.ask(&json!(5), LONG), Err(SocketError::Broken { .. })));
    assert!(matches!(
        client.ask(&json!(5), LONG),
        Err(SocketError::NobodyThere { .. })
    ));
    assert!(matches!(
        Client::connect(dir.path()),
        Err(SocketError::NobodyThere { .. })
    ));
}

#[test]
fn a_stale_socket_is_replaced_and_a_new_server_found() {
    let dir = tempfile::tempdir().unwrap();
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("control.sock")).unwrap());
    assert!(matches!(
        Client::connect(dir.path()),
        Err(SocketError::NobodyThere { .. })
    ));
    let lease = lease(dir.path());
    let server = Server::start(&lease, dir.path(), echo()).unwrap();
    let client = Client::connect(dir.path()).unwrap();
    client.ask(&json!(1), LONG).unwrap();
    server.stop();
    let _server = Server::start(&lease, dir.path(), echo()).unwrap();
    assert!(
        client.ask(&json!(1), LONG).is_err(),
        "what was asked of the old one is not asked again by itself"
    );
    client.ask(&json!(1), LONG).unwrap();
}

#[test]
fn something_else_in_its_place_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("control.sock"), "a file of somebody").unwrap();
    assert!(Server::start(&lease(dir.path()), dir.path(), echo()).is_err());
    assert!(dir.path().join("control.sock").is_file());
}

#[test]
fn a_long_path_goes_to_the_runtime_directory() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tempfile::tempdir().unwrap();
    let state = dir.path().join("x".repeat(120));
    let other = dir.path().join("y".repeat(120));
    let (lease, other_lease) = (lease(&state), lease(&other));
    let server = Server::start(&lease, runtime.path(), echo()).unwrap();
    let second = Server::start(&other_lease, runtime.path(), Arc::new(|_| Ok(json!("second")))).unwrap();
    assert!(server.path().starts_with(runtime.path()) && server.path() != second.path());
    assert_eq!(
        server.path().parent().unwrap().metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert_eq!(
        Client::connect(&state).unwrap().ask(&json!(1), LONG).unwrap(),
        json!({ "you said": 1 })
    );
    assert_eq!(
        Client::connect(&other).unwrap().ask(&json!(1), LONG).unwrap(),
        json!("second")
    );
    let socket = server.path().to_owned();
    server.stop();
    assert!(!socket.exists() && !state.join("control.path").exists());
    // A pointer that leads elsewhere is no way in.
    std::fs::write(state.join("control.path"), "relative.sock").unwrap();
    assert!(matches!(Client::connect(&state), Err(SocketError::NobodyThere { .. })));
}

#[test]
fn another_protocol_is_said_plainly() {
    let dir = tempfile::tempdir().unwrap();
    let lease = lease(dir.path());
    let _server = Server::start(&lease, dir.path(), echo()).unwrap();
    let raw = UnixStream::connect(dir.path().join("control.sock")).unwrap();
    frame::write(&raw, &json!({"brine": 999, "version": "9.9.9", "pid": 1}), LONG).unwrap();
    let back: Greeting = frame::read(&raw, LONG).unwrap();
    assert_eq!((back.brine, back.refused.is_some()), (PROTOCOL, true));

    let elsewhere = tempfile::tempdir().unwrap();
    let listener = std::os::unix::net::UnixListener::bind(elsewhere.path().join("control.sock")).unwrap();
    let newer = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        frame::write(
            &stream,
            &json!({"brine": 2, "version": "9.9.9", "pid": 77, "refused": "x"}),
            LONG,
        )
        .unwrap();
    });
    let e = Client::connect(elsewhere.path()).err().unwrap();
    assert!(e.to_string().contains("9.9.9") && e.to_string().contains("77"), "{e}");
    newer.join().unwrap();
}

#[test]
fn rude_clients_harm_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let lease = lease(dir.path());
    let _server = Server::start(&lease, dir.path(), echo()).unwrap();
    let path = dir.path().join("control.sock");
    let greeted = || {
        let s = UnixStream::connect(&path).unwrap();
        frame::write(&s, &Greeting::ours(), LONG).unwrap();
        frame::read::<Greeting>(&s, LONG).unwrap();
        s
    };
    for rubbish in [
        &[0xff; 64][..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0, 0, 0, 2, b'{', b'{'],
        &[0, 0, 0, 0],
    ] {
        for stream in [UnixStream::connect(&path).unwrap(), greeted()] {
            let _ = (&stream).write_all(rubbish);
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            let mut rest = Vec::new();
            let _ = (&stream).read_to_end(&mut rest);
        }
    }
    // A frame that is announced and never sent keeps only its own thread.
    let _half = {
        let s = greeted();
        (&s).write_all(&[0, 200, 0, 0, b'"']).unwrap();
        s
    };
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let s = greeted();
    (&s).write_all(&(deep.len() as u32).to_be_bytes()).unwrap();
    let _ = (&s).write_all(deep.as_bytes());
    assert!(
        frame::read::<Value>(&s, LONG).unwrap().get("err").is_some(),
        "too deep is an error, not a crash"
    );
    Client::connect(dir.path()).unwrap().ask(&json!(1), LONG).unwrap();
}

#[test]
fn no_more_than_so_many_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let lease = lease(dir.path());
    let _server = Server::start(&lease, dir.path(), echo()).unwrap();
    let mut open: Vec<Client> = (0..64).map(|_| Client::connect(dir.path()).unwrap()).collect();
    let e = Client::connect(dir.path()).err().unwrap();
    assert!(
        matches!(&e, SocketError::Refused(why) if why.contains("too many")),
        "{e:?}"
    );
    open.pop();
    let until = std::time::Instant::now() + LONG;
    while Client::connect(dir.path()).is_err() {
        assert!(std::time::Instant::now() < until, "no place became free");
    }
    for client in &open {
        client.ask(&json!(1), LONG).unwrap();
    }
}

#[test]
fn a_stopping_server_finishes_its_answers() {
    let dir = tempfile::tempdir().unwrap();
    let lease = lease(dir.path());
    let (asked, is_asked) = crossbeam_channel::bounded::<()>(1);
    let (let_go, go) = crossbeam_channel::bounded::<()>(1);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler = move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        asked.send(()).unwrap();
        go.recv().unwrap();
        Ok(json!("done"))
    };
    let server = Server::start(&lease, dir.path(), Arc::new(handler)).unwrap();
    let client = Client::connect(dir.path()).unwrap();
    std::thread::scope(|s| {
        let asking = s.spawn(|| client.ask(&json!(1), LONG).unwrap());
        is_asked.recv_timeout(LONG).unwrap();
        let stopping = s.spawn(move || server.stop());
        while dir.path().join("control.sock").exists() {
            std::thread::yield_now();
        }
        let_go.send(()).unwrap();
        assert_eq!(asking.join().unwrap(), json!("done"));
        stopping.join().unwrap();
    });
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn no_answer_in_time_is_said_and_the_next_question_is_not_mixed_up() {
    let dir = tempfile::tempdir().unwrap();
    let lease = lease(dir.path());
    let (let_go, go) = crossbeam_channel::bounded::<()>(1);
    let handler = move |q: Value| {
        if q == json!("slow") {
            go.recv().unwrap();
        }
        Ok(q)
    };
    let _server = Server::start(&lease, dir.path(), Arc::new(handler)).unwrap();
    let client = Client::connect(dir.path()).unwrap();
    assert!(matches!(
        client.ask(&json!("slow"), Duration::from_millis(30)),
        Err(SocketError::TimedOut)
    ));
    let_go.send(()).unwrap();
    assert_eq!(client.ask(&json!("quick"), LONG).unwrap(), json!("quick"));
}
