use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use raft_logstore_core::{Error, ErrorKind, Result};

use super::storage::{LogId, Stored};

/// How the bytes of the laws travel in the entries `E` of either line, as application data `D`.
pub(super) struct Payloads<D, E> {
    encode: Box<dyn Fn(Bytes) -> D + Send + Sync>,
    decode: Box<dyn Fn(E) -> Option<Bytes> + Send + Sync>,
    id_of: fn(&E) -> Result<LogId>,
}

impl<D, E> Payloads<D, E> {
    pub(super) fn new(
        encode: impl Fn(Bytes) -> D + Send + Sync + 'static,
        decode: impl Fn(E) -> Option<Bytes> + Send + Sync + 'static,
        id_of: fn(&E) -> Result<LogId>,
    ) -> Arc<Self> {
        Arc::new(Self {
            encode: Box::new(encode),
            decode: Box::new(decode),
            id_of,
        })
    }

    pub(super) fn encode(&self, payload: Bytes) -> D {
        (self.encode)(payload)
    }

    pub(super) fn read(&self, entries: Vec<E>) -> Result<Vec<Stored>> {
        let read = |entry| {
            let id = (self.id_of)(&entry)?;
            let payload = (self.decode)(entry);
            let payload = payload.ok_or_else(|| corrupt("read a payload", &id))?;
            Ok((id, payload))
        };
        entries.into_iter().map(read).collect()
    }
}

pub(super) fn corrupt(operation: &'static str, what: &dyn Debug) -> Error {
    Error::new(ErrorKind::Corrupt, operation)
        .with_advice(format!("{what:?} is not what was written"))
}
