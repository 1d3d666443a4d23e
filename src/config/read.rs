//! The config file's own part: from TOML to values, each with its line.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use toml::de::DeTable;

use super::document::{At, Document, Section};
use super::error::Place;
use super::origin::{Origin, Setting, Sourced};
use super::paths::{read_path, read_storage_url};
use super::server::{self, ServerPlaces};
use super::{ClusterConfig, ClusterSource, KeyBinding, Notify, StorageConfig, StoragePlace};
use crate::model::ids::{ClusterName, StorageName};
use crate::model::text::{nearest, safe};
use crate::model::time::parse_zone;

/// The kinds of clusters that can be written.
const KINDS: [&str; 3] = ["embedded", "mysql", "mariadb"];
/// Kinds of clusters that belong to later versions.
const LATER_KINDS: [&str; 2] = ["tidb", "managed"];

/// A storage with where it was written.
pub(super) struct StorageEntry {
    pub config: StorageConfig,
    pub name_place: Place,
    pub url_place: Place,
}

/// A cluster with where it was written.
pub(super) struct ClusterEntry {
    pub config: ClusterConfig,
    pub name_place: Place,
    pub path_place: Place,
    /// As in `config`, each with its place.
    pub storages: Vec<At<StorageName>>,
}

/// What the file says.
#[derive(Default)]
pub(super) struct FileConfig {
    /// `None` when the file does not speak of storages at all.
    pub storages: Option<Vec<StorageEntry>>,
    /// `None` when the file does not speak of clusters at all.
    pub clusters: Option<Vec<ClusterEntry>>,
    pub theme: Option<Sourced<String>>,
    pub ascii: Option<Sourced<bool>>,
    pub mouse: Option<Sourced<bool>>,
    pub accessible: Option<Sourced<bool>>,
    pub bell: Option<Sourced<bool>>,
    pub notify: Option<Sourced<Notify>>,
    pub keys: BTreeMap<String, KeyBinding>,
    /// The lines of `config show` for what was written about storages, clusters and keys.
    pub settings: Vec<Setting>,
}

/// Reads the file; what is wrong with it goes to the document's problems.
pub(super) fn read_file(document: &Document<'_>, table: &DeTable<'_>, file: &Path, data_dir: &Path) -> FileConfig {
    let mut root = Section::root(document, table);
    let mut reader = Reader {
        document,
        file,
        config: FileConfig::default(),
    };
    if let Some(sections) = root.sections("storage", "[[storage]]") {
        let entries = sections.into_iter().filter_map(|s| reader.storage(s)).collect();
        reader.config.storages = Some(entries);
    }
    if let Some(sections) = root.sections("cluster", "[[cluster]]") {
        if reader.config.storages.is_none() {
            reader.config.default_storage(data_dir);
        }
        let entries = sections.into_iter().filter_map(|s| reader.cluster(s)).collect();
        reader.config.clusters = Some(entries);
    }
    if let Some(section) = root.section("console", "[console]") {
        reader.console(section);
    }
    if let Some(section) = root.section("keys", "[keys]") {
        reader.keys(&section);
    }
    root.finish();
    reader.config
}

pub(super) struct Reader<'a, 't> {
    pub(super) document: &'a Document<'t>,
    file: &'a Path,
    config: FileConfig,
}

impl Reader<'_, '_> {
    fn origin(&self, place: Place) -> Origin {
        Origin::File {
            path: self.file.to_path_buf(),
            line: place.line,
        }
    }

    fn sourced<T>(&self, at: At<T>) -> Sourced<T> {
        Sourced {
            value: at.value,
            origin: self.origin(at.place),
        }
    }

    /// Notes a line of `config show`; without a place it is a default.
    pub(super) fn show(&mut self, key: String, value: impl Display, place: Option<Place>) {
        let origin = place.map_or(Origin::Default, |p| self.origin(p));
        let value = value.to_string();
        self.config.settings.push(Setting { key, value, origin });
    }

    /// Turns what is wrong with a value into a problem at its place.
    pub(super) fn checked<T, U, E: Display>(&self, at: At<T>, read: impl FnOnce(T) -> Result<U, E>) -> Option<At<U>> {
        let place = at.place;
        match read(at.value) {
            Ok(value) => Some(At { value, place }),
            Err(error) => {
                self.document.problem(place, error.to_string());
                None
            }
        }
    }

