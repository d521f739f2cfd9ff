//! The run: start three nodes, write, kill leaders, stop everything, start it again, check.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::checker;
use crate::cli::Cli;
use crate::client::Client;
use crate::cluster::{Cluster, NODES};
use crate::input::Input;
use crate::killer::Killer;
use crate::node::http_client;
use crate::output;
use crate::report::Report;
use crate::sampler::Sampler;
use crate::shutdown;
use crate::workdir::WorkDir;
use crate::writers::{self, Progress};

/// Runs it all and prints the result. The code is a failure when anything was lost or duplicated.
pub(crate) async fn run(cli: &Cli) -> Result<ExitCode> {
    let options = &cli.run;
    let input = Input::load(options.input.as_deref(), options.lines)?;
    let seed = options.seed.unwrap_or_else(rand::random);
    let killer = Killer::new(options.kills, input.lines.len(), seed)?;
    let dir = WorkDir::create(cli.dir.as_deref())?;
    let outcome = tokio::select! {
        outcome = replicate(cli, dir.path(), input, killer, seed) => outcome,
        // Dropping the work kills the nodes.
        requested = shutdown::requested() => {
            requested?;
            output::note("interrupted");
            if options.json {
                output::failure("interrupted");
            }
            return Ok(ExitCode::from(130));
        }
    };
    let passed = outcome.as_ref().is_ok_and(Report::passed);
    if !passed {
        output::note(format_args!("the data is kept in {}", dir.keep().display()));
    }
    let report = outcome?;
    let written = if options.json {
        output::result(serde_json::to_string_pretty(&report)?)
    } else {
        output::result(&report)
    };
    written.context("cannot write the result to stdout")?;
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn replicate(
    cli: &Cli,
    dir: &Path,
    input: Input,
    killer: Killer,
    seed: u64,
) -> Result<Report> {
    let options = &cli.run;
    let lines: Arc<[Arc<str>]> = input.lines.into();
    let bar = progress_bar(lines.len(), options.json);
    // Above the bar where there is one.
    let say = |text: String| bar.suspend(|| output::note(text));

    let http = http_client()?;
    // A snapshot holds every line, so take few of them when there are many lines.
    let snapshot_every = (lines.len() as u64 / 16).max(1000);
    let mut cluster = Cluster::create(dir, &cli.backend, snapshot_every, http.clone()).await?;
    let addresses = cluster.addresses();
    let sampler = Sampler::start(&http, &addresses);
    let leader = cluster.leader().await?;
    say(format!(
        "{} lines of {}, seed {seed}",
        lines.len(),
        input.source
    ));
    say(format!(
        "{NODES} nodes, {} backend; node {} leads",
        cli.backend, leader.id
    ));

    let client = Client::new(http.clone(), Arc::clone(&addresses));
    let progress = Arc::new(Progress::new(killer.limit(0)));
    let start = Instant::now();
    let writing = async {
        let acknowledged =
            writers::write_all(&lines, options.clients, &client, &progress, &bar).await?;
        anyhow::Ok((acknowledged, start.elapsed()))
    };
    let killing = killer.run(&mut cluster, &progress, say);
    let ((acknowledged, elapsed), outages) = tokio::try_join!(writing, killing)?;
    bar.finish_and_clear();

    say(format!(
        "{} lines acknowledged; stopping every node, starting again",
        acknowledged.len()
    ));
    sampler.sample().await;
    cluster.stop_and_start().await?;
    if let Err(error) = cluster.catch_up().await {
        cluster.check()?;
        // Checked all the same: what is missing counts as lost.
        say(format!("{error:#}"));
    }
    let checking = checker::check(&http, &addresses, &acknowledged);
    let findings = cluster.watched(checking).await?;
    sampler.sample().await;
    let totals = sampler.totals();
    cluster.stop().await?;

    let seconds = elapsed.as_secs_f64();
    Ok(Report {
        lines: lines.len(),
        acknowledged: acknowledged.len(),
        lost: findings.lost,
        duplicated: findings.duplicated,
        unexpected: findings.unexpected,
        leader_kills: outages.len(),
        longest_failover_ms: outages.iter().max().map(|outage| outage.as_millis() as u64),
        seconds: rounded(seconds),
        writes_per_second: rounded(acknowledged.len() as f64 / seconds),
        retries: client.retries(),
        syncs: totals.syncs,
        entries_per_sync: rounded(totals.entries as f64 / totals.syncs.max(1) as f64),
        purged: totals.purged,
        peak_rss_mib: rounded(totals.peak_rss_kib as f64 / 1024.0),
        nodes: NODES,
        clients: options.clients,
        backend: cli.backend.clone(),
        seed,
    })
}

/// On stderr; hidden with `--json`, and by itself where stderr is no terminal.
fn progress_bar(lines: usize, json: bool) -> ProgressBar {
    if json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(lines as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} lines, {elapsed}")
        .expect("the template is valid");
    bar.set_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Two decimals are enough for a report.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
