//! The file system that records.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use rustix::fs::{FallocateFlags, OFlags};

use super::faults::{Call, FaultKind, FaultPlan, Faults};
use super::image::Image;
use super::mark::Mark;
use super::mutation::{Ino, Mutation, ROOT, SyncOutcome};
use super::names::{NameChange, Names};
use super::op_log::OpLog;
use super::sparse_file::{PAGE, SparseFile};

/// Nobody else changes the file system, so the kernel may remember everything.
const FOR_EVER: Duration = Duration::from_secs(1 << 30);
const MARKS: Ino = u64::MAX;
/// What `statvfs` reports without a quota, in bytes.
const ROOM: u64 = 1 << 40;

/// A file system in memory that writes down every change, sync and mark, in the order in which the
/// kernel asked for them.
///
/// One thread serves it, so that order is one. It is mounted without a writeback cache: a write is here
/// before the call of the program returns; what a program stores through a map arrives when the kernel
/// writes it back.
#[derive(Clone)]
pub(super) struct Recorder(Arc<Mutex<State>>);

struct State {
    log: OpLog,
    names: Names,
    files: HashMap<Ino, File>,
    directories: HashSet<Ino>,
    listings: HashMap<u64, Vec<(Ino, FileType, String)>>,
    next_ino: Ino,
    next_handle: u64,
    /// Who wrote through which `O_DSYNC` handle: the kernel has a sync follow such a write, which
    /// stands for no more than the write.
    synced_writes: HashSet<(u64, u32)>,
    used_pages: u64,
    faults: Faults,
}

#[derive(Default)]
struct File {
    content: SparseFile,
    links: u32,
}

type Answer<T> = Result<T, Errno>;

impl Recorder {
    /// A file system that holds what `log` says, and goes on writing it.
    pub(super) fn new(log: OpLog, faults: FaultPlan) -> Self {
        let mut state = State {
            names: Names::default(),
            files: HashMap::new(),
            directories: HashSet::from([ROOT]),
            listings: HashMap::new(),
            next_ino: log.last_ino() + 1,
            next_handle: 1,
            synced_writes: HashSet::new(),
            used_pages: 0,
            faults: Faults::new(faults),
            log: OpLog {
                mutations: Vec::new(),
                ..log
            },
        };
        for mutation in log.mutations {
            state.apply(mutation);
        }
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in the file system fails the run elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was recorded so far.
    pub(super) fn log(&self) -> OpLog {
        self.state().log.clone()
    }

    /// Begins with the faults, or ends them.
    pub(super) fn set_armed(&self, armed: bool) {
        let mut state = self.state();
        if armed {
            state.faults.arm();
        } else {
            state.faults.disarm();
        }
    }

    /// How many calls of this kind there were while faults were armed.
    pub(super) fn count(&self, call: Call) -> u64 {
        self.state().faults.count(call)
    }

    /// What the file system holds.
    pub(super) fn image(&self) -> Image {
        let state = self.state();
        Image::new(&state.names, |ino| {
            state.files.get(&ino).map(|file| file.content.clone())
        })
    }
}

impl State {
    /// Does what a mutation says, and writes it down.
    fn apply(&mut self, mutation: Mutation) {
        match &mutation {
            Mutation::Create { ino, directory, .. } => {
                if *directory {
                    self.directories.insert(*ino);
                } else {
                    self.files.insert(
                        *ino,
                        File {
                            links: 1,
                            ..File::default()
                        },
                    );
                }
            }
            Mutation::Link { ino, .. } => {
                if let Some(file) = self.files.get_mut(ino) {
                    file.links += 1;
                }
            }
            Mutation::Rename {
                new_parent,
                new_name,
                ino,
                ..
            } => match self.names.find(*new_parent, new_name) {
                Some(replaced) if replaced != *ino => self.unlink(replaced),
                Some(_) | None => {}
            },
            Mutation::Remove { ino, .. } => self.unlink(*ino),
            Mutation::Write {
                ino, offset, data, ..
            } => self.change(*ino, |content| content.write(*offset, data)),
            Mutation::Resize { ino, len } => self.change(*ino, |content| content.resize(*len)),
            Mutation::Mark(Mark::Arm) => self.faults.arm(),
            Mutation::Mark(Mark::Disarm) => self.faults.disarm(),
            Mutation::Sync { .. } | Mutation::Mark(_) => {}
        }
        for change in NameChange::of(&mutation) {
            self.names.apply(&change);
        }
        self.log.mutations.push(mutation);
    }