    /// Paths are relative to the directory of the file.
    pub(super) fn base(&self) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("/")).to_path_buf()
    }

    fn storage(&mut self, mut section: Section<'_, '_>) -> Option<StorageEntry> {
        let (name, url) = (section.string("name"), section.string("url"));
        let name = section.needed("name", name, "\"local\"");
        let url = section.needed("url", url, "\"file:///var/backups/brine\"");
        section.finish();
        let name = name.and_then(|n| self.checked(n, StorageName::new));
        let base = self.base();
        let path = url.and_then(|u| self.checked(u, |text| read_storage_url(&base, &text)));
        let (name, path) = (name?, path?);
        let place = StoragePlace::Directory(path.value);
        self.show(format!("storage.{}.url", name.value), place.url(), Some(path.place));
        Some(StorageEntry {
            config: StorageConfig {
                name: name.value,
                place,
            },
            name_place: name.place,
            url_place: path.place,
        })
    }

    fn cluster(&mut self, mut section: Section<'_, '_>) -> Option<ClusterEntry> {
        let (name, kind) = (section.string("name"), section.string("kind"));
        let name = section.needed("name", name, "\"demo\"");
        let kind = section.needed("kind", kind, "\"embedded\"");
        let name = name.and_then(|n| self.checked(n, ClusterName::new));
        // The keys that follow depend on the kind, so an unknown kind ends it here.
        let kind = self.checked(kind?, |text| known_kind(&text))?;
        let source = match kind.value {
            Kind::Embedded => self.embedded(&mut section),
            Kind::Mysql => self.server(&mut section),
        };
        let (storages, zone) = (section.strings("storage"), section.string("time_zone"));
        let protected = section.boolean("protected");
        let place = section.place();
        section.finish();
        let written = ClusterPlaces {
            kind: kind.place,
            storages: storages.as_ref().map(|s| s.place),
            zone: zone.as_ref().map(|z| z.place),
            protected: protected.as_ref().map(|p| p.place),
        };
        let zone = zone.map_or(Some(Tz::UTC), |z| {
            self.checked(z, |text| parse_zone(&text)).map(|z| z.value)
        });
        let storages = self.storages_of(storages, place);
        let (name, (source, places), storages) = (name?, source?, storages?);
        let entry = ClusterEntry {
            config: ClusterConfig {
                name: name.value,
                source,
                storages: storages.iter().map(|s| s.value.clone()).collect(),
                time_zone: zone?,
                protected: protected.is_some_and(|p| p.value),
            },
            name_place: name.place,
            path_place: places.path.unwrap_or_default(),
            storages,
        };
        self.show_cluster(&entry, &written, &places);
        Some(entry)
    }

    fn embedded(&mut self, section: &mut Section<'_, '_>) -> Option<(ClusterSource, ServerPlaces)> {
        let path = section.string("path");
        let path = section.needed("path", path, "\"/var/lib/brine/demo\"");
        let base = self.base();
        let path = path.and_then(|p| self.checked(p, |text| read_path(&base, &text)))?;
        let places = ServerPlaces {
            path: Some(path.place),
            ..ServerPlaces::default()
        };
        Some((ClusterSource::Embedded { path: path.value }, places))
    }

    fn server(&mut self, section: &mut Section<'_, '_>) -> Option<(ClusterSource, ServerPlaces)> {
        let (server, places) = server::read(self, section)?;
        Some((ClusterSource::Mysql(server), places))
    }

    fn show_cluster(&mut self, entry: &ClusterEntry, written: &ClusterPlaces, places: &ServerPlaces) {
        let config = &entry.config;
        let key = |what: &str| format!("cluster.{}.{what}", config.name);
        match &config.source {
            ClusterSource::Embedded { path } => {
                self.show(key("kind"), "embedded", Some(written.kind));
                self.show(key("path"), path.display(), places.path);
            }
            ClusterSource::Mysql(server) => {
                self.show(key("kind"), "mysql", Some(written.kind));
                for (what, value, place) in server.shown(places) {
                    self.show(key(what), value, place);
                }
            }
        }
        self.show(key("storage"), joined(&config.storages), written.storages);
        self.show(key("time_zone"), config.time_zone.name(), written.zone);
        self.show(key("protected"), config.protected, written.protected);
    }

    /// The storages of a cluster; the only storage when it names none.
    fn storages_of(&self, written: Option<At<Vec<At<String>>>>, cluster: Place) -> Option<Vec<At<StorageName>>> {
        let Some(At { value: names, place }) = written else {
            let known = self.config.storages.as_deref().unwrap_or_default();
            if let [only] = known {
                let value = only.config.name.clone();
                return Some(vec![At { value, place: cluster }]);
            }
            let text = "[[cluster]] needs `storage`, the names of its storages, for example: storage = [\"local\"]";
            self.document.problem(cluster, text);
            return None;
        };
        if names.is_empty() {
            self.document.problem(place, "a cluster needs at least one storage");
            return None;
        }
        names.into_iter().map(|n| self.checked(n, StorageName::new)).collect()
    }

    fn console(&mut self, mut section: Section<'_, '_>) {
        let theme = section.string("theme").map(|t| self.sourced(t));
        let mut switch = |key| section.boolean(key).map(|v| self.sourced(v));
        let (ascii, mouse, accessible) = (switch("ascii"), switch("mouse"), switch("accessible"));
        let bell = switch("bell");
        let notify = section.string("notify").and_then(|At { value, place }| {
            let known = Notify::parse(&value);
            if known.is_none() {
                let text = format!(
                    "notify is `{}`: write \"off\", \"osc9\" or \"osc777\"",
                    safe(&value, 40)
                );
                self.document.problem(place, text);
            }
            known.map(|value| self.sourced(At { value, place }))
        });
        section.finish();
        let config = &mut self.config;
        (config.theme, config.ascii, config.mouse, config.accessible) = (theme, ascii, mouse, accessible);
        (config.bell, config.notify) = (bell, notify);
    }

    fn keys(&mut self, section: &Section<'_, '_>) {
        for (command, At { value, place }) in section.all_string_lists() {
            let keys: Vec<String> = value.into_iter().map(|k| k.value).collect();
            self.show(
                format!("keys.{}", safe(&command, 60)),
                safe(&keys.join(", "), 200),
                Some(place),
            );
            self.config.keys.insert(command, KeyBinding { keys, place });
        }
    }
}

