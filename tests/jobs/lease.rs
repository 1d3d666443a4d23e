//! Four processes want one state directory, and its holder is killed again and again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brine::jobs::journal::{Journal, Reader};
use brine::jobs::lease::{HolderKind, Lease, LeaseError, holder_of};
use brine::jobs::socket::{Client, Server};
use brine::model::clock::{Clock, SystemClock};
use brine::model::job::LineLevel;
use serde_json::json;

use crate::role::{LONG, Player, until};

/// Takes the lease when it can, says so in the journal, and serves until it is killed.
pub fn contend(dir: &Path) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let lease = Lease::acquire_within(dir, HolderKind::Agent, &clock, LONG).unwrap();
    let journal = Journal::open(lease, clock).unwrap();
    journal
        .tell(
            LineLevel::Info,
            None,
            &format!("{} {}", journal.epoch(), std::process::id()),
        )
        .unwrap();
    let answer = json!({"pid": std::process::id(), "epoch": journal.epoch()});
    let _server = Server::start(journal.lease(), dir, Arc::new(move |_| Ok(answer.clone()))).unwrap();
    std::thread::sleep(2 * LONG);
}

/// Asks whoever serves until it is another one than `not`.
fn served_by(dir: &Path, not: u64) -> (u64, i64) {
    let mut found = None;
    until("a new holder that answers", || {
        let answer = Client::connect(dir).and_then(|c| c.ask(&json!({}), LONG));
        found = answer
            .ok()
            .map(|a| (a["pid"].as_u64().unwrap(), a["epoch"].as_i64().unwrap()));
        found.is_some_and(|(pid, _)| pid != not)
    });
    found.unwrap()
}

#[test]
fn a_killed_holder_is_replaced_within_two_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("state");
    let mut players: Vec<Player> = (0..4).map(|_| Player::start("contender", &dir)).collect();
    let (mut pid, mut epoch) = served_by(&dir, 0);
    assert_eq!(epoch, 1);
    for _ in 0..3 {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        match Lease::acquire(&dir, HolderKind::Console, &clock) {
            Err(LeaseError::Held {
                holder: Some(holder), ..
            }) => assert_eq!(u64::from(holder.pid), pid),
            other => panic!("{other:?}"),
        }
        assert_eq!(holder_of(&dir).map(|h| u64::from(h.pid)), Some(pid));
        let player = players.iter_mut().find(|p| u64::from(p.0.id()) == pid).unwrap();
        player.kill();
        let killed = Instant::now();
        let next = served_by(&dir, pid);
        assert!(killed.elapsed() < Duration::from_secs(2), "took {:?}", killed.elapsed());
        assert_eq!(next.1, epoch + 1, "every holder has a higher epoch");
        (pid, epoch) = next;
    }
    drop(players);
    assert_eq!(holder_of(&dir), None);
    let told = Reader::open(&dir).unwrap().unwrap().messages(10).unwrap();
    let epochs: Vec<&str> = told.iter().rev().map(|m| m.text.split(' ').next().unwrap()).collect();
    assert_eq!(epochs, ["1", "2", "3", "4"], "one holder at a time");
}
