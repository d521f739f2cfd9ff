//! URIs and options.
#![no_main]

use raft_logstore_fuzz::targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| targets::uri::check(input));
