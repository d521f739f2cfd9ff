use std::fmt;
use std::time::Duration;

use crate::{Feature, LawResult, Setting, Subject, TestBed, View, subject};

/// One law: a promise of the storage contract, and the function that proves it.
#[derive(Clone, Copy)]
pub struct Law {
    /// The number of the law it belongs to, in the list of ARCHITECTURE.md.
    pub number: u8,
    /// The name of the function, as the contract prose on the traits cites it.
    pub name: &'static str,
    /// What a store must have for the law to apply.
    pub needs: &'static [Feature],
    /// The settings it is checked in, one case each.
    pub settings: &'static [Setting],
    /// The proof.
    pub check: fn(&TestBed<'_>) -> LawResult,
}

/// How long a law waits for what must happen, unless told otherwise. Far beyond what any store
/// needs: a law that waits this long has found something.
pub const DEADLINE: Duration = Duration::from_secs(60);

impl Law {
    /// Why the law cannot be checked in this setting: the reason `subject` gives for a feature it
    /// lacks. `None` when it can.
    pub fn ignored_because(self, subject: &dyn Subject, setting: Setting) -> Option<&'static str> {
        let by_view = match setting.view {
            View::Reopened => Some(Feature::Reopen),
            View::Held => Some(Feature::CommitControl),
            View::Live | View::Cold | View::Closed | View::Killed => None,
        };
        let mut needs = self.needs.iter().copied().chain(by_view);
        needs.find_map(|feature| subject::lacks(subject, feature))
    }

    /// Checks the law in one setting, in a new directory.
    ///
    /// # Errors
    ///
    /// The violation found.
    pub fn check(self, subject: &dyn Subject, setting: Setting, deadline: Duration) -> LawResult {
        let bed = TestBed::new(subject, setting, deadline)?;
        bed.within(|| (self.check)(&bed))
    }
}

impl fmt::Debug for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "law {}: {}", self.number, self.name)
    }
}

/// A [`Law`] whose name is that of its function.
macro_rules! law {
    ($number:literal, $check:ident, needs $needs:expr, in $settings:expr) => {
        $crate::Law {
            number: $number,
            name: stringify!($check),
            needs: &$needs,
            settings: $settings,
            check: $check,
        }
    };
}

pub(crate) use law;
