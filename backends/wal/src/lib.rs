#![doc = include_str!("../README.md")]

mod backend;
mod cache;
mod checkpoint;
mod config;
mod keeper;
mod log;
mod places;
mod pool;
mod record;
mod replay;
mod run;
mod segment;
mod state;
mod usage;
mod writer;

pub use config::WalConfig;
