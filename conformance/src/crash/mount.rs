use std::env;
use std::io;
use std::path::Path;

use fuser::{BackgroundSession, Config, MountOption};
use tempfile::TempDir;

use super::faults::{Call, FaultPlan};
use super::image::Image;
use super::op_log::OpLog;
use super::recorder::Recorder;

/// Turns a skip where nothing can be mounted into a failure.
pub(super) const REQUIRE_ENV: &str = "RAFT_LOGSTORE_REQUIRE_CRASH";

/// A recorded file system that is mounted.
pub(super) struct Mounted {
    recorder: Recorder,
    session: BackgroundSession,
    root: TempDir,
}

impl Mounted {
    /// Mounts a file system that holds what `log` says.
    pub(super) fn new(log: OpLog, faults: FaultPlan) -> io::Result<Self> {
        let recorder = Recorder::new(log, faults);
        let root = TempDir::with_prefix("raft-logstore-crash-")?;
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("raft-logstore-crash".to_owned()),
            MountOption::NoAtime,
            MountOption::NoDev,
            MountOption::NoSuid,
        ];
        // One thread: the order in which it answers is the order of the log.
        config.n_threads = Some(1);
        let session = fuser::spawn_mount(recorder.clone(), root.path(), &config)?;
        Ok(Self {
            recorder,
            session,
            root,
        })
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    /// What was recorded so far.
    pub(super) fn log(&self) -> OpLog {
        self.recorder.log()
    }

    /// Begins with the faults, or ends them.
    pub(super) fn set_armed(&self, armed: bool) {
        self.recorder.set_armed(armed);
    }

    /// How many calls of this kind there were while faults were armed.
    pub(super) fn count(&self, call: Call) -> u64 {
        self.recorder.count(call)
    }

    /// Unmounts; returns what was recorded and what the file system held in the end.
    pub(super) fn unmount(self) -> io::Result<(OpLog, Image)> {
        match self.session.umount_and_join() {
            // The kernel may end the connection before its thread hears of the unmount: that is the end, too.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            ended => ended?,
        }
        Ok((self.recorder.log(), self.recorder.image()))
    }
}

/// Why the crash kit cannot run here, where nothing can be mounted; `None` when it can.
pub fn unavailable() -> Option<String> {
    let mounted = Mounted::new(OpLog::of_empty_disk(), FaultPlan::default());
    match mounted.and_then(Mounted::unmount) {
        Ok(_) => None,
        Err(error) => Some(format!(
            "a file system cannot be mounted here ({error}); the crash kit needs /dev/fuse and the right \
             to mount"
        )),
    }
}

/// Whether a run that cannot mount anything is a failure: `RAFT_LOGSTORE_REQUIRE_CRASH=1` is set.
pub fn is_required() -> bool {
    env::var_os(REQUIRE_ENV).is_some_and(|value| value != "0")
}
