//! The body of a request, which has to arrive in time.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use bytes::Bytes;
use tokio::time::timeout;

use crate::api_error::ApiError;

/// How long a body may take to arrive. No node waits longer for an answer to what it sends.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A whole body, within the limit of its route. One that stalls is refused with 408, so that it does
/// not hold its connection for ever.
pub(crate) struct Body(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        receive(request, state, BODY_TIMEOUT).await
    }
}

async fn receive<S: Send + Sync>(
    request: Request,
    state: &S,
    limit: Duration,
) -> Result<Body, ApiError> {
    match timeout(limit, Bytes::from_request(request, state)).await {
        Ok(body) => Ok(Body(body?)),
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not arrive in {limit:?}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use futures_util::stream;

    use super::*;

    async fn received(body: axum::body::Body) -> Result<Bytes, StatusCode> {
        let received = receive(Request::new(body), &(), Duration::from_millis(50)).await;
        match received {
            Ok(Body(body)) => Ok(body),
            Err(error) => Err(error.into_response().status()),
        }
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_refused() {
        assert_eq!(received("text".into()).await, Ok("text".into()));
        let stalled = stream::pending::<std::io::Result<Bytes>>();
        let stalled = axum::body::Body::from_stream(stalled);
        assert_eq!(received(stalled).await, Err(StatusCode::REQUEST_TIMEOUT));
    }
}
