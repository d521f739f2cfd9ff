#![doc = include_str!("../README.md")]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the heed backend maps whole files and reads the 64-bit format of LMDB only");

mod check;
mod compact;
mod config;
mod engine;
mod environment;
mod error;
mod gate;
mod meta;
mod shared;

pub use config::HeedConfig;
