//! Programs that are interrupted while they have temporary files, mounts and processes.
//!
//! After [`watch`], SIGINT, SIGTERM and SIGHUP do not end the program where it stands: the next [`check`] fails, and
//! on the way out everything temporary is dropped, which removes it. The sweeps of this crate check before each of
//! their steps.

use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, Ordering};

/// The number of the signal that came, which is of the whole process; 0 before.
static SIGNAL: AtomicU8 = AtomicU8::new(0);

/// Has the three signals be noted from now on. One that the program was started to ignore, as `nohup` does, stays
/// ignored.
///
/// # Errors
///
/// Those of the system.
#[cfg(all(unix, feature = "crash"))]
pub fn watch() -> io::Result<()> {
    use tokio::runtime::Builder;
    use tokio::signal::unix::{SignalKind, signal};

    let runtime = Builder::new_current_thread().enable_io().build()?;
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    for kind in kinds {
        let number = kind.as_raw_value() as u8;
        if is_ignored(number) {
            continue;
        }
        let inside = runtime.enter();
        let mut signals = signal(kind)?;
        drop(inside);
        runtime.spawn(async move {
            signals.recv().await;
            SIGNAL.store(number, Ordering::Relaxed);
        });
    }
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    Ok(())
}

/// Signals are of Unix.
///
/// # Errors
///
/// None.
#[cfg(all(not(unix), feature = "crash"))]
pub fn watch() -> io::Result<()> {
    Ok(())
}

/// Whether this process ignores a signal. Where the system does not tell, it does not.
#[cfg(all(unix, feature = "crash"))]
fn is_ignored(number: u8) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (number - 1)) != 0)
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
pub fn exit_code() -> Option<ExitCode> {
    match SIGNAL.load(Ordering::Relaxed) {
        0 => None,
        number => Some(ExitCode::from(128 + number)),
    }
}
