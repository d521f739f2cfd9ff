//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::store_uri::StoreUri;

/// Looks at a store of Raft logs, checks it, copies it.
///
/// A store is named by a URI: its backend, a colon, its directory, such as redb:/var/lib/raft.
/// Reading never changes a byte of it.
///
/// Exit codes: 0 done (check: clean), 1 damage was found, 2 could not do it; a bench that was interrupted, 128 and the
/// number of the signal.
#[derive(Parser)]
#[command(name = "raft-logstore", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the groups of a store and the bounds of their logs.
    Groups(GroupsArgs),
    /// Show how much each group holds, and what the store takes on disk. Reads the whole store.
    Stat(StatArgs),
    /// Print stable keys and entries.
    Dump(DumpArgs),
    /// Read everything and report every fault: checksums, holes, lost commits.
    Check(CheckArgs),
    /// Copy a store to a new one, of the same backend or another. Goes on where it was stopped.
    Copy(CopyArgs),
    /// Measure durable appends to a new store in a directory.
    Bench(BenchArgs),
}

#[derive(Args)]
pub(crate) struct GroupsArgs {
    /// The store, such as redb:/var/lib/raft.
    #[arg(value_name = "URI")]
    pub(crate) store: StoreUri,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct StatArgs {
    /// The store, such as redb:/var/lib/raft.
    #[arg(value_name = "URI")]
    pub(crate) store: StoreUri,

    /// Look at this group alone, and leave out the totals of the store.
    #[arg(long, value_name = "N")]
    pub(crate) group: Option<u64>,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct DumpArgs {
    /// The store, such as redb:/var/lib/raft.
    #[arg(value_name = "URI")]
    pub(crate) store: StoreUri,

    /// Print this group alone.
    #[arg(long, value_name = "N")]
    pub(crate) group: Option<u64>,

    /// Start at this index; leaves out the stable keys.
    #[arg(long, value_name = "INDEX")]
    pub(crate) from: Option<u64>,

    /// End at this index, itself included; leaves out the stable keys.
    #[arg(long, value_name = "INDEX")]
    pub(crate) to: Option<u64>,

    /// Print the stable keys and no entries.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub(crate) stable: bool,

    /// Print one JSON object per line, with nothing cut.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct CheckArgs {
    /// The store, such as redb:/var/lib/raft.
    #[arg(value_name = "URI")]
    pub(crate) store: StoreUri,

    /// Print at most so many faults; the rest is counted.
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) max_faults: u64,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct CopyArgs {
    /// The store to copy. It is locked meanwhile and not changed.
    #[arg(long, value_name = "URI")]
    pub(crate) from: StoreUri,

    /// The store to make, in a directory that is empty or does not exist.
    #[arg(long, value_name = "URI")]
    pub(crate) to: StoreUri,

    /// Copy a store that has lost acknowledged commits. The copy will not know that they are missing.
    #[arg(long)]
    pub(crate) accept_lost_commits: bool,
}

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// The store to make and to remove again, in a directory that is empty or does not exist.
    #[arg(value_name = "URI")]
    pub(crate) store: StoreUri,

    /// Entries to append, at most a million.
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) entries: u64,

    /// Bytes of each entry, at most 64 MiB.
    #[arg(long, value_name = "N", default_value_t = 256,
          value_parser = clap::value_parser!(u64).range(0..=64 << 20))]
    pub(crate) bytes: u64,

    /// Entries of each append, at most 65536; each append waits until it is durable.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub(crate) batch: u64,

    /// Threads that append at the same time, each to a group of its own; at most 256.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=256))]
    pub(crate) clients: u64,

    /// Leave the store where it is.
    #[arg(long)]
    pub(crate) keep: bool,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}
