//! The command line: what parses, what is refused, and what `--help` says.

// A test may panic, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use brine::cli::args::{BackupCommand, Cli, ClusterCommand, Command, DataCommand, JobCommand, SettingsCommand};
use brine::engine::point::RestoreTarget;
use brine::model::ids::JobId;
use brine::model::job::Verb;
use clap::error::ErrorKind;

/// Splits as a shell would: by blanks, with single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn parse(line: &str) -> Cli {
    Cli::parse_args(words(line)).unwrap_or_else(|e| panic!("{line}: {e}"))
}

fn refused(line: &str) -> (ErrorKind, String) {
    let error = Cli::parse_args(words(line)).expect_err(line);
    (error.kind(), error.to_string())
}

#[test]
fn the_description_holds_together() {
    Cli::describe().debug_assert();
}

#[test]
fn every_line_of_the_manual_parses() {
    for line in [
        "brine",
        "brine demo --rate 5 --days 3 --seed 7",
        "brine agent",
        "brine check",
        "brine check demo",
        "brine config check",
        "brine config show",
        "brine cluster list",
        "brine cluster check shop",
        "brine cluster adopt shop --confirm-name shop --yes",
        "brine cluster show demo",
        "brine cluster open demo",
        "brine storage list",
        "brine storage check local",
        "brine backup create demo --filter 'shop.*' --filter '!shop.tmp_*' --note 'a b' --keep 9 --storage local --concurrency 2 --rate-limit 5MiB",
        "brine backup list demo --deleted",
        "brine backup show demo 20261120010004-7f3a",
        "brine backup delete demo 20261120010004-7f3a",
        "brine backup delete demo 20261120010004-7f3a --confirm-name demo -y",
        "brine backup undelete demo 20261120010004-7f3a",
        "brine backup protect demo 20261120010004-7f3a",
        "brine backup unprotect demo 20261120010004-7f3a",
        "brine backup verify demo 20261120010004-7f3a --level files",
        "brine settings show demo",
        "brine settings set demo --time 02:30 --retention-days 14 --schedule on --pitr off",
        "brine log start demo",
        "brine log pause demo",
        "brine log resume demo",
        "brine log stop demo",
        "brine log status demo",
        "brine log flush demo",
        "brine log truncate demo --until 'yesterday 02:00' --dry-run --drop-pitr",
        "brine log changes demo --from '1h ago' --to now --table shop.orders --all",
        "brine restore demo --snapshot 20261120010004-7f3a",
        "brine restore demo --at '10m ago' --base 20261120010004-7f3a --storage local",
        "brine restore demo --latest --filter shop.orders --rename shop=old --to other --replace --confirm-name other --yes",
        "brine restore demo --before 470584237490176000 --beside --plan",
        "brine restore demo --through 470584237490176000.1 --in-place --confirm-name demo --stay-closed --plan-hash 9c41e7 --yes",
        "brine restore demo --fastest 'today 14:05'",
        "brine undo demo --confirm-name demo --yes",
        "brine job list",
        "brine job list demo --verb restore",
        "brine job show 1",
        "brine job watch 1",
        "brine job cancel 1",
        "brine job resume 1",
        "brine messages",
        "brine messages --limit 20 --json",
        "brine retention plan demo",
        "brine retention run demo",
        "brine data tables demo",
        "brine data count demo",
        "brine data checksum demo --at '2026-11-20 02:00'",
        "brine data put demo shop.notes k -5",
        "brine data get demo shop.notes k",
        "brine data delete demo shop.notes k",
        "brine data scan demo shop.notes --at '10m ago'",
        "brine data load demo shop.notes --rows 5 --size 1K --seed 1",
        "brine data drop demo shop.notes",
        "brine data traffic demo --rate 5 --seconds 2",
        "brine keys",
        "brine completions zsh",
        "brine man",
    ] {
        parse(line);
    }
}

