//! One node: a store, the adapter, openraft, and an HTTP server around them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use axum::serve::ListenerExt;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Config, SnapshotPolicy};
use raft_logstore::openraft_0_10::RaftLog;
use raft_logstore::{Group, GroupId, StableKey, StableStoreExt, Store};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cli::{Cli, Peers, ServeOptions};
use crate::network::Network;
use crate::node_address::NodeAddress;
use crate::snapshot_file::SnapshotFile;
use crate::state_machine::StateMachine;
use crate::types::NodeRaft;
use crate::{api, output, rpc, shutdown};

/// The cluster is one Raft group; a store could hold many.
const GROUP: GroupId = GroupId(1);

/// Another group of the same store, for what a node knows about itself.
const ABOUT: GroupId = GroupId(0);

/// Whose data the directory holds.
const NODE_ID: StableKey = StableKey::from_static("node-id");

/// What the HTTP handlers work with.
pub(crate) struct Node {
    pub(crate) id: u64,
    /// The members a new cluster starts with, unless `POST /init` names others.
    pub(crate) peers: BTreeMap<u64, NodeAddress>,
    pub(crate) raft: NodeRaft,
    pub(crate) machine: StateMachine,
    pub(crate) store: Store,
    pub(crate) http: reqwest::Client,
}

/// Runs node `id` until it is asked to stop.
pub(crate) async fn run(id: u64, cli: &Cli) -> Result<()> {
    let options = &cli.serve;
    let dir = cli
        .dir
        .as_deref()
        .context("a node needs --dir, to keep its data in")?;
    let listener = TcpListener::bind(&options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    let bound = listener.local_addr()?;
    let named = options.peers.as_ref().map(|Peers(peers)| peers);
    ensure!(
        !bound.ip().is_unspecified() || named.is_some_and(|peers| peers.contains_key(&id)),
        "others cannot reach this node at {bound}; say where they can with --peers {id}=ADDRESS"
    );
    let address = bound.to_string();
    let peers = match named {
        Some(peers) => peers.clone(),
        None => BTreeMap::from([(id, address.parse()?)]),
    };

    // The store is opened first: it holds the lock that keeps other processes out of the directory,
    // and where it makes the directory, a power cut does not lose its name.
    let store = raft_logstore::open(&store_uri(&cli.backend, dir)?).await?;
    claim(&store.group(ABOUT), id, dir).await?;
    let (file, snapshot) = SnapshotFile::open(dir).context("cannot read the snapshot")?;
    let machine = StateMachine::open(file, snapshot);

    let http = http_client()?;
    let config = Arc::new(raft_config(options.snapshot_every).validate()?);
    let network = Network::new(id, http.clone());
    let log = RaftLog::new(store.group(GROUP));
    let raft = NodeRaft::new(id, config, network, log, machine.clone()).await?;

    let node = Arc::new(Node {
        id,
        peers,
        raft,
        machine,
        store,
        http,
    });

    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(serve(listener, Arc::clone(&node), stopped));
    let outcome = until_stopped(&node, options, &address).await;

    // Raft first, so that writes which still wait for a quorum are answered; then the requests; the
    // store last, when nothing uses it any more.
    let ended = node.raft.shutdown().await;
    stop.send_replace(true);
    let served = match tokio::time::timeout(Duration::from_secs(5), server).await {
        Ok(Ok(served)) => served.map_err(Into::into),
        Ok(Err(panicked)) => Err(panicked.into()),
        Err(_) => {
            tracing::warn!("some requests did not end; they are cut off");
            Ok(())
        }
    };
    let closed = node.store.close().await;

    // The first failure is the cause; the others may be its consequences.
    let steps = [
        outcome,
        ended.map_err(Into::into),
        served,
        closed.map_err(Into::into),
    ];
    let mut failures = steps.into_iter().filter_map(Result::err);
    let cause = failures.next();
    for consequence in failures {
        tracing::warn!("while stopping: {consequence:#}");
    }
    cause.map_or(Ok(()), Err)
}

/// Says where the node listens, and returns when it is asked to stop or cannot go on.
async fn until_stopped(node: &Node, options: &ServeOptions, address: &str) -> Result<()> {
    // The run that started this node reads the address from here.
    output::result(format_args!("node {} listens on {address}", node.id))
        .context("cannot write to stdout")?;
    let stdin_ended = async {
        if options.stop_with_stdin {
            shutdown::stdin_ended().await
        } else {
            std::future::pending().await
        }
    };
    tokio::select! {
        requested = shutdown::requested() => requested,
        () = stdin_ended => Ok(()),
        error = failed(&node.raft) => Err(error),
    }
}

async fn serve(
    listener: TcpListener,
    node: Arc<Node>,
    mut stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    // Small answers must not wait for more to fill a packet.
    let listener = listener.tap_io(|tcp| {
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::warn!("cannot set TCP_NODELAY: {error}");
        }
    });
    axum::serve(listener, api::router(node))
        .with_graceful_shutdown(async move {
            // An error means that the node is gone, which is a reason to stop too.
            let _ = stopped.wait_for(|&stopped| stopped).await;
        })
        .await
}

/// Resolves when openraft gives up, which it does when its storage fails.
async fn failed(raft: &NodeRaft) -> anyhow::Error {
    let mut metrics = raft.metrics();
    loop {
        if let Err(fatal) = &metrics.borrow_watched().running_state {
            return anyhow!("Raft gave up: {fatal}");
        }
        if metrics.changed().await.is_err() {
            break;
        }
    }
    // It ended without a last word there, as in a panic; a request is told why.
    match raft.is_initialized().await {
        Err(fatal) => anyhow!("Raft gave up: {fatal}"),
        Ok(_) => anyhow!("Raft gave up without a reason"),
    }
}

/// A directory belongs to one node for ever: another that used its vote could vote twice.
async fn claim(group: &Group, id: u64, dir: &Path) -> Result<()> {
    match group.get_u64(&NODE_ID).await? {
        Some(owner) => ensure!(owner == id, "{} belongs to node {owner}", dir.display()),
        None => group.set_u64(&NODE_ID, id).await?,
    }
    Ok(())
}

fn store_uri(backend: &str, dir: &Path) -> Result<String> {
    let dir = std::path::absolute(dir.join("log"))?;
    match dir.to_str() {
        Some(dir) => Ok(format!("{backend}:{dir}")),
        None => bail!(
            "{} is not UTF-8, which a store's URI has to be",
            dir.display()
        ),
    }
}

/// Between nodes, and from the run to them: no proxy must come in between, and redirects are for the
/// caller to judge.
pub(crate) fn http_client() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    Ok(client.build()?)
}

fn raft_config(snapshot_every: u64) -> Config {
    Config {
        cluster_name: "cluster-example".to_owned(),
        heartbeat_interval: 100,
        election_timeout_min: 300,
        election_timeout_max: 600,
        // A node that comes back asks before it disturbs a leader that is well.
        enable_pre_vote: Some(true),
        // The state is in memory and may be behind after a crash, so a leader that comes back has to
        // win an election before it serves.
        enable_leader_restore: Some(false),
        max_payload_entries: rpc::MAX_ENTRIES_PER_APPEND,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(snapshot_every),
        // Few, so that a node that was away for long needs a snapshot: this is a demonstration.
        max_in_snapshot_log_to_keep: snapshot_every / 10,
        install_snapshot_timeout: 10_000,
        ..Config::default()
    }
}
