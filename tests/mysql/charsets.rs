//! Statements of the log in the charsets of their sessions.

use std::time::{Duration, Instant};

use brine::engine::point::RestorePoint;

use crate::log::Follower;
use crate::look;
use crate::replay::comparable;
use crate::server::{Kind, Server, servers};
use crate::world::{World, chain};

/// Charsets that a session may speak, and letters of each. Of some letters the second byte is a backslash or a backtick.
const SPOKEN: [(&str, &str); 34] = [
    ("gbk", "縗中誠"),
    ("gb2312", "中文"),
    ("gb18030", "縗中㐂"),
    ("big5", "功許蓋"),
    ("sjis", "表ソ予ｱ"),
    ("cp932", "表ソ予①ｱ"),
    ("euckr", "한글"),
    ("ujis", "表漢ｱ"),
    ("eucjpms", "表漢①"),
    ("cp1251", "Яжё"),
    ("koi8r", "Яжё"),
    ("koi8u", "Яїє"),
    ("cp866", "Яжё"),
    ("cp1250", "ąęř"),
    ("cp1256", "عربة"),
    ("cp1257", "ąčė"),
    ("latin1", "äß€"),
    ("latin2", "ąęř"),
    ("latin5", "ğşı"),
    ("latin7", "ąčė"),
    ("greek", "αβγ"),
    ("hebrew", "אבג"),
    ("tis620", "กขค"),
    ("cp850", "éüß"),
    ("cp852", "ąęř"),
    ("macroman", "éüß"),
    ("macce", "ąęř"),
    ("keybcs2", "čšř"),
    ("dec8", "éüß"),
    ("hp8", "éüß"),
    ("geostd8", "აბგ"),
    ("armscii8", "աբգ"),
    ("utf8mb3", "äЯ表"),
    ("utf8mb4", "äЯ表ß"),
];

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.trim().chars().collect();
    let byte = |two: &[char]| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Runs a script in a charset, from a session that speaks it.
fn run_in(s: &Server, charset: &str, script: &str) {
    let quoted = script.replace('\\', "\\\\").replace('\'', "''");
    let bytes = unhex(&s.value(&format!("select hex(convert('{quoted}' using {charset}))")));
    s.sql_in(charset, &bytes);
}

fn known(s: &Server) -> Vec<(&'static str, &'static str)> {
    let there = s.column("select character_set_name from information_schema.character_sets");
    SPOKEN
        .into_iter()
        .filter(|(name, _)| there.iter().any(|t| t == name))
        .collect()
}

fn script(charset: &str, letters: &str) -> String {
    // These servers make a letter of two bytes of a backslash.
    let escaped = if charset == "sjis" { "" } else { "\\'" };
    format!(
        "create table d.`{letters}_{charset}` (id int primary key comment '{letters}', `{letters}` int, a varchar(30) character set utf8mb4 default '{letters}',
         own varchar(30) character set {charset} default '{letters}') comment 'it''s {escaped}{letters}';
         insert into d.`{letters}_{charset}` (id) values (1);
         alter table d.`{letters}_{charset}` add more text character set utf8mb4, add constraint `c_{letters}_{charset}` check (a <> '{letters}x');
         create procedure d.`p_{charset}`() select '{letters}'"
    )
}

#[test]
fn a_statement_in_any_charset_is_run_as_it_was() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql("create database d; create table d.t (a int primary key)");
        w.backup();
        w.start_log();
        let mut follower = Follower::new(&source);
        let spoken = known(&source);
        assert!(spoken.len() > 30, "{}", spoken.len());
        for (charset, letters) in &spoken {
            run_in(&source, charset, &script(charset, letters));
        }
        w.catch_up();
        let receipt = w.restore_to(&other, RestorePoint::Latest);
        assert_eq!(receipt.warnings, Vec::<String>::new(), "{kind:?}");
        // A program remembers in which charset it was sent.
        let tables = |s: &Server| comparable(s).only(|name| !name.contains("procedure") && !name.contains("routine"));
        tables(&source).assert_same(&tables(&spare), &format!("{kind:?}"));
        // MariaDB shows some of the source cut short.
        for (charset, letters) in &spoken {
            let body = "select routine_definition from information_schema.routines where routine_schema = 'd'";
            let body = spare.value(&format!("{body} and routine_name = 'p_{charset}'"));
            assert_eq!(body, format!("select '{letters}'"));
        }

        // What is listed of the log has its letters too.
        let deadline = Instant::now() + Duration::from_secs(60);
        for (charset, letters) in &spoken {
            let name = format!("d.{letters}_{charset}");
            while !follower.txns.iter().any(|t| {
                t.ddl
                    .as_ref()
                    .and_then(|d| d.table.as_ref())
                    .is_some_and(|t| t.to_string() == name)
            }) {
                assert!(Instant::now() < deadline, "{name} is not listed");
                follower.step().unwrap();
            }
            let made = follower
                .txns
                .iter()
                .filter_map(|t| t.ddl.as_ref())
                .any(|d| d.text.contains(&format!("comment '{letters}'")));
            assert!(made, "{charset}");
        }
    }
}

/// As text they would be other bytes.
#[test]
fn bytes_within_a_statement_are_not_taken_for_letters() {
    let [source, spare] = servers([Kind::MariaDb1011, Kind::MariaDb1011]);
    let (w, other) = (World::new(&source), World::target(&spare));
    source.sql("create database d; create table d.t (a int primary key)");
    w.backup();
    w.start_log();
    run_in(
        &source,
        "cp1251",
        "create table d.x (b varbinary(10) default _binary 'Я')",
    );
    source.sql("insert into d.t values (1)");
    w.catch_up();
    // It is told at once.
    let lacking = &w.log_doc().runs[0].lacking;
    assert!(
        lacking
            .iter()
            .any(|l| l.table.as_ref().is_some_and(|t| t.to_string() == "d.x") && l.what.contains("charset")),
        "{lacking:?}"
    );
    let e = chain(
        &w.try_restore(&w.request_to(&other, RestorePoint::Latest), &other)
            .unwrap_err(),
    );
    assert!(e.contains("cannot be read") && e.contains("create table d.x"), "{e}");
    assert!(!look::everything(&spare).0.keys().any(|name| name.contains("`d`")));
    w.restore_some(&other, RestorePoint::Latest, &["d.t"]);
    assert_eq!(spare.column("select a from d.t"), ["1"]);
}
