//! A replicated application on raft-logstore: three real processes, killed and restarted while they
//! take writes, and checked to the last line afterwards.
//!
//! ```text
//! cargo run --release --example cluster                                  # the whole story
//! cargo run --release --example cluster -- --node 1 --dir /tmp/node-1    # one node, for curl
//! ```
//!
//! Where to look first:
//!
//! * `node.rs`: how a store, the adapter and openraft are put together; some 30 lines matter.
//! * `state_machine.rs`, `snapshot_file.rs`: the application's side of the storage contract.
//! * `network.rs`, `rpc.rs`: how nodes talk to each other; `api.rs`: how people talk to them.
//! * `coordinator.rs`: the run that kills leaders and checks every line.

mod api;
mod api_error;
mod body;
mod checker;
mod cli;
mod client;
mod cluster;
mod coordinator;
mod input;
mod killer;
mod network;
mod node;
mod node_address;
mod node_process;
mod output;
mod report;
mod rpc;
mod sampler;
mod shutdown;
mod snapshot_file;
mod state;
mod state_machine;
mod status;
mod types;
mod wire;
mod workdir;
mod writers;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A node that a run started tells that run why it fails.
    let json = cli.run.json || cli.serve.stop_with_stdin;
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            output::note(format_args!("error: {error:#}"));
            if json {
                output::failure(format_args!("{error:#}"));
            }
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    // Warnings only: openraft narrates every step at the levels below.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // On a full disk it would panic over a warning that cannot be written.
        .log_internal_errors(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match cli.node {
        Some(id) => runtime
            .block_on(node::run(id, cli))
            .map(|()| ExitCode::SUCCESS),
        None => runtime.block_on(coordinator::run(cli)),
    }
}
