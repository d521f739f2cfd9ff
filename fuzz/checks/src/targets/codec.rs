//! What the adapters store: any bytes are a value or an error, and what was encoded is read again.

use std::fmt::Debug;

use arbitrary::{Arbitrary, Unstructured};
use openraft::alias::{LogIdOf, VoteOf};
use raft_logstore::openraft_0_10::{Codec, MessagePack};
use serde::{Deserialize, Serialize};

openraft::declare_raft_types!(
    /// Types with a little of everything.
    pub Types: D = Request, R = String,
);

/// The data of an entry.
#[derive(Arbitrary, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Nothing.
    Nothing,
    /// Fields, of which one may be left out.
    Set {
        /// A text.
        key: String,
        /// Bytes.
        value: Vec<u8>,
        /// Left out when there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<i64>,
    },
    /// A tree.
    All(Vec<Request>),
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

type Entry = <Types as openraft::RaftTypeConfig>::Entry;

/// Reads the input as everything that is stored, and as a value that is written and read again.
///
/// # Panics
///
/// When a value comes back as another one, or bytes are read that nothing was encoded to.
pub fn check(input: &[u8]) {
    read::<Request>(input);
    read::<VoteOf<Types>>(input);
    read::<LogIdOf<Types>>(input);
    read::<Entry>(input);
    if let Ok(request) = Request::arbitrary(&mut Unstructured::new(input)) {
        let bytes = encoded(&request);
        let read: Option<Request> = MessagePack.decode(&bytes).ok();
        assert_eq!(read.as_ref(), Some(&request));
        // Less or more is something else.
        for end in 0..bytes.len() {
            let read: Result<Request, _> = MessagePack.decode(&bytes[..end]);
            assert!(read.is_err(), "{end} bytes of {request:?} are {read:?}");
        }
        let longer = [bytes, vec![0]].concat();
        let read: Result<Request, _> = MessagePack.decode(&longer);
        assert!(
            read.is_err(),
            "with a byte behind it, {request:?} is {read:?}"
        );
    }
}

/// What can be read is what its own encoding is read as.
fn read<T: Serialize + serde::de::DeserializeOwned + Debug + PartialEq>(bytes: &[u8]) {
    let read: Result<T, _> = MessagePack.decode(bytes);
    if let Ok(value) = read {
        let again: Option<T> = MessagePack.decode(&encoded(&value)).ok();
        assert_eq!(again, Some(value));
    }
}

fn encoded<T: Serialize + serde::de::DeserializeOwned>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    MessagePack
        .encode(value, &mut bytes)
        .expect("the value can be written");
    bytes
}
