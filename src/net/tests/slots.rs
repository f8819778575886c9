//! Meeting in a slot, through a lookup server of the tests' own.

use iroh::{endpoint_info::EndpointInfo, tls::CaTlsConfig};

use super::{
    lookups::{LookupServer, packet},
    support::{Party, key, until_async},
};
use crate::net::{
    NetSettings, pq,
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
async fn a_record_dated_in_the_future_is_nobody_and_its_slot_is_taken() {
    let server = LookupServer::start().await;
    let alice = Party::start_with(1, 0, server.settings()).await;
    let slot = iroh::SecretKey::from_bytes(&SLOT.0);
    for (ahead_s, taken) in [(3600, true), (0, false)] {
        let (slot, other) = if taken { (SLOT, slot.clone()) } else { (Slot([8; 32]), key8()) };
        put_dated(&server, &other, ahead_s).await;
        let found = alice.net.slots().find(slot).await.unwrap();
        assert_eq!(found, [], "{ahead_s}");
        let offer = alice.net.slots().offer(slot, contact(3, 4000)).await;
        assert_eq!(matches!(offer, Err(SlotError::Taken)), taken, "{offer:?}");
    }
    alice.stop().await;
}

fn key8() -> iroh::SecretKey {
    iroh::SecretKey::from_bytes(&[8; 32])
}

/// A record of this slot with no contact in it, so many seconds ahead of our clock.
async fn put_dated(server: &LookupServer, slot: &iroh::SecretKey, ahead_s: u64) {
    let packet = EndpointInfo::new(slot.public()).to_pkarr_signed_packet(slot, 30).unwrap();
    let micros = packet.timestamp().as_micros() + ahead_s * 1_000_000;
    let bytes = packet.encoded_packet();
    // BEP 44: what is signed of a mutable item.
    let mut signed = format!("3:seqi{micros}e1:v{}:", bytes.len()).into_bytes();
    signed.extend_from_slice(bytes);
    let mut payload = slot.sign(&signed).to_bytes().to_vec();
    payload.extend_from_slice(&micros.to_be_bytes());
    payload.extend_from_slice(bytes);
    let url = format!("{}/{}", server.url, slot.public().to_z32());
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(CaTlsConfig::embedded().client_config(pq::provider()).unwrap())
        .no_proxy()
        .build()
        .unwrap();
    let put = client.put(url).body(payload).send().await.unwrap();
    assert!(put.status().is_success(), "{put:?}");
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
