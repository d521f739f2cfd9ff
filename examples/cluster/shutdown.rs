//! The moments at which a process is asked to stop.

use std::io::Read;

use anyhow::Result;
use tokio::sync::oneshot;

/// Resolves at Ctrl-C, and on Unix at SIGTERM and SIGHUP.
pub(crate) async fn requested() -> Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            hung_up = hung_up() => hung_up,
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    }
    #[cfg(not(unix))]
    Ok(tokio::signal::ctrl_c().await?)
}

/// Resolves at SIGHUP, as when the terminal is closed. A process that was started to ignore it, as
/// `nohup` does, goes on ignoring it, and so do the nodes it starts.
#[cfg(unix)]
async fn hung_up() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let hangup = SignalKind::hangup();
    if is_ignored(hangup.as_raw_value()) {
        return std::future::pending().await;
    }
    signal(hangup)?.recv().await;
    Ok(())
}

/// Whether this process ignores a signal. Where the system does not tell, it does not.
#[cfg(unix)]
fn is_ignored(number: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (number - 1)) != 0)
}

/// Resolves when stdin ends. The run holds the other end of its nodes' stdin, so this is also how a
/// node learns that the run died without a word.
pub(crate) async fn stdin_ended() {
    let (ended, wait) = oneshot::channel();
    // A thread of its own: tokio's stdin would keep the runtime from shutting down.
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        while matches!(std::io::stdin().read(&mut buffer), Ok(1..)) {}
        // The node may be gone already.
        let _ = ended.send(());
    });
    // The sender is never dropped unsent, short of a panic, which is an end as well.
    let _ = wait.await;
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_closed_terminal_is_a_reason_to_stop_unless_it_is_ignored() {
        let ignored = is_ignored(tokio::signal::unix::SignalKind::hangup().as_raw_value());
        let requested = tokio::spawn(requested());
        // It gets ready to be told before this goes on: there is one thread.
        tokio::task::yield_now().await;
        let told = Command::new("sh").args(["-c", "kill -HUP $PPID"]).status();
        assert!(told.unwrap().success());
        let outcome = tokio::time::timeout(Duration::from_secs(2), requested).await;
        assert_eq!(outcome.is_err(), ignored);
    }
}
