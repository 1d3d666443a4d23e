//! What is known of a directory as a place for backups.

use rustix::fs::{fstat, fstatvfs};

use super::beneath::Beneath;
use crate::storage::StorageFacts;
use crate::storage::name::DirName;

/// Looks at the directory and the file system below it; what cannot be read is not known.
pub(super) fn of(beneath: &Beneath) -> StorageFacts {
    let root = beneath.dir(&DirName::root());
    let stat = root.as_ref().ok().and_then(|dir| fstat(dir).ok());
    let room = root.as_ref().ok().and_then(|dir| fstatvfs(dir).ok());
    StorageFacts {
        credentials: stat.map(|s| format!("the rights of brine's user; {}", others(s.st_mode))),
        versioning: Some("none: a directory keeps no older versions of a file".to_owned()),
        immutability: Some("none: who may write to the directory can delete backups".to_owned()),
        free: room.as_ref().map(|r| r.f_bavail.saturating_mul(r.f_frsize)),
        size: room.as_ref().map(|r| r.f_blocks.saturating_mul(r.f_frsize)),
    }
}

/// What other users of the host can do there.
fn others(mode: u32) -> &'static str {
    match (mode & 0o022 != 0, mode & 0o055 != 0) {
        (true, _) => "other users of this host may be able to write there",
        (false, true) => "other users of this host may be able to look into it",
        (false, false) => "no other user of this host may enter",
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::Storage;
    use crate::storage::local::Local;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_says_who_may_enter_and_how_much_fits() {
        let dir = tempfile::tempdir().unwrap();
        for (mode, words) in [
            (0o700, "no other user"),
            (0o750, "able to look"),
            (0o711, "able to look"),
            (0o770, "able to write"),
        ] {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let facts = Local::open(dir.path()).unwrap().facts();
            let credentials = facts.credentials.unwrap();
            assert!(credentials.contains(words), "{mode:o}: {credentials}");
            assert!(facts.free.unwrap() <= facts.size.unwrap() && facts.size.unwrap() > 0);
        }
    }
}
