//! What every adapter claims, checked through the traits of openraft 0.10.

#![allow(clippy::unwrap_used)] // helpers of tests, too, state what they expect by unwrapping

mod support;

#[path = "../../adapter/tests/claims/callbacks.rs"]
mod callbacks;
#[path = "../../adapter/tests/claims/failure.rs"]
mod failure;
#[path = "../../adapter/tests/claims/reads.rs"]
mod reads;
#[path = "../../adapter/tests/claims/state.rs"]
mod state;

use support::{RaftLogReader, RaftLogStorage, fresh_log, vote};

#[tokio::test]
async fn a_reader_sees_the_newest_vote() {
    let mut log = fresh_log().await;
    let mut reader = log.get_log_reader().await;
    assert_eq!(reader.read_vote().await.unwrap(), None);
    for term in 1..=3 {
        log.save_vote(&vote(term)).await.unwrap();
        assert_eq!(reader.read_vote().await.unwrap(), Some(vote(term)));
    }
}
