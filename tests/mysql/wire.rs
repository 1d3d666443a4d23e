//! The protocol against real servers: accounts, TLS, rows, bulk, LOAD DATA LOCAL, binlog dumps, and servers that go away.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use brine::cluster::mysql::wire::{Conn, Dump, DumpRequest, DumpStart, ParamType, WireError};
use brine::cluster::mysql::{Endpoint, MysqlOptions, TlsMode};
use brine::cluster::{BatchSink, BatchSource, Stop};

use crate::server::{Kind, Server, server, servers_with};

fn connect(options: &MysqlOptions) -> Result<Conn, WireError> {
    Conn::connect(options, &options.endpoints[0])
}

fn root(server: &Server) -> Conn {
    connect(&server.options()).unwrap()
}

/// The words with which somebody is turned away; they never show the password.
fn refused(options: &MysqlOptions) -> String {
    let e = connect(options).err().expect("the login must fail");
    assert!(!format!("{e:?}").contains("pw-"), "{e:?}");
    e.to_string()
}

struct Keep(Vec<u8>, u64);

impl BatchSink for Keep {
    fn put(&mut self, batch: &[u8], rows: u64) -> Result<(), Stop> {
        self.0.extend_from_slice(batch);
        self.1 += rows;
        Ok(())
    }
}

struct Give(Vec<Vec<u8>>);

impl BatchSource for Give {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        Ok((!self.0.is_empty()).then(|| self.0.remove(0)))
    }
}

fn each_kind(test: impl Fn(Kind) + Sync) {
    for kind in Kind::ALL {
        println!("{kind:?}");
        test(kind);
    }
}

#[test]
fn accounts_get_in_by_their_plugins() {
    each_kind(|kind| {
        let server = server(kind);
        server.sql("CREATE USER app@'%' IDENTIFIED BY 'pw-app'; CREATE USER none@'%'");
        let over_tcp = server.options_tcp("app", "pw-app");
        // Twice: MySQL remembers a password that it has checked, and the second login takes the short way.
        for _ in 0..2 {
            let conn = connect(&over_tcp).unwrap();
            assert_eq!(
                conn.info().flavor == brine::cluster::mysql::wire::Flavor::MySql,
                kind.is_mysql()
            );
            assert!(conn.info().version >= (9, 0, 0));
        }
        connect(&server.options_tcp("none", "")).unwrap();
        let mut over_socket = over_tcp.clone();
        over_socket.endpoints = vec![Endpoint::Socket(server.socket())];
        connect(&over_socket).unwrap();
        if kind.is_mysql() {
            server.sql("CREATE USER old@'%' IDENTIFIED WITH sha256_password BY 'pw-old'");
            let mut old = server.options_tcp("old", "pw-old");
            connect(&old).unwrap();
            old.endpoints = vec![Endpoint::Socket(server.socket())];
            connect(&old).unwrap();
        }
        if !kind.is_mysql() {
            let me = Command::new("id").arg("-un").output().unwrap().stdout;
            let me = String::from_utf8(me).unwrap().trim().to_owned();
            server.sql(&format!(
                "CREATE OR REPLACE USER '{me}'@localhost IDENTIFIED VIA unix_socket"
            ));
            let mut by_socket = server.options();
            by_socket.user = me;
            connect(&by_socket).unwrap();
        }
    });
}

#[test]
fn who_is_turned_away_is_told_why() {
    each_kind(|kind| {
        let server = server(kind);
        server.sql(
            "CREATE USER app@'%' IDENTIFIED BY 'pw-app'; CREATE USER shut@'%' IDENTIFIED BY 'pw-shut' ACCOUNT LOCK;
             CREATE USER safe@'%' IDENTIFIED BY 'pw-safe' REQUIRE SSL",
        );
        let e = refused(&server.options_tcp("app", "pw-wrong"));
        assert!(e.contains("'app'@") && e.contains("1045"), "{e}");
        let e = refused(&server.options_tcp("shut", "pw-shut"));
        assert!(e.contains("ACCOUNT UNLOCK"), "{e}");
        let e = refused(&server.options_tcp("safe", "pw-safe"));
        assert!(e.contains("REQUIRE SSL") || e.contains("verify-full"), "{e}");
        server.sql("SET GLOBAL max_connections = 10");
        let app = server.options_tcp("app", "pw-app");
        let mut many = Vec::new();
        let full = loop {
            match connect(&app) {
                Ok(conn) => many.push(conn),
                Err(e) => break e.to_string(),
            }
            assert!(many.len() < 50);
        };
        assert!(full.contains("1040") && full.contains("max_connections"), "{full}");
    });
}

