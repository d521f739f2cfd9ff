use std::fmt;

/// What varies between the cases of one law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// How the store is looked at.
    pub view: View,
    /// Bytes in the payload of each entry.
    pub payload_bytes: usize,
    /// How many entries a law that is about size writes.
    pub entries: u64,
}

/// How the store of a case is opened, and looked at after it was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As it is.
    Live,
    /// With as little of the log in memory as the store allows.
    Cold,
    /// After closing it and opening it again.
    Reopened,
    /// With its commits held back while a law wants writes to be in flight.
    Held,
    /// On disk, as a clean close left it.
    Closed,
    /// On disk, as the kill of its process left it.
    Killed,
}

/// The payload size of laws that are not about it.
const PAYLOAD_BYTES: usize = 16;
/// The entries of laws that are not about size.
const ENTRIES: u64 = 64;
/// As many, or repetitions, where an entry takes a [`MIB`] or more.
const FEW: u64 = 6;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

impl Setting {
    /// Nothing special.
    pub const LIVE: Self = Self {
        view: View::Live,
        payload_bytes: PAYLOAD_BYTES,
        entries: ENTRIES,
    };
    /// Reads reach the disk.
    pub const COLD: Self = Self {
        view: View::Cold,
        ..Self::LIVE
    };
    /// Looked at after closing and opening again.
    pub const REOPENED: Self = Self {
        view: View::Reopened,
        ..Self::LIVE
    };
    /// Writes stay in flight for as long as the law wants.
    pub const HELD: Self = Self {
        view: View::Held,
        ..Self::LIVE
    };

    /// On disk, closed.
    pub const CLOSED: Self = Self {
        view: View::Closed,
        ..Self::LIVE
    };
    /// On disk, killed.
    pub const KILLED: Self = Self {
        view: View::Killed,
        ..Self::LIVE
    };

    /// The same with another payload size.
    pub(crate) const fn payload(self, payload_bytes: usize) -> Self {
        Self {
            payload_bytes,
            entries: if payload_bytes >= MIB { FEW } else { 12 },
            ..self
        }
    }

    /// `count`, or fewer where entries are so large that it would take long. For what a law repeats.
    pub(crate) const fn times(self, count: u64) -> u64 {
        if self.payload_bytes >= MIB && count > FEW {
            FEW
        } else {
            count
        }
    }

    /// The same with more entries than any cache or batch is made for.
    pub(crate) const fn many(self) -> Self {
        Self {
            entries: 120_000,
            ..self
        }
    }
}

/// Some settings, and each payload size in one of them.
macro_rules! settings {
    ($($setting:expr),*; sizes $sized:ident) => {
        &[
            $($setting,)*
            Setting::$sized.payload(0),
            Setting::$sized.payload(1),
            Setting::$sized.payload(4 * KIB),
            Setting::$sized.payload(MIB),
        ]
    };
}

/// Live, every payload size.
pub(crate) const LIVE: &[Setting] = settings![Setting::LIVE; sizes LIVE];

/// After reopening, every payload size.
pub(crate) const REOPENED: &[Setting] = settings![Setting::REOPENED; sizes REOPENED];

/// Live, and after reopening; there every payload size.
pub(crate) const LIVE_REOPENED: &[Setting] =
    settings![Setting::LIVE, Setting::REOPENED; sizes REOPENED];

/// Live, and with reads that reach the disk; there every payload size.
pub(crate) const LIVE_COLD: &[Setting] = settings![Setting::LIVE, Setting::COLD; sizes COLD];

/// Live, with reads that reach the disk, and after reopening; there every payload size.
pub(crate) const VIEWS: &[Setting] =
    settings![Setting::LIVE, Setting::COLD, Setting::REOPENED; sizes REOPENED];

/// Live, and with the writes certainly in flight; live every payload size.
pub(crate) const IN_FLIGHT: &[Setting] = settings![Setting::LIVE, Setting::HELD; sizes LIVE];

/// On disk, as a close and as a kill left it.
pub(crate) const ON_DISK: &[Setting] = &[Setting::CLOSED, Setting::KILLED];

/// Every view, every payload size.
pub(crate) const PAYLOADS: &[Setting] = &[
    Setting::LIVE.payload(0),
    Setting::LIVE.payload(1),
    Setting::LIVE.payload(4 * KIB),
    Setting::LIVE.payload(MIB),
    Setting::COLD.payload(0),
    Setting::COLD.payload(1),
    Setting::COLD.payload(4 * KIB),
    Setting::COLD.payload(MIB),
    Setting::REOPENED.payload(0),
    Setting::REOPENED.payload(1),
    Setting::REOPENED.payload(4 * KIB),
    Setting::REOPENED.payload(MIB),
];

/// After reopening, every payload size and a large log.
pub(crate) const REOPENED_AND_MANY: &[Setting] =
    settings![Setting::REOPENED, Setting::REOPENED.many(); sizes REOPENED];

/// Every view, small and large logs; after reopening every payload size.
pub(crate) const VIEWS_AND_MANY: &[Setting] = settings![
    Setting::LIVE,
    Setting::COLD,
    Setting::REOPENED,
    Setting::COLD.many(),
    Setting::REOPENED.many();
    sizes REOPENED
];

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.view {
            View::Live => "live",
            View::Cold => "cold",
            View::Reopened => "reopened",
            View::Held => "held",
            View::Closed => "closed",
            View::Killed => "killed",
        })?;
        match self.payload_bytes {
            PAYLOAD_BYTES => Ok(()),
            bytes if bytes >= MIB => write!(f, "_{}_mib", bytes / MIB),
            bytes if bytes >= KIB => write!(f, "_{}_kib", bytes / KIB),
            bytes => write!(f, "_{bytes}_bytes"),
        }?;
        if self.entries > 1000 {
            write!(f, "_{}_entries", self.entries)
        } else {
            Ok(())
        }
    }
}
