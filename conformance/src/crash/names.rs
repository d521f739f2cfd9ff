use std::collections::{BTreeMap, BTreeSet};

use super::mutation::{Ino, Mutation};

/// The names in every directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names(BTreeMap<Ino, BTreeMap<String, Ino>>);

/// What happens to names of one directory in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameChange {
    pub(super) directory: Ino,
    /// Each name, and what it names from now on.
    edits: Vec<(String, Option<Ino>)>,
    /// The file or directory that gets or loses a name.
    pub(super) named: Ino,
}

impl Names {
    pub(super) fn of(&self, directory: Ino) -> impl Iterator<Item = (&str, Ino)> {
        let names = self.0.get(&directory).into_iter().flatten();
        names.map(|(name, ino)| (name.as_str(), *ino))
    }

    pub(super) fn find(&self, directory: Ino, name: &str) -> Option<Ino> {
        self.0.get(&directory)?.get(name).copied()
    }

    pub(super) fn is_empty(&self, directory: Ino) -> bool {
        self.0.get(&directory).is_none_or(BTreeMap::is_empty)
    }

    pub(super) fn apply(&mut self, change: &NameChange) {
        let names = self.0.entry(change.directory).or_default();
        for (name, ino) in &change.edits {
            match ino {
                Some(ino) => names.insert(name.clone(), *ino),
                None => names.remove(name),
            };
        }
    }

    /// Everything that can be reached from `root`, by path, parents first. What a lost rename left in
    /// two directories is visited once.
    pub(super) fn walk(&self, root: Ino, mut visit: impl FnMut(String, Ino)) {
        let mut seen = BTreeSet::from([root]);
        let mut waiting = vec![(String::new(), root)];
        while let Some((path, directory)) = waiting.pop() {
            for (name, ino) in self.of(directory) {
                let path = if path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{path}/{name}")
                };
                if self.0.contains_key(&ino) {
                    if !seen.insert(ino) {
                        continue;
                    }
                    waiting.push((path.clone(), ino));
                }
                visit(path, ino);
            }
        }
    }
}

impl NameChange {
    /// What a mutation does to names: nothing, one change, or two where a name moves to another
    /// directory.
    pub(super) fn of(mutation: &Mutation) -> Vec<Self> {
        let change = |directory: Ino, edits, named| Self {
            directory,
            edits,
            named,
        };
        match mutation {
            Mutation::Create {
                parent, name, ino, ..
            }
            | Mutation::Link { parent, name, ino } => {
                vec![change(*parent, vec![(name.clone(), Some(*ino))], *ino)]
            }
            Mutation::Remove { parent, name, ino } => {
                vec![change(*parent, vec![(name.clone(), None)], *ino)]
            }
            Mutation::Rename {
                parent,
                name,
                new_parent,
                new_name,
                ino,
            } => {
                let gone = (name.clone(), None);
                let new = (new_name.clone(), Some(*ino));
                if parent == new_parent {
                    vec![change(*parent, vec![gone, new], *ino)]
                } else {
                    vec![
                        change(*new_parent, vec![new], *ino),
                        change(*parent, vec![gone], *ino),
                    ]
                }
            }
            Mutation::Write { .. }
            | Mutation::Resize { .. }
            | Mutation::Sync { .. }
            | Mutation::Mark(_) => Vec::new(),
        }
    }

    /// Whether a sync of `ino` also writes this change, in a file system with a journal.
    pub(super) fn concerns(&self, ino: Ino) -> bool {
        self.directory == ino || self.named == ino
    }
}
