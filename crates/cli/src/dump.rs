//! `raft-logstore dump`: what is stored, one record after the other.

use std::io::{self, ErrorKind, Write};

use anyhow::Result;
use raft_logstore::{Backend, Error, GroupId, IndexRange, StableKey};

use crate::args::DumpArgs;
use crate::chunks::Chunks;
use crate::outcome::Outcome;
use crate::output::{self, Stdout};
use crate::payload::Encoding;
use crate::stat::selected;

pub(crate) fn run(args: &DumpArgs) -> Result<Outcome> {
    let store = args.store.inspect()?;
    let mut damaged = false;
    let groups = selected(&*store, args.group)?;
    output::result(|out| {
        for group in groups {
            for part in [dump_stable_keys, dump_entries] {
                match part(&*store, group, args, out) {
                    Ok(()) => {}
                    Err(Stopped::Output(error)) => return Err(error),
                    Err(Stopped::Store(error)) => {
                        damaged = true;
                        out.flush()?;
                        output::note(format_args!("error: {error}"));
                    }
                }
            }
        }
        Ok(())
    })?;
    store.close()?;
    Ok(Outcome::damaged_if(damaged))
}

/// Why a part of a group is not shown to its end.
enum Stopped {
    Store(Error),
    Output(io::Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn dump_stable_keys(
    store: &dyn Backend,
    group: GroupId,
    args: &DumpArgs,
    out: &mut Stdout,
) -> Result<(), Stopped> {
    if args.from.is_some() || args.to.is_some() {
        return Ok(());
    }
    for key in store.stable_keys(group)? {
        if let Some(value) = store.get(group, &key)? {
            write_record(out, args.json, group, Name::Key(&key), &value)?;
        }
    }
    Ok(())
}

fn dump_entries(
    store: &dyn Backend,
    group: GroupId,
    args: &DumpArgs,
    out: &mut Stdout,
) -> Result<(), Stopped> {
    if args.stable {
        return Ok(());
    }
    let wanted = IndexRange::new(args.from.unwrap_or(0)..=args.to.unwrap_or(u64::MAX));
    let range = store.bounds(group)?.range().intersect(wanted);
    for entries in Chunks::new(store, group, range) {
        for entry in entries? {
            write_record(
                out,
                args.json,
                group,
                Name::Index(entry.index),
                &entry.payload,
            )?;
        }
    }
    Ok(())
}

/// What a record is called in its group.
enum Name<'a> {
    Key(&'a StableKey),
    Index(u64),
}

fn write_record(
    out: &mut impl Write,
    json: bool,
    group: GroupId,
    name: Name<'_>,
    bytes: &[u8],
) -> io::Result<()> {
    let encoding = Encoding::of(bytes);
    let len = bytes.len();
    if !json {
        match name {
            Name::Key(key) => write!(out, "group {group}  {key}  {len} B  ")?,
            Name::Index(index) => write!(out, "group {group}  {index:>8}  {len} B  ")?,
        }
        encoding.write_line(bytes, out)?;
        return writeln!(out);
    }
    match name {
        // The name of a stable key needs no escapes.
        Name::Key(key) => write!(out, "{{\"group\":{group},\"key\":\"{key}\"")?,
        Name::Index(index) => write!(out, "{{\"group\":{group},\"index\":{index}")?,
    }
    write!(
        out,
        ",\"bytes\":{len},\"encoding\":\"{}\",\"value\":",
        encoding.name()
    )?;
    match encoding.write_json(bytes, out) {
        // The bytes were looked at before; what fails now is the output.
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(io::Error::other(error)),
        written => written,
    }?;
    writeln!(out, "}}")
}
