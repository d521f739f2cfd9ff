use std::time::Duration;

use bytes::Bytes;
use raft_logstore_core::{
    Backend, Batch, Bounds, Entry, GroupId, MemoryBackend, Op, Result, StableKey,
};
use serde::{Deserialize, Serialize};

use super::scope::{EXTRA, Scope};
use crate::payload::{Mix, number, of_number, payload};

/// What a writer does, from a seed. The writes are valid in their order, so they, and the states that
/// are legal after a crash, depend on the seed alone.
pub(super) struct Workload {
    pub(super) steps: Vec<Step>,
    /// How many writes may be in flight.
    pub(super) depth: u64,
}

/// One step of a [`Workload`].
pub(super) enum Step {
    Write(Write),
    /// Waits until everything is acknowledged, and then for so long: background work may begin.
    Rest(Duration),
    /// Closes the store and opens it again.
    Reopen,
    /// The process is killed, and another one goes on.
    Kill,
}

/// One write.
pub(super) struct Write {
    pub(super) op: Op,
    /// Without asking for durability.
    pub(super) lazy: bool,
}

/// Which [`Workload`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WorkloadSpec {
    pub(super) seed: u64,
    pub(super) scope: Scope,
}

/// How much a workload writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    /// Kilobytes.
    Small,
    /// Megabytes, in every fifth seed: enough to grow a map, fill a memtable, settle a journal.
    Big,
    /// Tens of megabytes, nearly all of it purged before it ends, in every tenth seed: enough for an
    /// engine to give space back.
    Huge,
}

impl WorkloadSpec {
    fn size(self) -> Size {
        match self.seed {
            seed if seed.is_multiple_of(10) => Size::Huge,
            seed if seed.is_multiple_of(5) => Size::Big,
            _ => Size::Small,
        }
    }

    /// The workload of this seed.
    pub(super) fn generate(self) -> Workload {
        let mut mix = Mix::new(self.seed ^ 0x0006_4014_10AD);
        let groups = 1 + mix.below(self.scope.groups().len() as u64) as usize;
        let mut generator = Generator {
            groups: &self.scope.groups()[..groups],
            size: self.size(),
            scope: self.scope,
            number: 0,
            states: Reference::default(),
            mix,
        };
        let writes = 60 + generator.mix.below(60);
        let depth = [1, 2, 6, 24][generator.mix.below(4) as usize];
        // A store that keeps nothing lazy when it is closed may come back with less.
        let reopens = generator.mix.below(2) == 0 && self.scope.durable_cuts;
        let mut kill_after = (generator.mix.below(2) == 0).then(|| generator.mix.below(writes));
        let mut steps = Vec::new();
        for number in 0..writes {
            let write = generator.write();
            // A kill with something that nobody has asked to be durable is the most telling.
            let is_lazy = write.lazy;
            steps.push(Step::Write(write));
            let kills = kill_after.is_some_and(|after| number >= after);
            if kills && (is_lazy || generator.mix.below(8) == 0) {
                steps.push(Step::Kill);
                kill_after = None;
                continue;
            }
            match generator.mix.below(100) {
                0..15 => steps.push(Step::Rest(Duration::ZERO)),
                15..18 => steps.push(Step::Rest(Duration::from_millis(3))),
                18..20 if reopens => steps.push(Step::Reopen),
                _ => {}
            }
        }
        if self.size() == Size::Huge {
            steps.extend(generator.purge_all().map(Step::Write));
            steps.push(Step::Rest(Duration::from_millis(20)));
        }
        Workload { steps, depth }
    }
}

impl Workload {
    /// The writes, in order.
    pub(super) fn writes(&self) -> impl Iterator<Item = &Write> {
        self.steps.iter().filter_map(|step| match step {
            Step::Write(write) => Some(write),
            Step::Rest(_) | Step::Reopen | Step::Kill => None,
        })
    }
}

/// The reference store, which knows what is valid and what must be there.
#[derive(Default)]
pub(super) struct Reference {
    pub(super) memory: MemoryBackend,
    writes: u64,
}

impl Reference {
    /// The state after one write more.
    pub(super) fn apply(&mut self, op: &Op) -> Result<()> {
        self.writes += 1;
        self.memory.commit(&Batch {
            sequence: self.writes,
            ops: vec![op.clone()],
        })
    }
}

struct Generator {
    groups: &'static [GroupId],
    size: Size,
    scope: Scope,
    number: u64,
    states: Reference,
    mix: Mix,
}

impl Generator {
    fn write(&mut self) -> Write {
        self.number += 1;
        let group = self.groups[self.mix.below(self.groups.len() as u64) as usize];
        let write = self.choose(group);
        self.states
            .apply(&write.op)
            .expect("a generated write is valid");
        write
    }

    /// Purges whatever is there.
    fn purge_all(&mut self) -> impl Iterator<Item = Write> {
        let purges: Vec<Write> = (self.groups.iter())
            .filter_map(|&group| {
                let bounds = self.states.memory.bounds(group);
                let bounds = bounds.expect("the reference does not fail");
                Some(Write {
                    op: Op::Purge {
                        group,
                        up_to: bounds.last()?,
                        id: self.value("purge", bounds.last()?),
                    },
                    lazy: !self.scope.durable_cuts,
                })
            })
            .collect();
        purges.into_iter()
    }

