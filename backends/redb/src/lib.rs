#![doc = include_str!("../README.md")]

mod compact;
mod config;
mod engine;
mod error;

pub use config::RedbConfig;