#[test]
fn accounts_that_sign_get_in_whatever_they_are_to_sign() {
    let passwords = [
        "pw",
        "a password of more than sixty-four bytes, which is more than a block of any hash has room for",
    ];
    for (kind, plugins) in [
        (Kind::MariaDb1011, &["ed25519"][..]),
        (Kind::MariaDb118, &["ed25519", "parsec"]),
    ] {
        let server = server(kind);
        for plugin in plugins {
            server.sql(&format!("INSTALL SONAME 'auth_{plugin}'"));
            for (n, password) in passwords.iter().enumerate() {
                let user = format!("{plugin}{n}");
                server.sql(&format!(
                    "CREATE USER {user}@'%' IDENTIFIED VIA {plugin} USING PASSWORD('{password}')"
                ));
                // Of the bytes that are signed the last is a zero now and then.
                for _ in 0..if n == 0 { 600 } else { 1 } {
                    connect(&server.options_tcp(&user, password)).unwrap();
                }
                let e = refused(&server.options_tcp(&user, "wrong"));
                assert!(e.contains("1045"), "{kind:?} {plugin}: {e}");
            }
        }
    }
}

/// Authorities and certificates, made for a test.
struct Papers(PathBuf);

impl Papers {
    fn run(&self, arguments: &str) {
        let done = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(&self.0)
            .output()
            .expect("openssl is needed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn new(dir: &Path) -> Papers {
        let papers = Papers(dir.join("papers"));
        std::fs::create_dir(&papers.0).unwrap();
        for ca in ["ca", "other"] {
            papers.run(&format!(
                "req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN={ca} -keyout {ca}.key -out {ca}.pem"
            ));
        }
        papers.run("req -newkey rsa:2048 -nodes -subj /CN=db -keyout key.pem -out db.csr");
        papers
    }

    /// A certificate by `ca` with these names, over so many days.
    fn sign(&self, out: &str, names: &str, days: i32) {
        std::fs::write(
            self.0.join("ext"),
            format!("basicConstraints=CA:FALSE\nsubjectAltName={names}\n"),
        )
        .unwrap();
        let dates = match days {
            ..0 => "-not_before 20200101000000Z -not_after 20200102000000Z".to_owned(),
            _ => format!("-days {days}"),
        };
        let sign = format!("x509 -req -in db.csr -CA ca.pem -CAkey ca.key -set_serial 7 -extfile ext -out {out}");
        if days >= 0 {
            self.run(&format!("{sign} {dates}"));
        } else {
            // Old versions of openssl x509 cannot date back; openssl ca can.
            for (file, text) in [
                ("index.txt", ""),
                ("serial", "08\n"),
                (
                    "ca.cnf",
                    "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n",
                ),
            ] {
                std::fs::write(self.0.join(file), text).unwrap();
            }
            self.run(&format!(
                "ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in db.csr -extfile ext -out {out} -startdate 20200101000000Z -enddate 20200102000000Z"
            ));
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

#[test]
fn tls_is_as_strict_as_it_is_asked_to_be() {
    let each = |kind: Kind| {
        let server = server(kind);
        server.sql("CREATE USER app@'%' IDENTIFIED BY 'pw-app'");
        let papers = Papers::new(server.dir());
        papers.sign("good.pem", "IP:127.0.0.1,DNS:db.example", 9);
        papers.sign("elsewhere.pem", "DNS:elsewhere.example", 9);
        papers.sign("old.pem", "IP:127.0.0.1", -1);
        let with = |mode, ca: Option<&str>| {
            let mut options = server.options_tcp("app", "pw-app");
            options.tls.mode = mode;
            options.tls.ca = ca.map(|name| papers.at(name));
            options
        };
        let present = |cert: &str| {
            server.stop();
            let at = |name: &str| papers.at(name).display().to_string();
            server.up_with(&[
                &format!("--ssl-ca={}", at("ca.pem")),
                &format!("--ssl-cert={}", at(cert)),
                &format!("--ssl-key={}", at("key.pem")),
                "--require-secure-transport=ON",
            ]);
        };
        present("good.pem");
        let mut conn = connect(&with(TlsMode::VerifyFull, Some("ca.pem"))).unwrap();
        let cipher = conn.row("SHOW STATUS LIKE 'Ssl_cipher'").unwrap().unwrap();
        assert!(!cipher.text(1).is_empty());
        // A lot, in both directions.
        let long = "x".repeat(40_000_000);
        let back = conn.row(&format!("SELECT '{long}'")).unwrap().unwrap();
        assert_eq!(back.bytes(0).unwrap(), long.as_bytes());
        connect(&with(TlsMode::VerifyCa, Some("ca.pem"))).unwrap();
        connect(&with(TlsMode::Encrypt, None)).unwrap();
        for mode in [TlsMode::VerifyCa, TlsMode::VerifyFull] {
            let e = refused(&with(mode, Some("other.pem")));
            assert!(e.contains("is not by an authority in") && e.contains("tls ca"), "{e}");
        }
        let e = refused(&with(TlsMode::VerifyFull, Some("missing.pem")));
        assert!(e.contains("missing.pem"), "{e}");
        let e = refused(&with(TlsMode::Off, None));
        assert!(e.contains("verify-full"), "{e}");

        present("elsewhere.pem");
        let e = refused(&with(TlsMode::VerifyFull, Some("ca.pem")));
        assert!(e.contains("does not name 127.0.0.1"), "{e}");
        connect(&with(TlsMode::VerifyCa, Some("ca.pem"))).unwrap();

        present("old.pem");
        for mode in [TlsMode::VerifyCa, TlsMode::VerifyFull] {
            let e = refused(&with(mode, Some("ca.pem")));
            assert!(e.contains("expired"), "{e}");
        }
        connect(&with(TlsMode::Encrypt, None)).unwrap();
    };
    each(Kind::MariaDb1011);
    each(Kind::Mysql97);
}

#[test]
fn certificates_that_servers_make_for_themselves() {
    // MariaDB 11.8 makes one in memory, which nobody can verify.
    let maria = server(Kind::MariaDb118);
    maria.sql("CREATE USER app@'%' IDENTIFIED BY 'pw-app'");
    let mut options = maria.options_tcp("app", "pw-app");
    options.tls.mode = TlsMode::Encrypt;
    connect(&options).unwrap();
    let mut known = options.clone();
    known.tls.mode = TlsMode::VerifyFull;
    known.tls.ca = Some(Papers::new(maria.dir()).at("ca.pem"));
    let e = refused(&known);
    assert!(e.contains("11.4") && e.contains("encrypt"), "{e}");
    drop(maria);
    // MySQL leaves its authority in the data directory.
    let mysql = server(Kind::Mysql97);
    mysql.sql("CREATE USER app@'%' IDENTIFIED BY 'pw-app'");
    let mut options = mysql.options_tcp("app", "pw-app");
    options.tls.mode = TlsMode::VerifyCa;
    options.tls.ca = Some(mysql.dir().join("data/ca.pem"));
    connect(&options).unwrap();
    options.tls.mode = TlsMode::VerifyFull;
    let e = refused(&options);
    assert!(e.contains("does not name") || e.contains("verify-ca"), "{e}");
}

#[test]
fn rows_come_as_the_server_sends_them() {
    each_kind(|kind| {
        let server = server(kind);
        let mut conn = root(&server);
        conn.run_all(&[
            "CREATE DATABASE w",
            "USE w",
            "CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB)",
            "INSERT INTO t VALUES (1, NULL), (2, ''), (3, REPEAT('a', 250)), (4, REPEAT('b', 251)), (5, REPEAT('c', 70000)),
             (6, REPEAT(UNHEX('FE'), 17000000)), (7, REPEAT(UNHEX('FF'), 16777215)), (8, REPEAT('d', 40000000))",
        ])
        .unwrap();
        let mut keep = Keep(Vec::new(), 0);
        assert_eq!(conn.stream("SELECT id, b FROM t ORDER BY id", &mut keep).unwrap(), 8);
        assert_eq!(keep.1, 8);
        let rows = conn.rows("SELECT id, b FROM t ORDER BY id").unwrap();
        let mut rest = keep.0.as_slice();
        for row in rows {
            let (size, after) = rest.split_first_chunk::<4>().unwrap();
            let (payload, after) = after.split_at(u32::from_le_bytes(*size) as usize);
            rest = after;
            let value = row.bytes(1);
            let expected = value.map_or(1, |v| v.len() + [1, 3, 4, 9][class(v.len())]);
            assert_eq!(payload.len(), 2 + expected);
            assert!(payload.ends_with(value.unwrap_or(b"\xFB")));
        }
        assert!(rest.is_empty());
        assert_eq!(server.value("SELECT COUNT(*), SUM(LENGTH(b)) FROM w.t"), "8");
    });
}

/// How many bytes the length of a string takes, as an index.
fn class(len: usize) -> usize {
    match len {
        0..=250 => 0,
        251..=0xFFFF => 1,
        0x1_0000..=0xFF_FFFF => 2,
        _ => 3,
    }
}

#[test]
fn rows_go_in_by_bulk_and_by_load() {
    each_kind(|kind| {
        let server = server(kind);
        let mut conn = root(&server);
        conn.run_all(&[
            "CREATE DATABASE w",
            "USE w",
            "CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB)",
        ])
        .unwrap();
        let batches = vec![b"1\tabc\n2\t".to_vec(), b"\\N\n".to_vec()];
        let load = "LOAD DATA LOCAL INFILE 'x' INTO TABLE t CHARACTER SET binary";
        assert_eq!(conn.load_local(load, &mut Give(batches)).unwrap().affected, 2);
        assert_eq!(conn.has_bulk(), !kind.is_mysql());
        if conn.has_bulk() {
            let insert = conn.prepare("INSERT INTO t VALUES (?, ?)").unwrap();
            let types = [ParamType::Blob, ParamType::Blob];
            let rows = b"\x00\x013\x00\x03xyz\x00\x014\x01";
            assert_eq!(conn.bulk(&insert, &types, rows, 2).unwrap().affected, 2);
            // A key that is there already: an error, not silence.
            assert_eq!(conn.bulk(&insert, &types, rows, 2).unwrap_err().code(), Some(1062));
            conn.close_statement(insert).unwrap();
        }
        let stands = server.value("SELECT GROUP_CONCAT(id, ':', IFNULL(b, 'NULL') ORDER BY id) FROM w.t");
        let expected = if kind.is_mysql() {
            "1:abc,2:NULL"
        } else {
            "1:abc,2:NULL,3:xyz,4:NULL"
        };
        assert_eq!(stands, expected);
    });
}

/// Reads until nothing but heartbeats comes, or an error. (MySQL sends one after what it skips.)
fn all_events(dump: &mut Dump) -> (Vec<Vec<u8>>, Option<WireError>) {
    let mut events = Vec::new();
    let mut heartbeats = 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < deadline, "no heartbeat");
        match dump.next(Duration::from_millis(100)) {
            Ok(Some(event)) if event[4] == 27 => {
                heartbeats += 1;
                if heartbeats == 2 {
                    return (events, None);
                }
            }
            Ok(Some(event)) => {
                heartbeats = 0;
                events.push(event.to_vec());
            }
            Ok(None) => {}
            Err(e) => return (events, Some(e)),
        }
    }
}

fn dump(server: &Server, start: DumpStart) -> (Vec<Vec<u8>>, Option<WireError>) {
    let request = DumpRequest {
        server_id: 0,
        start,
        heartbeat: Duration::from_millis(300),
        semi_sync: false,
    };
    match root(server).dump(&request) {
        Ok(mut dump) => all_events(&mut dump),
        Err(e) => (Vec::new(), Some(e)),
    }
}

#[test]
fn the_binary_log_comes_byte_for_byte() {
    each_kind(|kind| {
        let server = server(kind);
        let mut conn = root(&server);
        conn.run_all(&[
            "CREATE DATABASE w",
            "USE w",
            "CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB)",
        ])
        .unwrap();
        let gtid = |conn: &mut Conn| {
            let sql = if kind.is_mysql() {
                "SELECT @@gtid_executed"
            } else {
                "SELECT @@gtid_binlog_pos"
            };
            conn.row(sql).unwrap().unwrap().text(0)
        };
        let before = gtid(&mut conn);
        conn.run("INSERT INTO t VALUES (1, REPEAT('x', 20000000)), (2, 'y')")
            .unwrap();
        if kind.is_mysql() {
            conn.run_all(&[
                "SET gtid_next = 'AUTOMATIC:some_tag'",
                "INSERT INTO t VALUES (3, 'z')",
                "SET gtid_next = 'AUTOMATIC'",
            ])
            .unwrap();
        }
        let after = gtid(&mut conn);
        let files = conn.rows("SHOW BINARY LOGS").unwrap();
        let name = files.last().unwrap().text(0);
        // From the beginning of the file: what comes, in order, is the file.
        let (events, end) = dump(
            &server,
            DumpStart::File {
                name: name.clone(),
                offset: 4,
            },
        );
        assert!(end.is_none(), "{end:?}");
        let mut sent = Vec::new();
        for event in &events {
            let size = u32::from_le_bytes(event[9..13].try_into().unwrap());
            assert_eq!(size as usize, event.len());
            // What is made for us alone is not in the file; the first event of a file in use is marked there.
            if u16::from_le_bytes(event[17..19].try_into().unwrap()) & 0x20 == 0 && event[4] != 15 {
                sent.extend_from_slice(event);
            }
        }
        let file = std::fs::read(server.dir().join("log").join(&name)).unwrap();
        let mut on_disk = Vec::new();
        let mut rest = &file[4..];
        while !rest.is_empty() {
            let size = u32::from_le_bytes(rest[9..13].try_into().unwrap()) as usize;
            let (event, after) = rest.split_at(size);
            rest = after;
            // MariaDB's copies of statement texts, which are not asked for.
            if event[4] != 15 && event[4] != 160 {
                on_disk.extend_from_slice(event);
            }
        }
        assert_eq!(sent.len(), on_disk.len());
        assert!(sent == on_disk, "the log differs");
        // After a transaction, and after all of them.
        let (events, end) = dump(&server, DumpStart::Gtid(before));
        assert!(end.is_none(), "{end:?}");
        assert!(events.iter().any(|e| e.len() > 20_000_000));
        let (events, end) = dump(&server, DumpStart::Gtid(after));
        assert!(end.is_none(), "{end:?}");
        assert!(events.iter().all(|e| e.len() < 1000), "nothing is left");
        // What is not there.
        let (_, end) = dump(
            &server,
            DumpStart::File {
                name: "bin.999999".to_owned(),
                offset: 4,
            },
        );
        assert_eq!(end.and_then(|e| e.code()), Some(1236));
    });
}

#[test]
fn statements_and_connections_end_when_they_are_told_to() {
    each_kind(|kind| {
        let server = server(kind);
        let mut conn = root(&server);
        let killer = conn.killer();
        let end = std::thread::spawn({
            let killer = killer.clone();
            move || {
                std::thread::sleep(Duration::from_millis(200));
                killer.end_statement().unwrap();
            }
        });
        let began = Instant::now();
        let heavy = "SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b, information_schema.columns c";
        assert_eq!(conn.run(heavy).unwrap_err().code(), Some(1317));
        assert!(began.elapsed() < Duration::from_secs(30));
        end.join().unwrap();
        conn.run("SELECT 1").unwrap();
        killer.end_connection().unwrap();
        let e = conn.run("SELECT 1").unwrap_err();
        assert!(
            matches!(&e, WireError::Lost { .. }) || matches!(e.code(), Some(1927 | 4031 | 1317)),
            "{e}"
        );
        killer.end_connection().unwrap();

        // Too much at once: the server says so and hangs up.
        root(&server).run("SET GLOBAL max_allowed_packet = 1048576").unwrap();
        let mut conn = root(&server);
        let e = conn
            .run(&format!("SELECT LENGTH('{}')", "x".repeat(30_000_000)))
            .unwrap_err();
        assert!(matches!(e.code(), Some(1153)), "{e} {e:?}");
        assert!(matches!(conn.run("SELECT 1"), Err(WireError::Lost { .. })));

        let mut conn = root(&server);
        let began = Instant::now();
        let gone = std::thread::spawn(move || conn.run("SELECT SLEEP(100)"));
        std::thread::sleep(Duration::from_millis(300));
        server.kill();
        assert!(matches!(gone.join().unwrap(), Err(WireError::Lost { .. })));
        assert!(began.elapsed() < Duration::from_secs(20));
        let e = connect(&server.options()).err().unwrap().to_string();
        assert!(e.contains("start the server") || e.contains("no such socket"), "{e}");
    });
}

#[test]
fn a_frozen_server_is_noticed_and_a_slow_one_is_waited_for() {
    let [server] = servers_with([Kind::MariaDb1011], &[]);
    let mut options = server.options();
    options.timeout = Duration::from_millis(300);
    let mut conn = connect(&options).unwrap();
    // Ten times the timeout, and an answer.
    conn.run("SELECT SLEEP(3)").unwrap();
    let pid = rustix::process::Pid::from_raw(server.pid()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    // A signal takes its time.
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    while !stat().contains(") T ") {
        std::thread::yield_now();
    }
    let began = Instant::now();
    let end = conn.run("SELECT 1");
    assert!(matches!(end, Err(WireError::Lost { .. })), "{end:?}");
    assert!(began.elapsed() < Duration::from_secs(30));
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
}
