//! Collects what the nodes count, often enough that a killed node takes little of it away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::cluster::status;
use crate::status::Status;

/// How often each node is asked.
const INTERVAL: Duration = Duration::from_millis(100);

/// Asks every node for its status again and again, until dropped.
pub(crate) struct Sampler {
    /// The last word of each process, by its id: a restarted node counts from zero.
    seen: Arc<Mutex<HashMap<u32, Status>>>,
    http: reqwest::Client,
    addresses: Arc<[String]>,
    tasks: Vec<JoinHandle<()>>,
}

/// The sum over all processes. What a killed process counted after it was last asked is missing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) syncs: u64,
    pub(crate) entries: u64,
    /// The most memory any one process ever held.
    pub(crate) peak_rss_kib: u64,
    /// The highest index that a node has purged.
    pub(crate) purged: u64,
}

impl Sampler {
    pub(crate) fn start(http: &reqwest::Client, addresses: &Arc<[String]>) -> Self {
        let seen: Arc<Mutex<HashMap<u32, Status>>> = Arc::default();
        let tasks = addresses
            .iter()
            .map(|address| {
                let (http, address, seen) = (http.clone(), address.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    loop {
                        ask(&http, &address, &seen).await;
                        sleep(INTERVAL).await;
                    }
                })
            })
            .collect();
        Self {
            seen,
            http: http.clone(),
            addresses: Arc::clone(addresses),
            tasks,
        }
    }

    /// Asks every node once more: before they are stopped, so that only killed ones leave something
    /// out of the totals.
    pub(crate) async fn sample(&self) {
        for address in &*self.addresses {
            ask(&self.http, address, &self.seen).await;
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        lock(&self.seen)
            .values()
            .fold(Totals::default(), |sum, status| Totals {
                syncs: sum.syncs + status.store.syncs,
                entries: sum.entries + status.store.entries,
                peak_rss_kib: sum.peak_rss_kib.max(status.peak_rss_kib.unwrap_or(0)),
                purged: sum.purged.max(status.purged.unwrap_or(0)),
            })
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn ask(http: &reqwest::Client, address: &str, seen: &Mutex<HashMap<u32, Status>>) {
    // A node that is down has nothing new to say.
    if let Ok(new) = status(http, address).await {
        let mut seen = lock(seen);
        let last = seen.entry(new.pid).or_insert_with(|| new.clone());
        // Of two answers at a time the older one may arrive last.
        if new.store.syncs >= last.store.syncs {
            *last = new;
        }
    }
}

fn lock(seen: &Mutex<HashMap<u32, Status>>) -> std::sync::MutexGuard<'_, HashMap<u32, Status>> {
    seen.lock()
        .expect("nothing panics while it holds the samples")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::atomic::{AtomicU64, Ordering};

    use axum::{Json, Router, routing::get};
    use openraft::ServerState;

    use super::*;
    use crate::node::http_client;
    use crate::status::StoreStatus;

    fn counting(syncs: u64) -> Status {
        Status {
            node: 1,
            pid: 1,
            role: ServerState::Leader,
            leader: None,
            term: 1,
            last_log: None,
            applied: None,
            snapshot: None,
            purged: None,
            members: BTreeMap::new(),
            voters: BTreeSet::new(),
            keys: 0,
            lines: 0,
            store: StoreStatus {
                syncs,
                ..StoreStatus::default()
            },
            peak_rss_kib: None,
        }
    }

    #[tokio::test]
    async fn what_a_node_counted_until_the_last_sample_is_in_the_totals() {
        let syncs = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&syncs);
        let status = async move || Json(counting(counted.load(Ordering::SeqCst)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [listener.local_addr().unwrap().to_string()].into();
        let node = Router::new().route("/status", get(status));
        tokio::spawn(async move { axum::serve(listener, node).await });

        let sampler = Sampler::start(&http_client().unwrap(), &addresses);
        // More often than it asks by itself.
        for count in 1..=20 {
            syncs.store(count, Ordering::SeqCst);
            sampler.sample().await;
            assert_eq!(sampler.totals().syncs, count);
        }
    }
}
