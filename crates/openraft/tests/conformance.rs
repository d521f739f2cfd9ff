//! Every law that openraft's contract has in some form, through openraft's own trait.

use std::path::PathBuf;
use std::process::ExitCode;

use openraft::EntryPayload;
use raft_logstore_conformance::{openraft_0_10, text};
use raft_logstore_core::{GroupId, Result};
use raft_logstore_openraft::RaftLog;
use raft_logstore_pipeline::{Group, Store, StoreConfig};
use raft_logstore_redb::RedbConfig;

openraft::declare_raft_types!(TypeConfig: D = String, R = ());

async fn open(dir: PathBuf) -> Result<RaftLog<TypeConfig, Group>> {
    let store = Store::open(dir, RedbConfig::default(), StoreConfig::default()).await?;
    Ok(RaftLog::new(store.group(GroupId(1))))
}

fn main() -> ExitCode {
    raft_logstore_conformance::main(openraft_0_10::subject::<TypeConfig, _, _, _>(
        open,
        |bytes| text::encode(&bytes),
        |entry| match entry.payload {
            EntryPayload::Normal(data) => text::decode(&data),
            _ => None,
        },
    ))
}
