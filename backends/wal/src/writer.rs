use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::BufMut;
use raft_logstore_core::{Error, Op, Result};
use raft_logstore_frames::{Frame, FrameBuffer, FrameFile, FrameWriter, encoding};

use crate::backend::Shared;
use crate::checkpoint;
use crate::keeper::{Keeper, Task};
use crate::places;
use crate::pool::remove;
use crate::record::{self, Place};
use crate::replay::{self, CHECKPOINT, MOVED, Opened};
use crate::segment::Segment;
use crate::state::State;

/// Writes frames into the current segment, and goes on in the next one when it is full.
#[derive(Debug)]
pub(crate) struct Writer {
    segment: Arc<Segment>,
    frames: FrameWriter,
    /// Where what is left of a write that was not completed lies.
    torn: Option<Range<u64>>,
    /// How many entries were written to the segment.
    entries: u64,
    /// How many bytes of frames were written since somebody set it to zero.
    pub(crate) written: u64,
    /// The next frame.
    frame: FrameBuffer,
    /// The places of its entries.
    places: Vec<Place>,
    /// Started by the first write.
    keeper: Option<Keeper>,
    /// What the first write has to do before.
    unsealed: Vec<(Arc<Segment>, u64)>,
    leftovers: Vec<PathBuf>,
    /// Why the last write failed. Then nobody knows what the file holds.
    pub(crate) failure: Option<Error>,
}

/// Begins a log in a new file: with no commit, and a state without anything.
///
/// # Errors
///
/// `DiskFull`, `Io`.
pub(crate) fn begin_log(file: &FrameFile) -> Result<()> {
    let mut frame = FrameBuffer::default();
    frame.begin(FrameFile::START);
    put_checkpoint(&State::default(), frame.body())?;
    let finished = frame.finish(file.header().salt, 0, CHECKPOINT | MOVED);
    finished.ok_or_else(encoding::too_large)?;
    FrameWriter::new(FrameFile::START).write(file, &mut frame)
}

/// Appends the state, and its length behind it.
fn put_checkpoint(state: &State, buffer: &mut Vec<u8>) -> Result<()> {
    let before = buffer.len();
    checkpoint::encode(state, buffer)?;
    let length = u32::try_from(buffer.len() - before).map_err(|_| encoding::too_large())?;
    buffer.put_u32(length);
    Ok(())
}

impl Writer {
    /// # Errors
    ///
    /// `Io`.
    pub(crate) fn new(opened: &mut Opened) -> Result<Self> {
        let sequence = opened.log.state.sequence;
        let torn = opened.current.file.remains(opened.end, sequence)?;
        if torn.is_some() {
            tracing::warn!(
                path = %opened.current.file.path().display(),
                commit = sequence + 1,
                "a commit that was never acknowledged is torn, and cut off"
            );
        }
        let used = opened
            .log
            .state
            .usage
            .segments()
            .get(&opened.current.number);
        Ok(Self {
            segment: Arc::clone(&opened.current),
            frames: FrameWriter::new(opened.end),
            torn,
            entries: used.map_or(0, |used| used.entries),
            written: 0,
            frame: FrameBuffer::default(),
            places: Vec::new(),
            keeper: None,
            unsealed: std::mem::take(&mut opened.unsealed),
            leftovers: std::mem::take(&mut opened.leftovers),
            failure: None,
        })
    }

    /// Writes a frame, and takes it in when it is durable. Copies each payload once.
    ///
    /// # Errors
    ///
    /// `TooLarge` for 2 GiB or more; `DiskFull`, `Io`. Then nothing more must be written.
    pub(crate) fn write(
        &mut self,
        shared: &Arc<Shared>,
        sequence: u64,
        mut flags: u16,
        ops: &[Op],
    ) -> Result<()> {
        self.start(shared)?;
        self.encode(ops)?;
        let filled = if self.has_room(shared, ops.len() as u64) {
            None
        } else {
            flags |= CHECKPOINT;
            Some(self.roll(shared)?)
        };
        self.finish(sequence, flags)?;
        let start = self.frames.end();
        self.frames.write(&self.segment.file, &mut self.frame)?;
        for place in &mut self.places {
            // Checked for the whole frame.
            place.at += start as u32;
        }
        self.written += self.frames.end() - start;
        self.entries += self.places.len() as u64;
        self.take_in(shared, (sequence, flags), ops, filled)
    }

