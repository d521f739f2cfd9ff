#![doc = include_str!("../README.md")]

mod changes;
mod config;
mod engine;
mod error;
mod folder;
mod journal;
mod link;
mod reclaim;
mod scratch;

pub use config::FjallConfig;
