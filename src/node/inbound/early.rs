//! A planted fault of test builds: what arrived is acknowledged before it is on disk.

use std::{thread, time::Duration};

use super::{super::clock, Node, Seen, entry};
use crate::{
    base::{
        PeerId,
        failpoint::{Fault, is_planted},
    },
    net::{LinkId, Outbound},
    wire::{Receipt, ReceiptState},
};

/// With that fault the disk is slow, so that the acknowledgement has left before.
pub(super) fn wait_for_disk() {
    if is_planted(Fault::AckEarly) {
        thread::sleep(Duration::from_millis(50));
    }
}

impl Node {
    /// Acknowledges a batch that is about to be written down.
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
        let receipt = self.receipt(peer, Receipt::of(entries.collect()), now);
        // Without a link nothing is acknowledged.
        self.net.send(&peer, link, Outbound::Ack { upto, receipt }).ok();
    }
}
