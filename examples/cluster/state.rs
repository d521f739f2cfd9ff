//! What the cluster agrees on: keys, a list of lines, and who wrote what last. Pure data, no I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use openraft::EntryPayload;
use openraft::alias::EntryOf;
use serde::{Deserialize, Serialize};

use crate::types::{Command, Line, LogId, Reply, SnapshotMeta, StoredMembership, TypeConfig};

/// The replicated state. Cheap to clone: texts are shared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// The last entry that is part of this state.
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: StoredMembership,
    pub(crate) keys: BTreeMap<String, Arc<str>>,
    /// Every line, in the order in which the cluster accepted them.
    pub(crate) lines: Vec<Line>,
    /// The last line of each client. It is what makes a retry harmless: an answer can be lost with
    /// the leader that should have given it, so clients ask again, and are told the same position.
    /// One entry per client for ever; a real service would expire them.
    sessions: BTreeMap<u64, Session>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Session {
    seq: u64,
    position: u64,
}

impl State {
    /// Applies one entry. Every node does this with the same entries in the same order, so it must
    /// depend on nothing else.
    pub(crate) fn apply(&mut self, entry: EntryOf<TypeConfig>) -> Reply {
        self.applied = Some(entry.log_id);
        match entry.payload {
            EntryPayload::Blank => Reply::Done,
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                Reply::Done
            }
            EntryPayload::Normal(Command::Put { key, value }) => {
                self.keys.insert(key, value);
                Reply::Done
            }
            EntryPayload::Normal(Command::Append(line)) => self.append(line),
        }
    }

    /// What a snapshot of this state covers.
    pub(crate) fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
        }
    }

    fn append(&mut self, line: Line) -> Reply {
        match self.sessions.get(&line.client) {
            Some(last) if last.seq == line.seq => {
                let position = last.position;
                match usize::try_from(position).map(|at| self.lines.get(at)) {
                    Ok(Some(known)) if *known == line => Reply::Appended { position },
                    _ => Reply::Different,
                }
            }
            Some(last) if last.seq > line.seq => Reply::Outdated { newest: last.seq },
            _ => {
                let position = self.lines.len() as u64;
                self.sessions.insert(
                    line.client,
                    Session {
                        seq: line.seq,
                        position,
                    },
                );
                self.lines.push(line);
                Reply::Appended { position }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(state: &mut State, client: u64, seq: u64) -> Reply {
        state.append(Line {
            client,
            seq,
            text: "text".into(),
        })
    }

    #[test]
    fn a_retry_is_told_its_position_and_adds_nothing() {
        let mut state = State::default();
        append(&mut state, 1, 1);
        let first = append(&mut state, 2, 1);
        assert_eq!(first, Reply::Appended { position: 1 });
        assert_eq!(append(&mut state, 2, 1), first);
        assert_eq!(state.lines.len(), 2);
    }

    #[test]
    fn another_text_under_the_same_number_is_refused() {
        let mut state = State::default();
        append(&mut state, 1, 1);
        let reply = state.append(Line {
            client: 1,
            seq: 1,
            text: "another text".into(),
        });
        assert_eq!(reply, Reply::Different);
        assert_eq!(state.lines.len(), 1);
    }

    #[test]
    fn a_line_that_comes_after_a_later_one_is_refused() {
        let mut state = State::default();
        append(&mut state, 1, 2);
        assert_eq!(append(&mut state, 1, 1), Reply::Outdated { newest: 2 });
        assert_eq!(state.lines.len(), 1);
    }
}
