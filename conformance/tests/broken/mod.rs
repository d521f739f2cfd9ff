//! A correct store behind a wrapper that breaks one promise.
#![allow(
    clippy::unwrap_used,
    reason = "test code; clippy does not see it in helper modules"
)]

mod fault;
mod files;
mod log;
mod subject;

pub(crate) use fault::Fault;
pub(crate) use subject::BrokenSubject;
