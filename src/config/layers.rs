//! The layers: defaults, then the file, then the environment, then flags.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::document::Document;
use super::error::{ConfigError, Problem};
use super::origin::{Origin, Setting, Sourced};
use super::paths::absolute;
use super::read::{FileConfig, read_file};
use super::{Config, ConsoleConfig, Notify, Sources, checks};
use crate::model::text::safe;

pub(super) fn load(sources: &Sources<'_>) -> Result<Config, ConfigError> {
    let data_dir = data_dir(sources)?;
    let file = match config_file(sources) {
        Some((path, required)) => read_text(path, required)?,
        None => None,
    };
    let (path, text) = file.unzip();
    let mut problems = Vec::new();
    let from_file = parse(
        path.as_deref(),
        text.as_deref().unwrap_or_default(),
        &data_dir.value,
        &mut problems,
    );
    let console = console(sources, &from_file, &mut problems);
    if !problems.is_empty() {
        return Err(ConfigError::Invalid { file: path, problems });
    }
    let mut config = assemble(path, data_dir, from_file, console);
    let standard = || sources.standard.as_ref().map(|s| s.config_file.clone());
    let beside = config.file.clone().or_else(standard);
    config.theme_dir = beside.and_then(|f| Some(f.parent()?.join("themes")));
    Ok(config)
}

/// A variable that is set to the empty text counts as not set.
fn env(sources: &Sources<'_>, name: &str) -> Option<OsString> {
    (sources.env)(name).filter(|value| !value.is_empty())
}

fn data_dir(sources: &Sources<'_>) -> Result<Sourced<PathBuf>, ConfigError> {
    let here = |path: &Path| absolute(&sources.working_dir, path);
    let (value, origin) = if let Some(dir) = &sources.flags.data_dir {
        (here(dir), Origin::Flag("--data-dir"))
    } else if let Some(dir) = env(sources, "BRINE_DATA_DIR") {
        (here(Path::new(&dir)), Origin::Env("BRINE_DATA_DIR"))
    } else {
        let standard = sources.standard.as_ref().ok_or(ConfigError::NoHome)?;
        (standard.data_dir.clone(), Origin::Default)
    };
    Ok(Sourced { value, origin })
}

/// The config file, and whether it must be there because somebody named it.
fn config_file(sources: &Sources<'_>) -> Option<(PathBuf, bool)> {
    let named = sources.flags.config.clone();
    let named = named.or_else(|| env(sources, "BRINE_CONFIG").map(PathBuf::from));
    if let Some(path) = named {
        return Some((absolute(&sources.working_dir, &path), true));
    }
    Some((sources.standard.as_ref()?.config_file.clone(), false))
}

