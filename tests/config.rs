//! The config as operators meet it: what a file, the environment and flags say, and what they are told back.

// A test may panic, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use brine::config::{
    ClusterSource, Config, ConfigError, Flags, Origin, SecretSource, ServerPlace, Sources, StandardPaths, TlsWish,
};
use proptest::prelude::*;
use tempfile::TempDir;

/// A hermetic place: a home, a config file in it, variables and flags.
struct Env {
    home: TempDir,
    vars: BTreeMap<&'static str, OsString>,
    flags: Flags,
}

impl Env {
    fn new() -> Env {
        Env {
            home: tempfile::tempdir().unwrap(),
            vars: BTreeMap::new(),
            flags: Flags::default(),
        }
    }

    fn with_file(text: &str) -> Env {
        let env = Env::new();
        fs::write(env.file(), text).unwrap();
        env
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("config.toml")
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&Sources {
            flags: self.flags.clone(),
            env: &|name| self.vars.get(name).cloned(),
            standard: Some(StandardPaths {
                config_file: self.file(),
                data_dir: self.path("data"),
            }),
            working_dir: self.path("work"),
        })
    }

    fn setting(&self, key: &str) -> (String, Origin) {
        let config = self.load().unwrap();
        let found = config.settings.iter().find(|s| s.key == key);
        let found = found.unwrap_or_else(|| panic!("no {key} in {:#?}", config.settings));
        (found.value.clone(), found.origin.clone())
    }
}

/// The error for a file, without the file's name.
fn errors(text: &str) -> String {
    let env = Env::with_file(text);
    let error = env.load().expect_err(text).to_string();
    error.replace(&format!("{}:", env.file().display()), "")
}

const STORAGE: &str = "[[storage]]\nname = \"local\"\nurl = \"file:///b\"\n";

#[test]
fn without_a_file_there_is_a_demo_cluster_and_a_local_storage() {
    let env = Env::new();
    let config = env.load().unwrap();
    assert_eq!(config.file, None);
    assert_eq!(config.data_dir, env.path("data"));
    assert_eq!(config.storages.len(), 1);
    assert_eq!(config.storages[0].name.as_str(), "local");
    assert_eq!(
        config.storages[0].place.url(),
        format!("file://{}", env.path("data/backups").display())
    );
    assert_eq!(config.clusters.len(), 1);
    assert_eq!(config.clusters[0].name.as_str(), "demo");
    assert_eq!(config.clusters[0].storages, [config.storages[0].name.clone()]);
    assert!(config.settings.iter().all(|s| s.origin == Origin::Default));
    assert!(!env.path("data").exists(), "reading the config makes nothing");
}

