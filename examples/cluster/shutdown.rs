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
    if raft_logstore_interrupt::is_ignored(hangup) {
        return std::future::pending().await;
    }
    signal(hangup)?.recv().await;
    Ok(())
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
        let ignored =
            raft_logstore_interrupt::is_ignored(tokio::signal::unix::SignalKind::hangup());
        let requested = tokio::spawn(requested());
        // It gets ready to be told before this goes on: there is one thread.
        tokio::task::yield_now().await;
        let told = Command::new("sh").args(["-c", "kill -HUP $PPID"]).status();
        assert!(told.unwrap().success());
        let outcome = tokio::time::timeout(Duration::from_secs(2), requested).await;
        assert_eq!(outcome.is_err(), ignored);
    }
}
