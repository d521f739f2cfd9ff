//! Kills leaders at random moments while the writers are at work.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::writers::Progress;

/// When to kill.
pub(crate) struct Killer {
    /// How many lines are acknowledged at each kill, ascending.
    marks: Vec<usize>,
    lines: usize,
    random: StdRng,
}

impl Killer {
    /// Spreads `kills` over a run of `lines`.
    pub(crate) fn new(kills: usize, lines: usize, seed: u64) -> Result<Self> {
        let share = lines / (kills + 1);
        ensure!(
            share >= 4 || kills == 0,
            "{lines} lines are too few for {kills} kills"
        );
        let mut random = StdRng::seed_from_u64(seed);
        let quarter = share / 4;
        let marks = (1..=kills)
            .map(|kill| kill * share - quarter + random.random_range(0..=2 * quarter))
            .collect();
        Ok(Self {
            marks,
            lines,
            random,
        })
    }

    /// How far the writers may go until kill number `kill` has happened and its node is back: to
    /// the mark of the next one, so that each kill strikes a cluster of three that is being written
    /// to.
    pub(crate) fn limit(&self, kill: usize) -> usize {
        self.marks.get(kill + 1).copied().unwrap_or(self.lines)
    }

    /// Kills the leader at every mark, waits for a new one, and restarts the old one on its data.
    /// Returns when every line is acknowledged, with how long the cluster was without a leader each
    /// time. Fails when a node ends that was not killed.
    pub(crate) async fn run(
        mut self,
        cluster: &mut Cluster,
        progress: &Progress,
        say: impl Fn(String),
    ) -> Result<Vec<Duration>> {
        let mut outages = Vec::new();
        let mut acknowledged = progress.acknowledged.subscribe();
        for (kill, &mark) in self.marks.iter().enumerate() {
            let reached = async { Ok(*acknowledged.wait_for(|&count| count >= mark).await?) };
            cluster.watched(reached).await?;
            sleep(Duration::from_millis(self.random.random_range(0..20))).await;

            let old = cluster.leader().await?;
            cluster.kill(old.node).await?;
            let killed = Instant::now();
            let count = *acknowledged.borrow();
            say(format!(
                "killed node {}, the leader, after {count} lines",
                old.id
            ));

            let new = cluster.leader_after(old.term).await?;
            outages.push(killed.elapsed());
            let (id, term) = (new.id, new.term);
            say(format!(
                "node {id} leads after {:.2?}, in term {term}",
                killed.elapsed()
            ));

            cluster.restart(old.node).await?;
            say(format!("node {} is back on its data", old.id));
            progress.limit.send_replace(self.limit(kill + 1));
        }
        let written = async { Ok(*acknowledged.wait_for(|&count| count >= self.lines).await?) };
        cluster.watched(written).await?;
        Ok(outages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_spread_over_the_run_and_leave_lines_to_write() {
        for seed in 0..100 {
            for (kills, lines) in [(1, 8), (3, 16), (5, 1000)] {
                let killer = Killer::new(kills, lines, seed).unwrap();
                assert_eq!(killer.marks.len(), kills);
                assert!(
                    killer.marks.is_sorted_by(|a, b| a < b),
                    "{:?}",
                    killer.marks
                );
                assert!(killer.marks.iter().all(|&mark| 0 < mark && mark < lines));
                // Each mark can be reached before its kill moves the limit on.
                for (kill, &mark) in killer.marks.iter().enumerate() {
                    assert!(mark <= killer.limit(kill.saturating_sub(1)));
                }
                assert_eq!(killer.limit(kills), lines);
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_kills_again() {
        let marks = |seed| Killer::new(4, 1000, seed).unwrap().marks;
        assert_eq!(marks(7), marks(7));
        assert_ne!(marks(7), marks(8));
    }

    #[test]
    fn too_few_lines_for_the_kills_are_refused() {
        assert!(Killer::new(5, 10, 1).is_err());
    }
}
