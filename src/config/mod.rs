//! What the operator wrote: TOML, environment and flags, over defaults; and where files live.
//!
//! Pure but for reading the one config file: environment, flags, working directory and the platform's
//! standard paths are handed in ([`Sources`]). Every value knows where it came from, every mistake its line,
//! and all mistakes are reported at once.
//!
//! *Invariant: an edit of the config never expires or deletes a backup; Backup Settings live in the archive.*
//! *Invariant: a name that is not known is an error, never ignored.*

mod checks;
mod document;
mod error;
mod layers;
mod origin;
mod paths;
mod read;
mod secret;
mod server;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use chrono_tz::Tz;

use crate::model::ids::{ClusterName, StorageName};

pub use error::{ConfigError, Place, Problem};
pub use origin::{Origin, Setting};
pub use paths::{StandardPaths, prepare_data_dir};
pub use secret::{SecretCommand, SecretError, SecretSource};
pub use server::{ServerConfig, ServerPlace, TlsWish};

/// The theme when nobody chose one.
pub const DEFAULT_THEME: &str = "brine-dark";

/// What the command line says about the config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config FILE`
    pub config: Option<PathBuf>,
    /// `--data-dir DIR`
    pub data_dir: Option<PathBuf>,
    /// `--theme T`
    pub theme: Option<String>,
    /// `--ascii`
    pub ascii: bool,
    /// `--mouse`
    pub mouse: bool,
    /// `--accessible`
    pub accessible: bool,
}

/// Everything a config is made from.
pub struct Sources<'a> {
    /// The command line.
    pub flags: Flags,
    /// The environment: `BRINE_CONFIG`, `BRINE_DATA_DIR`, `BRINE_THEME`, `BRINE_ASCII`, `BRINE_MOUSE`, `BRINE_ACCESSIBLE`.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// Where files live by default; `None` without a home directory.
    pub standard: Option<StandardPaths>,
    /// What relative paths of flags and environment are relative to.
    pub working_dir: PathBuf,
}

/// All that is in effect.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that was read, if there is one.
    pub file: Option<PathBuf>,
    /// Where the operator's own themes lie, if anywhere: `themes` beside the config file.
    pub theme_dir: Option<PathBuf>,
    /// Where jobs, socket and the default cluster live. [`prepare_data_dir`] makes it.
    pub data_dir: PathBuf,
    /// The storages, as they were written.
    pub storages: Vec<StorageConfig>,
    /// The clusters, as they were written.
    pub clusters: Vec<ClusterConfig>,
    /// The console.
    pub console: ConsoleConfig,
    /// Keys of commands by command id; the console checks the ids and keys.
    pub keys: BTreeMap<String, KeyBinding>,
    /// Every value with where it came from, as `config show` prints it.
    pub settings: Vec<Setting>,
}

impl Config {
    /// What works and is still worth a word, as sentences: a password file that others can read.
    pub fn warnings(&self) -> Vec<String> {
        let warning = |c: &ClusterConfig| match &c.source {
            ClusterSource::Embedded { .. } => None,
            ClusterSource::Mysql(server) => Some(format!("cluster {}: {}", c.name, server.password.warning()?)),
        };
        self.clusters.iter().filter_map(warning).collect()
    }
}

/// A storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// Its name.
    pub name: StorageName,
    /// Where it is.
    pub place: StoragePlace,
}

/// Where a storage is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoragePlace {
    /// A directory of this host.
    Directory(PathBuf),
}

impl StoragePlace {
    /// As a URL, for example `file:///var/backups/brine`.
    pub fn url(&self) -> String {
        match self {
            StoragePlace::Directory(path) => paths::file_url(path),
        }
    }
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Its name.
    pub name: ClusterName,
    /// What and where it is.
    pub source: ClusterSource,
    /// Its storages by name; never empty, all known, and the first holds the settings.
    pub storages: Vec<StorageName>,
    /// The zone of its Backup Time and of times on screen.
    pub time_zone: Tz,
    /// Whether every dangerous act needs the typed name.
    pub protected: bool,
}

/// What and where a cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterSource {
    /// The transactional store in a directory of this host.
    Embedded {
        /// The directory.
        path: PathBuf,
    },
    /// A MySQL or MariaDB server, or several that replicate each other.
    Mysql(ServerConfig),
}

/// How the console looks and behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleConfig {
    /// The theme's name; the console checks it.
    pub theme: String,
    /// Plain ASCII everywhere.
    pub ascii: bool,
    /// Clicks and the wheel.
    pub mouse: bool,
    /// No moving parts, for screen readers.
    pub accessible: bool,
    /// Whether the terminal's bell is rung.
    pub bell: bool,
    /// How the terminal is asked for a notification when a job ends and nobody looks.
    pub notify: Notify,
}

/// The sequences by which terminals show notifications; not all know them, so that one must be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notify {
    /// None.
    #[default]
    Off,
    /// OSC 9, one text: iTerm2, WezTerm, Windows Terminal, Ghostty, kitty.
    Osc9,
    /// OSC 777, title and text: foot, urxvt, Ghostty.
    Osc777,
}

impl Notify {
    /// As the config has it.
    pub fn word(self) -> &'static str {
        match self {
            Notify::Off => "off",
            Notify::Osc9 => "osc9",
            Notify::Osc777 => "osc777",
        }
    }

    /// Reads that word.
    pub fn parse(text: &str) -> Option<Notify> {
        [Notify::Off, Notify::Osc9, Notify::Osc777]
            .into_iter()
            .find(|n| n.word() == text)
    }
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        ConsoleConfig {
            theme: DEFAULT_THEME.to_owned(),
            ascii: false,
            mouse: false,
            accessible: false,
            bell: true,
            notify: Notify::Off,
        }
    }
}

/// The keys of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBinding {
    /// The keys as they were written.
    pub keys: Vec<String>,
    /// Where they were written, for the console's own errors.
    pub place: Place,
}

impl Config {
    /// Reads what is in effect. Makes and changes nothing.
    pub fn load(sources: &Sources<'_>) -> Result<Config, ConfigError> {
        layers::load(sources)
    }

    /// The storage of that name.
    pub fn storage(&self, name: &StorageName) -> Option<&StorageConfig> {
        self.storages.iter().find(|s| s.name == *name)
    }

    /// The cluster of that name.
    pub fn cluster(&self, name: &ClusterName) -> Option<&ClusterConfig> {
        self.clusters.iter().find(|c| c.name == *name)
    }
}
