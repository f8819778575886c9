//! Reading one request's body, within its size and its time.

use axum::body::Body;
use futures_util::StreamExt as _;
use tokio::time::timeout;
use zeroize::{Zeroize as _, Zeroizing};

use crate::base::limits::HTTP_BODY_TIMEOUT;

/// Why a body was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Longer than it may be.
    #[error("the body is over {0} bytes")]
    TooLarge(usize),
    /// It took too long.
    #[error("the body took over {} s", HTTP_BODY_TIMEOUT.as_secs())]
    TooSlow,
    /// The connection broke.
    #[error("the body ended early")]
    Broken,
}

/// Reads `body` whole: at most `limit` bytes. It may hold a passphrase, so it is wiped when
/// dropped; it never grows, because that would leave copies behind.
///
/// # Errors
/// Too long, too slow, or cut off.
pub async fn read_body(body: Body, limit: usize) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    timeout(HTTP_BODY_TIMEOUT, collect(body, limit)).await.map_err(|_| BodyError::TooSlow)?
}

async fn collect(body: Body, limit: usize) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let mut whole = Zeroizing::new(Vec::with_capacity(limit));
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| BodyError::Broken)?;
        if whole.len() + part.len() > limit {
            return Err(BodyError::TooLarge(limit));
        }
        whole.extend_from_slice(&part);
        // What hyper still shares with its own buffer cannot be wiped from here.
        if let Ok(mut part) = part.try_into_mut() {
            part.as_mut().zeroize();
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit_and_no_further() {
        let read = |text: &'static str| read_body(Body::from(text), 4);
        assert_eq!(read("four").await.unwrap().as_slice(), b"four");
        assert_eq!(read("").await.unwrap().as_slice(), b"");
        assert_eq!(read("five!").await, Err(BodyError::TooLarge(4)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let never = futures_util::stream::pending::<Result<&[u8], std::io::Error>>();
        assert_eq!(read_body(Body::from_stream(never), 4).await, Err(BodyError::TooSlow));
    }
}
