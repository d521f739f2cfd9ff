use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;

use crate::payloads::Payloads;

/// A running cluster that takes its turn in each round, whatever its openraft and its store.
#[async_trait]
pub(crate) trait Contender: Send {
    /// Has the clients write for a while, and waits for the last write of each.
    async fn round(&mut self, load: &Load) -> Result<Round>;

    /// Checks that every node applied exactly what was acknowledged, and stops.
    async fn finish(self: Box<Self>) -> Result<()>;
}

/// What the clients do in a round.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Clients, each with one write in flight; dealt out to the groups.
    pub(crate) clients: u64,
    /// How long they begin new writes.
    pub(crate) time: Duration,
    pub(crate) payloads: Payloads,
}

/// What a round came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) writes_per_second: f64,
    /// Over the stores of all nodes; `None` when they do not count.
    pub(crate) entries_per_sync: Option<f64>,
}