#[test]
fn global_flags_work_before_and_after_the_verb() {
    for line in [
        "brine --json --tz europe/berlin --config c.toml --data-dir d --theme mono -vv log status demo",
        "brine log status demo --json --tz Europe/Berlin --config c.toml --data-dir d --theme mono -v -v",
        "brine log --json --config c.toml status -vv --tz Europe/Berlin demo --data-dir d --theme mono",
    ] {
        let global = parse(line).global;
        assert!(global.json && global.verbose == 2 && !global.quiet, "{line}");
        assert_eq!(global.tz, Some(chrono_tz::Tz::Europe__Berlin));
        let flags = global.config_flags();
        assert_eq!(flags.config.as_deref(), Some("c.toml".as_ref()));
        assert_eq!(flags.data_dir.as_deref(), Some("d".as_ref()));
        assert_eq!(flags.theme.as_deref(), Some("mono"));
    }
    let global = parse("brine --read-only --no-color --ascii --accessible --mouse -q").global;
    assert!(global.read_only && global.no_color && global.quiet);
    assert!(global.config_flags().ascii && global.config_flags().mouse && global.config_flags().accessible);
}

#[test]
fn a_restore_has_one_point_and_at_most_one_place() {
    for line in [
        "brine restore demo",
        "brine restore demo --latest --at now",
        "brine restore demo --snapshot a --before b",
        "brine restore demo --latest --beside --in-place",
        "brine restore demo --latest --to x --in-place",
        "brine restore demo --latest --in-place --rename a=b",
        "brine restore demo --latest --in-place --replace",
        "brine restore demo --latest --stay-closed",
        "brine restore demo --snapshot a --base b",
        "brine restore demo --latest --plan --yes",
        "brine restore demo --latest --plan --plan-hash 9c41e7",
    ] {
        let (kind, text) = refused(line);
        assert!(
            matches!(kind, ErrorKind::ArgumentConflict | ErrorKind::MissingRequiredArgument),
            "{line}: {text}"
        );
    }
    let target = |line: &str| match parse(line).command {
        Some(Command::Restore(args)) => args.place.target(),
        other => panic!("{other:?}"),
    };
    assert_eq!(target("brine restore demo --latest"), RestoreTarget::Beside);
    assert_eq!(target("brine restore demo --latest --beside"), RestoreTarget::Beside);
    assert_eq!(target("brine restore demo --latest --in-place"), RestoreTarget::InPlace);
    let other = RestoreTarget::Cluster {
        name: "x".parse().unwrap(),
    };
    assert_eq!(target("brine restore demo --latest --to x"), other);
}

#[test]
fn bad_values_say_what_is_wrong() {
    for (line, why) in [
        ("brine cluster show a/b", "only letters"),
        ("brine backup show demo ../x", "must not start with a dot"),
        ("brine backup create demo --filter shop", "database and a table"),
        ("brine backup create demo --rate-limit fast", "not a size"),
        ("brine backup create demo --rate-limit 0", "never end"),
        ("brine backup create demo --concurrency 0", "1..=64"),
        ("brine restore demo --latest --rename a", "olddb=newdb"),
        ("brine restore demo --at ''", "empty"),
        ("brine restore demo --latest --plan-hash xyz", "hex"),
        ("brine settings set demo --retention-days 5", "choose 7 to 90 days"),
        ("brine settings set demo --retention-days x", "7 to 90"),
        ("brine settings set demo --time 25:00", "HH:MM"),
        ("brine settings set demo --pitr yes", "on or off"),
        ("brine log status demo --tz CEST", "not a time zone"),
        ("brine log changes demo --table orders", "db.table"),
        ("brine job show x", "invalid digit"),
        ("brine job list --verb copy", "backup, restore, undo"),
        ("brine settings set demo", "required"),
        ("brine log truncate demo", "--until"),
        ("brine -q -v check", "cannot be used with"),
        ("brine backup create demo --fliter 'a.*'", "--filter"),
        ("brine bakcup", "backup"),
    ] {
        let (_, text) = refused(line);
        assert!(text.contains(why), "{line}: {text}");
    }
}