    /// The length of the segment that is written, in bytes.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment.file.len()
    }

    /// Makes the state that of after the frame.
    fn take_in(
        &mut self,
        shared: &Arc<Shared>,
        (sequence, flags): (u64, u16),
        ops: &[Op],
        filled: Option<(Arc<Segment>, u64)>,
    ) -> Result<()> {
        let dead = {
            let mut log = shared.log_mut();
            if filled.is_some() {
                let salt = self.segment.file.header().salt;
                log.state.usage.begin(self.segment.number, salt);
                log.segments
                    .insert(self.segment.number, Arc::clone(&self.segment));
            }
            replay::apply(&mut log.state, sequence, flags, ops, &self.places)?;
            let dead = log.state.usage.take_dead();
            let dead = dead.iter().filter_map(|number| log.segments.remove(number));
            dead.collect::<Vec<_>>()
        };
        if let Some(keeper) = &self.keeper {
            if let Some((segment, end)) = filled {
                keeper.give(Task::Fill);
                keeper.give(Task::Seal(segment, end));
            }
            for segment in dead {
                keeper.give(Task::Retire(segment));
            }
        }
        Ok(())
    }

    /// Does what an open leaves undone, because it writes nothing.
    fn start(&mut self, shared: &Arc<Shared>) -> Result<()> {
        if self.keeper.is_some() {
            return Ok(());
        }
        let sequence = shared.log().state.sequence;
        if let Some(torn) = self.torn.take() {
            self.segment.file.keep_aside(torn, sequence + 1)?;
        }
        for path in self.leftovers.drain(..) {
            remove(&path)?;
        }
        let keeper = Keeper::start(Arc::clone(shared))?;
        for (segment, end) in self.unsealed.drain(..) {
            keeper.give(Task::Seal(segment, end));
        }
        keeper.give(Task::Fill);
        self.keeper = Some(keeper);
        Ok(())
    }

    /// Puts the operations into the buffer, and the places of their entries, as if the frame were at 0.
    fn encode(&mut self, ops: &[Op]) -> Result<()> {
        self.frame.begin(self.frames.end());
        self.places.clear();
        let (start, places) = (self.frame.start(), &mut self.places);
        encoding::encode(ops, self.frame.body(), |group, entry, out| {
            let at = u32::try_from(out.len() - start).map_err(|_| encoding::too_large())?;
            record::put(group, entry, out)?;
            // Fits, or it would not have been put.
            let len = entry.payload.len() as u32;
            places.push(Place { at, len });
            Ok(())
        })
    }

    /// Whether the frame in the buffer fits into the segment, and the places of all its entries behind it.
    fn has_room(&self, shared: &Shared, ops: u64) -> bool {
        let frame = self.frame.len() + Frame::HEAD as u64;
        let entries = self.entries + self.places.len() as u64;
        let runs = shared.log().state.usage.runs() + ops;
        let needed = frame + places::needed(entries, runs);
        self.frames.end() + needed <= self.segment.file.header().capacity
    }

    /// Goes on in the next segment, whose first frame is the one in the buffer with the state of now behind it. Returns
    /// the segment before, and where its frames end.
    fn roll(&mut self, shared: &Shared) -> Result<(Arc<Segment>, u64)> {
        put_checkpoint(&shared.log().state, self.frame.body())?;
        let next = shared.pool.take()?;
        let sequence = shared.log().state.sequence;
        if let Some(torn) = next.file.remains(FrameFile::START, sequence)? {
            next.file.keep_aside(torn, sequence + 1)?;
        }
        let next = Arc::new(next);
        let filled = std::mem::replace(&mut self.segment, next);
        let frames = FrameWriter::new(FrameFile::START);
        let end = std::mem::replace(&mut self.frames, frames).end();
        self.entries = 0;
        Ok((filled, end))
    }

    fn finish(&mut self, sequence: u64, flags: u16) -> Result<()> {
        let salt = self.segment.file.header().salt;
        let finished = self.frame.finish(salt, sequence, flags);
        finished.ok_or_else(encoding::too_large)?;
        // Half of what a place can say, so that the places of its entries fit behind it.
        if self.frames.end() + self.frame.len() > u64::from(u32::MAX / 2) {
            return Err(encoding::too_large());
        }
        Ok(())
    }

    /// What of the current segment was not written yet, in bytes.
    pub(crate) fn unwritten(&self) -> u64 {
        self.segment.file.len().saturating_sub(self.frames.end())
    }

    /// Waits for the work in the background.
    pub(crate) fn rest(&mut self) {
        self.keeper = None;
    }
}