    fn choose(&mut self, group: GroupId) -> Write {
        let bounds = self
            .states
            .memory
            .bounds(group)
            .expect("the reference does not fail");
        let durable = |op| Write { op, lazy: false };
        let lazy = !self.scope.durable_cuts;
        let cut = |op| Write { op, lazy };
        let many = match self.size {
            Size::Small => 40,
            Size::Big => 120,
            Size::Huge => 200,
        };
        match self.mix.below(100) {
            // A log that has become long is purged.
            _ if bounds.len() > many => cut(self.purge(group)),
            0..55 => durable(self.append(group)),
            55..65 if !bounds.is_empty() => cut(self.truncate(group)),
            65..73 => cut(self.purge(group)),
            73..85 => durable(self.put(group, StableKey::VOTE)),
            85..88 if self.scope.stable_keys => durable(self.put(group, EXTRA)),
            88..97 if self.can_commit(bounds) => Write {
                op: self.put(group, StableKey::COMMITTED),
                lazy: true,
            },
            97.. if self.groups.len() > 1 => durable(Op::DropGroup { group }),
            _ => durable(self.append(group)),
        }
    }

    fn append(&mut self, group: GroupId) -> Op {
        let bounds = self
            .states
            .memory
            .bounds(group)
            .expect("the reference does not fail");
        let mut first = bounds.last().map_or(1, |last| last + 1);
        if self.scope.any_first_index && bounds.is_empty() && self.mix.below(4) == 0 {
            // An empty log may begin anywhere above its floor.
            first += self.mix.below(5);
        }
        let count = 1 + self.mix.below(6);
        let entries = (first..first + count).map(|index| {
            let bytes = self.payload_bytes();
            Entry::new(index, payload(index, self.number, bytes))
        });
        Op::Append {
            group,
            entries: entries.collect(),
        }
    }

    fn payload_bytes(&mut self) -> usize {
        let most = match self.mix.below(20) {
            0..2 => return 0,
            _ if self.size == Size::Big => 64 << 10,
            _ if self.size == Size::Huge => 256 << 10,
            2..12 => 64,
            12..17 => 1500,
            _ => 3 * 4096,
        };
        1 + self.mix.below(most) as usize
    }

    fn truncate(&mut self, group: GroupId) -> Op {
        let bounds = self
            .states
            .memory
            .bounds(group)
            .expect("the reference does not fail");
        let (first, last) = bounds.first().zip(bounds.last()).unwrap_or((1, 1));
        let first = first.max(self.above_committed(group));
        // Mostly few entries, sometimes all, sometimes none.
        let most = match self.mix.below(4) {
            0 => last + 2 - first,
            _ => 4,
        };
        let dropped = self.mix.below(most);
        Op::Truncate {
            group,
            from: (last + 1).saturating_sub(dropped).max(first),
        }
    }

    fn purge(&mut self, group: GroupId) -> Op {
        let bounds = self
            .states
            .memory
            .bounds(group)
            .expect("the reference does not fail");
        let above = bounds.floor().map_or(0, |floor| floor + 1);
        let last = bounds.last().unwrap_or(0).max(above);
        let up_to = match self.mix.below(8) {
            // A snapshot from elsewhere.
            0 => last + 1 + self.mix.below(3),
            _ => above + self.mix.below(last - above + 1),
        };
        Op::Purge {
            group,
            up_to,
            id: self.value("purge", up_to),
        }
    }

    fn put(&mut self, group: GroupId, key: StableKey) -> Op {
        let removes = self.scope.stable_keys && self.mix.below(12) == 0;
        let number = if key == StableKey::COMMITTED {
            self.last(group)
        } else {
            self.number
        };
        let value = (!removes).then(|| self.value(key.as_str(), number));
        Op::Put { group, key, value }
    }

    /// A value that is never written again; where values are numbers, `number`.
    fn value(&self, what: &str, number: u64) -> Bytes {
        if self.scope.stable_keys {
            Bytes::from(format!("{what} {}", self.number))
        } else {
            of_number(number)
        }
    }

    /// Where values are numbers, the first index that is not committed: Raft truncates no other, and a store
    /// may rely on that.
    fn above_committed(&self, group: GroupId) -> u64 {
        if self.scope.stable_keys {
            return 0;
        }
        let committed = self.states.memory.get(group, &StableKey::COMMITTED);
        let committed = committed.expect("the reference does not fail");
        committed
            .and_then(|value| number(&value))
            .map_or(0, |committed| committed + 1)
    }

    fn last(&self, group: GroupId) -> u64 {
        let bounds = self.states.memory.bounds(group);
        let bounds = bounds.expect("the reference does not fail");
        bounds.last().unwrap_or(0)
    }

    /// Where an index is what is committed, there has to be one.
    fn can_commit(&self, bounds: Bounds) -> bool {
        self.scope.committed && (self.scope.stable_keys || bounds.last().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_writes_again() {
        let spec = WorkloadSpec {
            seed: 3,
            scope: Scope::WHOLE,
        };
        let (one, other) = (spec.generate(), spec.generate());
        assert!(one.writes().count() >= 60);
        assert!(
            one.writes()
                .zip(other.writes())
                .all(|(one, other)| one.op == other.op && one.lazy == other.lazy)
        );
    }

    #[test]
    fn some_seeds_write_megabytes_and_all_kinds_of_writes_occur() {
        let mut kinds = [0; 5];
        let mut most = 0;
        for seed in 1..=20 {
            let spec = WorkloadSpec {
                seed,
                scope: Scope::WHOLE,
            };
            let mut bytes = 0;
            for write in spec.generate().writes() {
                let kind = match &write.op {
                    Op::Append { entries, .. } => {
                        bytes += entries
                            .iter()
                            .map(|entry| entry.payload.len())
                            .sum::<usize>();
                        0
                    }
                    Op::Truncate { .. } => 1,
                    Op::Purge { .. } => 2,
                    Op::Put { .. } => 3,
                    Op::DropGroup { .. } => 4,
                };
                kinds[kind] += 1;
            }
            most = most.max(bytes);
        }
        assert!(kinds.iter().all(|count| *count > 5), "{kinds:?}");
        assert!(most > 5 << 20, "{most} bytes");
    }
}
