//! Servers that cannot be reached, and archives that cannot be read, beside clusters that are well.

use std::time::{Duration, Instant};

use brine::cluster::ClusterState;
use brine::service::desk::{Answer, BackupRequest, ClusterCard, DataQuestion, Question};

use crate::env::{World, name, wait_until};

/// A server on a port where nobody listens, and one that takes connections and says nothing.
fn with_dead_servers() -> (World, std::net::TcpListener) {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap().port()
    };
    let server = |name: &str, port: u16| {
        format!("[[cluster]]\nname = \"{name}\"\nkind = \"mysql\"\nhosts = [\"127.0.0.1:{port}\"]\nuser = \"backup\"\n")
    };
    let more = server("gone", closed) + &server("mute", silent.local_addr().unwrap().port());
    (World::new("", &more), silent)
}

fn fleet(w: &World) -> Vec<ClusterCard> {
    match w.ok(Question::Fleet) {
        Answer::Fleet(cards) => cards,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dead_server_is_unreachable_with_its_error_and_keeps_nobody_waiting() {
    let (w, _silent) = with_dead_servers();
    w.put("a");
    let state = |name: &str| {
        let card = fleet(&w).into_iter().find(|c| c.name.as_str() == name).unwrap();
        (card.state, card.address)
    };
    let started = Instant::now();
    assert!(matches!(state("mute").0, ClusterState::Unreachable { .. }));
    assert_eq!(state("demo").0, ClusterState::Available);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    wait_until("the error is known", || {
        let (state, address) = state("gone");
        assert!(address.unwrap().starts_with("127.0.0.1:"));
        matches!(state, ClusterState::Unreachable { error } if !error.contains("no answer"))
    });
    assert!(
        w.ask(Question::Cluster { cluster: name("gone") }).is_ok(),
        "its page can be seen"
    );
}

#[test]
fn what_only_the_embedded_store_can_do_is_refused_in_plain_words() {
    let (w, _silent) = with_dead_servers();
    let question = Question::Data {
        cluster: name("gone"),
        question: DataQuestion::Tables,
    };
    w.refused(
        question,
        &[
            "`brine data` is for embedded clusters",
            "gone is a MySQL or MariaDB server",
        ],
    );
    let take = Question::TakeBackup {
        cluster: name("gone"),
        request: BackupRequest::default(),
    };
    assert!(w.ask(take).is_err());
}

#[test]
fn a_cluster_whose_archive_cannot_be_read_is_told_of() {
    let w = World::new("", "").backed_up();
    let identity = w.dir.path().join("backups/backup-demo/archive.json");
    let text = std::fs::read_to_string(&identity).unwrap();
    std::fs::write(&identity, text.replacen("demo", "dexo", 1)).unwrap();
    // A process that has it open knows it already.
    w.host.wards().get(&name("demo")).unwrap().shut();
    w.host.keep();
    wait_until("it is told", || {
        let Answer::Messages(all) = w.ok(Question::Messages { limit: 10 }) else {
            panic!()
        };
        all.iter()
            .any(|m| m.cluster.as_ref().is_some_and(|c| c.as_str() == "demo") && m.text.contains("no snapshot"))
    });
}
