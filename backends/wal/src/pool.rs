use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use raft_logstore_core::{Error, Result};
use raft_logstore_frames::{Access, Folder, FrameFile, Header};

use crate::WalConfig;
use crate::segment::{MAGIC, Segment};

/// The segments that wait for their use, and the making of more.
///
/// One is made under another name, `spare-<number>`, and gets its own when it is durable; then its folder is
/// synced. So a file with the name of a segment is a whole one, and of two that were made one after the
/// other the second is never there without the first.
#[derive(Debug)]
pub(crate) struct Pool {
    folder: Folder,
    segment_bytes: u64,
    prepared: usize,
    ready: Mutex<VecDeque<Segment>>,
    maker: Mutex<Maker>,
}

#[derive(Debug)]
struct Maker {
    /// The number of the next segment.
    next: u64,
    /// That the folder could not be synced: nobody knows which names in it are durable.
    failure: Option<Error>,
}

impl Pool {
    /// With the segments in `ready`, which are those before `next`.
    ///
    /// # Errors
    ///
    /// `Io` when the folder cannot be held.
    pub(crate) fn new(
        dir: &Path,
        config: &WalConfig,
        ready: VecDeque<Segment>,
        next: u64,
    ) -> Result<Self> {
        Ok(Self {
            folder: Folder::hold(dir)?,
            segment_bytes: config.segment_bytes,
            prepared: usize::try_from(config.prepared_segments).unwrap_or(usize::MAX),
            ready: Mutex::new(ready),
            maker: Mutex::new(Maker {
                next,
                failure: None,
            }),
        })
    }

    fn ready(&self) -> MutexGuard<'_, VecDeque<Segment>> {
        // Nothing panics while it is held.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn maker(&self) -> MutexGuard<'_, Maker> {
        // The number is counted when everything else is done.
        self.maker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the segments take that wait, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.ready().iter().map(|segment| segment.file.len()).sum()
    }

    /// The next segment; makes one when none waits.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `Io`.
    pub(crate) fn take(&self) -> Result<Segment> {
        if let Some(segment) = self.ready().pop_front() {
            return Ok(segment);
        }
        // One that is being made is waited for.
        let mut maker = self.maker();
        match self.ready().pop_front() {
            Some(segment) => Ok(segment),
            None => self.make(&mut maker, FrameFile::create),
        }
    }

    /// Makes segments until enough wait.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `Io`.
    pub(crate) fn fill(&self) -> Result<()> {
        let mut maker = self.maker();
        while self.ready().len() < self.prepared {
            let segment = self.make(&mut maker, FrameFile::create)?;
            self.ready().push_back(segment);
        }
        Ok(())
    }

    /// Uses a segment again that holds nothing of the log any more, or removes it when enough wait; one more than
    /// those if `has_room`, so that the next one need not be made.
    ///
    /// # Errors
    ///
    /// `Io`.
    pub(crate) fn retire(&self, segment: Segment, has_room: bool) -> Result<()> {
        let mut maker = self.maker();
        let path = segment.file.path();
        let most = self.prepared + usize::from(has_room);
        if self.ready().len() >= most || segment.file.len() != self.segment_bytes {
            self.folder.check()?;
            return remove(path);
        }
        let again = self.make(&mut maker, |spare, header| {
            // Should the old name come back after a crash: nobody looks into a segment that nothing refers to.
            fs::rename(path, spare)?;
            FrameFile::renew(spare, header)
        })?;
        self.ready().push_back(again);
        Ok(())
    }

    fn make(
        &self,
        maker: &mut Maker,
        make: impl FnOnce(&Path, &Header) -> io::Result<()>,
    ) -> Result<Segment> {
        if let Some(failure) = &maker.failure {
            return Err(failure.clone());
        }
        self.folder.check()?;
        let (number, dir) = (maker.next, self.folder.path());
        let spare = dir.join(format!("{SPARE}{number:016x}"));
        let failed = |error| Error::io("prepare a segment", error).with_path(&spare);
        let made = make(&spare, &Header::new(MAGIC, number, self.segment_bytes))
            .and_then(|()| fs::rename(&spare, Segment::path(dir, number)));
        if let Err(error) = made {
            // What is left of it is removed by the next open at the latest.
            drop(fs::remove_file(&spare));
            return Err(failed(error));
        }
        if let Err(error) = self.folder.sync() {
            let failure = failed(error);
            maker.failure = Some(failure.clone());
            return Err(failure);
        }
        maker.next += 1;
        Segment::open(dir, number, Access::Write)
    }
}

/// What the names of files begin with that are no segments yet.
pub(crate) const SPARE: &str = "spare-";

/// Removes a file that holds nothing of the log.
///
/// # Errors
///
/// `Io`.
pub(crate) fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|error| Error::io("remove a segment", error).with_path(path))
}
