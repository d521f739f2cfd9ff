//! A log store that is not built on this project, with what its author writes to test it.

mod tiny;

use std::path::Path;
use std::process::ExitCode;

use raft_logstore_conformance::{Feature, OpenStore, SingleGroup, Subject};
use raft_logstore_core::Result;
use tiny::TinyLog;

struct Tiny;

impl Subject for Tiny {
    fn open(&self, _dir: &Path) -> Result<Box<dyn OpenStore>> {
        Ok(Box::new(SingleGroup::new(TinyLog::default())))
    }

    fn lacks(&self, feature: Feature) -> Option<&'static str> {
        match feature {
            Feature::Reopen | Feature::Disk | Feature::Lock => Some("not persistent"),
            Feature::Groups => Some("holds one group"),
            Feature::Close => Some("closes when it is dropped"),
            _ => None,
        }
    }
}

fn main() -> ExitCode {
    raft_logstore_conformance::main(Tiny)
}
