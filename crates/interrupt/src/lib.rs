//! Notes the signals that interrupt a program, for one that has something to remove before it ends.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::{fs, future, io, thread};

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Whether SIGINT, SIGTERM or SIGHUP came, which do not end the program any more.
#[derive(Debug)]
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// Notes the three signals from now on, for the whole process and as long as it lives. One that the program was
    /// started to [ignore](is_ignored) stays ignored.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn watch() -> io::Result<Self> {
        let came = Arc::new(AtomicU8::new(0));
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        for kind in kinds.into_iter().filter(|kind| !is_ignored(*kind)) {
            let inside = runtime.enter();
            let mut signals = signal(kind)?;
            drop(inside);
            let came = Arc::clone(&came);
            runtime.spawn(async move {
                signals.recv().await;
                came.store(kind.as_raw_value() as u8, Ordering::Relaxed);
            });
        }
        thread::spawn(move || runtime.block_on(future::pending::<()>()));
        Ok(Self(came))
    }

    /// The number of the signal that came, if one did.
    pub fn signal(&self) -> Option<u8> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            number => Some(number),
        }
    }

    /// With what an interrupted program ends, as a shell tells it: 128 and the number of the signal. `None` when no
    /// signal came.
    pub fn exit_code(&self) -> Option<ExitCode> {
        self.signal().map(|number| ExitCode::from(128 + number))
    }
}

/// Whether this process was started to ignore a signal, as by `nohup`. Where the system does not tell, it was not.
pub fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (kind.as_raw_value() - 1)) != 0)
}
