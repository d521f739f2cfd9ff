use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::image::Image;
use super::mutation::{Ino, Mutation, ROOT};
use super::window::Window;

/// Everything that happened to a recorded file system, in the order of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct OpLog {
    /// So many mutations made what was on the disk when the recording began; they are durable.
    pub(super) base: usize,
    /// The legal states of that disk.
    pub(super) window: Window,
    pub(super) mutations: Vec<Mutation>,
}

/// The directory of the store in the recorded file system.
pub(super) const STORE: &str = "store";

impl OpLog {
    /// The log of a disk with an empty directory for the store.
    pub(super) fn of_empty_disk() -> Self {
        Self {
            base: 1,
            window: Window::default(),
            mutations: vec![Mutation::Create {
                parent: ROOT,
                name: STORE.to_owned(),
                ino: ROOT + 1,
                directory: true,
            }],
        }
    }

    /// The log of a disk that holds `image`, whose legal states are known.
    pub(super) fn of_image(image: &Image, window: Window) -> Self {
        let mutations = image.mutations();
        Self {
            base: mutations.len(),
            window,
            mutations,
        }
    }

    /// The legal states after a crash before mutation `at`.
    pub(super) fn window_at(&self, at: usize) -> Window {
        let mut window = self.window;
        for mutation in &self.mutations[self.base..at] {
            if let Mutation::Mark(mark) = mutation {
                window.pass(*mark);
            }
        }
        window
    }

    /// The highest number of a file or directory.
    pub(super) fn last_ino(&self) -> Ino {
        let created = self.mutations.iter().filter_map(|mutation| match mutation {
            Mutation::Create { ino, .. } => Some(*ino),
            _ => None,
        });
        created.max().unwrap_or(ROOT)
    }

    /// The last path of everything that had one.
    pub(super) fn paths(&self) -> BTreeMap<Ino, String> {
        let mut names: BTreeMap<Ino, (Ino, &str)> = BTreeMap::new();
        for mutation in &self.mutations {
            match mutation {
                Mutation::Create {
                    parent, name, ino, ..
                }
                | Mutation::Link { parent, name, ino }
                | Mutation::Rename {
                    new_parent: parent,
                    new_name: name,
                    ino,
                    ..
                } => names.insert(*ino, (*parent, name)),
                _ => continue,
            };
        }
        let path_of = |ino: &Ino| {
            let mut path = Vec::new();
            let mut at = ino;
            while let Some((parent, name)) = names.get(at) {
                path.insert(0, *name);
                at = parent;
            }
            (*ino, path.join("/"))
        };
        names.keys().map(path_of).collect()
    }

    /// Keeps the log as a file.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        rmp_serde::encode::write(&mut file, self).map_err(io::Error::other)?;
        io::Write::flush(&mut file)
    }

    /// Says what was written and synced, a line for each file and directory.
    pub(super) fn summary(&self) -> String {
        let mut totals: BTreeMap<Ino, (u64, u64, u64)> = BTreeMap::new();
        for mutation in &self.mutations[self.base..] {
            match mutation {
                Mutation::Write { ino, data, .. } => {
                    let (writes, bytes, _) = totals.entry(*ino).or_default();
                    *writes += 1;
                    *bytes += data.len() as u64;
                }
                Mutation::Sync { ino, .. } => totals.entry(*ino).or_default().2 += 1,
                _ => {}
            }
        }
        let mut summary = format!("{} mutations\n", self.mutations.len());
        for (ino, path) in self.paths() {
            let (writes, bytes, syncs) = totals.get(&ino).copied().unwrap_or_default();
            summary += &format!("{path}: {writes} writes of {bytes} bytes, {syncs} syncs\n");
        }
        summary
    }

    /// Reads a log that was kept.
    pub(super) fn load(path: &Path) -> io::Result<Self> {
        let file = BufReader::new(File::open(path)?);
        let log: Self = rmp_serde::from_read(file).map_err(io::Error::other)?;
        if log.base > log.mutations.len() {
            return Err(io::Error::other("the log is shorter than its base"));
        }
        Ok(log)
    }
}
