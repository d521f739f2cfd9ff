//! The program as its users run it: exit codes, what it prints, what it leaves on disk.

#![cfg(feature = "redb")]
#![allow(clippy::unwrap_used)] // helpers of tests, too, state what they expect by unwrapping

mod benching;
mod checking;
mod copying;
mod engines;
mod killing;
mod reading;
mod refusing;
mod support;
