//! The ways in which a session learns of messages, as long as each is open.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::server::Server;
use crate::node::sessions::{OpenSession, Route};

/// How many calls, subscriptions and the like keep each route open.
pub(super) type Counts = Mutex<BTreeMap<Route, usize>>;

/// A route that is open until this is dropped, and longer where something else holds it too.
#[derive(Debug)]
pub(super) struct Held {
    open: Arc<OpenSession>,
    counts: Arc<Counts>,
    route: Route,
}

impl Server {
    /// The session learns of messages by `route` until what this gives is dropped.
    pub(super) fn hold(&self, route: Route) -> Held {
        let held = Held { open: Arc::clone(&self.open), counts: Arc::clone(&self.routes), route };
        held.change(|count| *count += 1);
        held
    }
}

impl Held {
    fn change(&self, work: impl FnOnce(&mut usize)) {
        // Numbers are whole whatever happened to their last holder.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(self.route).or_default();
        work(count);
        // Within the lock, so that the last word is the true one.
        self.open.set_route(self.route, *count > 0);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.change(|count| *count = count.saturating_sub(1));
    }
}
