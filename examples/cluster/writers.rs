//! The load: many clients, each writing one line after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::types::Line;

/// A line that the cluster has acknowledged, and must never lose.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) line: Line,
    /// Where the cluster said it is.
    pub(crate) position: u64,
}

/// How far the writers are, and how far they may go.
pub(crate) struct Progress {
    /// Lines acknowledged.
    pub(crate) acknowledged: watch::Sender<usize>,
    /// Lines that may be begun. Moved on by the killer, so that no kill finds the work done already.
    pub(crate) limit: watch::Sender<usize>,
}

impl Progress {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            acknowledged: watch::Sender::new(0),
            limit: watch::Sender::new(limit),
        }
    }
}

/// Writes every line, with `clients` at a time; returns when all are acknowledged.
pub(crate) async fn write_all(
    lines: &Arc<[Arc<str>]>,
    clients: usize,
    client: &Client,
    progress: &Arc<Progress>,
    bar: &ProgressBar,
) -> Result<Vec<Acknowledged>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for id in 1..=clients as u64 {
        let (lines, next, client, progress, bar) = (
            Arc::clone(lines),
            Arc::clone(&next),
            client.clone(),
            Arc::clone(progress),
            bar.clone(),
        );
        tasks.spawn(async move {
            let mut limit = progress.limit.subscribe();
            let mut acknowledged = Vec::new();
            for seq in 1.. {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(text) = lines.get(at) else { break };
                limit
                    .wait_for(|&limit| at < limit)
                    .await
                    .context("the killer is gone")?;
                let line = Line {
                    client: id,
                    seq,
                    text: Arc::clone(text),
                };
                let position = client.append(&line).await?;
                acknowledged.push(Acknowledged { line, position });
                progress.acknowledged.send_modify(|count| *count += 1);
                bar.inc(1);
            }
            anyhow::Ok(acknowledged)
        });
    }
    let mut all = Vec::with_capacity(lines.len());
    while let Some(done) = tasks.join_next().await {
        all.extend(done??);
    }
    Ok(all)
}
