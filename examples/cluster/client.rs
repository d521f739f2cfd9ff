//! A client of the cluster that does not take a dead leader for an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use rand::RngExt;
use reqwest::StatusCode;
use tokio::time::{Instant, sleep};

use crate::api::Appended;
use crate::api_error::Refusal;
use crate::types::Line;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one line may take, all attempts together.
const LINE_TIMEOUT: Duration = Duration::from_secs(60);

/// Pauses between attempts start and end here.
const MIN_PAUSE: Duration = Duration::from_millis(5);
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// Writes lines, over and over until they are acknowledged. Clones share what they know about the
/// leader.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    addresses: Arc<[String]>,
    /// The position of the node that is believed to lead.
    leader: Arc<AtomicUsize>,
    retries: Arc<AtomicU64>,
}

/// What came of one attempt.
enum Attempt {
    Acknowledged(u64),
    /// Somebody else leads.
    Redirected(String),
    /// It may have been written or not; ask again, for this reason.
    Open(String),
    Refused(String),
}

impl Client {
    pub(crate) fn new(http: reqwest::Client, addresses: Arc<[String]>) -> Self {
        Self {
            http,
            addresses,
            leader: Arc::default(),
            retries: Arc::default(),
        }
    }

    /// How many attempts were not the first, of all clones.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Writes a line and returns its position once it is acknowledged.
    ///
    /// An attempt that ends without an answer may have been written all the same. The next attempt
    /// carries the same client and sequence number, by which the state machine knows it.
    pub(crate) async fn append(&self, line: &Line) -> Result<u64> {
        let deadline = Instant::now() + LINE_TIMEOUT;
        let mut pause = MIN_PAUSE;
        loop {
            let node = self.leader.load(Ordering::Relaxed) % self.addresses.len();
            let reason = match self.attempt(&self.addresses[node], line).await {
                Attempt::Acknowledged(position) => return Ok(position),
                Attempt::Refused(reason) => {
                    bail!(
                        "line {} of client {} is refused: {reason}",
                        line.seq,
                        line.client
                    )
                }
                Attempt::Redirected(address) => {
                    self.follow(node, &address);
                    format!("sent on to {address}")
                }
                Attempt::Open(reason) => {
                    self.give_up_on(node);
                    reason
                }
            };
            if Instant::now() >= deadline {
                bail!("line {} of client {}: {reason}", line.seq, line.client);
            }
            self.retries.fetch_add(1, Ordering::Relaxed);
            // At a random moment, so that clients do not come back all at once.
            let part = rand::rng().random_range(0.5..1.0);
            sleep(pause.mul_f64(part)).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    async fn attempt(&self, address: &str, line: &Line) -> Attempt {
        let Line { client, seq, text } = line;
        let url = format!("http://{address}/lines?client={client}&seq={seq}");
        let request = self
            .http
            .post(url)
            .timeout(REQUEST_TIMEOUT)
            .body(text.to_string());
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Attempt::Open(error.to_string()),
        };
        let status = answer.status();
        if status.is_success() {
            return match answer.json::<Appended>().await {
                Ok(appended) => Attempt::Acknowledged(appended.position),
                Err(error) => Attempt::Open(error.to_string()),
            };
        }
        let refusal = match answer.json::<Refusal>().await {
            Ok(refusal) => refusal,
            Err(error) => return Attempt::Open(format!("{status}, {error}")),
        };
        match (status, refusal.leader) {
            (StatusCode::TEMPORARY_REDIRECT, Some(leader)) => Attempt::Redirected(leader.address),
            _ if status.is_server_error() => Attempt::Open(refusal.error),
            _ => Attempt::Refused(format!("{status}, {}", refusal.error)),
        }
    }

    /// Believes a node that names another as the leader.
    fn follow(&self, from: usize, address: &str) {
        if let Some(leader) = self.addresses.iter().position(|known| known == address) {
            self.believe(from, leader);
        }
    }

    /// Tries the next node from now on.
    fn give_up_on(&self, node: usize) {
        self.believe(node, (node + 1) % self.addresses.len());
    }

    /// Unless another client has learned better meanwhile.
    fn believe(&self, before: usize, now: usize) {
        let _ = self
            .leader
            .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed);
    }
}
