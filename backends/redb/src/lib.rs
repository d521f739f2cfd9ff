#![doc = include_str!("../README.md")]

mod compact;
mod config;
mod engine;
mod error;
mod untouched;

pub use config::RedbConfig;
