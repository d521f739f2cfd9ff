//! The moments at which a process is asked to stop.

use std::io::Read;

use anyhow::Result;
use tokio::sync::oneshot;

/// Resolves at Ctrl-C, and on Unix at SIGTERM.
pub(crate) async fn requested() -> Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    }
    #[cfg(not(unix))]
    Ok(tokio::signal::ctrl_c().await?)
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
