use raft_logstore_core::{Backend, Op};

use super::scope::Scope;
use super::state::State;
use super::verdict::Verdict;
use super::window::Window;
use super::workload::{Reference, WorkloadSpec};

/// Knows which states are legal after a crash: those after the first writes in order of submission, as
/// many as were acknowledged or more (laws 3, 9 and 10).
pub(super) struct Oracle {
    scope: Scope,
    writes: Vec<Op>,
}

/// How far a store got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// After how many writes.
    pub(super) writes: u64,
    /// And how many steps of the next one, where a write may be there in part.
    pub(super) steps: usize,
}

impl Oracle {
    /// The oracle of a workload.
    pub(super) fn new(spec: WorkloadSpec) -> Self {
        let workload = spec.generate();
        let writes = workload.writes().map(|write| write.op.clone()).collect();
        Self {
            scope: spec.scope,
            writes,
        }
    }

    /// After how many writes the store is as found.
    ///
    /// # Errors
    ///
    /// What is wrong with it, if that is no legal number.
    pub(super) fn judge(&self, found: &State, window: Window) -> Result<Progress, Verdict> {
        let states = self.states(window.acknowledged, window.submitted);
        let as_found = states.into_iter().find(|(_, state)| state == found);
        match as_found {
            Some((progress, _)) => Ok(progress),
            None => Err(self.explain(found, window)),
        }
    }

    /// The states after `first` up to `last` writes, and those between.
    fn states(&self, first: u64, last: u64) -> Vec<(Progress, State)> {
        let mut progress = Progress {
            writes: first,
            steps: 0,
        };
        let mut reference = self.reference_after(progress);
        let mut states = vec![(progress, self.state(&reference))];
        for op in &self.writes[first as usize..last as usize] {
            let steps = self.steps(op, &reference);
            for step in &steps {
                progress.steps += 1;
                if progress.steps == steps.len() {
                    progress.writes += 1;
                    progress.steps = 0;
                }
                apply(&mut reference, step);
                states.push((progress, self.state(&reference)));
            }
        }
        states
    }

    fn state(&self, reference: &Reference) -> State {
        State::of_reference(&reference.memory, self.scope).expect("the reference does not fail")
    }

    /// The steps in which a write may reach the disk: forward for an append, and backward for a truncate.
    fn steps(&self, op: &Op, reference: &Reference) -> Vec<Op> {
        match op {
            _ if self.scope.whole_writes => vec![op.clone()],
            Op::Append { group, entries } => entries
                .iter()
                .map(|entry| Op::Append {
                    group: *group,
                    entries: vec![entry.clone()],
                })
                .collect(),
            &Op::Truncate { group, from } => {
                let bounds = reference.memory.bounds(group);
                let last = bounds.expect("the reference does not fail").last();
                // Also when there is nothing to drop, one step.
                (from..=last.unwrap_or(from).max(from))
                    .rev()
                    .map(|from| Op::Truncate { group, from })
                    .collect()
            }
            _ => vec![op.clone()],
        }
    }

    fn explain(&self, found: &State, window: Window) -> Verdict {
        let Window {
            acknowledged,
            submitted,
            ..
        } = window;
        let legal = format!("{acknowledged} writes were acknowledged and {submitted} submitted");
        let states = self.states(0, submitted);
        if let Some((after, _)) = states.iter().rfind(|(_, state)| state == found) {
            let writes = after.writes;
            return Verdict::Lost(format!("the state after {writes} writes; {legal}"));
        }
        let mut newest = states
            .iter()
            .skip_while(|(after, _)| after.writes < acknowledged)
            .map(|(_, state)| state)
            .peekable();
        let difference = newest
            .peek()
            .map(|expected| found.difference(expected))
            .unwrap_or_default();
        if newest.any(|state| found.is_part_of(state)) {
            return Verdict::Lost(format!("parts are missing; {legal}; {difference}"));
        }
        Verdict::Corrupt(format!("no state there ever was; {legal}; {difference}"))
    }

    /// The reference, as far as a store got.
    pub(super) fn reference_after(&self, progress: Progress) -> Reference {
        let mut reference = Reference::default();
        let (before, behind) = self.writes.split_at(progress.writes as usize);
        for op in before {
            apply(&mut reference, op);
        }
        if let Some(next) = behind.first() {
            let steps = self.steps(next, &reference);
            for step in steps.iter().take(progress.steps) {
                apply(&mut reference, step);
            }
        }
        reference
    }
}

fn apply(reference: &mut Reference, op: &Op) {
    reference.apply(op).expect("a generated write is valid");
}
