//! `brine config`, and the config of every other command.

use serde_json::json;

use super::args::{ConfigCommand, GlobalArgs};
use super::table::columns;
use super::{Outcome, Screens, Std, exit::ExitCode, refuse};
use crate::config::{Config, Setting, Sources, StandardPaths};
use crate::service::desk::{Refusal, RefusalKind};

/// What is in effect for this process.
pub(super) fn load(global: &GlobalArgs) -> Result<Config, Refusal> {
    let working_dir = std::env::current_dir().map_err(|e| {
        refuse::of(
            RefusalKind::Failed,
            format!("the working directory cannot be found: {e}"),
            None,
        )
    })?;
    let sources = Sources {
        flags: global.config_flags(),
        env: &|name| std::env::var_os(name),
        standard: StandardPaths::of_user(),
        working_dir,
    };
    Config::load(&sources).map_err(|e| refuse::config(&e))
}

pub(super) fn run(global: &GlobalArgs, command: &ConfigCommand, out: &mut Std, screens: &dyn Screens) -> Outcome {
    let config = load(global)?;
    let printed = match command {
        ConfigCommand::Check => check(&config, screens.check(&config)?, out),
        ConfigCommand::Show => show(&config, out),
    };
    printed.map_err(refuse::printing)?;
    Ok(ExitCode::Done)
}

fn check(config: &Config, of_screens: Vec<String>, out: &mut Std) -> std::io::Result<()> {
    let file = config.file.as_ref().map(|f| f.display().to_string());
    let (clusters, storages) = (config.clusters.len(), config.storages.len());
    let warnings = [config.warnings(), of_screens].concat();
    let document =
        json!({ "ok": true, "file": file, "clusters": clusters, "storages": storages, "warnings": warnings });
    out.result(&document, |_| {
        let what = file.unwrap_or_else(|| "there is no config file, the defaults are in effect".to_owned());
        let good = format!("{what}: good; clusters: {clusters}, storages: {storages}");
        std::iter::once(good)
            .chain(warnings.iter().map(|w| format!("warning: {w}")))
            .collect()
    })
}

fn show(config: &Config, out: &mut Std) -> std::io::Result<()> {
    out.result(&config.settings, |settings| {
        let row = |s: &Setting| vec![s.key.clone(), s.value.clone(), s.origin.to_string()];
        let rows: Vec<Vec<String>> = settings.iter().map(row).collect();
        columns(&["SETTING", "VALUE", "FROM"], &[], &rows)
    })
}
