use std::io;

use libtest_mimic::{Completion, Failed, Trial};

use super::mount::is_required;

/// A test that needs something of the machine: where `unavailable` gives a reason it is ignored with that reason,
/// or fails, when `RAFT_LOGSTORE_REQUIRE_CRASH=1` is set.
///
/// ```
/// use raft_logstore_conformance::crash;
///
/// let trial = crash::trial("a_claim", crash::unavailable, || Ok(()));
/// assert_eq!(trial.name(), "a_claim");
/// ```
pub fn trial(
    name: impl Into<String>,
    unavailable: fn() -> Option<String>,
    check: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || match unavailable() {
        Some(reason) if is_required() => Err(io::Error::other(reason).into()),
        Some(reason) => Ok(Completion::ignored_with(reason)),
        None => check().map(|()| Completion::Completed),
    })
}
