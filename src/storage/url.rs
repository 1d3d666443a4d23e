//! From a URL to a storage.

use std::path::Path;
use std::sync::Arc;

use super::Storage;
use super::error::{ErrorKind, StorageError};
use super::local::Local;

/// Opens the storage of a URL; a local directory is created if it does not exist.
pub fn open(url: &str) -> Result<Arc<dyn Storage>, StorageError> {
    let storage = Local::create(path_of(url)?)?;
    Ok(Arc::new(storage))
}

/// The directory of a `file:` URL.
pub fn path_of(url: &str) -> Result<&Path, StorageError> {
    let invalid = |why: String| StorageError::new(ErrorKind::Invalid, "open", shown(url)).detail(why);
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(invalid("it is not a URL: write file:///path/to/directory".to_owned()));
    };
    if scheme != "file" {
        return Err(invalid(format!(
            "`{scheme}` storages are not supported yet: use file:///path/to/directory"
        )));
    }
    if !rest.starts_with('/') {
        return Err(invalid(
            "the path must be absolute: write file:///path/to/directory".to_owned(),
        ));
    }
    if rest.contains('\0') {
        return Err(invalid("the path holds a NUL".to_owned()));
    }
    Ok(Path::new(rest))
}

/// A URL without what may be a secret in it: user part and query.
fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let clean = match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    };
    crate::model::text::safe(&clean, 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_file_urls() {
        assert_eq!(path_of("file:///var/backups").unwrap(), Path::new("/var/backups"));
        for (bad, says) in [
            ("/var/backups", "not a URL"),
            ("file://var", "absolute"),
            ("s3://bucket/x", "not supported yet"),
        ] {
            let error = path_of(bad).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert_eq!(error.kind, ErrorKind::Invalid);
        }
    }

    #[test]
    fn secrets_do_not_reach_the_error() {
        let error = path_of("s3://key:canary@host/b?sig=canary").unwrap_err().to_string();
        assert!(!error.contains("canary") && error.contains("s3://host/b"), "{error}");
    }
}
