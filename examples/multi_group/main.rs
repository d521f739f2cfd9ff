//! Many Raft groups on one store: one sync makes writes of many groups durable.
//!
//! ```text
//! cargo run --release --example multi_group                       # 100 groups, 10000 writes
//! cargo run --release --example multi_group -- --groups 1 --json
//! ```
//!
//! Each group is an openraft node by itself, a cluster of one, as the shards of a database are on one of
//! its servers. Clients write to all of them at the same time. Then everything stops, starts again from
//! disk, and every acknowledged write has to be there, in its place.

mod machine;
mod network;
mod shard;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use futures_util::future::try_join_all;
use raft_logstore::{GroupId, Store};
use serde::Serialize;

use crate::shard::Shard;

/// Runs many Raft groups on one store, and checks every write after opening it again.
#[derive(Parser)]
#[command(name = "multi_group")]
struct Cli {
    /// The engine of the store: its URI scheme. The store is in a temporary directory.
    #[arg(long, value_name = "NAME", default_value = "redb")]
    backend: String,

    /// The store, which must be empty and is kept, such as redb:/mnt/disk/groups.
    #[arg(long, value_name = "URI", conflicts_with = "backend")]
    uri: Option<String>,

    /// Raft groups, at most 10000.
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    groups: u64,

    /// Writes to all groups together, at most 10 million.
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    writes: u64,

    /// Clients per group, each of which waits for its write before the next; at most 1000.
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u64).range(1..=1000))]
    clients: u64,

    /// Print the result as one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// The result of a run; with `--json`, the object that is printed.
#[derive(Serialize)]
struct Report {
    groups: u64,
    /// Acknowledged writes, all of which were found again.
    writes: u64,
    /// Acknowledged writes that were not in their place after the store was opened again.
    lost: u64,
    seconds: f64,
    writes_per_second: f64,
    /// Durable commits of the store, each of which costs the engine's syncs.
    syncs: u64,
    /// Entries that one commit made durable, on average, over the writes alone.
    entries_per_sync: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "groups            {}", self.groups)?;
        writeln!(f, "writes            {}", self.writes)?;
        writeln!(
            f,
            "writes per second {:.0} over {:.1} s",
            self.writes_per_second, self.seconds
        )?;
        writeln!(f, "syncs             {}", self.syncs)?;
        writeln!(f, "entries per sync  {:.1}", self.entries_per_sync)?;
        write!(f, "lost              {}", self.lost)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match report(&cli).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs, says what came of it, and how many writes were lost.
async fn report(cli: &Cli) -> Result<u64> {
    let report = run(cli).await?;
    let printed = if cli.json {
        serde_json::json!(report).to_string()
    } else {
        report.to_string()
    };
    writeln!(io::stdout(), "{printed}").context("printing the report")?;
    Ok(report.lost)
}

async fn run(cli: &Cli) -> Result<Report> {
    let temporary = tempfile::tempdir().context("no temporary directory")?;
    let uri = match &cli.uri {
        Some(uri) => uri.clone(),
        None => format!(
            "{}:{}",
            cli.backend,
            temporary.path().join("store").display()
        ),
    };
    ensure!(
        !uri.starts_with("memory:"),
        "memory: has nothing to open again"
    );
    let store = raft_logstore::open(&uri).await?;
    ensure!(
        store.groups().await?.is_empty(),
        "{uri} is not empty; a run starts from nothing"
    );
    let shards = start(&store, cli.groups).await?;
    try_join_all(shards.iter().map(Shard::initialize)).await?;

    let (before, started) = (store.stats(), Instant::now());
    let acknowledged: Vec<Vec<u64>> =
        try_join_all(shards.iter().map(|shard| write(cli, shard))).await?;
    let (after, seconds) = (store.stats(), started.elapsed().as_secs_f64());
    stop(store, shards).await?;

    let store = raft_logstore::open(&uri).await?;
    let shards = start(&store, cli.groups).await?;
    let mut lost = 0;
    for (shard, written) in shards.iter().zip(&acknowledged) {
        let found = shard.recover().await?;
        let missing = written
            .iter()
            .filter(|&number| !found.contains(number))
            .count();
        ensure!(
            found.len() + missing == written.len(),
            "group {} has writes that were never acknowledged",
            shard.id()
        );
        lost += missing as u64;
    }
    stop(store, shards).await?;

    let writes: u64 = acknowledged
        .iter()
        .map(|written| written.len() as u64)
        .sum();
    let (entries, syncs) = (
        after.entries - before.entries,
        after.commits - before.commits,
    );
    Ok(Report {
        groups: cli.groups,
        writes,
        lost,
        seconds,
        writes_per_second: writes as f64 / seconds,
        syncs,
        entries_per_sync: entries as f64 / syncs.max(1) as f64,
    })
}

async fn start(store: &Store, groups: u64) -> Result<Vec<Shard>> {
    // Group 0 could hold what a server knows about itself.
    let shards = (1..=groups).map(|id| Shard::start(store.group(GroupId(id))));
    try_join_all(shards).await
}

async fn stop(store: Store, shards: Vec<Shard>) -> Result<()> {
    try_join_all(shards.into_iter().map(Shard::stop)).await?;
    Ok(store.close().await?)
}

/// Makes the writes of one group, by several clients, and returns what was acknowledged.
async fn write(cli: &Cli, shard: &Shard) -> Result<Vec<u64>> {
    let share = |part: u64, whole: u64, parts: u64| whole / parts + u64::from(part < whole % parts);
    let writes = share(shard.id() - 1, cli.writes, cli.groups);
    let clients = (0..cli.clients).map(|client| async move {
        let mut acknowledged = Vec::new();
        // Client 0 writes 0, clients, 2 * clients, ...: no number twice.
        for number in (client..writes).step_by(cli.clients as usize) {
            shard.write(number).await?;
            acknowledged.push(number);
        }
        anyhow::Ok(acknowledged)
    });
    Ok(try_join_all(clients).await?.concat())
}
