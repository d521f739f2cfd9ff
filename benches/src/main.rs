//! Measures raft-logstore alone, without rivals.

fn main() -> anyhow::Result<()> {
    raft_logstore_bench::run(&[])
}
