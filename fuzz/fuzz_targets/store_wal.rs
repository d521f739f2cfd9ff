//! Damaged files of a store kept in the segmented log.
#![no_main]

use raft_logstore_fuzz_checks::targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| targets::store::check(
    targets::store::Engine::Wal,
    input
));
