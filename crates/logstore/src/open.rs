use raft_logstore_core::Result;
use raft_logstore_pipeline::{Store, StoreConfig};

use crate::Target;

/// Opens the store that a [URI](Target) names, with the default [`StoreConfig`]; creates it if it is
/// not there.
///
/// # Errors
///
/// [`Config`](crate::ErrorKind::Config) for a URI that is not valid here, and the errors of
/// [`Store::open`].
pub async fn open(uri: &str) -> Result<Store> {
    open_with(uri, StoreConfig::default()).await
}

/// Opens the store that a [URI](Target) names; creates it if it is not there.
///
/// # Errors
///
/// As [`open`].
pub async fn open_with(uri: &str, config: StoreConfig) -> Result<Store> {
    uri.parse::<Target>()?.open(config).await
}
