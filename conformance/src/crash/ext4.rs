use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::ioctl::opcode;

/// Bytes of the image, nearly all of them holes.
const IMAGE_BYTES: u64 = 1 << 30;

/// `EXT4_IOC_SHUTDOWN`: from the call on, nothing reaches the disk, and what waits for it is dropped.
const SHUTDOWN: u32 = opcode::read::<u32>(b'X', 125);

/// Perl, because every system that has `mount` has it, and an ioctl is `unsafe` in Rust. The flag 2 is
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: the journal is not written either.
const CUT: &str = r#"
open(my $dir, "<", $ARGV[0]) or die "open $ARGV[0]: $!\n";
my $flag = pack("L", 2);
ioctl($dir, $ARGV[1], $flag) or die "EXT4_IOC_SHUTDOWN: $!\n";
"#;

/// A real ext4 in an image file, whose power can be cut.
///
/// Dropping it unmounts it and gives the loop device back.
pub(super) struct Ext4 {
    image: PathBuf,
    root: PathBuf,
    mounted: bool,
}

impl Ext4 {
    /// Makes a file system in `dir`, an empty directory, and mounts it there.
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        let mut ext4 = Self {
            image: dir.join("image"),
            root: dir.join("root"),
            mounted: false,
        };
        fs::create_dir(&ext4.root)?;
        File::create_new(&ext4.image)?.set_len(IMAGE_BYTES)?;
        run("mkfs.ext4", ["-q", "-F"].map(OsStr::new), [&ext4.image])?;
        ext4.mount()?;
        Ok(ext4)
    }

    /// Where it is mounted.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Cuts the power: what is not on the disk is lost, and every call on a file fails.
    pub(super) fn cut(&self) -> io::Result<()> {
        let number = SHUTDOWN.to_string();
        let options = ["-e", CUT].map(OsStr::new);
        run(
            "perl",
            options,
            [self.root.as_os_str(), OsStr::new(&number)],
        )
    }

    /// Unmounts it and mounts it again, which replays the journal after a [`cut`](Self::cut). Nothing
    /// may have a file of it open.
    pub(super) fn power_on(&mut self) -> io::Result<()> {
        self.unmount(&[])?;
        self.mount()
    }

    fn mount(&mut self) -> io::Result<()> {
        let options = ["-t", "ext4", "-o", "loop"].map(OsStr::new);
        run("mount", options, [&self.image, &self.root])?;
        self.mounted = true;
        Ok(())
    }

    fn unmount(&mut self, options: &[&str]) -> io::Result<()> {
        // The loop device goes with the mount.
        run("umount", options.iter().map(OsStr::new), [&self.root])?;
        self.mounted = false;
        Ok(())
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        // Lazily: a store that hangs must not keep the mount.
        if self.mounted
            && let Err(error) = self.unmount(&["--lazy"])
        {
            eprintln!("{} is still mounted: {error}", self.root.display());
        }
    }
}

/// Runs a program of the system, which must succeed.
fn run<'a, A: AsRef<OsStr>>(
    program: &str,
    options: impl IntoIterator<Item = &'a OsStr>,
    operands: impl IntoIterator<Item = A>,
) -> io::Result<()> {
    let ran = Command::new(program)
        .args(options)
        .args(operands)
        .stdin(Stdio::null())
        // Half of a mount or unmount must not be all that an interrupt leaves.
        .process_group(0)
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    let said = said.trim();
    Err(io::Error::other(format!(
        "{program} ended with {}: {said}",
        ran.status
    )))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tempfile::TempDir;

    use super::*;

    /// Checks the instrument: what was synced is there after a cut, and what was not is gone.
    #[test]
    fn a_cut_loses_what_was_not_synced() -> io::Result<()> {
        let dir = TempDir::new()?;
        let mut ext4 = match Ext4::new(dir.path()) {
            Ok(ext4) => ext4,
            Err(error) if !super::super::is_required() => {
                eprintln!("SKIPPED: {error}");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut synced = File::create(ext4.root().join("synced"))?;
        synced.write_all(b"there")?;
        synced.sync_all()?;
        fs::write(ext4.root().join("unsynced"), b"gone")?;
        ext4.cut()?;
        assert!(fs::write(ext4.root().join("late"), b"late").is_err());
        drop(synced);
        ext4.power_on()?;
        assert_eq!(fs::read(ext4.root().join("synced"))?, b"there");
        assert!(!ext4.root().join("unsynced").exists());
        assert!(!ext4.root().join("late").exists());
        Ok(())
    }
}
