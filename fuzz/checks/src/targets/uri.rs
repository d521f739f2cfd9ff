//! Store URIs and configurations: any text is a target or an error that a person can read.

use std::fmt::Debug;
use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};
use raft_logstore::fjall::FjallConfig;
use raft_logstore::heed::HeedConfig;
use raft_logstore::redb::RedbConfig;
use raft_logstore::wal::WalConfig;
use raft_logstore::{ErrorKind, Target};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// No error is longer, whatever it quotes, in bytes.
const MAX_MESSAGE: usize = 4096;

/// A URI with the shape of one.
#[derive(Arbitrary, Debug)]
struct Shaped {
    scheme: Scheme,
    path: String,
    options: Vec<(Name, Value)>,
}

#[derive(Arbitrary, Debug)]
enum Scheme {
    Memory,
    Redb,
    Heed,
    Fjall,
    Wal,
    Other(String),
}

#[derive(Arbitrary, Debug)]
enum Name {
    CacheBytes,
    MapSize,
    MaxMapSize,
    JournalBytes,
    MemtableBytes,
    SegmentBytes,
    PreparedSegments,
    TwoPhaseCommit,
    CheckIntegrityOnOpen,
    CompactOnClose,
    Other(String),
}

#[derive(Arbitrary, Debug)]
enum Value {
    Number(u64),
    Size(u64, Unit),
    Switch(bool),
    Other(String),
}

#[derive(Arbitrary, Debug)]
enum Unit {
    KiB,
    MiB,
    GiB,
}

/// Reads the input as a URI, as the parts of one, and as configurations in JSON.
///
/// # Panics
///
/// When something is neither read nor refused as it should be.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    parse(&text);
    if let Ok(shaped) = Shaped::arbitrary(&mut Unstructured::new(input)) {
        parse(&shaped.uri());
    }
    configuration::<RedbConfig>(&text);
    configuration::<HeedConfig>(&text);
    configuration::<FjallConfig>(&text);
    configuration::<WalConfig>(&text);
}

fn parse(uri: &str) {
    match uri.parse::<Target>() {
        Ok(target) => {
            assert_eq!(
                uri.parse::<Target>().ok().as_ref(),
                Some(&target),
                "{uri:?}"
            );
            if let Some((path, _)) = target.folder() {
                assert_ne!(path, Path::new(""), "{uri:?} names no folder");
                let named = uri.split_once(':').map(|(_, rest)| rest);
                let named = named.map(|rest| rest.split('?').next().unwrap_or(rest));
                assert_eq!(path.to_str(), named, "{uri:?} names another folder");
            }
        }
        Err(error) => {
            let said = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Config, "{uri:?}: {said}");
            assert!(said.len() <= MAX_MESSAGE, "{} bytes: {said}", said.len());
            assert!(!said.contains(char::is_control), "{said:?}");
        }
    }
}

/// What is read is written as the same again.
fn configuration<C: DeserializeOwned + Serialize + PartialEq + Debug>(text: &str) {
    if let Ok(config) = serde_json::from_str::<C>(text) {
        let written = serde_json::to_string(&config).expect("a configuration can be written");
        let read: Option<C> = serde_json::from_str(&written).ok();
        assert_eq!(read, Some(config), "{text:?}");
    }
}

impl Shaped {
    fn uri(&self) -> String {
        let scheme = match &self.scheme {
            Scheme::Memory => "memory",
            Scheme::Redb => "redb",
            Scheme::Heed => "heed",
            Scheme::Fjall => "fjall",
            Scheme::Wal => "wal",
            Scheme::Other(other) => other,
        };
        let options: Vec<_> = self
            .options
            .iter()
            .map(|(name, value)| format!("{}={}", name.text(), value.text()))
            .collect();
        let mark = if options.is_empty() { "" } else { "?" };
        format!("{scheme}:{}{mark}{}", self.path, options.join("&"))
    }
}

impl Name {
    fn text(&self) -> &str {
        match self {
            Self::CacheBytes => "cache_bytes",
            Self::MapSize => "map_size",
            Self::MaxMapSize => "max_map_size",
            Self::JournalBytes => "journal_bytes",
            Self::MemtableBytes => "memtable_bytes",
            Self::SegmentBytes => "segment_bytes",
            Self::PreparedSegments => "prepared_segments",
            Self::TwoPhaseCommit => "two_phase_commit",
            Self::CheckIntegrityOnOpen => "check_integrity_on_open",
            Self::CompactOnClose => "compact_on_close",
            Self::Other(other) => other,
        }
    }
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Size(number, unit) => format!("{number}{unit:?}"),
            Self::Switch(switch) => switch.to_string(),
            Self::Other(other) => other.clone(),
        }
    }
}
