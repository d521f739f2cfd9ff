//! Programs that are interrupted while they have temporary files, mounts and processes.
//!
//! After `watch` (feature `crash`), SIGINT, SIGTERM and SIGHUP do not end the program where it stands: the next [`check`]
//! fails, and on the way out everything temporary is dropped, which removes it. The sweeps of this crate check before
//! each of their steps.

use std::io;
use std::process::ExitCode;
#[cfg(feature = "crash")]
use std::sync::OnceLock;

#[cfg(feature = "crash")]
use raft_logstore_interrupt::Interrupt;

/// Signals are of the whole process.
#[cfg(feature = "crash")]
static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();

/// Has the three signals be noted from now on. One that the program was started to ignore, as `nohup` does, stays
/// ignored.
///
/// # Errors
///
/// Those of the system.
#[cfg(feature = "crash")]
pub fn watch() -> io::Result<()> {
    if INTERRUPT.get().is_none() {
        // Whoever is first notes them for all.
        drop(INTERRUPT.set(Interrupt::watch()?));
    }
    Ok(())
}

/// Goes on if no signal came.
///
/// # Errors
///
/// `Interrupted` when one did.
pub fn check() -> io::Result<()> {
    match exit_code() {
        None => Ok(()),
        Some(_) => Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted")),
    }
}

/// With what an interrupted program ends, as a shell tells it: 128 and the number of the signal. `None` when no signal
/// came.
#[cfg(feature = "crash")]
pub fn exit_code() -> Option<ExitCode> {
    INTERRUPT.get().and_then(Interrupt::exit_code)
}

/// `None`: without the feature `crash` nobody notes a signal.
#[cfg(not(feature = "crash"))]
pub fn exit_code() -> Option<ExitCode> {
    None
}
