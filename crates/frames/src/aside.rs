use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Copies `bytes` of a file into a new file in `dir`, named `name` and a number, before they are cut off or
/// overwritten: what a power cut left of a write may be worth a look. Both are durable on return.
///
/// # Errors
///
/// Those of the file system. A copy that was begun stays.
pub fn keep_aside(
    mut file: &File,
    bytes: Range<u64>,
    dir: &Path,
    name: &str,
) -> io::Result<PathBuf> {
    let mut number = 1u64;
    let (mut copy, path) = loop {
        let path = dir.join(format!("{name}.{number}"));
        match File::create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            created => break (created?, path),
        }
    };
    file.seek(SeekFrom::Start(bytes.start))?;
    io::copy(&mut file.take(bytes.end - bytes.start), &mut copy)?;
    copy.sync_all()?;
    File::open(dir)?.sync_all()?;
    Ok(path)
}
