//! Opens a store, appends to a Raft log, closes the store, opens it again, and reads the log back.

use raft_logstore::{Entry, GroupId, LogStoreExt, StableKey, StableStore, StableStoreExt};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // The directory given, or one that is removed at the end.
    let temporary = tempfile::tempdir()?;
    let dir = std::env::args_os()
        .nth(1)
        .map_or(temporary.path().into(), std::path::PathBuf::from);
    let uri = format!("redb:{}", dir.join("raft-log").display());

    let store = raft_logstore::open(&uri).await?;
    let group = store.group(GroupId(1));
    let next = group.last_index().await?.map_or(1, |last| last + 1);
    println!("opened {uri}; the next index is {next}");

    // When these return, a power cut takes neither the vote nor the entries away.
    group.set(&StableKey::VOTE, "term 1, node 7".into()).await?;
    let commands = ["set x = 1", "set y = 2", "set x = 3"];
    let entries = (next..)
        .zip(commands)
        .map(|(index, command)| Entry::new(index, command));
    group.append_durable(entries.collect()).await?;
    println!("saved a vote and {} entries", commands.len());
    store.close().await?;

    let store = raft_logstore::open(&uri).await?;
    let group = store.group(GroupId(1));
    let vote = group.get(&StableKey::VOTE).await?;
    println!("opened again; the vote is {vote:?}, the log holds:");
    for entry in group.entries(..).await? {
        println!("  {}: {:?}", entry.index, entry.payload);
    }
    store.close().await?;
    Ok(())
}
