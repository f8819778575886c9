//! A planted fault of test builds: what arrived is acknowledged before it is on disk.

use std::{thread, time::Duration};

use rusqlite::Connection;

use super::{super::clock, Node, Seen, entry};
use crate::{
    base::PeerId,
    net::{LinkId, Outbound},
    wire::ReceiptState,
};

impl Node {
    /// Acknowledges a batch that is about to be written down, by a disk that is slow.
    pub(super) fn acknowledge_early(
        &mut self,
        peer: PeerId,
        (link, upto): (LinkId, u64),
        batch: &[Seen],
    ) {
        let now = clock::now();
        let entries = batch.iter().map(|(looked, _)| {
            let envelope = looked.envelope();
            let (id, digest) = (envelope.header().id, envelope.digest());
            entry(id, digest, ReceiptState::Accepted, None, now)
        });
        let receipt = self.receipt(peer, entries.collect(), now);
        // Without a link nothing is acknowledged.
        self.net.send(&peer, link, Outbound::Ack { upto, receipt }).ok();
        let slow = |_: &Connection| {
            thread::sleep(Duration::from_millis(50));
            Ok(())
        };
        self.write(slow, |_, _| ());
    }
}
