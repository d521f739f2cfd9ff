//! The laws, over log stores that others publish for openraft.
//!
//! `cargo run` checks all of them and prints a table; `cargo run -- NAME` checks those whose name contains
//! it, and says what each law found.

mod hiqlite;
mod memstore;
mod peer;
mod raft_log;
mod report;

use std::env;

use peer::Peer;

fn main() {
    let wanted = env::args().nth(1).unwrap_or_default();
    let peers: Vec<Peer> = vec![memstore::peer(), raft_log::peer(), hiqlite::peer()];
    let reports: Vec<_> = peers
        .into_iter()
        .filter(|peer| peer.name.contains(&wanted))
        .map(report::Report::of)
        .collect();
    report::print(&reports);
}
