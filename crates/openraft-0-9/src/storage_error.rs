use openraft_0_9::{AnyError, ErrorSubject, ErrorVerb, NodeId, StorageError, StorageIOError};
use raft_logstore_core::Error;

/// What openraft is told of a failure: what the log was doing with what, and the store's own error
/// as the source.
pub(crate) fn storage_error<N: NodeId>(
    subject: ErrorSubject<N>,
    verb: ErrorVerb,
) -> impl FnOnce(Error) -> StorageError<N> {
    move |error| StorageIOError::new(subject, verb, AnyError::new(&error)).into()
}
