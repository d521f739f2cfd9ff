use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::{fs, future, io, thread};

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Whether SIGINT, SIGTERM or SIGHUP came, which do not end the program any more: it has something to remove first.
pub(crate) struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// Notes the three signals from now on. One that the program was started to ignore, as `nohup` does, stays
    /// ignored.
    pub(crate) fn watch() -> io::Result<Self> {
        let came = Arc::new(AtomicU8::new(0));
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
            let came = Arc::clone(&came);
            runtime.spawn(async move {
                signals.recv().await;
                came.store(number, Ordering::Relaxed);
            });
        }
        thread::spawn(move || runtime.block_on(future::pending::<()>()));
        Ok(Self(came))
    }

    /// The number of the signal that came, if one did.
    pub(crate) fn signal(&self) -> Option<u8> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            number => Some(number),
        }
    }
}

/// Whether this process ignores a signal. Where the system does not tell, it does not.
fn is_ignored(number: u8) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (number - 1)) != 0)
}
