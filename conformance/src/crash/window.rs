use serde::{Deserialize, Serialize};

use super::mark::Mark;

/// Which states a store may show: those after the first `acknowledged` up to the first `submitted`
/// writes. Several, because writes are in flight together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    /// The first open had returned.
    pub(super) opened: bool,
    pub(super) acknowledged: u64,
    pub(super) submitted: u64,
}

impl Window {
    /// What a mark says of the states from then on.
    pub(super) fn pass(&mut self, mark: Mark) {
        match mark {
            Mark::Opened => self.opened = true,
            Mark::Submitted(number) => self.submitted = number,
            // Completions of one store fire in order, but nothing keeps their marks in order.
            Mark::Acknowledged(number) => self.acknowledged = self.acknowledged.max(number),
            // What a store shows after it was opened is durable, and what it does not show is gone.
            Mark::Resumed(number) => {
                self.acknowledged = number;
                self.submitted = number;
            }
            Mark::Killed | Mark::Finished | Mark::Arm | Mark::Disarm | Mark::Failed => {}
        }
    }
}
