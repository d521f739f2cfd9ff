//! The commit watermark: the side file that knows how many commits were acknowledged.
//!
//! ```text
//! offset  content
//! 0       slot of the even commits
//! 4096    slot of the odd commits
//!
//! slot:   0  8  magic "RLSMARK\0"
//!         8  4  format version, little-endian (1)
//!         12 4  zero
//!         16 8  commit sequence, little-endian
//!         24 4  CRC32C of the 24 bytes before, little-endian
//! ```
//!
//! A slot is overwritten in place after each durable commit and not synced, so the file is at or
//! behind the truth, never ahead of it. Two slots in sectors of their own: a torn write of one
//! leaves the other, which is one commit behind. An engine that comes back with a smaller sequence
//! has lost acknowledged commits.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use raft_logstore_core::{Error, ErrorKind, Result};

const MAGIC: &[u8; 8] = b"RLSMARK\0";
const VERSION: u32 = 1;
const SLOT_LEN: usize = 28;
const SLOT_SPACING: u64 = 4096;

/// The open watermark file of a store.
pub(crate) struct Watermark {
    file: File,
    path: PathBuf,
}

impl Watermark {
    /// The name of the file in a store's directory.
    pub(crate) const FILE: &'static str = "WATERMARK";

    /// Opens the file, or makes one that knows of no commit, and returns it with the highest
    /// sequence it holds: 0 when it holds none, which proves nothing.
    ///
    /// # Errors
    ///
    /// `Format` when the file is of a newer version, `Io`.
    pub(crate) fn open(path: &Path) -> Result<(Self, u64)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| Error::io("open watermark", error).with_path(path))?;
        let watermark = Self {
            file,
            path: path.to_owned(),
        };
        let sequence = watermark.load()?.into_iter().flatten().max();
        watermark.preallocate()?;
        Ok((watermark, sequence.unwrap_or(0)))
    }

    /// The highest sequence in the file, without changing it; `None` when there is no such file.
    ///
    /// # Errors
    ///
    /// `Format` when the file is of a newer version, `Io`.
    pub(crate) fn read(path: &Path) -> Result<Option<u64>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("open watermark", error).with_path(path)),
        };
        let watermark = Self {
            file,
            path: path.to_owned(),
        };
        let sequence = watermark.load()?.into_iter().flatten().max();
        Ok(Some(sequence.unwrap_or(0)))
    }

    /// Takes note that the commit `sequence` is durable. Not synced.
    pub(crate) fn record(&self, sequence: u64) -> Result<()> {
        let at = (sequence % 2) * SLOT_SPACING;
        self.file
            .write_all_at(&encode(sequence), at)
            .map_err(|error| self.failed("record watermark", error))
    }

    /// Starts over at `sequence`, whatever the file held, and syncs.
    pub(crate) fn reset(&self, sequence: u64) -> Result<()> {
        let other = ((sequence + 1) % 2) * SLOT_SPACING;
        self.file
            .write_all_at(&[0; SLOT_LEN], other)
            .map_err(|error| self.failed("reset watermark", error))?;
        self.record(sequence)?;
        self.sync()
    }

    /// Makes what was recorded survive a power cut.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file
            .sync_all()
            .map_err(|error| self.failed("sync watermark", error))
    }

    fn load(&self) -> Result<[Option<u64>; 2]> {
        let mut slots = [None; 2];
        for (slot, at) in slots.iter_mut().zip([0, SLOT_SPACING]) {
            let mut bytes = [0; SLOT_LEN];
            match self.file.read_exact_at(&mut bytes, at) {
                Ok(()) => *slot = decode(&bytes).map_err(|error| error.with_path(&self.path))?,
                // A file that a power cut left short holds no slot here.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(self.failed("read watermark", error)),
            }
        }
        Ok(slots)
    }

    /// Gives both slots their place on disk, so that a full disk cannot stop a later record.
    fn preallocate(&self) -> Result<()> {
        let failed = |error| self.failed("create watermark", error);
        let len = self.file.metadata().map_err(failed)?.len();
        let whole = 2 * SLOT_SPACING;
        if len < whole {
            let missing = usize::try_from(whole - len).expect("at most two slots are missing");
            self.file
                .write_all_at(&vec![0; missing], len)
                .map_err(failed)?;
            self.sync()?;
        }
        Ok(())
    }

    fn failed(&self, operation: &'static str, error: io::Error) -> Error {
        Error::io(operation, error).with_path(&self.path)
    }
}

fn encode(sequence: u64) -> [u8; SLOT_LEN] {
    let mut slot = [0; SLOT_LEN];
    slot[..8].copy_from_slice(MAGIC);
    slot[8..12].copy_from_slice(&VERSION.to_le_bytes());
    slot[16..24].copy_from_slice(&sequence.to_le_bytes());
    let checksum = crc32c::crc32c(&slot[..24]);
    slot[24..].copy_from_slice(&checksum.to_le_bytes());
    slot
}

/// The sequence in a slot; `None` for one that was never written, or torn.
fn decode(slot: &[u8; SLOT_LEN]) -> Result<Option<u64>> {
    let (body, checksum) = slot.split_at(24);
    if crc32c::crc32c(body).to_le_bytes() != checksum || !body.starts_with(MAGIC) {
        return Ok(None);
    }
    let version = u32::from_le_bytes([body[8], body[9], body[10], body[11]]);
    if version != VERSION {
        return Err(Error::new(ErrorKind::Format, "open watermark").with_advice(format!(
            "the file has format {version}, this version reads {VERSION}; open it with the version \
             that wrote it"
        )));
    }
    let mut sequence = [0; 8];
    sequence.copy_from_slice(&body[16..24]);
    Ok(Some(u64::from_le_bytes(sequence)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_highest_recorded_sequence_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(Watermark::FILE);
        assert_eq!(
            Watermark::open(&path).unwrap().1,
            0,
            "a new file knows of no commit"
        );
        for sequence in 1..=5 {
            let (watermark, before) = Watermark::open(&path).unwrap();
            assert_eq!(before, sequence - 1);
            watermark.record(sequence).unwrap();
        }
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 2 * SLOT_SPACING);
    }

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(Watermark::FILE);
        let (watermark, _) = Watermark::open(&path).unwrap();
        watermark.record(7).unwrap();
        watermark.record(8).unwrap();
        watermark.file.write_all_at(&[0xff; 5], 14).unwrap();
        assert_eq!(Watermark::open(&path).unwrap().1, 7);
    }

    #[rstest]
    #[case::empty(0)]
    #[case::inside_a_slot(20)]
    #[case::between_the_slots(100)]
    fn a_short_file_is_completed(#[case] len: u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(Watermark::FILE);
        File::create(&path).unwrap().set_len(len).unwrap();
        assert_eq!(Watermark::open(&path).unwrap().1, 0);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 2 * SLOT_SPACING);
    }

    #[test]
    fn a_newer_format_is_refused() {
        let mut slot = encode(3);
        slot[8] = 9;
        let checksum = crc32c::crc32c(&slot[..24]);
        slot[24..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(decode(&slot).unwrap_err().kind(), ErrorKind::Format);
    }

    #[test]
    fn a_reset_forgets_what_was_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(Watermark::FILE);
        let (watermark, _) = Watermark::open(&path).unwrap();
        watermark.record(10).unwrap();
        watermark.record(11).unwrap();
        watermark.reset(4).unwrap();
        assert_eq!(Watermark::open(&path).unwrap().1, 4);
    }
}
