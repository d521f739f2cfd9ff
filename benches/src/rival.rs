use std::path::Path;

use anyhow::Result;

use crate::Log;

/// A log that is measured beside ours.
#[derive(Clone, Copy, Debug)]
pub struct Rival {
    /// What rows and options call it; no two logs of a run have the same.
    pub name: &'static str,
    /// Whether one of these holds many groups. One that does not is left out of what measures many.
    pub many_groups: bool,
    /// Opens the log in this folder, or creates it; the folder is there.
    pub open: fn(&Path) -> Result<Box<dyn Log>>,
}
