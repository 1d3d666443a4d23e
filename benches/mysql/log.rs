//! The log: archived, and replayed by everyone from the same base.

use std::time::{Duration, Instant};

use crate::Bench;
use crate::run::{Cost, cost, ratio, shell, show};
use crate::workload::{self, Until};

/// A replay's base and end.
struct Span {
    file: String,
    from: u64,
    base: String,
    end: String,
    mb: f64,
}

impl Bench {
    pub(crate) fn log(&self, transactions: u64) {
        println!("log");
        self.brine(&self.source, "log start source");
        self.brine(&self.source, "log flush source");
        // The second time replaces as much as the later one with the log.
        self.restore("--latest");
        let base = self.restore("--latest");
        let (file, from, gtid) = self.source.place();
        workload::run(&self.source, self.rows / 20 / crate::TABLES, Until::Count(transactions));
        let (last, to, end) = self.source.place();
        assert_eq!(file, last, "the log fits one file");
        let mb = (to - from) as f64 / 1e6;
        println!("  {transactions} transactions, {mb:.0} MB of log");
        let archived = self.brine(&self.source, "log flush source");
        show("brine log flush", &archived, mb);
        println!("    goal 200 MB/s");
        if !crate::wanted("replay") {
            return;
        }

        let span = Span {
            file,
            from,
            base: gtid,
            end,
            mb,
        };
        // The peers send the source's own numbers.
        self.target.sql("set global gtid_strict_mode = 0");
        let default = self.peer(&span, "mariadb-binlog | mariadb", "");
        self.base();
        self.target.sql("set global innodb_flush_log_at_trx_commit = 0");
        let tuned = self.peer(&span, "the same, flush = 0, no binary log", "--disable-log-bin");
        self.target.sql("set global innodb_flush_log_at_trx_commit = 1");
        self.base();
        let replica = self.replica(&span);

        let whole = self.restore("--latest");
        self.same("replayed by brine");
        let ours = Cost {
            wall: (whole.wall - base.wall).max(0.01),
            client: whole.client - base.client,
            server: whole.server - base.server,
            peak: whole.peak,
        };
        show("brine restore, less the same without log", &ours, mb);
        println!("    {:.0} transactions/s", transactions as f64 / ours.wall);
        ratio("mariadb-binlog | mariadb", ours.wall, default, 15.0);
        ratio("the tuned one", ours.wall, tuned, 5.0);
        ratio("a native replica", ours.wall, replica, 1.5);
    }

    /// The target as the snapshot has it.
    fn base(&self) {
        self.restore("--fastest now");
    }

    fn peer(&self, span: &Span, what: &str, more: &str) -> f64 {
        let line = format!(
            "{} {more} --start-position={} {} | {}",
            self.target.bare("mariadb-binlog"),
            span.from,
            self.source.binlog(&span.file).display(),
            self.target.line("mariadb")
        );
        let peer = cost(&self.target, || {
            shell(&line);
            0
        });
        show(what, &peer, span.mb);
        self.same(what);
        peer.wall
    }

    /// A replica of the source, fetching included.
    fn replica(&self, span: &Span) -> f64 {
        self.source.sql(
            "create user if not exists repl@'127.0.0.1' identified by 'repl'; \
             grant replication slave on *.* to repl@'127.0.0.1'",
        );
        self.target.sql(&format!(
            "reset master; set global gtid_slave_pos = '{}'; change master to master_host = '127.0.0.1', master_port = {}, \
             master_user = 'repl', master_password = 'repl', master_use_gtid = slave_pos",
            span.base, self.source.port
        ));
        let peer = cost(&self.target, || {
            self.target.sql("start slave");
            let end = Instant::now() + Duration::from_secs(600);
            let wait = format!("select master_gtid_wait('{}', 60)", span.end);
            while self.target.sql(&wait) != "0" {
                assert!(Instant::now() < end, "{}", self.target.sql("show slave status"));
            }
            0
        });
        self.target
            .sql("stop slave; reset slave all; set global gtid_slave_pos = ''");
        show("a native replica", &peer, span.mb);
        self.same("replicated");
        peer.wall
    }
}
