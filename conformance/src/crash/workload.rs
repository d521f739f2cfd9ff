use std::time::Duration;

use bytes::Bytes;
use raft_logstore_core::{Backend, Batch, Entry, GroupId, MemoryBackend, Op, Result, StableKey};
use serde::{Deserialize, Serialize};

use crate::payload::{Mix, payload};

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
    /// The store holds many groups, and can drop one.
    pub(super) many_groups: bool,
}

/// The groups that a workload uses; the first one alone in a store of one group.
pub(super) const GROUPS: [GroupId; 3] = [GroupId(1), GroupId(2), GroupId(u64::MAX)];

/// A stable key that has no meaning to anyone.
const EXTRA: StableKey = StableKey::from_static("crash-kit");

/// The stable keys that a workload writes, and that of a purge.
pub(super) const KEYS: [StableKey; 4] = [
    StableKey::VOTE,
    StableKey::COMMITTED,
    StableKey::PURGED,
    EXTRA,
];

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

    fn groups(self) -> &'static [GroupId] {
        if self.many_groups {
            &GROUPS
        } else {
            &GROUPS[..1]
        }
    }

    /// The workload of this seed.
    pub(super) fn generate(self) -> Workload {
        let mut mix = Mix::new(self.seed ^ 0x0006_4014_10AD);
        let groups = 1 + mix.below(self.groups().len() as u64) as usize;
        let mut generator = Generator {
            groups: &self.groups()[..groups],
            size: self.size(),
            number: 0,
            states: Reference::default(),
            mix,
        };
        let writes = 60 + generator.mix.below(60);
        let depth = [1, 2, 6, 24][generator.mix.below(4) as usize];
        let reopens = generator.mix.below(2) == 0;
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
                        id: Bytes::from_static(b"all"),
                    },
                    lazy: false,
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
        let many = match self.size {
            Size::Small => 40,
            Size::Big => 120,
            Size::Huge => 200,
        };
        match self.mix.below(100) {
            // A log that has become long is purged.
            _ if bounds.len() > many => durable(self.purge(group)),
            0..55 => durable(self.append(group)),
            55..65 if !bounds.is_empty() => durable(self.truncate(group)),
            65..73 => durable(self.purge(group)),
            73..85 => durable(self.put(group, StableKey::VOTE)),
            85..88 => durable(self.put(group, EXTRA)),
            88..97 => Write {
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
        if bounds.is_empty() && self.mix.below(4) == 0 {
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
        // Mostly few entries, sometimes all, sometimes none.
        let most = match self.mix.below(4) {
            0 => last - first + 2,
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
            id: Bytes::from(format!("purge {}", self.number)),
        }
    }

    fn put(&mut self, group: GroupId, key: StableKey) -> Op {
        let removes = self.mix.below(12) == 0;
        let value = (!removes).then(|| Bytes::from(format!("{key} {}", self.number)));
        Op::Put { group, key, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_writes_again() {
        let spec = WorkloadSpec {
            seed: 3,
            many_groups: true,
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
                many_groups: true,
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
