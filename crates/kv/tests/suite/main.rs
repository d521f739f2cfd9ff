//! The tests of `KvBackend`, over an engine that is an ordered map.

// The helpers of tests state what they expect by unwrapping, too.
#![allow(clippy::unwrap_used)]

mod contract;
mod journal;
mod map_engine;
mod model;
mod store;
