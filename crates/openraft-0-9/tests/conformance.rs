//! Every law that openraft's contract has in some form, through openraft's own trait.

use std::io::Cursor;
use std::path::PathBuf;
use std::process::ExitCode;

use openraft_0_9::EntryPayload;
use raft_logstore_conformance::{openraft_0_9 as line, text};
use raft_logstore_core::{GroupId, Result};
use raft_logstore_openraft_0_9::RaftLog;
use raft_logstore_pipeline::{Group, Store, StoreConfig};
use raft_logstore_redb::RedbConfig;

openraft_0_9::declare_raft_types!(TypeConfig: D = String, R = ());

async fn open(dir: PathBuf) -> Result<RaftLog<TypeConfig, Group>> {
    let store = Store::open(dir, RedbConfig::default(), StoreConfig::default()).await?;
    Ok(RaftLog::new(store.group(GroupId(1))))
}

fn main() -> ExitCode {
    raft_logstore_conformance::main(line::subject::<TypeConfig, _, _, _>(
        open,
        |bytes| text::encode(&bytes),
        |entry| match entry.payload {
            EntryPayload::Normal(data) => text::decode(&data),
            _ => None,
        },
    ))
}
