//! What openraft makes of a log store, with the stores of others beside raft-logstore's.

fn main() -> anyhow::Result<()> {
    raft_logstore_bench_openraft::run(&raft_logstore_bench_peers::RAFT_RIVALS)
}