#[test]
fn what_belongs_to_later_versions_is_not_offered() {
    for line in [
        "brine restore demo --latest --accounts",
        "brine export demo",
        "brine replicate demo",
    ] {
        let (kind, _) = refused(line);
        assert!(
            matches!(kind, ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument),
            "{line}"
        );
    }
}

#[test]
fn values_arrive_as_what_they_are() {
    let Some(Command::Backup(BackupCommand::Create(create))) =
        parse("brine backup create demo --filter 'a.*' --filter '!a.b' --rate-limit 1K --keep 9 --level 3").command
    else {
        panic!()
    };
    let request = create.request();
    assert_eq!(
        (request.rate_limit, request.keep_days, request.level),
        (Some(1024), Some(9), Some(3))
    );
    assert_eq!(request.filter, ["a.*", "!a.b"]);
    let Some(Command::Settings(SettingsCommand::Set(set))) =
        parse("brine settings set demo --pitr off --time 7:05").command
    else {
        panic!()
    };
    assert_eq!((set.pitr, set.schedule), (Some(false), None));
    assert_eq!(set.time.unwrap().to_string(), "07:05");
    let Some(Command::Job(JobCommand::List { verb, .. })) = parse("brine job list --verb undo").command else {
        panic!()
    };
    assert_eq!(verb, Some(Verb::Undo));
    let Some(Command::Job(JobCommand::Watch(job))) = parse("brine job watch 12").command else {
        panic!()
    };
    assert_eq!(job.id, JobId(12));
    let Some(Command::Data(DataCommand::Put { value, .. })) = parse("brine data put demo a.b -1 -2.5").command else {
        panic!()
    };
    assert_eq!(value, "-2.5");
    let Some(Command::Cluster(ClusterCommand::Show { cluster })) = parse("brine cluster show demo").command else {
        panic!()
    };
    assert_eq!(cluster.as_str(), "demo");
}

#[test]
fn every_example_of_the_help_parses() {
    let mut seen = 0;
    each_command(&mut Cli::describe(), "brine", &mut |path, command| {
        if command.get_subcommands().next().is_some() && path != "brine" {
            return;
        }
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let example = help
            .split("Example: ")
            .nth(1)
            .unwrap_or_else(|| panic!("{path} has no example"));
        let line = example.split(['|', '>']).next().unwrap_or(example);
        parse(line);
        seen += 1;
    });
    assert!(seen > 40, "{seen}");
}

/// The whole tree of `--help`, so that a change of words is seen in review.
#[test]
fn help_tree() {
    let mut text = String::new();
    each_command(&mut Cli::describe().term_width(100), "brine", &mut |path, command| {
        let shown = command.clone().mut_args(|arg| {
            let is_global = arg.is_global_set() && path != "brine";
            arg.hide(is_global)
        });
        text.push_str(&format!(
            "## {path}\n\n{}\n\n",
            shown.clone().term_width(100).render_help()
        ));
    });
    let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(trimmed.join("\n"));
}

fn each_command(command: &mut clap::Command, path: &str, visit: &mut impl FnMut(&str, &clap::Command)) {
    command.build();
    visit(path, command);
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    for name in names {
        if let Some(inner) = command.find_subcommand_mut(&name) {
            each_command(inner, &format!("{path} {name}"), visit);
        }
    }
}