#[test]
fn the_example_parses_and_equals_the_defaults() {
    let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml")).unwrap();
    let mut written = Env::with_file(&example);
    let mut none = Env::new();
    for env in [&mut written, &mut none] {
        env.flags.data_dir = Some("/var/lib/brine".into());
    }
    let (example, default) = (written.load().unwrap(), none.load().unwrap());
    assert_eq!(example.storages, default.storages);
    assert_eq!(example.clusters, default.clusters);
    assert_eq!(example.console, default.console);
    assert_eq!(example.keys, default.keys);
    let shown = |c: &Config| {
        c.settings
            .iter()
            .map(|s| (s.key.clone(), s.value.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(shown(&example), shown(&default));
    let from_file = example
        .settings
        .iter()
        .filter(|s| matches!(s.origin, Origin::File { .. }))
        .count();
    assert_eq!(
        from_file,
        example.settings.len() - 1,
        "the example leaves something out"
    );
}

#[test]
fn later_layers_win_and_every_value_knows_its_origin() {
    let mut env = Env::with_file("[console]\n\ntheme = \"mono\"\nascii = true\n");
    let file = |line| Origin::File { path: env.file(), line };
    let (line_3, line_4) = (file(3), file(4));
    assert_eq!(env.setting("console.theme"), ("mono".to_owned(), line_3));
    assert_eq!(env.setting("console.mouse"), ("false".to_owned(), Origin::Default));
    env.vars.insert("BRINE_THEME", "ansi".into());
    env.vars.insert("BRINE_ASCII", "0".into());
    env.vars.insert("BRINE_MOUSE", "".into());
    assert_eq!(
        env.setting("console.theme"),
        ("ansi".to_owned(), Origin::Env("BRINE_THEME"))
    );
    assert_eq!(
        env.setting("console.ascii"),
        ("false".to_owned(), Origin::Env("BRINE_ASCII"))
    );
    assert_eq!(env.setting("console.mouse"), ("false".to_owned(), Origin::Default));
    env.flags.theme = Some("brine-dark".to_owned());
    assert_eq!(env.setting("console.theme").1, Origin::Flag("--theme"));
    env.vars.remove("BRINE_ASCII");
    assert_eq!(env.setting("console.ascii").1, line_4);
    env.flags.ascii = true;
    assert_eq!(env.setting("console.ascii").1, Origin::Flag("--ascii"));
}

#[test]
fn the_data_directory_comes_from_flag_or_environment_and_is_absolute() {
    let mut env = Env::new();
    env.vars.insert("BRINE_DATA_DIR", "here".into());
    assert_eq!(env.load().unwrap().data_dir, env.path("work/here"));
    env.flags.data_dir = Some("./there".into());
    assert_eq!(env.load().unwrap().data_dir, env.path("work/there"));
    let homeless = Sources {
        flags: Flags::default(),
        env: &|_| None,
        standard: None,
        working_dir: "/".into(),
    };
    assert!(Config::load(&homeless).unwrap_err().to_string().contains("--data-dir"));
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let mut env = Env::new();
    env.flags.config = Some(env.path("missing.toml"));
    let error = env.load().unwrap_err();
    assert!(
        matches!(&error, ConfigError::Read { .. }) && error.to_string().contains("missing.toml"),
        "{error}"
    );
    env.flags.config = None;
    env.vars.insert("BRINE_CONFIG", env.path("gone.toml").into());
    assert!(env.load().unwrap_err().to_string().contains("gone.toml"));
}

#[test]
fn a_full_file_is_read() {
    let env = Env::with_file(
        r#"
        [[storage]]
        name = "near"
        url = "backups"
        [[storage]]
        name = "far"
        url = "file:///mnt/far%20away"
        [[cluster]]
        name = "shop"
        kind = "embedded"
        path = "../shop"
        storage = ["far", "near"]
        time_zone = "europe/berlin"
        protected = true
        [[cluster]]
        name = "lab"
        kind = "embedded"
        path = "/lab"
        storage = "near"
        [keys]
        "fleet.backup" = ["B", "ctrl-b"]
        quit = "q"
        "#,
    );
    let config = env.load().unwrap();
    assert_eq!(
        config.storages[0].place.url(),
        format!("file://{}", env.path("backups").display())
    );
    assert_eq!(config.storages[1].place.url(), "file:///mnt/far%20away");
    let [shop, lab] = config.clusters.as_slice() else {
        panic!()
    };
    assert_eq!(shop.time_zone, chrono_tz::Tz::Europe__Berlin);
    assert!(shop.protected && !lab.protected);
    assert_eq!(shop.storages[0].as_str(), "far");
    assert_eq!(
        env.setting("cluster.shop.path").0,
        env.path("../shop").display().to_string()
    );
    assert_eq!(env.setting("cluster.shop.time_zone").0, "Europe/Berlin");
    assert_eq!(config.keys["fleet.backup"].keys, ["B", "ctrl-b"]);
    assert_eq!(
        (config.keys["quit"].keys.len(), config.keys["quit"].place.line),
        (1, 22)
    );
}

#[test]
fn a_cluster_without_storage_uses_the_only_one() {
    let cluster = "[[cluster]]\nname = \"a\"\nkind = \"embedded\"\npath = \"/a\"\n";
    let names = |text: &str| Env::with_file(text).load().unwrap().clusters[0].storages[0].to_string();
    assert_eq!(names(cluster), "local");
    assert_eq!(names(&format!("{STORAGE}{cluster}").replace("local", "other")), "other");
    let two = format!("{STORAGE}[[storage]]\nname = \"two\"\nurl = \"/two\"\n{cluster}");
    assert!(
        errors(&two).contains("7:1: [[cluster]] needs `storage`"),
        "{}",
        errors(&two)
    );
}

#[test]
fn storages_alone_mean_no_cluster() {
    let config = Env::with_file(STORAGE).load().unwrap();
    assert!(config.clusters.is_empty() && config.storages.len() == 1);
}

#[test]
fn a_typo_is_an_error_with_line_column_and_the_nearest_key() {
    let cluster = "[[cluster]]\nname = \"a\"\nkind = \"embedded\"\n  pth = \"/a\"\npath = \"/a\"\n";
    assert_eq!(
        errors(cluster),
        "4:3: unknown key `pth` in [[cluster]]: did you mean `path`?"
    );
    assert_eq!(
        errors("[consol]\n"),
        "1:2: unknown key `consol` in the file: did you mean `console`?"
    );
    assert_eq!(
        errors("retention = 7"),
        "1:1: unknown key `retention` in the file: it may hold storage, cluster, console, keys"
    );
    assert!(errors("x = \n").starts_with("1:"), "{}", errors("x = \n"));
    assert!(errors("a = 1\na = 2\n").contains("this is not TOML"));
}

#[test]
fn all_mistakes_are_reported_at_once_in_order() {
    let text = "[console]\nascii = \"yes\"\nteme = 1\n\n[[storage]]\nurl = \"s3://bucket\"\n\n[[cluster]]\nname = \"a/b\"\nkind = \"embeded\"\n";
    let lines: Vec<String> = errors(text).lines().map(str::to_owned).collect();
    let expect = [
        ("2:9: ", "`ascii` must be true or false, and this is a string"),
        ("3:1: ", "did you mean `theme`?"),
        ("5:1: ", "[[storage]] needs `name`"),
        ("6:7: ", "`s3` are not in this version"),
        ("9:8: ", "cluster name `a/b` is not valid"),
        ("10:8: ", "did you mean \"embedded\"?"),
    ];
    assert_eq!(lines.len(), expect.len(), "{lines:#?}");
    for (line, (place, text)) in lines.iter().zip(expect) {
        assert!(
            line.starts_with(place) && line.contains(text),
            "{line} should be {place}{text}"
        );
    }
}

#[test]
fn later_kinds_of_clusters_are_said_to_be_later() {
    let tidb = "[[cluster]]\nname = \"shop\"\nkind = \"tidb\"\nhosts = [\"db-1:4000\"]\nuser = \"backup\"\n";
    let text = errors(tidb);
    assert!(
        text.contains("3:8: clusters of kind `tidb` are not in this version of brine"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "its own keys are not called unknown: {text}");
}

/// A cluster on a server, with more lines.
fn server(lines: &str) -> String {
    format!("[[cluster]]\nname = \"shop\"\nkind = \"mysql\"\n{lines}")
}

#[test]
fn a_server_is_read_and_its_password_only_named() {
    let env = Env::with_file(&server(
        r#"
        hosts = ["db-1:3307", "[::1]"]
        user = "backup"
        password = { file = "pw" }
        tls = "verify-ca"
        tls_ca = "ca.pem"
        server_id = 4_711
        semi_sync = true
        time_zone = "Europe/Berlin"
        protected = true
        "#,
    ));
    fs::write(env.path("pw"), "geheim\n").unwrap();
    let config = env.load().unwrap();
    let ClusterSource::Mysql(shop) = &config.clusters[0].source else {
        panic!()
    };
    assert_eq!(shop.password.fetch().unwrap(), "geheim");
    assert_eq!((shop.tls, shop.server_id), (Some(TlsWish::VerifyCa), Some(4711)));
    assert!(shop.semi_sync);
    assert_eq!(shop.tls_ca, Some(env.path("ca.pem")));
    let shown: Vec<String> = config
        .settings
        .iter()
        .map(|s| format!("{}={}", s.key, s.value))
        .collect();
    for line in [
        "cluster.shop.kind=mysql".to_owned(),
        "cluster.shop.hosts=db-1:3307, [::1]:3306".to_owned(),
        "cluster.shop.user=backup".to_owned(),
        format!("cluster.shop.password=from file {}", env.path("pw").display()),
        "cluster.shop.tls=verify-ca".to_owned(),
        "cluster.shop.server_id=4711".to_owned(),
        "cluster.shop.protected=true".to_owned(),
    ] {
        assert!(shown.contains(&line), "{line} is not in {shown:#?}");
    }
    assert!(!format!("{config:?}").contains("geheim"));
    assert_eq!(
        env.setting("cluster.shop.user").1,
        Origin::File {
            path: env.file(),
            line: 6
        }
    );
    // It was written with the usual mode, so others may read it.
    fs::set_permissions(env.path("pw"), fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = env.load().unwrap().warnings();
    assert!(warnings[0].contains("run chmod 600"), "{warnings:?}");
    fs::set_permissions(env.path("pw"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(env.load().unwrap().warnings().is_empty());
}

#[test]
fn a_server_by_socket_needs_little() {
    let env =
        Env::with_file(&server("socket = \"/run/mysqld.sock\"\nuser = \"root\"\n").replace("mysql\"", "mariadb\""));
    let config = env.load().unwrap();
    let ClusterSource::Mysql(shop) = &config.clusters[0].source else {
        panic!()
    };
    assert_eq!(shop.places, [ServerPlace::Socket("/run/mysqld.sock".into())]);
    assert_eq!((shop.tls, &shop.password), (None, &SecretSource::None));
    assert_eq!(env.setting("cluster.shop.kind").0, "mysql");
    assert_eq!(
        env.setting("cluster.shop.password"),
        ("none".to_owned(), Origin::Default)
    );
    assert_eq!(env.setting("cluster.shop.socket").0, "/run/mysqld.sock");
}

#[test]
fn what_is_wrong_with_a_server_is_said_with_its_line() {
    let good = "hosts = [\"db-1\"]\nuser = \"backup\"\n";
    for (lines, expect) in [
        ("user = \"backup\"\n".to_owned(), "1:1: [[cluster]] needs `hosts`"),
        ("hosts = [\"db-1\"]\n".to_owned(), "1:1: [[cluster]] needs `user`"),
        (
            "hosts = []\nuser = \"u\"\n".to_owned(),
            "4:9: a cluster needs at least one host",
        ),
        (
            "hosts = [\"db:x\"]\nuser = \"u\"\n".to_owned(),
            "4:10: `db:x` is no host",
        ),
        (
            "hosts = [\"a\", \"a:3306\"]\nuser = \"u\"\n".to_owned(),
            "4:15: host a:3306 is named twice",
        ),
        (format!("{good}socket = \"/s\"\n"), "write either `hosts` or `socket`"),
        (
            format!("{good}path = \"/s\"\n"),
            "6:1: unknown key `path` in [[cluster]]",
        ),
        (
            format!("{good}pasword = {{ env = \"X\" }}\n"),
            "did you mean `password`?",
        ),
        (
            format!("{good}password = \"geheim\"\n"),
            "6:12: `password` must be where the password is kept",
        ),
        (
            format!("{good}password = {{ env = \"X\", file = \"y\" }}\n"),
            "6:12: `password` must be",
        ),
        (format!("{good}password = {{ enf = \"X\" }}\n"), "did you mean `env`?"),
        (
            format!("{good}password = {{ command = [] }}\n"),
            "a command cannot be empty",
        ),
        (format!("{good}tls = \"verify\"\n"), "6:7: `verify` is no TLS mode"),
        (
            format!("{good}tls = \"off\"\ntls_ca = \"ca\"\n"),
            "7:10: `tls_ca` is of no use",
        ),
        (
            format!("{good}server_id = 0\n"),
            "6:13: `server_id` must be a whole number from 1",
        ),
        (
            format!("{good}server_id = \"7\"\n"),
            "6:13: `server_id` must be a whole number from 1",
        ),
    ] {
        let text = errors(&server(&lines));
        assert!(text.contains(expect), "{lines} gives {text}, not {expect}");
        assert!(!text.contains("geheim"), "{text}");
    }
}

#[test]
fn what_does_not_fit_together_is_refused_with_its_line() {
    let cluster = |name: &str, path: &str, more: &str| {
        format!("[[cluster]]\nname = \"{name}\"\nkind = \"embedded\"\npath = \"{path}\"\n{more}\n")
    };
    for (text, place, why) in [
        (
            format!("{STORAGE}{}", cluster("a", "/a", "storage = [\"locl\"]")),
            "8:12",
            "did you mean `local`?",
        ),
        (
            format!("{STORAGE}{}", cluster("a", "/a", "storage = []")),
            "8:11",
            "at least one",
        ),
        (
            format!("{STORAGE}{}", cluster("a", "/a", "storage = [\"local\", \"local\"]")),
            "8:21",
            "twice",
        ),
        (
            format!("{STORAGE}{}", cluster("a", "/a", "time_zone = \"Berlin\"")),
            "8:13",
            "Europe/Berlin",
        ),
        (
            format!("{STORAGE}{}", cluster("a", "/a", "protected = 1")),
            "8:13",
            "true or false",
        ),
        (format!("{STORAGE}{}", cluster("a", "", "")), "7:8", "empty"),
        (format!("{STORAGE}{}", cluster("a", "~/a", "")), "7:8", "home directory"),
        (format!("{STORAGE}{}", cluster("a", "/b/demo", "")), "7:8", "apart"),
        (format!("{STORAGE}{}", cluster("a", "/b", "")), "7:8", "apart"),
        (
            format!("{STORAGE}{STORAGE}").replace("file:///b\"\n[[", "/c\"\n[["),
            "5:8",
            "in line 2",
        ),
        (
            format!("{STORAGE}[[storage]]\nname = \"two\"\nurl = \"/x/./../b/.\""),
            "6:7",
            "same place",
        ),
        (
            format!("{STORAGE}[[storage]]\nname = \"two\"\nurl = \"/./b/\""),
            "6:7",
            "same place",
        ),
        (
            format!("{STORAGE}{}{}", cluster("a", "/a", ""), cluster("A", "/c", "")),
            "10:8",
            "in line 5",
        ),
        (
            format!("{STORAGE}{}{}", cluster("a", "/a", ""), cluster("c", "/a/c", "")),
            "12:8",
            "one another",
        ),
        ("[storage]\nname = \"x\"\n".to_owned(), "1:1", "[[storage]]"),
    ] {
        let errors = errors(&text);
        assert!(
            errors.starts_with(&format!("{place}: ")) && errors.contains(why),
            "{text}\n{errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn a_bad_variable_is_named() {
    let mut env = Env::new();
    env.vars.insert("BRINE_ASCII", "perhaps".into());
    assert_eq!(
        env.load().unwrap_err().to_string(),
        "BRINE_ASCII is `perhaps`: write 1 or 0"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_file_is_read_or_refused(at in 0..2000usize, cut in 0..20usize, new in "[ -~\n\u{e4}\u{1b}]{0,6}") {
        let mut text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml")).unwrap();
        let (from, to) = (at.min(text.len()), (at + cut).min(text.len()));
        text.replace_range(from..to, &new);
        if let Err(error) = Env::with_file(&text).load() {
            let text = error.to_string();
            prop_assert!(!text.is_empty() && !text.contains('\u{1b}'), "{:?}", text);
        }
    }
}

#[test]
fn notifications_are_chosen_by_name_and_themes_lie_beside_the_file() {
    let env = Env::with_file("[console]\nbell = false\nnotify = \"osc777\"\n");
    let config = env.load().unwrap();
    assert_eq!(
        (config.console.bell, config.console.notify),
        (false, brine::config::Notify::Osc777)
    );
    let file = config.file.clone().unwrap();
    assert_eq!(
        config.theme_dir.as_deref(),
        Some(file.parent().unwrap().join("themes").as_path())
    );
    let text = errors("[console]\nnotify = \"loud\"\n");
    assert!(
        text.contains("2:10: notify is `loud`") && text.contains("\"osc9\""),
        "{text}"
    );
}
