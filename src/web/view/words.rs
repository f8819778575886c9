//! The words for states, ways and methods: the same on every part of the page.

use maud::{Markup, html};

use crate::{
    delivery::state::MessageState,
    gate::What,
    node::api::{Message, Peer},
    trust::PeerState,
};

/// The heading of an item, as the terminal has it.
pub(super) const fn what(what: What) -> (&'static str, &'static str) {
    match what {
        What::PeerOut => ("Outgoing", "your agent asks to be connected with a new peer"),
        What::PeerIn => ("Incoming", "a new peer asks to be connected with your agent"),
        What::MessageOut => ("Outgoing", "your agent wants to send this message"),
        What::MessageIn => ("Incoming", "this message wants to reach your agent"),
    }
}

/// Whether somebody compared the words of a peer's pairing, as on the terminal.
pub(super) fn verified(verified: bool) -> Markup {
    html! {
        @if verified {
            span .good {
                span aria-hidden="true" { "✓ " }
                "verified: you compared the words of its pairing, or said its code yourself"
            }
        } @else {
            span .warn {
                span aria-hidden="true" { "! " }
                "not verified: nobody compared the words of its pairing"
            }
        }
    }
}

/// A message's state: its mark, its word, and what that means on our side of it.
pub(super) fn state(state: &str, outgoing: bool) -> (&'static str, String, &'static str) {
    // Of what came in, the peer that holds it back is us.
    let state = if state == "held_by_peer" && !outgoing { "held" } else { state };
    let (mark, meaning) = match (state, outgoing) {
        ("held", true) => ("‖", "waits for you; nothing has left"),
        ("held", false) => ("‖", "waits for you; your agent has not seen it"),
        ("queued", _) => ("↑", "on its way; it waits here until their node takes it"),
        ("delivered", true) => ("✓", "on their node’s disk"),
        ("delivered", false) => ("✓", "on this node’s disk"),
        ("held_by_peer", _) => ("‖", "their human is asked"),
        ("accepted", true) => ("✓✓", "in their agent’s inbox"),
        ("accepted", false) => ("✓✓", "in your agent’s inbox"),
        ("read", true) => ("●", "shown to their agent"),
        ("read", false) => ("●", "shown to your agent"),
        ("replied", _) => ("↩", "answered"),
        ("denied", _) => ("✕", "you said no"),
        ("refused", true) => ("✕", "their side does not take it"),
        ("refused", false) => ("✕", "kept from your agent"),
        ("expired", _) => ("✕", "its time is over; nothing says that it arrived"),
        _ => ("·", "a state of a later version"),
    };
    (mark, state.replace('_', " "), meaning)
}

/// Who wrote a message.
pub(super) fn author(message: &Message) -> String {
    match (message.direction == "out", message.author == "human") {
        (true, true) => "You".to_owned(),
        (true, false) => "Your agent".to_owned(),
        (false, true) => format!("{}, the human", message.from),
        (false, false) => format!("{}’s agent", message.from),
    }
}

/// How a human was asked.
pub(super) fn method(method: &str) -> &'static str {
    match method {
        "passphrase" => "passphrase typed for it",
        "passkey" => "passkey",
        "grant" => "grant signed beforehand",
        "session" => "a click on the unlocked page",
        "client" => "asserted by client",
        "terminal" | "" | "none" => "a no, which needs no signature",
        "timeout" => "nobody decided in time",
        _ => "in a way that this version does not know",
    }
}

/// What a peer is to us.
pub(super) const fn peer_state(state: PeerState) -> (&'static str, &'static str) {
    match state {
        PeerState::Requested => ("requested", "you asked; not both humans have said yes"),
        PeerState::Incoming => ("incoming", "they asked; not both humans have said yes"),
        PeerState::Trusted => ("trusted", "both humans said yes"),
        PeerState::Revoked => ("revoked", "trust ended, or was never given"),
        PeerState::Blocked => ("blocked", "not even a new request is heard"),
    }
}

/// How a peer is reached.
pub(super) fn path(peer: &Peer) -> String {
    let rtt = peer.rtt_ms.map(|ms| format!(", {ms:.0} ms round trip")).unwrap_or_default();
    let pq = match peer.pq {
        Some(true) => ", post-quantum key exchange",
        Some(false) => ", no post-quantum key exchange",
        None => "",
    };
    match peer.path.as_str() {
        "direct" => format!("reachable directly{rtt}{pq}"),
        "relay" => format!("reachable through a relay{rtt}{pq}"),
        _ => "offline".to_owned(),
    }
}

/// A count with its noun.
pub(super) fn count(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// A state as a class: one of the contract's names.
pub(super) fn known_state(state: &str) -> &'static str {
    MessageState::parse(state).map_or("unknown", MessageState::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_in_and_is_held_waits_for_us_and_not_for_them() {
        for held in ["held", "held_by_peer"] {
            let (_, word, meaning) = state(held, false);
            assert_eq!(
                (word.as_str(), meaning),
                ("held", "waits for you; your agent has not seen it")
            );
        }
        assert_eq!(state("held_by_peer", true).2, "their human is asked");
        assert_ne!(state("refused", false).2, state("refused", true).2);
    }

    #[test]
    fn every_way_to_decide_has_its_words() {
        let unknown = method("telepathy");
        for known in ["passphrase", "session", "grant", "client", "terminal", "timeout"] {
            assert_ne!(method(known), unknown, "{known}");
        }
    }
}
