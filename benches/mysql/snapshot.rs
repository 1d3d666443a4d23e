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
            let plain = peer("mydumper -t 2 plain", &line(""));
            ratio("mydumper plain", brine.wall, plain, 1.0);
        }
    }

    pub(crate) fn restores(&self) {
        println!("restore");
        let dir = self.scratch.display();
        let brine = self.restore("--latest");
        self.same("restored by brine");
        show("brine restore (compared, then switched)", &brine, self.mb);
        let load = |what: &str, line: &str| -> Cost {
            let peer = cost(&self.target, || {
                shell(line);
                0
            });
            show(what, &peer, self.mb);
            self.same(what);
            peer
        };
        self.drop_target();
        self.target.sql("create database bench");
        let client = self.target.line("mariadb");
        let dumped = load("mariadb < dump", &format!("{client} bench < {dir}/dump.sql"));
        ratio("mariadb < dump", brine.wall, dumped.wall, 4.0);
        if installed("myloader") {
            self.drop_target();
            let line = format!(
                "myloader -u root -S {} -t 4 -d {dir}/my 2>/dev/null",
                self.target.socket().display()
            );
            let loaded = load("myloader -t 4", &line);
            ratio("myloader", brine.wall, loaded.wall, 2.0);
        }
    }
}
