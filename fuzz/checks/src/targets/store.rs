//! A store of which one file was changed, in any way: it shows all that was acknowledged, or says what is
//! damaged (law 14).

use std::path::PathBuf;
use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use raft_logstore::fjall::FjallConfig;
use raft_logstore::heed::HeedConfig;
use raft_logstore::redb::RedbConfig;
use raft_logstore::wal::WalConfig;
use raft_logstore_conformance::damage::{Harm, History, Image, Judge, Sight};
use raft_logstore_conformance::{StoreSubject, Subject, golden};

/// Which engine keeps the store.
#[derive(Clone, Copy, Debug)]
pub enum Engine {
    /// redb.
    Redb,
    /// LMDB.
    Heed,
    /// fjall.
    Fjall,
    /// The segmented log.
    Wal,
}

/// A change of a file. Places and lengths are taken modulo what there is.
#[derive(Arbitrary, Debug)]
enum Change {
    /// A bit is flipped.
    Flip(u32),
    /// Other bytes.
    Write(u32, Vec<u8>),
    /// Zeros.
    Zero(u32, u16),
    /// A part lies somewhere else as well: an old page, a write that went astray.
    Copy { from: u32, to: u32, len: u16 },
    /// The end is missing.
    Cut(u32),
    /// There is more behind the end.
    Grow(Vec<u8>),
}

/// A store, and what happened to one of its files.
#[derive(Arbitrary, Debug)]
struct Case {
    killed: bool,
    file: u8,
    changes: Vec<Change>,
}

/// How many changes one case makes at most.
const MAX_CHANGES: usize = 16;

/// A golden store in memory.
struct Base {
    subject: Box<dyn Subject>,
    history: History,
    judge: Judge,
    closed: Image,
    killed: Image,
}

/// Changes a file of a golden store, opens it and judges what it shows.
///
/// # Panics
///
/// When law 14 is broken.
pub fn check(engine: Engine, input: &[u8]) {
    let base = engine.base();
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(input)) else {
        return;
    };
    let image = if case.killed {
        &base.killed
    } else {
        &base.closed
    };
    let files: Vec<_> = image.files().collect();
    let (name, content) = files[usize::from(case.file) % files.len()];
    let dir = tempfile::tempdir().expect("there is room for a temporary directory");
    let usable = "the temporary directory can be written to";
    image.restore(dir.path()).expect(usable);
    let changes = case.changes.iter().take(MAX_CHANGES);
    for harm in changes.filter_map(|change| change.harm(name.to_owned(), content)) {
        // A bit that was cut off before cannot be flipped.
        drop(harm.apply(dir.path()));
    }
    let sight = Sight::of(&*base.subject, dir.path(), &base.history)
        .expect("a look at a store reports what it finds");
    let verdict = base.judge.judge(&sight);
    assert!(
        verdict.is_lawful(),
        "{verdict:?} after {case:?} in {name:?}"
    );
}

impl Change {
    /// The harm to a file that holds `content`; none to one that is empty.
    fn harm(&self, file: PathBuf, content: &[u8]) -> Option<Harm> {
        let len = content.len() as u64;
        let place = |at: u32| u64::from(at).checked_rem(len);
        Some(match self {
            Self::Flip(bit) => Harm::Flip {
                file,
                bit: u64::from(*bit).checked_rem(8 * len)?,
            },
            Self::Write(at, bytes) => Harm::Overwrite {
                file,
                at: place(*at)?,
                bytes: bytes.clone(),
            },
            Self::Zero(at, count) => Harm::Overwrite {
                file,
                at: place(*at)?,
                bytes: vec![0; usize::from(*count)],
            },
            Self::Copy { from, to, len } => {
                let from = place(*from)? as usize;
                let end = content.len().min(from + usize::from(*len));
                let bytes = content[from..end].to_vec();
                let at = place(*to)?;
                Harm::Overwrite { file, at, bytes }
            }
            Self::Cut(at) => Harm::Cut {
                file,
                len: place(*at)?,
            },
            Self::Grow(bytes) => Harm::Overwrite {
                file,
                at: len,
                bytes: bytes.clone(),
            },
        })
    }
}

impl Engine {
    fn base(self) -> &'static Base {
        macro_rules! base {
            ($config:expr, $folder:literal) => {{
                static BASE: OnceLock<Base> = OnceLock::new();
                BASE.get_or_init(|| {
                    Base::new(
                        Box::new(StoreSubject::new($config)),
                        include_bytes!(concat!(
                            "../../../../backends/",
                            $folder,
                            "/tests/golden/closed.tar.zst"
                        )),
                        include_bytes!(concat!(
                            "../../../../backends/",
                            $folder,
                            "/tests/golden/killed.tar.zst"
                        )),
                    )
                })
            }};
        }
        match self {
            Self::Redb => base!(RedbConfig::default(), "redb"),
            Self::Heed => base!(HeedConfig::default(), "heed"),
            Self::Fjall => base!(FjallConfig::default(), "fjall"),
            Self::Wal => base!(WalConfig::default(), "wal"),
        }
    }
}

impl Base {
    fn new(subject: Box<dyn Subject>, closed: &[u8], killed: &[u8]) -> Self {
        let history = golden::history(&*subject);
        Self {
            judge: Judge::of(&history).expect("the reference takes the history"),
            history,
            closed: unpacked(closed),
            killed: unpacked(killed),
            subject,
        }
    }
}

fn unpacked(packed: &[u8]) -> Image {
    let dir = tempfile::tempdir().expect("there is room for a temporary directory");
    golden::unpack(packed, dir.path()).expect("a golden store can be unpacked");
    Image::of(dir.path()).expect("what was unpacked can be read")
}
