//! The journal: a file beside the engine that makes a commit durable with one write and one sync.

mod encoding;
mod file;
mod frame;

pub(crate) use file::{Access, Journal};
