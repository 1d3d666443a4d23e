//! Disks of the wanted size: the test runs itself again in a mount namespace of its own and mounts them there, so that an
//! ordinary user can, and nothing is left behind.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const INSIDE: &str = "BRINE_TEST_SMALL_DISK";

/// Whether this is the inside. From the outside it runs the named test inside and tells how that went.
pub fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let own = std::env::current_exe().unwrap();
    let mut told = Vec::new();
    for flags in ["-Urm", "-m"] {
        let mut possible = Command::new("unshare");
        possible.args([
            flags,
            "sh",
            "-c",
            "d=$(mktemp -d) && mount -t tmpfs -o size=1m tmpfs $d && umount $d && rmdir $d",
        ]);
        match possible.stdin(Stdio::null()).output() {
            Ok(out) if out.status.success() => {}
            Ok(out) => {
                told.push(format!("unshare {flags}: {}", String::from_utf8_lossy(&out.stderr)));
                continue;
            }
            Err(e) => {
                told.push(format!("unshare {flags}: {e}"));
                continue;
            }
        }
        let mut again = Command::new("unshare");
        again
            .arg(flags)
            .arg(own)
            .args(["--exact", test, "--nocapture", "--test-threads=1"]);
        let out = again
            .env(INSIDE, "1")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [out.stdout, out.stderr]
            .map(|t| String::from_utf8_lossy(&t).into_owned())
            .concat();
        assert!(out.status.success() && text.contains("1 passed"), "{text}");
        return false;
    }
    panic!(
        "a small disk cannot be mounted here: this test needs unshare and mount (util-linux) with user namespaces, or root: {told:?}"
    );
}

/// A file system of its own, of so many bytes.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounted over a directory, what is in it kept.
    pub fn over(dir: &Path, kib: u32) -> SmallDisk {
        let aside = dir.with_extension("aside");
        fs::create_dir_all(dir).unwrap();
        run(Command::new("cp").arg("-a").arg(dir).arg(&aside));
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k,mode=700"), "tmpfs"]);
        run(mount.arg(dir));
        run(
            // What has holes would find them full when it comes to fill them.
            Command::new("cp")
                .args(["-a", "--sparse=never"])
                .arg(aside.join("."))
                .arg(dir),
        );
        fs::remove_dir_all(aside).unwrap();
        SmallDisk(dir.to_owned())
    }

    /// Leaves so much free.
    pub fn fill_but(&self, kib: u64) {
        self.free();
        let mut ballast = File::create(self.ballast()).unwrap();
        while ballast.write_all(&[7; 1024]).is_ok() {}
        let taken = ballast.metadata().unwrap().len();
        ballast.set_len(taken.saturating_sub(kib << 10)).unwrap();
    }

    /// Gives back what was filled.
    pub fn free(&self) {
        let _ = fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn run(command: &mut Command) {
    let out = command.output().unwrap();
    assert!(
        out.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
}
