//! `raft-logstore copy`: a store, made again with any backend.
//!
//! The copy is built beside the target and becomes the target by a rename, after every record was
//! compared with the source. Whatever stops it on the way leaves a [`Workplace`] from which the same
//! command goes on, and no target.

mod progress;
mod transfer;
mod verify;
mod workplace;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use futures_executor::block_on;
use raft_logstore::{Backend, Error, ErrorKind, Inspection, StoreConfig};

use crate::args::CopyArgs;
use crate::copy::progress::Progress;
use crate::copy::workplace::{Begun, Origin, Workplace};
use crate::outcome::Outcome;
use crate::output;
use crate::store_uri::StoreUri;

const MIB: u64 = 1 << 20;

/// What the writing store may keep in memory, and the largest entries there are.
fn store_config() -> StoreConfig {
    StoreConfig {
        queue_bytes: 8 * MIB,
        cache_bytes: 0,
        batch_bytes: 8 * MIB,
        max_entry_bytes: 1024 * MIB,
        reader_threads: 1,
        ..StoreConfig::default()
    }
}

pub(crate) fn run(args: &CopyArgs) -> Result<Outcome> {
    let (from, to) = (args.from.directory()?, args.to.directory()?);
    let source = args.from.inspect()?;
    refuse_lost_commits(&source, args)?;
    let origin = Origin::new(from, &source)?;
    let Begun::Workplace(workplace) = Workplace::begin(from, to, &origin)? else {
        return say(format_args!(
            "{} is a whole copy of {} already",
            args.to, args.from
        ));
    };
    let aside = args.to.in_directory(&workplace.store())?;
    let progress = Progress::new(entries(&*source)?);
    let copied = build(&source, &aside, &progress).with_context(|| {
        format!(
            "{} is not made yet; its parts are in {}",
            args.to,
            workplace.path().display()
        )
    });
    progress.finish();
    copied?;
    workplace.finish(to)?;
    let (entries, groups) = (progress.total(), source.groups()?.len());
    source.close()?;
    say(format_args!(
        "{} is a copy of {}: {entries} entries in {groups} groups, every record compared",
        args.to, args.from
    ))
}

fn build(source: &Inspection, aside: &StoreUri, progress: &Progress) -> Result<()> {
    progress.start("copying");
    let store = block_on(aside.target().clone().open(store_config()))?;
    let transferred = transfer::transfer(&**source, &store, progress);
    let closed = block_on(store.close());
    transferred?;
    closed?;
    progress.start("comparing");
    let copy = aside.inspect()?;
    verify::compare(&**source, &*copy, progress)?;
    Ok(copy.close()?)
}

/// A copy has a watermark of its own, which would not know what the source lost.
fn refuse_lost_commits(source: &Inspection, args: &CopyArgs) -> Result<()> {
    let sequence = source.sequence()?;
    let lost = source.acknowledged().unwrap_or(0).saturating_sub(sequence);
    if lost == 0 || args.accept_lost_commits {
        return Ok(());
    }
    Err(Error::new(ErrorKind::LostCommits, "copy")
        .with_advice(format!(
            "{lost} acknowledged commits are gone from {}; rebuild this node from its peers, or copy \
             what is left with --accept-lost-commits",
            args.from
        ))
        .into())
}

fn entries(source: &dyn Backend) -> raft_logstore::Result<u64> {
    source.groups()?.into_iter().try_fold(0u64, |sum, group| {
        Ok(sum.saturating_add(source.bounds(group)?.len()))
    })
}

fn say(text: std::fmt::Arguments<'_>) -> Result<Outcome> {
    output::result(|out| std::io::Write::write_fmt(out, format_args!("{text}\n")))?;
    Ok(Outcome::Done)
}

/// The directory in which `path` is a name.
fn parent(path: &Path) -> Result<&Path> {
    ensure!(
        path.file_name().is_some(),
        "{} has no name of its own; give the target as a folder in another one",
        path.display()
    );
    Ok(match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    })
}
