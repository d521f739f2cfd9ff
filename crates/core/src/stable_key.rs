use std::borrow::Cow;
use std::fmt;

/// The name of a stable key: a small named value of a group, such as its vote.
///
/// 1 to [`StableKey::MAX_LEN`] bytes of lower-case ASCII letters, digits, `-` and `_`. Checked
/// once, when the name is made.
///
/// ```
/// use raft_logstore_core::StableKey;
///
/// const EPOCH: StableKey = StableKey::from_static("epoch");
/// assert_eq!(StableKey::new("epoch".to_owned())?, EPOCH);
/// assert!(StableKey::new("Not A Key").is_err());
/// # Ok::<(), raft_logstore_core::InvalidStableKey>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StableKey(Cow<'static, str>);

impl StableKey {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The vote: the hard state that Raft must never forget.
    pub const VOTE: Self = Self::from_static("vote");

    /// How far the log is known to be committed. May be written lazily.
    pub const COMMITTED: Self = Self::from_static("committed");

    /// What the adapter knows of the entry at the purge floor (in openraft its log id). Written by
    /// [`LogStore::purge`](crate::LogStore::purge) alone, in the batch that moves the floor.
    pub const PURGED: Self = Self::from_static("purged");

    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`InvalidStableKey`] when it is empty, too long, or has another character.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self, InvalidStableKey> {
        let name = name.into();
        if is_valid(name.as_bytes()) {
            Ok(Self(name))
        } else {
            Err(InvalidStableKey(name.into_owned()))
        }
    }

    /// A name known when the program is written.
    ///
    /// # Panics
    ///
    /// When the name is not valid; used in a `const`, that fails the build instead.
    pub const fn from_static(name: &'static str) -> Self {
        assert!(is_valid(name.as_bytes()), "not a valid stable key name");
        Self(Cow::Borrowed(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_valid(name: &[u8]) -> bool {
    let mut at = 0;
    while at < name.len() {
        if !matches!(name[at], b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') {
            return false;
        }
        at += 1;
    }
    !name.is_empty() && name.len() <= StableKey::MAX_LEN
}

impl fmt::Display for StableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that cannot be a [`StableKey`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidStableKey(String);

impl fmt::Display for InvalidStableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(StableKey::MAX_LEN).collect();
        write!(
            f,
            "stable key {shown:?} is not valid: use 1 to {} characters of a-z, 0-9, '-' and '_'",
            StableKey::MAX_LEN
        )
    }
}

impl std::error::Error for InvalidStableKey {}
