use std::collections::VecDeque;

use futures_channel::oneshot;
use raft_logstore_core::{Backend, Error, ErrorKind, Result};

use crate::panics::contain;
use crate::sync::{Arc, Condvar, Mutex, lock, thread};

type Job = Box<dyn FnOnce(&dyn Backend) + Send>;

/// The threads that read from the backend, so that no caller's thread waits for the disk.
pub(crate) struct Readers {
    jobs: Mutex<Jobs>,
    work: Condvar,
}

struct Jobs {
    waiting: VecDeque<Job>,
    open: bool,
}

impl Readers {
    pub(crate) fn new() -> Self {
        Self {
            jobs: Mutex::new(Jobs {
                waiting: VecDeque::new(),
                open: true,
            }),
            work: Condvar::new(),
        }
    }

    /// Starts `count` threads. They end after [`close`](Self::close), when every job is done.
    pub(crate) fn start(
        self: &Arc<Self>,
        backend: &Arc<Box<dyn Backend>>,
        count: usize,
    ) -> Result<Vec<thread::JoinHandle<()>>> {
        (0..count)
            .map(|_| {
                let (readers, backend) = (Arc::clone(self), Arc::clone(backend));
                thread::Builder::new()
                    .name("raft-logstore-reader".into())
                    .spawn(move || readers.serve(&**backend))
                    .map_err(|error| Error::io("start reader thread", error))
            })
            .collect()
    }

    /// Runs `read` on a reader thread and waits for its result.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Backend) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        let job = Box::new(move |backend: &dyn Backend| {
            // A caller that stopped waiting needs neither the read nor its result.
            if !sender.is_canceled() {
                drop(sender.send(contain("read", || read(backend))));
            }
        });
        {
            let mut jobs = lock(&self.jobs);
            if jobs.open {
                jobs.waiting.push_back(job);
                self.work.notify_one();
            }
        }
        answer.await.unwrap_or_else(|oneshot::Canceled| {
            Err(Error::new(ErrorKind::Closed, "read").with_advice("open the store again"))
        })
    }

    /// Takes no more jobs.
    pub(crate) fn close(&self) {
        lock(&self.jobs).open = false;
        self.work.notify_all();
    }

    fn serve(&self, backend: &dyn Backend) {
        let mut jobs = lock(&self.jobs);
        loop {
            if let Some(job) = jobs.waiting.pop_front() {
                drop(jobs);
                job(backend);
                jobs = lock(&self.jobs);
            } else if jobs.open {
                jobs = self
                    .work
                    .wait(jobs)
                    .unwrap_or_else(|poison| poison.into_inner());
            } else {
                return;
            }
        }
    }
}
