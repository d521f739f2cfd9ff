//! What a run has to say at its end.

use std::fmt;

use serde::Serialize;

/// The result of a run; with `--json`, the object that is printed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Lines to write.
    pub(crate) lines: usize,
    /// Lines the cluster acknowledged.
    pub(crate) acknowledged: usize,
    /// Acknowledged lines that are not in their place on every node.
    pub(crate) lost: usize,
    /// Lines that some node holds more than once.
    pub(crate) duplicated: usize,
    /// Lines that some node holds but the cluster never acknowledged.
    pub(crate) unexpected: usize,
    /// Leaders killed with SIGKILL.
    pub(crate) leader_kills: usize,
    /// The longest time between a kill and a new leader; `null` without kills.
    pub(crate) longest_failover_ms: Option<u64>,
    /// Seconds from the first write to the last acknowledgement, kills included.
    pub(crate) seconds: f64,
    /// Acknowledged lines per second over that time.
    pub(crate) writes_per_second: f64,
    /// Attempts repeated because a leader was gone.
    pub(crate) retries: u64,
    /// Durable commits of the stores, over all nodes.
    pub(crate) syncs: u64,
    /// Entries made durable by one commit, on average.
    pub(crate) entries_per_sync: f64,
    /// The highest index purged from a log.
    pub(crate) purged: u64,
    /// The most memory any one node held.
    pub(crate) peak_rss_mib: f64,
    pub(crate) nodes: u64,
    pub(crate) clients: usize,
    pub(crate) backend: String,
    /// Gives the same kill schedule again.
    pub(crate) seed: u64,
}

impl Report {
    /// Whether everything acknowledged is there, in its place, exactly once, and nothing else.
    pub(crate) fn passed(&self) -> bool {
        self.acknowledged == self.lines
            && (self.lost, self.duplicated, self.unexpected) == (0, 0, 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lines,
            acknowledged,
            lost,
            duplicated,
            unexpected,
            leader_kills,
            ..
        } = self;
        let Self {
            seconds,
            writes_per_second,
            retries,
            syncs,
            entries_per_sync,
            ..
        } = self;
        writeln!(f, "lines             {lines}, acknowledged {acknowledged}")?;
        writeln!(
            f,
            "writes per second {writes_per_second:.0} over {seconds:.1} s"
        )?;
        write!(f, "leader kills      {leader_kills}")?;
        if let Some(longest) = self.longest_failover_ms {
            write!(
                f,
                ", longest failover {longest} ms, {retries} attempts repeated"
            )?;
        }
        writeln!(f)?;
        writeln!(f, "syncs             {syncs} on {} nodes", self.nodes)?;
        writeln!(f, "entries per sync  {entries_per_sync:.1}")?;
        writeln!(f, "log purged up to  {}", self.purged)?;
        writeln!(
            f,
            "peak RSS          {:.1} MiB, the largest node",
            self.peak_rss_mib
        )?;
        writeln!(f, "lost              {lost}")?;
        write!(f, "duplicated        {duplicated}")?;
        if *unexpected > 0 {
            write!(f, "\nunexpected        {unexpected}")?;
        }
        Ok(())
    }
}
