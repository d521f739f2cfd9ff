//! The command line: one program that is either the whole run or one node of it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser};
use raft_logstore::Target;

use crate::node_address::NodeAddress;

/// Replicates text over three nodes, kills leaders on the way, and checks every line at the end.
/// With `--node`, runs a single node instead.
#[derive(Parser)]
#[command(name = "cluster")]
pub(crate) struct Cli {
    /// Run one node with this id, to be talked to with curl.
    #[arg(long, value_name = "ID")]
    pub(crate) node: Option<u64>,

    /// Where nodes keep their data. A run needs it empty and keeps it; without it, a run uses a
    /// temporary directory, and removes it unless something failed.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// The engine of the log store: its URI scheme.
    #[arg(long, value_name = "NAME", default_value = "redb", value_parser = durable_backend)]
    pub(crate) backend: String,

    #[command(flatten)]
    pub(crate) run: RunOptions,

    #[command(flatten)]
    pub(crate) serve: ServeOptions,
}

/// Options of a whole run.
#[derive(Args, Clone)]
#[command(next_help_heading = "Options of a run")]
pub(crate) struct RunOptions {
    /// The text to replicate, UTF-8, a line at a time [default: this repository's own sources].
    #[arg(long, value_name = "FILE", conflicts_with = "node")]
    pub(crate) input: Option<PathBuf>,

    /// Write exactly this many lines, at most 10 million; the text is repeated when it is shorter.
    #[arg(long, value_name = "N", value_parser = within(1..=10_000_000), conflicts_with = "node")]
    pub(crate) lines: Option<usize>,

    /// Clients that write at the same time, each one line after the other; at most 10000.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = within(1..=10_000),
          conflicts_with = "node")]
    pub(crate) clients: usize,

    /// How many times to kill the leader (SIGKILL), spread over the run; at most 1000.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = within(0..=1000),
          conflicts_with = "node")]
    pub(crate) kills: usize,

    /// Decides the moments of the kills [default: random].
    #[arg(long, value_name = "N", conflicts_with = "node")]
    pub(crate) seed: Option<u64>,

    /// Print the result as one JSON object on stdout and nothing else.
    #[arg(long, conflicts_with = "node")]
    pub(crate) json: bool,
}

/// Options of a single node.
#[derive(Args, Clone)]
#[command(next_help_heading = "Options of a single node")]
pub(crate) struct ServeOptions {
    /// The address to serve; port 0 takes a free one and says which. One that stands for all
    /// interfaces, such as 0.0.0.0, needs --peers to say where others reach this node.
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7001",
        requires = "node"
    )]
    pub(crate) listen: String,

    /// The members that `POST /init` starts the cluster with [default: this node alone].
    #[arg(long, value_name = "ID=ADDRESS,...", requires = "node")]
    pub(crate) peers: Option<Peers>,

    /// Take a snapshot every so many entries, at most a billion, and purge the log behind it.
    #[arg(long, value_name = "ENTRIES", default_value_t = 1000, requires = "node",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) snapshot_every: u64,

    /// Stop when stdin ends: a node must not outlive the run that started it.
    #[arg(long, hide = true, requires = "node")]
    pub(crate) stop_with_stdin: bool,
}

/// Members of the cluster: `1=127.0.0.1:7001,2=127.0.0.1:7002`.
#[derive(Clone, Debug)]
pub(crate) struct Peers(pub(crate) BTreeMap<u64, NodeAddress>);

impl FromStr for Peers {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut peers = BTreeMap::new();
        for peer in text.split(',') {
            let (id, address) = peer
                .split_once('=')
                .context("a peer looks like 1=127.0.0.1:7001")?;
            let id: u64 = id
                .parse()
                .with_context(|| format!("{id:?} is not a node id"))?;
            let before = peers.insert(id, address.parse()?);
            ensure!(before.is_none(), "node {id} is named twice");
        }
        Ok(Self(peers))
    }
}

fn within(range: RangeInclusive<u64>) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(range)
}

fn durable_backend(name: &str) -> anyhow::Result<String> {
    if name == "memory" {
        bail!("a killed node loses what it kept in memory, its vote too; choose a durable backend");
    }
    ensure!(!name.contains(':'), "only the scheme of a store is needed");
    // Reading a URI touches no disk; any path will do.
    format!("{name}:path").parse::<Target>()?;
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn refusal(args: &[&str]) -> ErrorKind {
        let args = ["cluster"].iter().chain(args);
        Cli::try_parse_from(args)
            .map(|_| ())
            .expect_err("it is accepted")
            .kind()
    }

    #[test]
    fn numbers_beyond_reason_are_refused() {
        let most = u64::MAX.to_string();
        for option in ["--kills", "--lines", "--clients"] {
            assert_eq!(refusal(&[option, &most]), ErrorKind::ValueValidation);
        }
        assert_eq!(
            refusal(&["--lines", "1000000000000"]),
            ErrorKind::ValueValidation
        );
        assert_eq!(refusal(&["--lines", "0"]), ErrorKind::ValueValidation);
        assert_eq!(refusal(&["--clients", "0"]), ErrorKind::ValueValidation);
        assert!(Cli::try_parse_from(["cluster", "--kills", "0"]).is_ok());
    }

    #[test]
    fn a_backend_that_is_not_there_or_not_durable_is_refused() {
        for backend in ["nonsense", "memory", "redb:data", ""] {
            assert_eq!(
                refusal(&["--backend", backend]),
                ErrorKind::ValueValidation,
                "{backend}"
            );
        }
        assert!(Cli::try_parse_from(["cluster", "--backend", "redb"]).is_ok());
    }

    #[test]
    fn a_peer_needs_an_address_that_can_be_reached() {
        for peer in ["1=0.0.0.0:7001", "1=[::]:7001", "1=", "one=127.0.0.1:7001"] {
            assert!(peer.parse::<Peers>().is_err(), "{peer}");
        }
        assert!("1=127.0.0.1:7001".parse::<Peers>().is_ok());
    }

    #[test]
    fn a_peer_is_named_once() {
        let peers = "--peers=1=host:1,2=host:2";
        assert!(Cli::try_parse_from(["cluster", "--node=1", peers]).is_ok());
        let twice = "--peers=1=host:1,2=host:2,2=host:3";
        assert_eq!(refusal(&["--node=1", twice]), ErrorKind::ValueValidation);
    }
}