fn read_text(file: PathBuf, required: bool) -> Result<Option<(PathBuf, String)>, ConfigError> {
    match fs::read_to_string(&file) {
        Ok(text) => Ok(Some((file, text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !required => Ok(None),
        Err(source) => Err(ConfigError::Read { file, source }),
    }
}

fn parse(file: Option<&Path>, text: &str, data_dir: &Path, problems: &mut Vec<Problem>) -> FileConfig {
    let document = Document::new(text);
    let table = file.and_then(|path| Some((path, document.parse()?)));
    let mut config = table.map_or_else(FileConfig::default, |(path, table)| {
        read_file(&document, &table, path, data_dir)
    });
    config.fill_defaults(data_dir);
    checks::check(&document, &config, data_dir);
    problems.extend(document.into_problems());
    config
}

/// The console's settings from all layers.
fn console(sources: &Sources<'_>, file: &FileConfig, problems: &mut Vec<Problem>) -> SourcedConsole {
    let flags = &sources.flags;
    let defaults = ConsoleConfig::default();
    let theme = env(sources, "BRINE_THEME").map(|t| t.to_string_lossy().into_owned());
    let mut switch = |flag: bool, flag_name, env_name, in_file: &Option<Sourced<bool>>, default| {
        let from_env = env(sources, env_name).and_then(|text| read_switch(env_name, &text, problems));
        layered(
            flag.then_some((true, flag_name)),
            from_env.map(|v| (v, env_name)),
            in_file,
            default,
        )
    };
    SourcedConsole {
        ascii: switch(flags.ascii, "--ascii", "BRINE_ASCII", &file.ascii, defaults.ascii),
        mouse: switch(flags.mouse, "--mouse", "BRINE_MOUSE", &file.mouse, defaults.mouse),
        accessible: switch(
            flags.accessible,
            "--accessible",
            "BRINE_ACCESSIBLE",
            &file.accessible,
            defaults.accessible,
        ),
        bell: layered(None, None, &file.bell, defaults.bell),
        notify: layered(None, None, &file.notify, defaults.notify),
        theme: layered(
            flags.theme.clone().map(|t| (t, "--theme")),
            theme.map(|t| (t, "BRINE_THEME")),
            &file.theme,
            defaults.theme,
        ),
    }
}

fn read_switch(name: &'static str, text: &OsString, problems: &mut Vec<Problem>) -> Option<bool> {
    let text = text.to_string_lossy();
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => {
            let text = format!("{name} is `{}`: write 1 or 0", safe(&text, 40));
            problems.push(Problem { place: None, text });
            None
        }
    }
}

/// The highest layer that says something.
fn layered<T: Clone>(
    flag: Option<(T, &'static str)>,
    env: Option<(T, &'static str)>,
    file: &Option<Sourced<T>>,
    default: T,
) -> Sourced<T> {
    let from_flag = flag.map(|(value, name)| Sourced {
        value,
        origin: Origin::Flag(name),
    });
    let from_env = || {
        env.map(|(value, name)| Sourced {
            value,
            origin: Origin::Env(name),
        })
    };
    from_flag.or_else(from_env).or_else(|| file.clone()).unwrap_or(Sourced {
        value: default,
        origin: Origin::Default,
    })
}

struct SourcedConsole {
    theme: Sourced<String>,
    ascii: Sourced<bool>,
    mouse: Sourced<bool>,
    accessible: Sourced<bool>,
    bell: Sourced<bool>,
    notify: Sourced<Notify>,
}

fn assemble(path: Option<PathBuf>, data_dir: Sourced<PathBuf>, file: FileConfig, console: SourcedConsole) -> Config {
    let mut settings = vec![setting(
        "data_dir",
        data_dir.value.display().to_string(),
        &data_dir.origin,
    )];
    settings.extend(file.settings);
    settings.extend([
        setting("console.theme", safe(&console.theme.value, 80), &console.theme.origin),
        setting("console.ascii", console.ascii.value.to_string(), &console.ascii.origin),
        setting("console.mouse", console.mouse.value.to_string(), &console.mouse.origin),
        setting(
            "console.accessible",
            console.accessible.value.to_string(),
            &console.accessible.origin,
        ),
        setting("console.bell", console.bell.value.to_string(), &console.bell.origin),
        setting(
            "console.notify",
            console.notify.value.word().to_owned(),
            &console.notify.origin,
        ),
    ]);
    Config {
        file: path,
        theme_dir: None,
        data_dir: data_dir.value,
        storages: file.storages.into_iter().flatten().map(|s| s.config).collect(),
        clusters: file.clusters.into_iter().flatten().map(|c| c.config).collect(),
        console: ConsoleConfig {
            theme: console.theme.value,
            ascii: console.ascii.value,
            mouse: console.mouse.value,
            accessible: console.accessible.value,
            bell: console.bell.value,
            notify: console.notify.value,
        },
        keys: file.keys,
        settings,
    }
}

fn setting(key: &str, value: String, origin: &Origin) -> Setting {
    Setting {
        key: key.to_owned(),
        value,
        origin: origin.clone(),
    }
}
