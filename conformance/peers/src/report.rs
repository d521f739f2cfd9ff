use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use raft_logstore_conformance::Law;
use raft_logstore_conformance::laws::laws;

use crate::Peer;

/// How long a law waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(15);

/// What the laws found.
pub(crate) struct Report {
    peer: &'static str,
    line: &'static str,
    passed: usize,
    ignored: usize,
    broken: Vec<Broken>,
    took: Duration,
}

/// A law that is broken: its first violation, and in how many of its settings.
struct Broken {
    law: &'static str,
    settings: Vec<String>,
    violation: String,
}

impl Report {
    /// Checks every law in every setting.
    pub(crate) fn of(peer: Peer) -> Self {
        let started = Instant::now();
        let mut report = Self {
            peer: peer.name,
            line: peer.line,
            passed: 0,
            ignored: 0,
            broken: Vec::new(),
            took: Duration::ZERO,
        };
        for law in laws() {
            report.check(law, &peer);
        }
        report.took = started.elapsed();
        report
    }

    fn check(&mut self, law: Law, peer: &Peer) {
        let mut broken: Option<Broken> = None;
        for setting in law.settings {
            if law.ignored_because(&peer.subject, *setting).is_some() {
                self.ignored += 1;
                continue;
            }
            let run = || law.check(&peer.subject, *setting, DEADLINE);
            let violation = match catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok(())) => {
                    self.passed += 1;
                    continue;
                }
                Ok(Err(violation)) => violation.to_string(),
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned();
                    let text = text.or(panic.downcast_ref::<&str>().map(|text| text.to_string()));
                    format!("the store panicked: {}", text.unwrap_or_default())
                }
            };
            eprintln!("{}: {}::{setting}: {violation}\n", peer.name, law.name);
            let broken = broken.get_or_insert(Broken {
                law: law.name,
                settings: Vec::new(),
                violation,
            });
            broken.settings.push(setting.to_string());
        }
        self.broken.extend(broken);
    }
}

/// A table of all, and what each broken law found first.
pub(crate) fn print(reports: &[Report]) {
    println!("| store | openraft | cases passed | broken | ignored | laws broken | time |");
    println!("|---|---|---|---|---|---|---|");
    for report in reports {
        let broken: usize = report
            .broken
            .iter()
            .map(|broken| broken.settings.len())
            .sum();
        println!(
            "| {} | {} | {} | {broken} | {} | {} | {:.0} s |",
            report.peer,
            report.line,
            report.passed,
            report.ignored,
            report.broken.len(),
            report.took.as_secs_f64()
        );
    }
    for report in reports {
        println!("\n{}", report.peer);
        for broken in &report.broken {
            println!("- {} ({})", broken.law, broken.settings.join(", "));
            for line in broken.violation.lines() {
                let line: String = line.chars().take(300).collect();
                println!("    {line}");
            }
        }
    }
}
