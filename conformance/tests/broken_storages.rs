//! The laws over openraft's own trait can fail: a store that breaks one promise of `RaftLogStorage` is
//! caught by the laws that state it, in both lines. openraft's own suite passes several of these.

#![allow(clippy::unwrap_used)] // helpers of tests, too, state what they expect by unwrapping

mod storages;

use std::time::Duration;

use raft_logstore_conformance::laws::laws;
use raft_logstore_conformance::{Law, LawResult, Setting, StorageSubject, Subject};
use rstest::rstest;

use storages::{StorageFault, subject_0_9, subject_0_10};

/// Long enough for what happens, short enough for what never does.
const DEADLINE: Duration = Duration::from_secs(2);

/// Checks a law in the settings that are quick, up to the first violation. `None` when none applies.
fn check(law: Law, subject: &dyn Subject) -> Option<LawResult> {
    let quick = |setting: &&Setting| setting.entries < 1000 && setting.payload_bytes < 1 << 20;
    let applies = |setting: &&Setting| law.ignored_because(subject, **setting).is_none();
    let settings = law.settings.iter().filter(quick).filter(applies);
    settings
        .map(|setting| law.check(subject, *setting, DEADLINE))
        .reduce(|before, next| before.and(next))
}

#[rstest]
fn a_broken_storage_is_caught(
    #[values(
        StorageFault::CallbackNeverCalled,
        StorageFault::CallbackDropped,
        StorageFault::CallbacksSwapped,
        StorageFault::TruncateLosesVote,
        StorageFault::PurgeLosesVote,
        StorageFault::FrozenReader,
        StorageFault::ExcludedStartIncluded,
        StorageFault::LimitedReadsNothing,
        StorageFault::TruncateForgetsPurged,
        StorageFault::EmptyLogForgetsLast,
        StorageFault::PurgeStopsAtLast,
        StorageFault::PurgeLosesCommitted,
        StorageFault::TruncateKeepsEntries,
        StorageFault::VoteInMemory
    )]
    fault: StorageFault,
    #[values(subject_0_10, subject_0_9)] subject: fn(StorageFault) -> StorageSubject,
) {
    is_caught(fault, &subject(fault));
}

/// Readers of the 0.9 line read no vote.
#[test]
fn a_reader_of_the_0_10_line_whose_vote_is_frozen_is_caught() {
    let fault = StorageFault::FrozenVote;
    is_caught(fault, &subject_0_10(fault));
}

fn is_caught(fault: StorageFault, subject: &StorageSubject) {
    for name in fault.caught_by() {
        let law = laws().find(|law| law.name == *name).unwrap();
        let outcome = check(law, subject).expect("the law applies");
        assert!(
            outcome.is_err(),
            "{law:?} holds for a storage with the fault {fault:?}"
        );
        println!("{fault:?} is caught by {law:?}: {}\n", outcome.unwrap_err());
    }
}

#[rstest]
fn the_storage_behind_the_faults_keeps_every_law(
    #[values(subject_0_10, subject_0_9)] subject: fn(StorageFault) -> StorageSubject,
) {
    let subject = subject(StorageFault::None);
    for law in laws() {
        if let Some(Err(violation)) = check(law, &subject) {
            panic!("{law:?}: {violation}");
        }
    }
}
