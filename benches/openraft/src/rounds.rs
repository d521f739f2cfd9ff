use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::candidate::{self, MEMORY};
use crate::contender::{Contender, Load, Round};
use crate::options::{Line, Options};
use crate::payloads::Payloads;
use crate::report::Row;
use crate::summary::{median, rounded};
use crate::v0_10::RaftRival;

/// Before a store takes its turn: what another one still does in the background may end.
const PAUSE: Duration = Duration::from_millis(50);

/// A store that is measured: its cluster, and what its rounds came to.
struct Measured {
    name: &'static str,
    cluster: Box<dyn Contender>,
    rounds: Vec<Round>,
}

/// Measures everything that the options name.
pub(crate) async fn measure(options: &Options, rivals: &[RaftRival]) -> Result<Vec<Row>> {
    let base = tempfile::tempdir_in(&options.dir)
        .with_context(|| format!("no directory in {}", options.dir.display()))?;
    let mut rows = Vec::new();
    for &line in &options.openraft {
        for &groups in &options.groups {
            let dir = base.path().join(format!("{}-{groups}", line.name()));
            rows.extend(measure_groups(line, groups, options, rivals, &dir).await?);
        }
    }
    ensure!(
        !rows.is_empty(),
        "nothing to measure: each group needs a client, and a store that holds many groups"
    );
    Ok(rows)
}

/// Measures the stores under one line of openraft with one number of groups.
async fn measure_groups(
    line: Line,
    groups: u64,
    options: &Options,
    rivals: &[RaftRival],
    dir: &Path,
) -> Result<Vec<Row>> {
    let clients = options.clients.iter().filter(|&&clients| clients >= groups);
    let clients: Vec<u64> = clients.copied().collect();
    let mut candidates = candidate::named(&options.stores, line, rivals)?;
    candidates.retain(|one| !clients.is_empty() && (groups == 1 || one.many_groups));
    let mut all = Vec::new();
    for one in candidates {
        let cluster = (one.start)(dir.join(one.name), groups).await;
        all.push(Measured {
            name: one.name,
            cluster: cluster.context(one.name)?,
            rounds: Vec::new(),
        });
    }
    // At most 1 MiB, so it fits.
    let payloads = Payloads::new(options.bytes as usize);
    let mut rows = Vec::new();
    for clients in clients {
        let load = Load {
            clients,
            time: options.round(),
            payloads: payloads.clone(),
        };
        take_turns(&mut all, &load, options.rounds).await?;
        let memory = all.iter().find(|one| one.name == MEMORY);
        rows.extend(all.iter().map(|one| Row {
            openraft: line.name(),
            store: one.name,
            clients,
            groups,
            writes_per_second: one.writes_per_second().round() as u64,
            entries_per_sync: one.entries_per_sync().map(rounded),
            ratio_to_memory: memory.map(|memory| rounded(one.ratio_to(memory))),
        }));
    }
    for one in all {
        one.cluster.finish().await.context(one.name)?;
    }
    Ok(rows)
}

/// Has each store written to in each round; the first round warms up and is not counted.
async fn take_turns(all: &mut [Measured], load: &Load, rounds: u64) -> Result<()> {
    for one in &mut *all {
        one.rounds.clear();
    }
    for round in 0..=rounds {
        // None is always the first of a round.
        let first = (round % all.len().max(1) as u64) as usize;
        let (later, sooner) = all.split_at_mut(first);
        for one in sooner.iter_mut().chain(later) {
            tokio::time::sleep(PAUSE).await;
            let came_to = one.cluster.round(load).await.context(one.name)?;
            if round > 0 {
                one.rounds.push(came_to);
            }
        }
    }
    Ok(())
}

impl Measured {
    fn writes_per_second(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.writes_per_second))
    }

    fn entries_per_sync(&self) -> Option<f64> {
        let counted = self.rounds.iter().map(|round| round.entries_per_sync);
        let counted: Option<Vec<f64>> = counted.collect();
        counted.map(|counted| median(counted.into_iter()))
    }

    /// The throughput over that of another store, round by round.
    fn ratio_to(&self, other: &Self) -> f64 {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(pairs.map(|(one, other)| one.writes_per_second / other.writes_per_second))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0.10")]
    #[case("0.9")]
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_acknowledged_is_applied_by_every_node(#[case] line: &str) {
        let arguments =
            "bench --stores memory,wal --clients 2 --groups 1,2 --rounds 1 --round-millis 50";
        let arguments = arguments.split(' ').chain(["--openraft", line]);
        let options = Options::parse_from(arguments);
        let rows = measure(&options, &[]).await.unwrap();
        let stores: Vec<_> = rows.iter().map(|row| (row.groups, row.store)).collect();
        assert_eq!(
            stores,
            [(1, "memory"), (1, "wal"), (2, "memory"), (2, "wal")]
        );
        for row in rows {
            assert!(row.writes_per_second > 0, "{row:?}");
            assert_eq!(
                row.entries_per_sync.is_some(),
                row.store == "wal",
                "{row:?}"
            );
            assert!(row.ratio_to_memory.is_some(), "{row:?}");
        }
    }

    #[rstest]
    #[case("--stores nothing", "there is no store")]
    #[case("--clients 1 --groups 2", "nothing to measure")]
    #[case("--dir /no/such/folder", "no directory in")]
    #[tokio::test]
    async fn what_cannot_be_measured_is_an_error(#[case] arguments: &str, #[case] expected: &str) {
        let options = Options::parse_from(["bench"].into_iter().chain(arguments.split(' ')));
        let error = measure(&options, &[]).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error:#}");
    }
}
