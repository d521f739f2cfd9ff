//! `KvBackend` and the in-memory reference do the same with the same batches.

use proptest::prelude::*;
use raft_logstore_core::{
    Backend, Batch, Entry, GroupId, IndexRange, MemoryBackend, Op, Result, StableKey,
};
use raft_logstore_kv::KvBackend;

use crate::map_engine::MapEngine;

/// What to do to a group; numbers are relative to its log, so that every step is allowed.
#[derive(Clone, Debug)]
enum Step {
    Append {
        skip: u64,
        count: u64,
    },
    Truncate {
        back: u64,
    },
    Purge {
        forward: i64,
    },
    Jump,
    Put {
        key: StableKey,
        value: Option<u8>,
    },
    Drop,
    Commit,
    Maintain,
    /// From now on a settle that has begun does not come to its end.
    Hold,
    /// It does.
    Release,
    /// The process crashes.
    Reopen,
    /// The store is closed and opened.
    Close,
}

fn steps() -> impl Strategy<Value = Vec<(GroupId, Step)>> {
    let key = prop_oneof![
        Just(StableKey::VOTE),
        Just(StableKey::COMMITTED),
        Just(StableKey::PURGED)
    ];
    let step = prop_oneof![
        8 => (0..4u64, prop_oneof![0..5u64, 0..900u64]).prop_map(|(skip, count)| Step::Append { skip, count }),
        3 => (0..40u64).prop_map(|back| Step::Truncate { back }),
        4 => prop_oneof![-3..30i64, 0..1500i64].prop_map(|forward| Step::Purge { forward }),
        1 => Just(Step::Jump),
        2 => (key, any::<Option<u8>>()).prop_map(|(key, value)| Step::Put { key, value }),
        1 => Just(Step::Drop),
        8 => Just(Step::Commit),
        2 => Just(Step::Maintain),
        2 => Just(Step::Hold),
        1 => Just(Step::Release),
        1 => Just(Step::Reopen),
        1 => Just(Step::Close),
    ];
    let group = prop_oneof![Just(GroupId(0)), Just(GroupId(1)), Just(GroupId(u64::MAX))];
    prop::collection::vec((group, step), 1..60)
}

/// The operation that `step` means for a log as `model` has it, batch by batch.
fn operation(
    model: &MemoryBackend,
    group: GroupId,
    step: &Step,
    payload: u8,
) -> Result<Option<Op>> {
    let bounds = model.bounds(group)?;
    let next = bounds.last().map_or(1, |last| last + 1);
    Ok(Some(match *step {
        Step::Append { skip, count } if count > 0 => {
            let first = if bounds.is_empty() { next + skip } else { next };
            let entries = (first..first + count).map(|index| Entry::new(index, vec![payload; 3]));
            Op::Append {
                group,
                entries: entries.collect(),
            }
        }
        Step::Truncate { back } => {
            let lowest = bounds.floor().map_or(0, |floor| floor + 1);
            Op::Truncate {
                group,
                from: next.saturating_sub(back).max(lowest),
            }
        }
        Step::Purge { forward } => {
            let from = bounds.first().or(bounds.floor()).unwrap_or(1);
            Op::Purge {
                group,
                up_to: from.saturating_add_signed(forward),
                id: vec![payload].into(),
            }
        }
        Step::Jump => Op::Purge {
            group,
            up_to: next.saturating_add(1 << 50),
            id: vec![payload].into(),
        },
        Step::Put { ref key, value } => Op::Put {
            group,
            key: key.clone(),
            value: value.map(|value| vec![value].into()),
        },
        Step::Drop => Op::DropGroup { group },
        _ => return Ok(None),
    }))
}

fn assert_same(backend: &dyn Backend, reference: &dyn Backend) -> Result<()> {
    assert_eq!(backend.sequence()?, reference.sequence()?);
    let groups = reference.groups()?;
    assert_eq!(backend.groups()?, groups);
    for group in groups {
        let bounds = reference.bounds(group)?;
        assert_eq!(backend.bounds(group)?, bounds);
        let middle = bounds.first().unwrap_or(0) + bounds.len() / 2;
        for (range, cap) in [
            (IndexRange::new(..), u64::MAX),
            (IndexRange::new(..), 20),
            (IndexRange::new(..middle), u64::MAX),
            (IndexRange::new(middle..=middle.saturating_add(7)), 9),
        ] {
            assert_eq!(
                backend.read(group, range, cap)?,
                reference.read(group, range, cap)?
            );
        }
        for key in [StableKey::VOTE, StableKey::COMMITTED, StableKey::PURGED] {
            assert_eq!(backend.get(group, &key)?, reference.get(group, &key)?);
        }
    }
    Ok(())
}

fn close_and_open(
    backend: KvBackend<MapEngine>,
    engine: &MapEngine,
) -> Result<KvBackend<MapEngine>> {
    engine.release_settles();
    Box::new(backend).close()?;
    engine.open()
}

fn crash_and_open(
    backend: KvBackend<MapEngine>,
    engine: &MapEngine,
) -> Result<KvBackend<MapEngine>> {
    engine.crash();
    drop(backend);
    engine.open()
}

fn run(steps: &[(GroupId, Step)]) -> Result<()> {
    let engine = MapEngine::new_store();
    let mut backend = engine.open()?;
    // One reference takes whole batches, as the backend does; the other each operation at once, so
    // that the next one can be chosen.
    let (reference, model) = (MemoryBackend::new(), MemoryBackend::new());
    let mut batch = Batch {
        sequence: 1,
        ops: Vec::new(),
    };
    for (at, (group, step)) in steps
        .iter()
        .chain([&(GroupId(0), Step::Commit)])
        .enumerate()
    {
        match step {
            Step::Commit => {
                backend.commit(&batch)?;
                reference.commit(&batch)?;
                batch = Batch {
                    sequence: batch.sequence + 1,
                    ops: Vec::new(),
                };
            }
            Step::Maintain => drop(backend.maintain()?),
            Step::Hold => engine.hold_settles(),
            Step::Release => engine.release_settles(),
            Step::Reopen => backend = crash_and_open(backend, &engine)?,
            Step::Close => backend = close_and_open(backend, &engine)?,
            _ => {
                if let Some(op) = operation(&model, *group, step, at as u8)? {
                    let sequence = model.sequence()? + 1;
                    model.commit(&Batch {
                        sequence,
                        ops: vec![op.clone()],
                    })?;
                    batch.ops.push(op);
                }
                continue;
            }
        }
        assert_same(&backend, &reference)?;
    }
    // When all is in its place and all garbage gone, still the same, and nothing but the log is stored.
    let backend = close_and_open(backend, &engine)?;
    while backend.maintain()? {}
    assert_same(&backend, &reference)?;
    let entries: u64 = reference
        .groups()?
        .iter()
        .map(|&group| reference.bounds(group).unwrap().len())
        .sum();
    let stored = engine
        .keys()
        .iter()
        .filter(|key| key.starts_with(b"logs-"))
        .count();
    assert_eq!(stored as u64, entries);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_batches_have_the_same_effect_as_on_the_reference(steps in steps()) {
        run(&steps).unwrap();
    }
}
