//! Where files live, and paths as operators write them.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use directories::ProjectDirs;

use super::error::ConfigError;

/// Where this platform keeps a user's config and data when nobody says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandardPaths {
    /// The config file.
    pub config_file: PathBuf,
    /// The data directory.
    pub data_dir: PathBuf,
}

impl StandardPaths {
    /// For the user who runs this process; `None` without a home directory.
    pub fn of_user() -> Option<StandardPaths> {
        let dirs = ProjectDirs::from("", "", "brine")?;
        Some(StandardPaths {
            config_file: dirs.config_dir().join("config.toml"),
            data_dir: dirs.data_local_dir().to_path_buf(),
        })
    }
}

/// Makes the data directory, for its owner only, or checks the one that is there.
///
/// An empty directory is tightened to 0700; one that is in use keeps its mode as long as nobody else may write.
pub fn prepare_data_dir(dir: &Path) -> Result<(), ConfigError> {
    let failed = |source| ConfigError::DataDir {
        dir: dir.to_path_buf(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed)?;
    let mode = fs::metadata(dir).map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    if fs::read_dir(dir).map_err(failed)?.next().is_none() {
        return fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed);
    }
    if mode & 0o022 == 0 {
        return Ok(());
    }
    Err(ConfigError::OpenToOthers {
        dir: dir.to_path_buf(),
        mode,
    })
}

/// `path` as seen from `base`, without `.` and with `..` kept (a link may stand before it).
pub(super) fn absolute(base: &Path, path: &Path) -> PathBuf {
    base.join(path)
        .components()
        .filter(|c| *c != Component::CurDir)
        .collect()
}

/// Whether one of two directories is the other or lies in it, as far as their names tell.
pub(super) fn nested(one: &Path, other: &Path) -> bool {
    let (one, other) = (without_dots(one), without_dots(other));
    one.starts_with(&other) || other.starts_with(&one)
}

/// `..` taken back by name alone: good for comparing, not for opening.
pub(super) fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Checks a path as it was written and makes it absolute.
pub(super) fn read_path(base: &Path, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("a path cannot be empty".to_owned());
    }
    if text.contains('\0') {
        return Err("a path cannot hold a zero byte".to_owned());
    }
    if text == "~" || text.starts_with("~/") {
        return Err("`~` is not replaced by the home directory here: write the whole path".to_owned());
    }
    Ok(absolute(base, Path::new(text)))
}

/// Reads where a storage lies: `file:///absolute/path`, or a plain path.
pub(super) fn read_storage_url(base: &Path, text: &str) -> Result<PathBuf, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return read_path(base, text);
    };
    if scheme != "file" {
        let scheme = crate::model::text::safe(scheme, 20);
        return Err(format!(
            "storages of kind `{scheme}` are not in this version of brine: write a directory, as file:///var/backups/brine"
        ));
    }
    if !rest.starts_with('/') {
        return Err("a file URL holds an absolute path and so has three slashes: file:///var/backups/brine".to_owned());
    }
    let bytes = percent_decoded(rest).ok_or("after `%` a URL needs two hex digits: write %25 for a percent sign")?;
    if bytes.contains(&0) {
        return Err("a path cannot hold a zero byte".to_owned());
    }
    Ok(absolute(base, &PathBuf::from(OsString::from_vec(bytes))))
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend(parts.next()?.bytes());
    for part in parts {
        let (hex, rest) = part.split_at_checked(2)?;
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        bytes.extend(rest.bytes());
    }
    Some(bytes)
}

/// The URL of a directory.
pub(super) fn file_url(path: &Path) -> String {
    let mut url = String::from("file://");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => url.push(char::from(byte)),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mode_of(dir: &Path) -> u32 {
        fs::metadata(dir).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_data_directory_is_for_its_owner() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a/b");
        prepare_data_dir(&dir).unwrap();
        assert_eq!(mode_of(&dir), 0o700);
        assert_eq!(mode_of(&temp.path().join("a")), 0o700);
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        prepare_data_dir(&dir).unwrap();
        assert_eq!(mode_of(&dir), 0o700, "an empty directory is tightened");
    }

    #[test]
    fn a_used_directory_that_others_may_write_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "x").unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        prepare_data_dir(dir.path()).unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o775)).unwrap();
        let error = prepare_data_dir(dir.path()).unwrap_err().to_string();
        assert!(error.contains("chmod 700"), "{error}");
        assert_eq!(mode_of(dir.path()), 0o775);
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(matches!(prepare_data_dir(&file), Err(ConfigError::DataDir { .. })));
    }

    #[test]
    fn storages_by_url_and_by_path() {
        let base = Path::new("/etc/brine");
        for (text, path) in [
            ("file:///var/b", "/var/b"),
            ("file:///var/my%20b%25", "/var/my b%"),
            ("/var/b", "/var/b"),
            ("./b", "/etc/brine/b"),
            ("b/./c", "/etc/brine/b/c"),
            ("../b", "/etc/brine/../b"),
        ] {
            assert_eq!(read_storage_url(base, text), Ok(PathBuf::from(path)), "{text}");
        }
        for bad in [
            "",
            "s3://bucket/x",
            "file://b",
            "file:///a%2",
            "file:///a%+1",
            "file:///a%00",
            "~/b",
            "a\0b",
        ] {
            assert!(read_storage_url(base, bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_url_leads_back_to_its_path(names in prop::collection::vec("[^/\0.]{1,8}", 1..4)) {
            let path = PathBuf::from(format!("/{}", names.join("/")));
            prop_assert_eq!(read_storage_url(Path::new("/"), &file_url(&path)), Ok(path));
        }
    }
}
