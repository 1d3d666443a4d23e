//! Where the socket is: in the state directory, or, where that path is too long for a socket, in a runtime
//! directory with a file in the state directory that says so.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::SocketError;
use crate::jobs::lease::{Lease, open_private, private_dir};

const SOCKET: &str = "control.sock";
const POINTER: &str = "control.path";
/// The longest path of a socket.
const MAX_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The sockets that a client should try, in order.
pub(super) fn candidates(state_dir: &Path) -> Vec<PathBuf> {
    let direct = state_dir.join(SOCKET);
    let mut found = Vec::new();
    if fits(&direct) {
        found.push(direct);
    }
    let mut bytes = Vec::new();
    let read = File::open(state_dir.join(POINTER)).and_then(|f| f.take(4096).read_to_end(&mut bytes));
    let pointed = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    if read.is_ok() && pointed.is_absolute() && fits(&pointed) {
        found.push(pointed);
    }
    found
}

/// Listens; what an earlier process left there is replaced, which only the holder of the lease may do.
pub(super) fn listen(lease: &Lease, runtime_dir: &Path) -> Result<(UnixListener, PathBuf), SocketError> {
    let dir = std::path::absolute(lease.dir()).map_err(io_error(lease.dir(), "found"))?;
    let direct = dir.join(SOCKET);
    if fits(&direct) {
        remove(&dir.join(POINTER))?;
        return Ok((bind(&direct)?, direct));
    }
    let user = rustix::process::geteuid().as_raw();
    let far = runtime_dir.join(format!("brine-{user}"));
    own_dir(&far).map_err(io_error(&far, "given a directory"))?;
    // Two state directories never share a name: the hash is of the whole path.
    let name = xxhash_rust::xxh3::xxh3_128(dir.as_os_str().as_bytes());
    let path = far.join(format!("{name:032x}.sock"));
    if !fits(&path) {
        let source = io::Error::other("this path, too, is longer than a socket's may be");
        return Err(SocketError::Io {
            path,
            doing: "made",
            source,
        });
    }
    let listener = bind(&path)?;
    write_pointer(&dir, &path).map_err(io_error(&dir.join(POINTER), "written down"))?;
    Ok((listener, path))
}

/// Takes away what [`listen`] made.
pub(super) fn clear(state_dir: &Path, socket: &Path) {
    // Left-overs are replaced by the next holder.
    let _ = fs::remove_file(socket);
    let _ = fs::remove_file(state_dir.join(POINTER));
}

fn fits(path: &Path) -> bool {
    path.as_os_str().len() <= MAX_PATH
}

fn io_error(path: &Path, doing: &'static str) -> impl Fn(io::Error) -> SocketError {
    let path = path.to_owned();
    move |source| SocketError::Io {
        path: path.clone(),
        doing,
        source,
    }
}

/// Makes the socket; the directory is private, so nobody can come between making and closing it off.
fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    use std::os::unix::fs::PermissionsExt as _;
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let source = io::Error::other("something that is not a socket is there; remove it");
            return Err(SocketError::Io {
                path: path.to_owned(),
                doing: "made",
                source,
            });
        }
        _ => remove(path)?,
    }
    let listener = UnixListener::bind(path).map_err(io_error(path, "made"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(io_error(path, "made private"))?;
    Ok(listener)
}

fn remove(path: &Path) -> Result<(), SocketError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error(path, "replaced")(e)),
        _ => Ok(()),
    }
}

/// A directory below one that others may write in must be ours, or they could put a socket of theirs there.
fn own_dir(dir: &Path) -> io::Result<()> {
    if let Ok(found) = fs::symlink_metadata(dir)
        && (!found.is_dir() || found.uid() != rustix::process::geteuid().as_raw())
    {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it is there and belongs to somebody else",
        ));
    }
    private_dir(dir)
}

fn write_pointer(dir: &Path, socket: &Path) -> io::Result<()> {
    use std::io::Write as _;
    let new = dir.join("control.path.new");
    let mut file = open_private(&new)?;
    file.set_len(0)?;
    file.write_all(socket.as_os_str().as_bytes())?;
    fs::rename(&new, dir.join(POINTER))
}
