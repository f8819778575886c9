//! How many requests may be under way at once: an answer that nobody waits for any more still costs.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    base::limits::CALLS_MAX,
    node::api::{ApiError, ErrorKind},
};

/// The places for requests under way, of one session or of several that share them.
#[derive(Clone)]
pub(super) struct UnderWay {
    places: Arc<Semaphore>,
    most: usize,
}

impl UnderWay {
    /// `places`, of which there are `most`.
    pub(super) const fn sharing(places: Arc<Semaphore>, most: usize) -> Self {
        Self { places, most }
    }

    /// A place for one more, until what is given is dropped.
    ///
    /// # Errors
    /// When all are taken.
    pub(super) fn begin(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let message = format!("{} calls are under way, which is the limit", self.most);
            let next = "cancel some, or wait until some have ended, and call again";
            ApiError::new(ErrorKind::Busy, message, next)
        })
    }
}

impl Default for UnderWay {
    fn default() -> Self {
        Self::sharing(Arc::new(Semaphore::new(CALLS_MAX)), CALLS_MAX)
    }
}