/// What the console can do, and the same on the command line; nothing where it only moves about in the console itself.
const TWINS: &[(&str, &str)] = &[
    ("restore", "brine restore shop --latest --beside --plan"),
    ("backup.now", "brine backup create shop"),
    ("backup.settings", "brine settings set shop --time 02:00"),
    (
        "backup.verify",
        "brine backup verify shop 20261120010004-7f3a --level files",
    ),
    ("backup.protect", "brine backup protect shop 20261120010004-7f3a"),
    ("backup.delete", "brine backup delete shop 20261120010004-7f3a"),
    ("backup.undelete", "brine backup undelete shop 20261120010004-7f3a"),
    ("backup.trash", "brine backup list shop --deleted"),
    ("log.menu", "brine log start shop"),
    ("log.all", "brine log changes shop --all"),
    ("restore.undo", "brine undo shop --confirm-name shop --yes"),
    (
        "restore.run",
        "brine restore shop --latest --beside --plan-hash 9c41e7 --yes",
    ),
    (
        "restore.type",
        "brine restore shop --at '2026-11-20 02:00 Europe/Berlin' --beside",
    ),
    (
        "restore.tables",
        "brine restore shop --latest --filter 'shop.orders' --beside",
    ),
    (
        "restore.through",
        "brine restore shop --through 466942003314884608 --beside",
    ),
    (
        "restore.base",
        "brine restore shop --latest --base 20261120010004-7f3a --beside",
    ),
    ("restore.zoom-in", "brine log changes shop --from 1h --all"),
    ("restore.zoom-out", "brine log changes shop --from 1d"),
    ("timeline.next", "brine log changes shop"),
    ("timeline.previous", "brine log changes shop"),
    ("cluster.open", "brine cluster open shop"),
    ("job.cancel", "brine job cancel 7"),
    ("job.resume", "brine job resume 7"),
    ("demo.traffic", "brine data traffic shop --rate 5 --seconds 10"),
    ("demo.accident", "brine data drop shop shop.orders"),
    ("retention.run", "brine retention run shop"),
    ("retention.fewer", "brine retention plan shop"),
    ("retention.more", "brine retention plan shop"),
    ("storage.test", "brine storage check local"),
    ("open", "brine backup show shop 20261120010004-7f3a"),
    ("filter", "brine backup list shop --json"),
    ("sort", "brine backup list shop --json"),
    ("sort.reverse", "brine backup list shop --json"),
    ("time", "brine backup list shop --tz UTC"),
    ("refresh", "brine backup list shop"),
    ("themes", "brine --theme mono"),
    ("copy", "brine backup show shop 20261120010004-7f3a --json"),
    ("go.clusters", "brine cluster list"),
    ("go.backup", "brine backup list shop"),
    ("go.log", "brine log status shop"),
    ("go.timeline", "brine log changes shop"),
    ("go.retention", "brine retention plan shop"),
    ("go.overview", "brine cluster show shop"),
    ("go.schema", "brine backup show shop 20261120010004-7f3a"),
    ("go.in-effect", "brine config show"),
    ("go.jobs", "brine job list"),
    ("go.storages", "brine storage list"),
    ("go.messages", "brine messages --limit 20"),
    ("help", "brine keys"),
    ("palette", ""),
    ("log.follow", "brine job watch 7"),
    ("log.wrap", ""),
    ("pager", "brine job show 7"),
    ("zoom", ""),
    ("tab.next", ""),
    ("tab.previous", ""),
    ("history.last", ""),
    ("filter.next", ""),
    ("filter.previous", ""),
    ("mark", ""),
    ("mark.range", ""),
    ("mark.invert", ""),
    ("move.down", ""),
    ("move.up", ""),
    ("move.left", ""),
    ("move.right", ""),
    ("move.page-down", ""),
    ("move.page-up", ""),
    ("move.top", ""),
    ("move.bottom", ""),
    ("move.next", ""),
    ("move.previous", ""),
    ("back", ""),
    ("history.back", ""),
    ("history.forward", ""),
    ("quit", ""),
    ("interrupt", ""),
    ("suspend", ""),
    ("repaint", ""),
];

#[test]
fn whatever_the_console_does_the_command_line_does_too() {
    for command in brine::tui::commands::COMMANDS {
        let twin = TWINS.iter().find(|(id, _)| *id == command.id);
        let (_, line) = twin.unwrap_or_else(|| panic!("{} has no command line: give it one here", command.id));
        assert!(
            !line.is_empty() || command.grade == brine::tui::commands::Grade::Safe || command.id == "suspend",
            "{} changes something and has no command line",
            command.id
        );
        if !line.is_empty() {
            parse(line);
        }
    }
    for (id, _) in TWINS {
        assert!(
            brine::tui::commands::COMMANDS.iter().any(|c| c.id == *id),
            "{id} is no command any more"
        );
    }
}
