use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// One harm done to the files of a store that nobody has open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Harm {
    /// A bit is not what it was.
    Flip {
        /// The file, by its path from the directory of the store.
        file: PathBuf,
        /// The bit, counted from the first of the file; inside it.
        bit: u64,
    },
    /// A file, or a folder and all in it, is gone.
    Loss {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file ends too early.
    Cut {
        /// The file.
        file: PathBuf,
        /// What is left of it, in bytes.
        len: u64,
    },
    /// A part of a file holds something else; the file may grow by it.
    Overwrite {
        /// The file.
        file: PathBuf,
        /// Where, in bytes from its start.
        at: u64,
        /// What is there instead.
        bytes: Vec<u8>,
    },
}

impl Harm {
    /// The file or folder that is harmed.
    pub fn part(&self) -> &Path {
        match self {
            Self::Flip { file, .. } | Self::Cut { file, .. } | Self::Overwrite { file, .. } => file,
            Self::Loss { path } => path,
        }
    }

    /// Does it to the store in `dir`.
    ///
    /// # Errors
    ///
    /// Those of writing there.
    pub fn apply(&self, dir: &Path) -> io::Result<()> {
        let path = dir.join(self.part());
        let open = || OpenOptions::new().read(true).write(true).open(&path);
        match self {
            Self::Flip { bit, .. } => {
                let (mut file, mut byte) = (open()?, [0]);
                file.seek(SeekFrom::Start(bit / 8))?;
                file.read_exact(&mut byte)?;
                byte[0] ^= 1 << (bit % 8);
                file.seek(SeekFrom::Start(bit / 8))?;
                file.write_all(&byte)
            }
            Self::Loss { .. } if path.is_dir() => fs::remove_dir_all(path),
            Self::Loss { .. } => fs::remove_file(path),
            Self::Cut { len, .. } => open()?.set_len(*len),
            Self::Overwrite { at, bytes, .. } => {
                let mut file = open()?;
                file.seek(SeekFrom::Start(*at))?;
                file.write_all(bytes)
            }
        }
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.part().display();
        match self {
            Self::Flip { bit, .. } => {
                write!(f, "bit {} of byte {} of {name} flipped", bit % 8, bit / 8)
            }
            Self::Loss { .. } => write!(f, "{name} lost"),
            Self::Cut { len, .. } => write!(f, "{name} cut to {len} bytes"),
            Self::Overwrite { at, bytes, .. } => {
                let what = match bytes.iter().all(|byte| *byte == 0) {
                    true => "zeros",
                    false => "foreign bytes",
                };
                write!(f, "{} {what} from byte {at} of {name} on", bytes.len())
            }
        }
    }
}