    fn change(&mut self, ino: Ino, change: impl FnOnce(&mut SparseFile)) {
        if let Some(file) = self.files.get_mut(&ino) {
            let before = file.content.page_count();
            change(&mut file.content);
            if file.links > 0 {
                self.used_pages = self.used_pages + file.content.page_count() - before;
            }
        }
    }

    /// A file whose last name goes gives its space back, although it may be open.
    fn unlink(&mut self, ino: Ino) {
        if let Some(file) = self.files.get_mut(&ino) {
            file.links = file.links.saturating_sub(1);
            if file.links == 0 {
                self.used_pages -= file.content.page_count();
            }
        }
    }

    /// How many bytes can still be written to pages that are not there yet.
    fn room(&self) -> u64 {
        let quota = self.faults.quota_bytes().unwrap_or(ROOM);
        quota.saturating_sub(self.used_pages * PAGE)
    }

    fn attributes(&self, ino: Ino) -> Answer<FileAttr> {
        let (kind, size) = if ino == MARKS {
            (FileType::RegularFile, 0)
        } else if self.directories.contains(&ino) {
            (FileType::Directory, 0)
        } else {
            let file = self.files.get(&ino).ok_or(Errno::ENOENT)?;
            (FileType::RegularFile, file.content.len())
        };
        let pages = self
            .files
            .get(&ino)
            .map_or(0, |file| file.content.page_count());
        Ok(FileAttr {
            ino: INodeNo(ino),
            size,
            blocks: pages * (PAGE / 512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: 0o755,
            nlink: 1,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            blksize: PAGE as u32,
            flags: 0,
        })
    }

    fn find(&self, parent: Ino, name: &OsStr) -> Answer<Ino> {
        if parent == ROOT && name == Mark::FILE {
            return Ok(MARKS);
        }
        let name = name.to_str().ok_or(Errno::ENOENT)?;
        self.names.find(parent, name).ok_or(Errno::ENOENT)
    }

    fn create(&mut self, parent: Ino, name: &OsStr, directory: bool) -> Answer<FileAttr> {
        let name = new_name(name)?;
        if self.names.find(parent, &name).is_some() {
            return Err(Errno::EEXIST);
        }
        let ino = self.next_ino;
        self.next_ino += 1;
        self.apply(Mutation::Create {
            parent,
            name,
            ino,
            directory,
        });
        self.attributes(ino)
    }

    fn handle(&mut self) -> FileHandle {
        self.next_handle += 1;
        FileHandle(self.next_handle)
    }

    fn remove(&mut self, parent: Ino, name: &OsStr, directory: bool) -> Answer<()> {
        let ino = self.find(parent, name)?;
        match (self.directories.contains(&ino), directory) {
            (true, false) => return Err(Errno::EISDIR),
            (false, true) => return Err(Errno::ENOTDIR),
            (true, true) if !self.names.is_empty(ino) => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        let name = new_name(name)?;
        self.apply(Mutation::Remove { parent, name, ino });
        Ok(())
    }

    fn rename(
        &mut self,
        (parent, name): (Ino, &OsStr),
        (new_parent, target): (Ino, &OsStr),
        flags: RenameFlags,
    ) -> Answer<()> {
        let ino = self.find(parent, name)?;
        if flags.intersects(!RenameFlags::RENAME_NOREPLACE) {
            return Err(Errno::EINVAL);
        }
        match self.find(new_parent, target) {
            Ok(_) if flags.contains(RenameFlags::RENAME_NOREPLACE) => return Err(Errno::EEXIST),
            Ok(there) if there == ino => return Ok(()),
            Ok(there) if self.directories.contains(&there) => {
                if !self.directories.contains(&ino) {
                    return Err(Errno::EISDIR);
                }
                if !self.names.is_empty(there) {
                    return Err(Errno::ENOTEMPTY);
                }
            }
            Ok(_) if self.directories.contains(&ino) => return Err(Errno::ENOTDIR),
            Ok(_) | Err(_) => {}
        }
        let (name, new_name) = (new_name(name)?, new_name(target)?);
        self.apply(Mutation::Rename {
            parent,
            name,
            new_parent,
            new_name,
            ino,
        });
        Ok(())
    }

    fn write(&mut self, ino: Ino, offset: u64, data: &[u8], synced: bool) -> Answer<u32> {
        let mut data = data;
        match self.faults.strike(Call::Write) {
            Some(FaultKind::Io) => return Err(Errno::EIO),
            Some(FaultKind::NoSpace) => return Err(Errno::ENOSPC),
            Some(FaultKind::Short(len)) => data = &data[..data.len().min(len as usize)],
            None => {}
        }
        // Whether the pages are new is not looked at: a disk that is full within one write is full.
        if self.faults.quota_bytes().is_some() && self.room() < data.len() as u64 {
            return Err(Errno::ENOSPC);
        }
        self.apply(Mutation::Write {
            ino,
            offset,
            data: Bytes::copy_from_slice(data),
            synced: synced && !self.faults.lies(),
        });
        Ok(data.len() as u32)
    }

    fn sync(&mut self, ino: Ino) -> Answer<()> {
        let (outcome, answer) = match self.faults.strike(Call::Sync) {
            Some(FaultKind::Io) => (SyncOutcome::Failed, Err(Errno::EIO)),
            Some(FaultKind::NoSpace) => (SyncOutcome::Failed, Err(Errno::ENOSPC)),
            Some(FaultKind::Short(_)) | None if self.faults.lies() => (SyncOutcome::Lied, Ok(())),
            Some(FaultKind::Short(_)) | None => (SyncOutcome::Done, Ok(())),
        };
        self.apply(Mutation::Sync { ino, outcome });
        answer
    }

    fn resize(&mut self, ino: Ino, len: u64) {
        if self.files.contains_key(&ino) {
            self.apply(Mutation::Resize { ino, len });
        }
    }

    fn allocate(&mut self, ino: Ino, end: u64, flags: FallocateFlags) -> Answer<()> {
        if flags.intersects(!FallocateFlags::KEEP_SIZE) {
            return Err(Errno::EOPNOTSUPP);
        }
        let len = self.files.get(&ino).ok_or(Errno::ENOENT)?.content.len();
        if self.room() < end.saturating_sub(len) {
            return Err(Errno::ENOSPC);
        }
        if end > len && !flags.contains(FallocateFlags::KEEP_SIZE) {
            self.resize(ino, end);
        }
        Ok(())
    }
}

/// A name that can be recorded.
fn new_name(name: &OsStr) -> Answer<String> {
    name.to_str().map(str::to_owned).ok_or(Errno::EINVAL)
}

impl Filesystem for Recorder {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let state = self.state();
        match state
            .find(parent.0, name)
            .and_then(|ino| state.attributes(ino))
        {
            Ok(attributes) => reply.entry(&FOR_EVER, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.state().attributes(ino.0) {
            Ok(attributes) => reply.attr(&FOR_EVER, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut state = self.state();
        if let Some(len) = size {
            state.resize(ino.0, len);
        }
        match state.attributes(ino.0) {
            Ok(attributes) => reply.attr(&FOR_EVER, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        match self.state().create(parent.0, name, true) {
            Ok(attributes) => reply.entry(&FOR_EVER, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let mut state = self.state();
        match state.create(parent.0, name, false) {
            Ok(attributes) => reply.created(
                &FOR_EVER,
                &attributes,
                Generation(0),
                state.handle(),
                FopenFlags::FOPEN_KEEP_CACHE,
            ),
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.state().remove(parent.0, name, false), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.state().remove(parent.0, name, true), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = ((parent.0, name), (new_parent.0, new_name));
        answer(self.state().rename(from, to, flags), reply);
    }

    fn link(&self, _: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut state = self.state();
        let linked = match (state.find(parent.0, name), new_name(name)) {
            (Ok(_), _) => Err(Errno::EEXIST),
            (Err(_), Ok(name)) => {
                let (parent, ino) = (parent.0, ino.0);
                state.apply(Mutation::Link { parent, name, ino });
                state.attributes(ino)
            }
            (Err(_), Err(error)) => Err(error),
        };
        match linked {
            Ok(attributes) => reply.entry(&FOR_EVER, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let flags = if ino.0 == MARKS {
            FopenFlags::FOPEN_DIRECT_IO
        } else {
            // The pages in memory are the file: also those that a map shows.
            FopenFlags::FOPEN_KEEP_CACHE
        };
        reply.opened(self.state().handle(), flags);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut state = self.state();
        match state.faults.strike(Call::Read) {
            Some(FaultKind::Io) => return reply.error(Errno::EIO),
            Some(FaultKind::NoSpace) => return reply.error(Errno::ENOSPC),
            Some(FaultKind::Short(_)) | None => {}
        }
        match state.files.get(&ino.0) {
            Some(file) => reply.data(&file.content.read(offset, size as usize)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn write(
        &self,
        request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.state();
        if ino.0 == MARKS {
            return match Mark::decode(data) {
                Some(mark) => {
                    state.apply(Mutation::Mark(mark));
                    reply.written(data.len() as u32);
                }
                None => reply.error(Errno::EINVAL),
            };
        }
        let synced = flags.0 & OFlags::DSYNC.bits() as i32 != 0;
        if synced {
            state.synced_writes.insert((handle.0, request.pid()));
        }
        match state.write(ino.0, offset, data, synced) {
            Ok(written) => reply.written(written),
            Err(error) => reply.error(error),
        }
    }

    fn fsync(
        &self,
        request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        if ino.0 == MARKS || state.synced_writes.remove(&(handle.0, request.pid())) {
            return reply.ok();
        }
        answer(state.sync(ino.0), reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.state().sync(ino.0), reply);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let mut state = self.state();
        let names = state.names.of(ino.0).map(|(name, ino)| {
            let kind = if state.directories.contains(&ino) {
                FileType::Directory
            } else {
                FileType::RegularFile
            };
            (ino, kind, name.to_owned())
        });
        let dots = [".", ".."].map(|name| (ino.0, FileType::Directory, name.to_owned()));
        let listing = dots.into_iter().chain(names).collect();
        let handle = state.handle();
        state.listings.insert(handle.0, listing);
        reply.opened(handle, FopenFlags::empty());
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        // What is listed is what was there when the directory was opened.
        let state = self.state();
        let listing = state.listings.get(&handle.0).into_iter().flatten();
        for (next, (ino, kind, name)) in (1..).zip(listing).skip(offset as usize) {
            if reply.add(INodeNo(*ino), next, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.state().listings.remove(&handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let state = self.state();
        let free = state.room() / PAGE;
        let page = PAGE as u32;
        reply.statfs(
            state.used_pages + free,
            free,
            free,
            1 << 20,
            1 << 20,
            page,
            255,
            page,
        );
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let flags = FallocateFlags::from_bits_retain(mode as u32);
        let end = offset.saturating_add(length);
        answer(self.state().allocate(ino.0, end, flags), reply);
    }
}

fn answer(result: Answer<()>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}
