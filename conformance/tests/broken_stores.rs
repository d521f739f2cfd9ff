//! The suite can fail: stores that break one promise are caught by the laws that state it. A program of
//! its own, because some laws start it again to be another process.

mod broken;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use raft_logstore_conformance::laws::laws;
use raft_logstore_conformance::{Law, LawResult, Setting, Subject, second_process};

use broken::{BrokenSubject, Fault};

/// Proved by `broken_storages.rs`, for it needs an interface with ranges.
const ELSEWHERE: &str = "every_form_of_a_range_reads_the_same";

/// Long enough for what happens, short enough for what never does.
const DEADLINE: Duration = Duration::from_secs(2);

/// For stores in which everything happens.
const CORRECT_DEADLINE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    if let Some(variant) = second_process::variant() {
        let fault = Fault::named(&variant).expect("the variant is the name of a fault");
        return second_process::serve(&BrokenSubject::new(fault));
    }
    let faults = Fault::ALL.iter().filter(|fault| fault.is_one());
    let mut trials: Vec<_> = faults
        .map(|&fault| {
            Trial::test(format!("a_broken_store_is_caught::{fault:?}"), move || {
                a_broken_store_is_caught(fault)
            })
        })
        .collect();
    for fault in [Fault::None, Fault::NoneInFiles] {
        let name = format!("the_store_behind_the_faults_keeps_every_law::{fault:?}");
        trials.push(Trial::test(name, move || {
            the_store_behind_the_faults_keeps_every_law(fault)
        }));
    }
    trials.extend([
        Trial::test("every_law_catches_some_broken_store", || {
            every_law_catches_some_broken_store()
        }),
        Trial::test("the_table_of_faults_is_what_is_tested", || {
            the_table_of_faults_is_what_is_tested(include_str!("../README.md"))
        }),
    ]);
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Checks a law in the settings that are quick, up to the first violation.
fn check(law: Law, subject: &dyn Subject, deadline: Duration) -> LawResult {
    let quick = |setting: &&Setting| setting.entries < 1000 && setting.payload_bytes < 1 << 20;
    let applies = |setting: &&Setting| law.ignored_because(subject, **setting).is_none();
    let mut settings = law.settings.iter().filter(quick).filter(applies);
    settings.try_for_each(|setting| law.check(subject, *setting, deadline))
}

fn a_broken_store_is_caught(fault: Fault) -> Result<(), Failed> {
    for name in fault.caught_by() {
        let law = laws()
            .find(|law| law.name == *name)
            .ok_or_else(|| format!("no law has the name {name}"))?;
        match check(law, &BrokenSubject::new(fault), DEADLINE) {
            Ok(()) => return Err(format!("{law:?} holds for a store with this fault").into()),
            Err(violation) => println!("{fault:?} is caught by {law:?}: {violation}\n"),
        }
    }
    Ok(())
}

fn the_store_behind_the_faults_keeps_every_law(fault: Fault) -> Result<(), Failed> {
    for law in laws() {
        check(law, &BrokenSubject::new(fault), CORRECT_DEADLINE)
            .map_err(|violation| format!("{law:?}: {violation}"))?;
    }
    Ok(())
}

fn every_law_catches_some_broken_store() -> Result<(), Failed> {
    let faults = Fault::ALL.iter();
    let caught: Vec<_> = faults.flat_map(|fault| fault.caught_by()).collect();
    let mut laws = laws().filter(|law| law.name != ELSEWHERE);
    match laws.find(|law| !caught.contains(&&law.name)) {
        Some(law) => Err(format!("no broken store shows that {law:?} can fail").into()),
        None => Ok(()),
    }
}

/// The rows of the table: the name of a fault, what it does, where it was seen, the laws that catch it.
fn the_table_of_faults_is_what_is_tested(readme: &str) -> Result<(), Failed> {
    let section = readme.split("## Can it fail?").nth(1).unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut table = BTreeMap::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, what, seen, laws, _] = cells[..] else {
            return Err(format!("not a row of four cells: {row}").into());
        };
        if what.is_empty() || seen.is_empty() {
            return Err(format!("a cell is empty: {row}").into());
        }
        let laws: Vec<_> = laws
            .split(", ")
            .map(|law| law.trim_matches('`').to_owned())
            .collect();
        table.insert(name.trim_matches('`').to_owned(), laws);
    }
    let tested: BTreeMap<_, Vec<_>> = Fault::ALL
        .iter()
        .filter(|fault| fault.is_one())
        .map(|fault| {
            let laws = fault.caught_by().iter().map(|law| (*law).to_owned());
            (format!("{fault:?}"), laws.collect())
        })
        .collect();
    for (name, laws) in &tested {
        if table.get(name) != Some(laws) {
            let row = table.get(name);
            return Err(format!("{name} is caught by {laws:?}, the table says {row:?}").into());
        }
    }
    match table.keys().find(|name| !tested.contains_key(*name)) {
        Some(name) => Err(format!("{name} is in the table alone").into()),
        None => Ok(()),
    }
}