/// Where a cluster's values stand; `None` for those that nobody wrote.
struct ClusterPlaces {
    kind: Place,
    storages: Option<Place>,
    zone: Option<Place>,
    protected: Option<Place>,
}

fn joined(names: &[StorageName]) -> String {
    names.iter().map(StorageName::as_str).collect::<Vec<_>>().join(", ")
}

/// What a `kind` means; MariaDB and MySQL are told apart by their servers.
enum Kind {
    Embedded,
    Mysql,
}

fn known_kind(kind: &str) -> Result<Kind, String> {
    match kind {
        "embedded" => return Ok(Kind::Embedded),
        "mysql" | "mariadb" => return Ok(Kind::Mysql),
        _ => {}
    }
    let shown = safe(kind, 40);
    let known = "this version of brine knows \"embedded\" and \"mysql\"";
    if LATER_KINDS.contains(&kind) {
        return Err(format!(
            "clusters of kind `{shown}` are not in this version of brine: {known}"
        ));
    }
    Err(match nearest(kind, KINDS) {
        Some(near) => format!("`{shown}` is not a kind of cluster: did you mean \"{near}\"?"),
        None => format!("`{shown}` is not a kind of cluster: {known}"),
    })
}

impl FileConfig {
    /// What is there when nobody wrote storages and clusters: `local` and `demo` under the data directory.
    pub fn fill_defaults(&mut self, data_dir: &Path) {
        if self.storages.is_some() {
            return;
        }
        self.default_storage(data_dir);
        if self.clusters.is_none() {
            self.default_cluster(data_dir);
        }
    }

    fn default_storage(&mut self, data_dir: &Path) {
        let place = StoragePlace::Directory(data_dir.join("backups"));
        self.show_default("storage.local.url", place.url());
        let config = StorageName::new("local").ok().map(|name| StorageConfig { name, place });
        let entry = |config| StorageEntry {
            config,
            name_place: Place::default(),
            url_place: Place::default(),
        };
        self.storages = Some(config.map(entry).into_iter().collect());
    }

    fn default_cluster(&mut self, data_dir: &Path) {
        let path = data_dir.join("demo");
        self.show_default("cluster.demo.kind", "embedded".to_owned());
        self.show_default("cluster.demo.path", path.display().to_string());
        self.show_default("cluster.demo.storage", "local".to_owned());
        self.show_default("cluster.demo.time_zone", Tz::UTC.name().to_owned());
        self.show_default("cluster.demo.protected", false.to_string());
        let storages = self.storages.iter().flatten().map(|s| s.config.name.clone()).collect();
        let config = ClusterName::new("demo").ok().map(|name| ClusterConfig {
            name,
            source: ClusterSource::Embedded { path },
            storages,
            time_zone: Tz::UTC,
            protected: false,
        });
        let entry = |config| ClusterEntry {
            config,
            name_place: Place::default(),
            path_place: Place::default(),
            storages: Vec::new(),
        };
        self.clusters = Some(config.map(entry).into_iter().collect());
    }

    fn show_default(&mut self, key: &str, value: String) {
        self.settings.push(Setting {
            key: key.to_owned(),
            value,
            origin: Origin::Default,
        });
    }
}
