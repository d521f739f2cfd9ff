//! The laws, one topic per file.
//!
//! # Errors
//!
//! Every law returns the first [`Violation`] it finds.
#![allow(clippy::missing_errors_doc, reason = "said above, once for all laws")]

pub mod completions;
pub mod concurrency;
pub mod damage;
pub mod failure;
pub mod groups;
mod history;
pub mod inspection;
pub mod log;
pub mod model;
pub mod purge;
pub mod reads;
pub mod stable;

use std::thread::ScopedJoinHandle;

use crate::{Law, LawResult, Violation};

const TOPICS: &[&[Law]] = &[
    log::LAWS,
    completions::LAWS,
    reads::LAWS,
    purge::LAWS,
    stable::LAWS,
    groups::LAWS,
    failure::LAWS,
    concurrency::LAWS,
    inspection::LAWS,
    damage::LAWS,
    model::LAWS,
];

/// Every law, topic by topic.
pub fn laws() -> impl Iterator<Item = Law> {
    TOPICS.iter().copied().flatten().copied()
}

/// A number that a law has written as 8 bytes.
fn number(value: &[u8]) -> LawResult<u64> {
    let bytes = value.try_into().map_err(|_| {
        Violation::new(format!(
            "a value that was written as 8 bytes holds {}",
            value.len()
        ))
    })?;
    Ok(u64::from_be_bytes(bytes))
}

/// Waits for a thread of a law. One that panics breaks the law.
fn join<T>(thread: ScopedJoinHandle<'_, LawResult<T>>) -> LawResult<T> {
    thread
        .join()
        .unwrap_or_else(|_| Err(Violation::new("the store panicked in a thread of the law")))
}
