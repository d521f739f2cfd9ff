//! The suite can fail: stores that break one promise are caught by the laws that state it.

mod broken;

use std::time::Duration;

use raft_logstore_conformance::laws::laws;
use raft_logstore_conformance::{Law, LawResult, Setting, Subject};
use rstest::rstest;

use broken::{BrokenSubject, Fault};

/// Proved by `another_process.rs`, for it needs a program that can be the other process; and by
/// `broken_storages.rs`, for it needs an interface with ranges.
const ELSEWHERE: [&str; 2] = [
    "a_second_open_from_another_process_is_refused",
    "every_form_of_a_range_reads_the_same",
];

/// Long enough for what happens, short enough for what never does.
const DEADLINE: Duration = Duration::from_secs(2);

/// Checks a law in the settings that are quick, up to the first violation.
fn check(law: Law, subject: &dyn Subject) -> LawResult {
    let quick = |setting: &&Setting| setting.entries < 1000 && setting.payload_bytes < 1 << 20;
    let applies = |setting: &&Setting| law.ignored_because(subject, **setting).is_none();
    let mut settings = law.settings.iter().filter(quick).filter(applies);
    settings.try_for_each(|setting| law.check(subject, *setting, DEADLINE))
}

#[rstest]
fn a_broken_store_is_caught(
    #[values(
        Fault::GapAccepted,
        Fault::OverlapReplaces,
        Fault::VisibleWhenDurable,
        Fault::TruncateKeepsOne,
        Fault::EmptyLogForgetsFloor,
        Fault::ReopenForgetsFloor,
        Fault::CompletionLost,
        Fault::CompletionsSwapped,
        Fault::CompletesEarly,
        Fault::RefusalCompletesOk,
        Fault::TornReads,
        Fault::FrozenReader,
        Fault::RangeEndExcluded,
        Fault::CapIgnored,
        Fault::CapReturnsNothing,
        Fault::PurgeStopsAtLast,
        Fault::FloorGoesBack,
        Fault::PurgeStoresOldId,
        Fault::SpaceNeverGivenBack,
        Fault::VoteInMemory,
        Fault::VoteOvertakesLog,
        Fault::TruncateLosesVote,
        Fault::PurgeLosesVote,
        Fault::FrozenVote,
        Fault::LazyIsNever,
        Fault::LazyIsSynced,
        Fault::LazyAhead,
        Fault::GroupsShareKeys,
        Fault::DropKeepsVote,
        Fault::HandlesAreListed,
        Fault::FailureIgnored,
        Fault::ClosedAnswers,
        Fault::NoLock,
        Fault::InspectionLeavesAFile,
        Fault::StaleAfterTruncate,
        Fault::FloorMovesLate,
        Fault::DroppedInParts
    )]
    fault: Fault,
) {
    for name in fault.caught_by() {
        let law = laws()
            .find(|law| law.name == *name)
            .expect("a law has this name");
        let caught = check(law, &BrokenSubject::new(fault));
        assert!(
            caught.is_err(),
            "{law:?} holds for a store with the fault {fault:?}"
        );
        println!("{fault:?} is caught by {law:?}: {}\n", caught.unwrap_err());
    }
}

#[test]
fn the_store_behind_the_faults_keeps_every_law() {
    for law in laws().filter(|law| !ELSEWHERE.contains(&law.name)) {
        if let Err(violation) = check(law, &BrokenSubject::new(Fault::None)) {
            panic!("{law:?}: {violation}");
        }
    }
}

#[test]
fn every_law_catches_some_broken_store() {
    let caught: Vec<&str> = Fault::ALL
        .iter()
        .flat_map(|fault| fault.caught_by())
        .copied()
        .collect();
    for law in laws().filter(|law| !ELSEWHERE.contains(&law.name)) {
        assert!(
            caught.contains(&law.name),
            "no broken store shows that {law:?} can fail"
        );
    }
}
