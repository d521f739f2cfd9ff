use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A directory as it was at one moment, in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Every folder below it, by its path from there.
    folders: BTreeSet<PathBuf>,
    /// Every file.
    files: BTreeMap<PathBuf, Content>,
}

/// A file. Engines preallocate, so the zeros at its end are only counted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    bytes: Vec<u8>,
    len: u64,
}

impl Image {
    /// The image of everything below `dir`.
    ///
    /// # Errors
    ///
    /// Those of reading it.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let mut image = Self::default();
        image.add(dir, Path::new(""))?;
        Ok(image)
    }

    fn add(&mut self, dir: &Path, below: &Path) -> io::Result<()> {
        for entry in fs::read_dir(dir.join(below))? {
            let entry = entry?;
            let name = below.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.add(dir, &name)?;
                self.folders.insert(name);
            } else {
                self.files
                    .insert(name, Content::of(fs::read(entry.path())?));
            }
        }
        Ok(())
    }

    /// Makes `dir` what the image shows, whatever it held.
    ///
    /// # Errors
    ///
    /// Those of writing there.
    pub fn restore(&self, dir: &Path) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        for folder in &self.folders {
            fs::create_dir_all(dir.join(folder))?;
        }
        self.files
            .keys()
            .try_for_each(|file| self.restore_file(file, dir))
    }

    /// Makes one file, or all that lies in a folder, what the image shows.
    ///
    /// # Errors
    ///
    /// Those of writing there.
    pub fn restore_part(&self, part: &Path, dir: &Path) -> io::Result<()> {
        for folder in self
            .folders
            .iter()
            .filter(|folder| folder.starts_with(part))
        {
            fs::create_dir_all(dir.join(folder))?;
        }
        let mut inside = self.files.keys().filter(|file| file.starts_with(part));
        inside.try_for_each(|file| self.restore_file(file, dir))
    }

    fn restore_file(&self, name: &Path, dir: &Path) -> io::Result<()> {
        let content = &self.files[name];
        let mut file = File::create(dir.join(name))?;
        file.write_all(&content.bytes)?;
        file.set_len(content.len)
    }

    /// The folders, without the directory itself.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(PathBuf::as_path)
    }

    /// The files, and what each holds without the zeros at its end.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        let files = self.files.iter();
        files.map(|(name, content)| (name.as_path(), content.bytes.as_slice()))
    }
}

impl Content {
    fn of(mut bytes: Vec<u8>) -> Self {
        let len = bytes.len() as u64;
        let end = bytes.iter().rposition(|&byte| byte != 0);
        bytes.truncate(end.map_or(0, |last| last + 1));
        Self { bytes, len }
    }
}
