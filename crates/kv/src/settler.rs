use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use raft_logstore_core::{Error, ErrorKind, Result, contain};

use crate::KvEngine;
use crate::backend::Shared;
use crate::desk::{Desk, GARBAGE_PER_SETTLE};
use crate::settlement::Settlement;

/// The thread that settles, so that no commit waits for the engine.
///
/// It has the desk from the begin of a settle to its end, so the engine is written to by one thread at a time.
#[derive(Debug)]
pub(crate) struct Settler {
    tasks: Option<Sender<(Settlement, Desk)>>,
    done: Receiver<Result<Settled>>,
    thread: Option<JoinHandle<()>>,
}

/// A settle that has come to its end.
#[derive(Debug)]
pub(crate) struct Settled {
    /// The last commit that it has put to its place.
    pub(crate) sequence: u64,
    pub(crate) desk: Desk,
}

impl Settler {
    /// # Errors
    ///
    /// `Io` when no thread can be started.
    pub(crate) fn start<E: KvEngine>(shared: Arc<Shared<E>>) -> Result<Self> {
        let (tasks, received) = mpsc::channel();
        let (sender, done) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(format!("raft-logstore-{}", shared.engine.name()))
            .spawn(move || {
                for (settlement, desk) in received {
                    let settled = contain(
                        || settle(&shared, &settlement, desk),
                        |message| {
                            Error::new(ErrorKind::Io, "settle")
                                .with_advice(format!("panicked: {message}"))
                        },
                    );
                    // Before the last of its entries are freed. Nobody waits for it when the store was dropped.
                    drop(sender.send(settled));
                }
            })
            .map_err(|error| Error::io("start a thread", error))?;
        Ok(Self {
            tasks: Some(tasks),
            done,
            thread: Some(thread),
        })
    }

    /// Begins a settle. The one before must have come to its end.
    pub(crate) fn settle(&self, settlement: Settlement, desk: Desk) {
        if let Some(tasks) = &self.tasks {
            // That the thread has ended is seen by who waits for it.
            drop(tasks.send((settlement, desk)));
        }
    }

    /// Waits up to `patience` for the end of the settle that has begun; `None` when that is too short.
    ///
    /// # Errors
    ///
    /// Why it failed. Then nobody knows what the engine holds.
    pub(crate) fn wait(&self, patience: Duration) -> Result<Option<Settled>> {
        match self.done.recv_timeout(patience) {
            Ok(settled) => settled.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Error::poisoned("settle")),
        }
    }
}

/// Waits until the settle that has begun has come to its end.
impl Drop for Settler {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that settles has panicked");
        }
    }
}

fn settle<E: KvEngine>(
    shared: &Shared<E>,
    settlement: &Settlement,
    mut desk: Desk,
) -> Result<Settled> {
    // Garbage goes first: it is what the settled records hold below the floors, and the changes may have
    // dropped a group and written the same indexes anew.
    desk.collect_garbage(
        &shared.engine,
        GARBAGE_PER_SETTLE.max(2 * settlement.appended),
    )?;
    desk.put(settlement);
    desk.flush(&shared.engine)?;
    // Until here readers found in memory what is settled as well: the same state.
    shared.recent_mut().settled(settlement);
    Ok(Settled {
        sequence: settlement.sequence,
        desk,
    })
}
