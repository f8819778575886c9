//! The page's port, remembered over restarts so that a link and a bookmark stay good.

use rusqlite::Connection;

use super::{
    api::{PagePort, Reply},
    state::{Answer, Node, reply, store_failed},
};
use crate::store::migrate;

/// Under which the store keeps it.
pub(super) const PAGE_PORT: &str = "page_port";

impl Node {
    /// Answers with the port that is remembered; with `served`, that one from now on.
    pub(super) fn page_port(&mut self, served: Option<u16>, answer: Answer) {
        let Some(port) = served else {
            let remembered = |db: &Connection| migrate::meta(db, PAGE_PORT);
            return self.read(remembered, |_, found| {
                let port = found.map(|port| port.and_then(|port| port.parse().ok()));
                let result = port.map(|port| Reply::PagePort(PagePort { port }));
                reply(answer, result.map_err(|e| store_failed(&e)));
            });
        };
        let remember = move |db: &Connection| migrate::set_meta(db, PAGE_PORT, &port.to_string());
        self.write(remember, move |_, done| {
            let result = done.map(|()| Reply::PagePort(PagePort { port: Some(port) }));
            reply(answer, result.map_err(|e| store_failed(&e)));
        });
    }
}
