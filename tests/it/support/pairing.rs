//! Two homes that come to trust each other.

use serde_json::Value;

use super::{
    ALICE, BOB, Home, SOON,
    shelf::{self, Lent},
    until,
};

/// The item about a peer that can be decided, once it is there.
pub(crate) fn ready_item(home: &Home, what: &str) -> Value {
    until(&format!("{} is asked about a {what}", home.name), SOON, || {
        home.pending().into_iter().find(|item| {
            item["what"] == what && item["words"].is_array() && item["not_ready"].is_null()
        })
    })
}

/// The guest uses an invite of the host's. Gives what waits at the host and at the guest.
pub(crate) fn knock(host: &Home, guest: &Home) -> (Value, Value) {
    let invite = host.json(&["invite"])["invite"].as_str().unwrap().to_owned();
    let connected = guest.run(&["connect", &invite, "--name", host.name, "--json"]);
    assert!(matches!(connected.code, Some(0 | 3)), "{connected}");
    assert_eq!(connected.json()["state"], "requested", "{connected}");
    (ready_item(host, "peer_in"), ready_item(guest, "peer_out"))
}

/// An item's id.
pub(crate) fn id(item: &Value) -> &str {
    item["id"].as_str().unwrap()
}

/// Waits until both sides trust each other.
pub(crate) fn trusted(host: &Home, guest: &Home) {
    for (home, peer) in [(host, guest), (guest, host)] {
        until(&format!("{} trusts {}", home.name, peer.name), SOON, || {
            home.peer_state(peer.name) == "trusted"
        });
    }
}

/// Both humans say yes.
pub(crate) fn pair(host: &Home, guest: &Home) {
    let (at_host, at_guest) = knock(host, guest);
    guest.approve(id(&at_guest));
    host.approve(id(&at_host));
    trusted(host, guest);
}

/// Alice and Bob, who trust each other and are linked.
pub(crate) fn friends() -> (Home, Home) {
    let both = Lent::of("friends", || {
        let (alice, bob) = (Home::made(ALICE), Home::made(BOB));
        alice.start();
        bob.start();
        pair(&alice, &bob);
        alice.stop();
        bob.stop();
        vec![shelf::files(&alice.path()), shelf::files(&bob.path())]
    });
    let (alice, bob) = (Home::lent(ALICE, 0, both.clone()), Home::lent(BOB, 1, both));
    for (home, peer) in [(&alice, &bob), (&bob, &alice)] {
        until(&format!("{} is linked to {}", home.name, peer.name), SOON, || {
            home.peer(peer.name).is_some_and(|peer| peer["path"] == "direct")
        });
    }
    (alice, bob)
}
