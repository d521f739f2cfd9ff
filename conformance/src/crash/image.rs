use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::mutation::{Ino, Mutation, ROOT};
use super::names::Names;
use super::sparse_file::SparseFile;

/// A tree of directories and files, as found after a crash or at the end of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    /// By path; `None` is a directory.
    nodes: BTreeMap<String, Option<SparseFile>>,
}

impl Image {
    /// What `names` reach, with the content that `content` gives; `None` for a directory.
    pub(super) fn new(names: &Names, mut content: impl FnMut(Ino) -> Option<SparseFile>) -> Self {
        let mut nodes = BTreeMap::new();
        names.walk(ROOT, |path, ino| {
            nodes.insert(path, content(ino));
        });
        Self { nodes }
    }

    /// Makes the tree below `dir`, an empty directory.
    pub(super) fn write_to(&self, dir: &Path) -> io::Result<()> {
        for (path, node) in &self.nodes {
            match node {
                None => fs::create_dir(dir.join(path))?,
                Some(file) => file.write_to(&dir.join(path))?,
            }
        }
        Ok(())
    }

    /// How many pages its files take.
    pub(super) fn page_count(&self) -> u64 {
        let files = self.nodes.values().flatten();
        files.map(SparseFile::page_count).sum()
    }

    /// The mutations that make this tree on an empty disk.
    pub(super) fn mutations(&self) -> Vec<Mutation> {
        let mut inos = BTreeMap::from([("", ROOT)]);
        let mut mutations = Vec::new();
        for (ino, (path, node)) in (ROOT + 1..).zip(&self.nodes) {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            inos.insert(path, ino);
            mutations.push(Mutation::Create {
                parent: inos[parent],
                name: name.to_owned(),
                ino,
                directory: node.is_none(),
            });
            let Some(file) = node else { continue };
            for (offset, data) in file.parts() {
                mutations.push(Mutation::Write {
                    ino,
                    offset,
                    data,
                    synced: false,
                });
            }
            mutations.push(Mutation::Resize {
                ino,
                len: file.len(),
            });
        }
        mutations
    }

    /// A file by its path.
    #[cfg(test)]
    pub(super) fn file(&self, path: &str) -> Option<&SparseFile> {
        self.nodes.get(path)?.as_ref()
    }

    /// The paths at which two trees differ.
    pub(super) fn differences<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let mut paths: Vec<&str> = self
            .nodes
            .iter()
            .filter(|(path, node)| other.nodes.get(*path) != Some(node))
            .map(|(path, _)| path.as_str())
            .chain(
                other
                    .nodes
                    .keys()
                    .filter(|path| !self.nodes.contains_key(*path))
                    .map(String::as_str),
            )
            .collect();
        paths.sort_unstable();
        paths
    }
}
