//! Checks between the parts of a config: names, references, and directories that must not lie in one another.

use std::collections::BTreeMap;
use std::path::Path;

use super::document::{At, Document};
use super::paths::{nested, without_dots};
use super::read::{ClusterEntry, FileConfig, StorageEntry};
use super::{ClusterSource, Place, StoragePlace};
use crate::model::ids::StorageName;
use crate::model::text::nearest;

/// Checks what the file says as a whole, once each part of it could be read.
pub(super) fn check(document: &Document<'_>, config: &FileConfig, data_dir: &Path) {
    if !document.is_good() {
        // A storage that could not be read would be reported again by each cluster that names it.
        return;
    }
    let storages = config.storages.as_deref().unwrap_or_default();
    let clusters = config.clusters.as_deref().unwrap_or_default();
    let storage_names = storages.iter().map(|s| (s.config.name.as_str(), s.name_place));
    unique_names(document, "storage", storage_names);
    let cluster_names = clusters.iter().map(|c| (c.config.name.as_str(), c.name_place));
    unique_names(document, "cluster", cluster_names);
    unique_storages(document, storages);
    for cluster in clusters {
        known_storages(document, cluster, storages);
        apart_from_backups(document, cluster, storages, data_dir);
    }
    apart_from_each_other(document, clusters);
}

/// Names are compared without case: archives of both would share a directory on some file systems.
fn unique_names<'n>(document: &Document<'_>, what: &str, names: impl Iterator<Item = (&'n str, Place)>) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (name, place) in names {
        match seen.get(&name.to_ascii_lowercase()) {
            Some(line) => document.problem(
                place,
                format!("there is a {what} named `{name}` already, in line {line}"),
            ),
            None => {
                seen.insert(name.to_ascii_lowercase(), place.line);
            }
        }
    }
}

fn unique_storages(document: &Document<'_>, storages: &[StorageEntry]) {
    for (at, storage) in storages.iter().enumerate() {
        let StoragePlace::Directory(path) = &storage.config.place;
        let same = storages.iter().take(at).find(|s| {
            let StoragePlace::Directory(other) = &s.config.place;
            without_dots(other) == without_dots(path)
        });
        if let Some(same) = same {
            let text = format!(
                "storage `{}` is the same place as storage `{}` in line {}: two storages must be two places",
                storage.config.name, same.config.name, same.url_place.line
            );
            document.problem(storage.url_place, text);
        }
    }
}

fn known_storages(document: &Document<'_>, cluster: &ClusterEntry, storages: &[StorageEntry]) {
    for (at, At { value: name, place }) in cluster.storages.iter().enumerate() {
        if cluster.storages.iter().take(at).any(|s| s.value == *name) {
            document.problem(*place, format!("storage `{name}` is named twice"));
        }
        if !storages.iter().any(|s| s.config.name == *name) {
            document.problem(*place, unknown_storage(name, storages));
        }
    }
}

fn unknown_storage(name: &StorageName, storages: &[StorageEntry]) -> String {
    let names: Vec<&str> = storages.iter().map(|s| s.config.name.as_str()).collect();
    let advice = match nearest(name.as_str(), names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "there is no [[storage]]".to_owned(),
        None => format!("there is {}", names.join(", ")),
    };
    format!("there is no storage `{name}`: {advice}")
}

/// Losing a cluster's directory must not take its backups along, and a storage is listed as a whole.
fn apart_from_backups(document: &Document<'_>, cluster: &ClusterEntry, storages: &[StorageEntry], data_dir: &Path) {
    let ClusterSource::Embedded { path } = &cluster.config.source else {
        return;
    };
    for storage in storages {
        let StoragePlace::Directory(backups) = &storage.config.place;
        if nested(backups, path) {
            let text = format!(
                "the cluster's directory and storage `{}` ({}) lie in one another: keep backups apart from what they protect",
                storage.config.name,
                backups.display()
            );
            document.problem(cluster.path_place, text);
        }
    }
    if without_dots(data_dir).starts_with(without_dots(path)) {
        let text = format!(
            "the cluster's directory holds brine's own data directory {}: give it one of its own",
            data_dir.display()
        );
        document.problem(cluster.path_place, text);
    }
}

fn apart_from_each_other(document: &Document<'_>, clusters: &[ClusterEntry]) {
    for (at, cluster) in clusters.iter().enumerate() {
        let ClusterSource::Embedded { path } = &cluster.config.source else {
            continue;
        };
        for earlier in clusters.iter().take(at) {
            let ClusterSource::Embedded { path: other } = &earlier.config.source else {
                continue;
            };
            if nested(path, other) {
                let text = format!(
                    "the directories of `{}` and of `{}` in line {} are the same or lie in one another",
                    cluster.config.name, earlier.config.name, earlier.path_place.line
                );
                document.problem(cluster.path_place, text);
            }
        }
    }
}
