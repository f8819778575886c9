//! Meeting in a slot, through a lookup server of the tests' own.

use super::{
    lookups::{LookupServer, packet},
    support::{Party, key, until_async},
};
use crate::net::{
    NetSettings,
    slots::{Contact, Slot, SlotError},
};

const SLOT: Slot = Slot([7; 32]);

fn contact(door: u8, port: u16) -> Contact {
    Contact { door: key(door).id(), addresses: vec![format!("127.0.0.1:{port}")] }
}

async fn found(party: &Party) -> Vec<Contact> {
    party.net.slots().find(SLOT).await.unwrap()
}

#[tokio::test]
async fn a_contact_is_found_until_its_offer_ends() {
    let server = LookupServer::start().await;
    let alice = Party::start_with(1, 0, server.settings()).await;
    let bob = Party::start_with(2, 0, server.settings()).await;
    assert_eq!(found(&bob).await, []);
    let offer = alice.net.slots().offer(SLOT, contact(3, 4000)).await.unwrap();
    assert_eq!(found(&bob).await, [contact(3, 4000)]);
    assert_eq!(bob.net.slots().find(Slot([8; 32])).await.unwrap(), []);
    offer.moved(contact(3, 4001));
    until_async(async || found(&bob).await == [contact(3, 4001)]).await;
    drop(offer);
    until_async(async || found(&bob).await.is_empty()).await;
    // The net's end ends an offer too.
    let offer = alice.net.slots().offer(SLOT, contact(3, 4000)).await.unwrap();
    alice.stop().await;
    until_async(async || found(&bob).await.is_empty()).await;
    drop(offer);
    bob.stop().await;
}

#[tokio::test]
async fn who_comes_second_to_a_slot_is_told_so_and_changes_nothing() {
    let server = LookupServer::start().await;
    let alice = Party::start_with(1, 0, server.settings()).await;
    let bob = Party::start_with(2, 0, server.settings()).await;
    let offer = alice.net.slots().offer(SLOT, contact(3, 4000)).await.unwrap();
    let second = bob.net.slots().offer(SLOT, contact(4, 5000)).await;
    assert!(matches!(second, Err(SlotError::Taken)));
    assert_eq!(found(&bob).await, [contact(3, 4000)]);
    // The same door again is no other.
    let again = alice.net.slots().offer(SLOT, contact(3, 4001)).await.unwrap();
    assert_eq!(found(&bob).await, [contact(3, 4001)]);
    drop((offer, again));
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test]
async fn a_server_that_is_gone_is_nothing_while_another_answers() {
    let server = LookupServer::start().await;
    let dead = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/pkarr", socket.local_addr().unwrap())
    };
    let lookups = |urls: &[&String]| NetSettings {
        lookups: Some(urls.iter().map(|url| (*url).clone()).collect()),
        ..NetSettings::default()
    };
    let alice = Party::start_with(1, 0, lookups(&[&dead, &server.url])).await;
    let offer = alice.net.slots().offer(SLOT, contact(3, 4000)).await.unwrap();
    assert_eq!(found(&alice).await, [contact(3, 4000)]);
    let bob = Party::start_with(2, 0, lookups(&[&dead])).await;
    let error = bob.net.slots().find(SLOT).await.unwrap_err();
    assert!(matches!(error, SlotError::Unreachable(_)), "{error}");
    assert!(!error.to_string().contains("http"), "the slot is named: {error}");
    let error = bob.net.slots().offer(SLOT, contact(4, 5000)).await.unwrap_err();
    assert!(matches!(error, SlotError::Unreachable(_)), "{error}");
    let carol = Party::start(4).await;
    assert!(matches!(carol.net.slots().find(SLOT).await, Err(SlotError::Nowhere)));
    let nowhere = carol.net.slots().offer(SLOT, contact(4, 5000)).await;
    assert!(matches!(nowhere, Err(SlotError::Nowhere)));
    drop(offer);
    for party in [alice, bob, carol] {
        party.stop().await;
    }
}

#[tokio::test]
async fn a_contact_that_nobody_could_dial_is_not_offered() {
    let server = LookupServer::start().await;
    let alice = Party::start_with(1, 0, server.settings()).await;
    let nowhere = Contact { door: key(3).id(), addresses: vec!["somewhere".to_owned()] };
    let error = alice.net.slots().offer(SLOT, nowhere).await.unwrap_err();
    assert!(matches!(error, SlotError::NoRelay), "{error}");
    let slot = iroh::SecretKey::from_bytes(&SLOT.0).public();
    assert!(packet(&server, *slot.as_bytes()).await.is_none());
    alice.stop().await;
}
