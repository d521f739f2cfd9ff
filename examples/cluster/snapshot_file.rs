//! The last snapshot of a node, in one file that a crash cannot tear.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use raft_logstore::envelope;

use crate::state::State;
use crate::types::{Snapshot, SnapshotMeta};
use crate::wire;

/// The checksum covers this name as well, so that another program's file is not taken for ours.
const KEY: &[u8] = b"cluster example snapshot 1";

/// The snapshot file of one node.
///
/// Saving writes a new file beside the old one, syncs it, renames it over the old one and syncs the
/// directory: at every moment of a power cut there is a whole snapshot, the old one or the new one,
/// and once `save` has returned it is the new one. Methods block.
pub(crate) struct SnapshotFile {
    dir: PathBuf,
    /// What the file holds. The lock also keeps a snapshot that is being built and one that is being
    /// installed from writing at the same time.
    current: Mutex<Option<SnapshotMeta>>,
}

impl SnapshotFile {
    /// Opens the snapshot in `dir`, and the state it holds, if there is one.
    pub(crate) fn open(dir: &Path) -> io::Result<(Self, Option<State>)> {
        let file = Self {
            dir: dir.to_owned(),
            current: Mutex::new(None),
        };
        if !fs::exists(file.path())? {
            return Ok((file, None));
        }
        let state: State = wire::decode(&file.read()?).map_err(io::Error::other)?;
        *file.current() = Some(state.meta());
        Ok((file, Some(state)))
    }

    /// Replaces the snapshot, unless the file holds a newer one.
    pub(crate) fn save(&self, meta: SnapshotMeta, data: &[u8]) -> io::Result<()> {
        let mut current = self.current();
        if current
            .as_ref()
            .is_some_and(|current| current.last_log_id > meta.last_log_id)
        {
            return Ok(());
        }
        let mut record = Vec::new();
        envelope::seal(KEY, data, &mut record);
        let temporary = self.dir.join("snapshot.new");
        let mut file = File::create(&temporary)?;
        file.write_all(&record)?;
        file.sync_all()?;
        fs::rename(&temporary, self.path())?;
        sync_dir(&self.dir)?;
        *current = Some(meta);
        Ok(())
    }

    /// The snapshot; `None` when none was ever saved.
    pub(crate) fn load(&self) -> io::Result<Option<Snapshot>> {
        let current = self.current();
        let Some(meta) = current.clone() else {
            return Ok(None);
        };
        Ok(Some(Snapshot {
            meta,
            snapshot: self.read()?,
        }))
    }

    fn read(&self) -> io::Result<Bytes> {
        let record = Bytes::from(fs::read(self.path())?);
        match envelope::open(KEY, &record) {
            Some(data) => Ok(record.slice_ref(data)),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} fails its checksum", self.path().display()),
            )),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.join("snapshot")
    }

    fn current(&self) -> MutexGuard<'_, Option<SnapshotMeta>> {
        self.current
            .lock()
            .expect("nothing panics while it holds the snapshot file")
    }
}

/// Makes a rename durable. Windows cannot open a directory, and needs no sync of it.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(dir)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use openraft::alias::CommittedLeaderIdOf;
    use openraft::vote::RaftLeaderId;

    use super::*;
    use crate::types::{LogId, TypeConfig};

    fn state(index: u64) -> State {
        let leader = CommittedLeaderIdOf::<TypeConfig>::new(1, 1);
        let mut state = State::default();
        state.applied = Some(LogId::new(leader, index));
        state
    }

    fn save(file: &SnapshotFile, index: u64) {
        let state = state(index);
        file.save(state.meta(), &wire::encode(&state).unwrap())
            .unwrap();
    }

    fn applied(dir: &Path) -> Option<u64> {
        let (_, state) = SnapshotFile::open(dir).unwrap();
        state.and_then(|state| state.applied).map(|id| id.index)
    }

    #[test]
    fn the_newest_snapshot_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(applied(dir.path()), None);
        let (file, _) = SnapshotFile::open(dir.path()).unwrap();
        save(&file, 5);
        save(&file, 9);
        assert_eq!(applied(dir.path()), Some(9));
        // One that was overtaken while it was being built does not go back.
        save(&file, 7);
        assert_eq!(applied(dir.path()), Some(9));
    }

    #[test]
    fn a_crash_while_saving_leaves_the_old_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let (file, _) = SnapshotFile::open(dir.path()).unwrap();
        save(&file, 5);
        fs::write(dir.path().join("snapshot.new"), b"half of a new one").unwrap();
        assert_eq!(applied(dir.path()), Some(5));
        save(&file, 9);
        assert_eq!(applied(dir.path()), Some(9));
    }

    #[test]
    fn a_flipped_bit_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let (file, _) = SnapshotFile::open(dir.path()).unwrap();
        save(&file, 5);
        let path = dir.path().join("snapshot");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = SnapshotFile::open(dir.path()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
