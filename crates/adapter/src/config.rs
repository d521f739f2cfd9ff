/// The limits of one log, that is of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftLogConfig {
    /// Memory for recent entries kept ready to hand out, in bytes: the encoded size of each entry
    /// plus the size of its struct. 0 turns the cache off. Default 16 MiB, which is four full
    /// [replication reads](Self::read_bytes): followers that keep up are served from memory. Every
    /// log has a cache of its own, so a process with many groups wants less.
    pub cache_bytes: u64,

    /// The most that one replication read returns, in encoded bytes; a single larger entry is
    /// returned alone. Default 4 MiB.
    pub read_bytes: u64,
}

impl Default for RaftLogConfig {
    fn default() -> Self {
        Self {
            cache_bytes: 16 << 20,
            read_bytes: 4 << 20,
        }
    }
}
