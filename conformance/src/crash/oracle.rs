use raft_logstore_core::Op;

use super::state::State;
use super::verdict::Verdict;
use super::window::Window;
use super::workload::{Reference, WorkloadSpec};

/// Knows which states are legal after a crash: those after the first writes in order of submission, as
/// many as were acknowledged or more (laws 3, 9 and 10).
pub(super) struct Oracle {
    writes: Vec<Op>,
}

impl Oracle {
    /// The oracle of a workload.
    pub(super) fn new(spec: WorkloadSpec) -> Self {
        let workload = spec.generate();
        let writes = workload.writes().map(|write| write.op.clone()).collect();
        Self { writes }
    }

    /// After how many writes the store is as found.
    ///
    /// # Errors
    ///
    /// What is wrong with it, if that is no legal number.
    pub(super) fn judge(&self, found: &State, window: Window) -> Result<u64, Verdict> {
        let mut states = self.states(window.acknowledged, window.submitted);
        match states.position(|state| state == *found) {
            Some(after) => Ok(window.acknowledged + after as u64),
            None => Err(self.explain(found, window)),
        }
    }

    /// The states after `first` up to `last` writes.
    fn states(&self, first: u64, last: u64) -> impl Iterator<Item = State> {
        let mut reference = self.reference_after(first);
        let mut writes = self.writes.iter().skip(first as usize);
        (first..=last).map(move |after| {
            if after > first {
                let op = writes
                    .next()
                    .expect("no more writes are submitted than there are");
                reference.apply(op).expect("a generated write is valid");
            }
            State::of_reference(&reference.memory).expect("the reference does not fail")
        })
    }

    fn explain(&self, found: &State, window: Window) -> Verdict {
        let Window {
            acknowledged,
            submitted,
            ..
        } = window;
        let legal = format!("{acknowledged} writes were acknowledged and {submitted} submitted");
        let states: Vec<State> = self.states(0, submitted).collect();
        if let Some(after) = states.iter().rposition(|state| state == found) {
            return Verdict::Lost(format!("the state after {after} writes; {legal}"));
        }
        let newest = &states[acknowledged as usize..];
        let expected = &newest[0];
        let difference = found.difference(expected);
        if newest.iter().any(|state| found.is_part_of(state)) {
            return Verdict::Lost(format!("parts are missing; {legal}; {difference}"));
        }
        Verdict::Corrupt(format!("no state there ever was; {legal}; {difference}"))
    }

    /// The state after so many writes.
    pub(super) fn reference_after(&self, writes: u64) -> Reference {
        let mut reference = Reference::default();
        for op in self.writes.iter().take(writes as usize) {
            reference.apply(op).expect("a generated write is valid");
        }
        reference
    }
}
