use raft_logstore_conformance::StorageSubject;

/// A store that somebody publishes.
pub(crate) struct Peer {
    /// Package and version.
    pub(crate) name: &'static str,
    pub(crate) line: &'static str,
    pub(crate) subject: StorageSubject,
}
