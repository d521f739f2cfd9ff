use std::io;

use openraft::EntryPayload;
use openraft_memstore::{ClientRequest, TypeConfig};
use raft_logstore_conformance::{Feature, openraft_0_10, text};

use crate::Peer;

pub(crate) fn peer() -> Peer {
    let subject = openraft_0_10::subject::<TypeConfig, _, _, _>(
        |_dir| async { Ok::<_, io::Error>(openraft_memstore::new_mem_store().0) },
        |bytes| ClientRequest {
            client: String::new(),
            serial: 0,
            status: text::encode(&bytes),
        },
        |entry| match entry.payload {
            EntryPayload::Normal(request) => text::decode(&request.status),
            _ => None,
        },
    );
    Peer {
        name: "openraft-memstore 0.10.0-alpha.37",
        line: "0.10",
        subject: subject.without(Feature::Reopen, "keeps everything in memory"),
    }
}
