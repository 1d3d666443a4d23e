//! Snapshots and their restores, by everyone.

use crate::run::{Cost, cost, ratio, shell, show};
use crate::{Bench, installed};

impl Bench {
    pub(crate) fn snapshots(&self) {
        println!("snapshot");
        let dir = self.scratch.display();
        let dump = format!(
            "{} --single-transaction --quick bench",
            self.source.line("mariadb-dump")
        );
        // The peers read what we have warmed: to their gain.
        let brine = self.brine(&self.source, "backup create source");
        show("brine backup create (zstd, checksums)", &brine, self.mb);
        println!(
            "    {:>5.2} x the time that its processor work takes on all cores (the floor is {:.2} s)",
            brine.wall / brine.floor(),
            brine.floor()
        );
        let peer = |what: &str, line: &str| {
            let peer = cost(&self.source, || {
                shell(line);
                0
            });
            show(what, &peer, self.mb);
            peer.wall
        };
        if installed("zstd") {
            let packed = peer(
                "mariadb-dump | zstd -1",
                &format!("{dump} | zstd -1 -q -o {dir}/dump.zst"),
            );
            ratio("mariadb-dump | zstd -1", brine.wall, packed, 2.5);
        }
        shell(&format!("{dump} > {dir}/dump.sql"));
        if installed("mydumper") {
            let line = |more: &str| {
                format!(
                    "rm -rf {dir}/my; mydumper -u root -S {} -B bench -t 2 {more} -o {dir}/my 2>/dev/null",
                    self.source.socket().display()
                )
            };
            let packed = peer("mydumper -t 2 --compress", &line("--compress"));
            ratio("mydumper --compress", brine.wall, packed, 10.0);
            // As close as these are, one run each would tell of the disk's mood.
            let rounds = in_turn(|who| match who {
                Who::Ours => self.brine(&self.source, "backup create source"),
                Who::Theirs => cost(&self.source, || {
                    shell(&line(""));
                    0
                }),
            });
            show("brine again, in turn with the next", &rounds.0, self.mb);
            show("mydumper -t 2 plain", &rounds.1, self.mb);
            ratio("mydumper plain", rounds.0.wall, rounds.1.wall, 1.0);
        }
    }

    pub(crate) fn restores(&mut self) {
        println!("restore");
        let dir = self.scratch.display().to_string();
        self.fresh_target();
        let brine = self.restore("--latest");
        self.same("restored by brine");
        show("brine restore (compared, then switched)", &brine, self.mb);
        self.fresh_target();
        self.target.sql("create database bench");
        let client = self.target.line("mariadb");
        let dumped = self.load("mariadb < dump", &format!("{client} bench < {dir}/dump.sql"));
        show("mariadb < dump", &dumped, self.mb);
        ratio("mariadb < dump", brine.wall, dumped.wall, 4.0);
        if installed("myloader") {
            let socket = self.target.socket().display().to_string();
            let line = format!("myloader -u root -S {socket} -t 4 -d {dir}/my 2>/dev/null");
            let rounds = in_turn(|who| {
                self.fresh_target();
                match who {
                    Who::Ours => self.restore("--latest"),
                    Who::Theirs => self.load("myloader", &line),
                }
            });
            show("brine again, in turn with the next", &rounds.0, self.mb);
            show("myloader -t 4", &rounds.1, self.mb);
            ratio("myloader", rounds.0.wall, rounds.1.wall, 2.0);
        }
    }

    fn load(&self, what: &str, line: &str) -> Cost {
        let cost = cost(&self.target, || {
            shell(line);
            0
        });
        self.same(what);
        cost
    }
}

enum Who {
    Ours,
    Theirs,
}

/// The middle one of three runs of each, one after the other.
fn in_turn(mut run: impl FnMut(Who) -> Cost) -> (Cost, Cost) {
    let (mut a, mut b): (Vec<Cost>, Vec<Cost>) = (0..3).map(|_| (run(Who::Ours), run(Who::Theirs))).unzip();
    for runs in [&mut a, &mut b] {
        runs.sort_by(|x, y| x.wall.total_cmp(&y.wall));
    }
    (a[1], b[1])
}
