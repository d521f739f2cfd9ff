//! The measurements of raft-logstore, with the logs of others beside its engines.

fn main() -> anyhow::Result<()> {
    raft_logstore_bench::run(&raft_logstore_bench_peers::RIVALS)
}
