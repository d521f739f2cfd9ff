//! `raft-logstore-bench-openraft --help` lists the options.

fn main() -> anyhow::Result<()> {
    raft_logstore_bench_openraft::run(&[])
}
