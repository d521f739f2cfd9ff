//! Three nodes as child processes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::api::Written;
use crate::node_process::{NodeProcess, Spec};
use crate::status::Status;

/// How many nodes there are: one may be down at any time.
pub(crate) const NODES: u64 = 3;

/// How long the cluster may take to agree on something.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is asked meanwhile.
const POLL: Duration = Duration::from_millis(20);

/// The running nodes. Dropping it kills them.
pub(crate) struct Cluster {
    nodes: Vec<NodeProcess>,
    addresses: Arc<[String]>,
    http: reqwest::Client,
}

/// A leader that was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leadership {
    /// Position in [`Cluster::addresses`].
    pub(crate) node: usize,
    pub(crate) id: u64,
    pub(crate) term: u64,
}

impl Cluster {
    /// Starts three nodes on free ports, with data under `dir`, and makes a cluster of them.
    pub(crate) async fn create(
        dir: &Path,
        backend: &str,
        snapshot_every: u64,
        http: reqwest::Client,
    ) -> Result<Self> {
        let mut nodes = Vec::new();
        for id in 1..=NODES {
            let spec = Spec {
                id,
                dir: dir.join(format!("node-{id}")),
                backend: backend.to_owned(),
                snapshot_every,
            };
            nodes.push(NodeProcess::start(spec, "127.0.0.1:0").await?);
        }
        let addresses = nodes.iter().map(|node| node.address().to_owned()).collect();
        let mut cluster = Self {
            nodes,
            addresses,
            http,
        };
        let members: BTreeMap<u64, &str> = cluster
            .nodes
            .iter()
            .map(|node| (node.spec().id, node.address()))
            .collect();
        let init = cluster
            .http
            .post(format!("http://{}/init", cluster.addresses[0]));
        let init = init.json(&members).send();
        cluster
            .watched(async { Ok(init.await?.error_for_status()?) })
            .await?;
        Ok(cluster)
    }

    /// Where the nodes serve; the same over restarts.
    pub(crate) fn addresses(&self) -> Arc<[String]> {
        Arc::clone(&self.addresses)
    }

    /// Does `work` for as long as no node ends by itself. When one does, that is the error.
    pub(crate) async fn watched<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let outcome = tokio::select! {
            error = self.failed() => return Err(error),
            outcome = work => outcome,
        };
        if outcome.is_err() {
            // A connection breaks a moment before its process is gone.
            sleep(POLL).await;
            self.check()?;
        }
        outcome
    }

    /// Resolves when a node has ended by itself.
    async fn failed(&mut self) -> Error {
        loop {
            if let Err(error) = self.check() {
                return error;
            }
            sleep(POLL).await;
        }
    }

    /// Fails when a node has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(NodeProcess::check)
    }

    /// Waits until a node leads in a term after `term`.
    pub(crate) async fn leader_after(&mut self, term: u64) -> Result<Leadership> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.check()?;
            let mut newest: Option<Leadership> = None;
            for (node, address) in self.addresses.iter().enumerate() {
                // A node that is down or busy is no leader for now.
                let Ok(status) = status(&self.http, address).await else {
                    continue;
                };
                let newer = status.term > newest.map_or(term, |leader| leader.term);
                if status.role.is_leader() && newer {
                    newest = Some(Leadership {
                        node,
                        id: status.node,
                        term: status.term,
                    });
                }
            }
            if let Some(leader) = newest {
                return Ok(leader);
            }
            sleep(POLL).await;
        }
        bail!("no leader was elected in {PATIENCE:?}")
    }

    /// The leader now.
    pub(crate) async fn leader(&mut self) -> Result<Leadership> {
        self.leader_after(0).await
    }

    /// Kills a node with SIGKILL.
    pub(crate) async fn kill(&mut self, node: usize) -> Result<()> {
        self.nodes[node].kill().await
    }

    /// Starts a node again that was killed: same data, same port.
    pub(crate) async fn restart(&mut self, node: usize) -> Result<()> {
        self.nodes[node] =
            restarted(self.nodes[node].spec().clone(), &self.addresses[node]).await?;
        Ok(())
    }

    /// Stops every node cleanly and starts it again from its disk.
    pub(crate) async fn stop_and_start(&mut self) -> Result<()> {
        let specs: Vec<Spec> = self.nodes.iter().map(|node| node.spec().clone()).collect();
        self.stop().await?;
        for (spec, address) in specs.into_iter().zip(self.addresses.iter()) {
            self.nodes.push(restarted(spec, address).await?);
        }
        Ok(())
    }

    /// Stops every node cleanly.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        for node in self.nodes.drain(..) {
            node.stop().await?;
        }
        Ok(())
    }

    /// Waits until every node has applied everything that was acknowledged before this call; says
    /// which has not when that takes too long.
    pub(crate) async fn catch_up(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        // Whatever is acknowledged lies before this write in the log.
        let last = self.mark(deadline).await?;
        for address in self.addresses.iter() {
            loop {
                self.nodes.iter_mut().try_for_each(NodeProcess::check)?;
                let applied = status(&self.http, address)
                    .await
                    .ok()
                    .and_then(|node| node.applied);
                if applied >= Some(last) {
                    break;
                }
                if Instant::now() >= deadline {
                    bail!("the node at {address} has applied {applied:?} of {last} entries");
                }
                sleep(POLL).await;
            }
        }
        Ok(())
    }

    async fn mark(&mut self, deadline: Instant) -> Result<u64> {
        loop {
            let leader = self.leader().await?;
            let url = format!("http://{}/kv/end-of-run", self.addresses[leader.node]);
            let answer = self.http.put(url).body("reached").send().await;
            match answer.and_then(reqwest::Response::error_for_status) {
                Ok(answer) => return Ok(answer.json::<Written>().await?.index),
                Err(error) if Instant::now() >= deadline => {
                    return Err(error).context("the cluster takes no writes");
                }
                Err(_) => sleep(POLL).await,
            }
        }
    }
}

/// Asks one node how it is.
pub(crate) async fn status(http: &reqwest::Client, address: &str) -> reqwest::Result<Status> {
    let request = http
        .get(format!("http://{address}/status"))
        .timeout(Duration::from_secs(2));
    request.send().await?.error_for_status()?.json().await
}

/// While a node is down, its port is anybody's: some outgoing connection may hold it for a moment.
async fn restarted(spec: Spec, address: &str) -> Result<NodeProcess> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = TcpListener::bind(address).await {
        if Instant::now() >= deadline {
            let id = spec.id;
            return Err(error).with_context(|| format!("the port of node {id} stays in use"));
        }
        sleep(POLL).await;
    }
    NodeProcess::start(spec, address).await
}
