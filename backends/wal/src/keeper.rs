use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use raft_logstore_core::{Error, Result};

use crate::backend::Shared;
use crate::places::Sealed;
use crate::run::Places;
use crate::segment::Segment;

/// The thread that keeps work off the way of a commit: it prepares segments, seals those that are full, and
/// uses those again that hold nothing of the log any more.
#[derive(Debug)]
pub(crate) struct Keeper {
    tasks: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

/// What there is to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Prepare segments until enough wait.
    Fill,
    /// Write the places of entries into a segment whose frames end there.
    Seal(Arc<Segment>, u64),
    /// Use a segment again, or remove it.
    Retire(Arc<Segment>),
}

impl Keeper {
    /// # Errors
    ///
    /// `Io` when no thread can be started.
    pub(crate) fn start(shared: Arc<Shared>) -> Result<Self> {
        let (tasks, received) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("raft-logstore-wal".to_owned())
            .spawn(move || run(&shared, received))
            .map_err(|error| Error::io("start a thread", error))?;
        Ok(Self {
            tasks: Some(tasks),
            thread: Some(thread),
        })
    }

    pub(crate) fn give(&self, task: Task) {
        if let Some(tasks) = &self.tasks {
            // The thread ends early only by a panic; then segments are prepared where they are needed, and what
            // is not sealed stays in memory.
            drop(tasks.send(task));
        }
    }
}

/// Waits until everything that was given is done.
impl Drop for Keeper {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that prepares segments has panicked");
        }
    }
}

/// What fails here is tried again where it is needed, or was not needed: no commit depends on it.
fn run(shared: &Shared, tasks: Receiver<Task>) {
    // Segments that somebody still reads.
    let mut read = Vec::new();
    for task in tasks {
        let done = match task {
            Task::Fill => shared.pool.fill(),
            Task::Seal(segment, end) => seal(shared, &segment, end),
            Task::Retire(segment) => {
                read.push(segment);
                Ok(())
            }
        };
        let retired = retire(shared, &mut read);
        if let Err(error) = done.and(retired) {
            tracing::warn!(%error, "work on segments in the background failed");
        }
    }
    if let Err(error) = retire(shared, &mut read) {
        tracing::warn!(%error, "a segment was not removed");
    }
}

/// Retires the segments that nobody reads any more.
fn retire(shared: &Shared, read: &mut Vec<Arc<Segment>>) -> Result<()> {
    let mut done = Ok(());
    for segment in std::mem::take(read) {
        match Arc::try_unwrap(segment) {
            Ok(segment) => {
                let has_room = shared.log().has_room_for(segment.file.len());
                done = done.and(shared.pool.retire(segment, has_room));
            }
            Err(segment) => read.push(segment),
        }
    }
    done
}

fn seal(shared: &Shared, segment: &Segment, end: u64) -> Result<()> {
    let sealed = {
        let log = shared.log();
        let runs = log.state.runs_of(segment.number);
        let runs = runs.filter_map(|(id, run)| match &run.places {
            Places::Here(places) => Some((id, run.base, &places[..])),
            Places::Sealed(_) | Places::Unknown => None,
        });
        Sealed::encode(end, &runs.collect::<Vec<_>>())?
    };
    let directory = sealed.write(&segment.file)?;
    for (id, run) in shared.log_mut().state.runs_of_mut(segment.number) {
        if let Some((base, places)) = directory.find(id, run) {
            (run.base, run.places) = (base, places);
        }
    }
    Ok(())
}
