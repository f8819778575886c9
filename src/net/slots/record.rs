//! A slot's record: a DNS message signed by the slot's key (pkarr), with the door's relay and its id.

use iroh::{
    SecretKey, TransportAddr,
    endpoint_info::{EndpointData, EndpointInfo, UserData},
};
use iroh_dns::pkarr::{SignedPacket, Timestamp};

use super::Contact;
use crate::{
    base::{PeerId, limits},
    net::{Reach, address::AddressRules, lookup},
};

/// How long a cache may keep it. Servers that are asked by HTTP ignore it.
const TTL_S: u32 = 30;

/// Which of a contact's addresses anybody may read: its relays. Only where nothing leaves the
/// machine, all of them.
pub(super) fn publishable(contact: &Contact, rules: &AddressRules) -> Vec<TransportAddr> {
    let mut public = rules.dialable(&contact.addresses);
    public.retain(|address| address.is_relay() || rules.reach() == Reach::Loopback);
    public.truncate(limits::SLOT_ADDRESSES_MAX);
    public
}

/// The record with `contact`, or the empty one.
///
/// # Errors
/// When it is longer than a record may be.
pub fn sign(
    slot: &SecretKey,
    contact: Option<&Contact>,
    rules: &AddressRules,
) -> Result<SignedPacket, String> {
    let mut data = EndpointData::default();
    if let Some(contact) = contact {
        data.add_addrs(publishable(contact, rules));
        data.set_user_data(UserData::try_from(contact.door.to_string()).ok());
    }
    let info = EndpointInfo::from_parts(slot.public(), data);
    info.to_pkarr_signed_packet(slot, TTL_S).map_err(|error| error.to_string())
}

/// The contact in a record whose signature was verified; `None` for an empty or too old one, and
/// for what is no contact that could be dialed.
#[must_use]
pub fn read(packet: &SignedPacket, rules: &AddressRules) -> Option<Contact> {
    read_at(packet, rules, Timestamp::now())
}

fn read_at(packet: &SignedPacket, rules: &AddressRules, now: Timestamp) -> Option<Contact> {
    let (now_us, dated_us) = (now.as_micros(), packet.timestamp().as_micros());
    let (age_us, ahead_us) = (now_us.saturating_sub(dated_us), dated_us.saturating_sub(now_us));
    if u128::from(age_us) > limits::SLOT_RECORD_AGE_MAX.as_micros()
        || u128::from(ahead_us) > limits::SLOT_RECORD_AHEAD_MAX.as_micros()
    {
        return None;
    }
    let info = EndpointInfo::from_pkarr_signed_packet(packet).ok()?;
    let door = named(&info)?;
    iroh::EndpointId::from_bytes(door.as_bytes()).ok()?;
    let contact = Contact { door, addresses: info.addrs().filter_map(lookup::text).collect() };
    let dialable = publishable(&contact, rules);
    let addresses: Vec<String> = dialable.iter().filter_map(lookup::text).collect();
    (!addresses.is_empty()).then_some(Contact { door, addresses })
}

/// Whose door a record names, of whatever time it is.
fn named(info: &EndpointInfo) -> Option<PeerId> {
    info.user_data()?.as_ref().parse().ok()
}

/// Whether a server keeps `there` and not what we put: a later record with another door. A server
/// that is slow to know keeps an earlier one, and that is none of this.
pub(super) fn is_anothers(there: &SignedPacket, ours: &SignedPacket) -> bool {
    let door =
        |packet| EndpointInfo::from_pkarr_signed_packet(packet).ok().as_ref().and_then(named);
    there.more_recent_than(ours) && door(there) != door(ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::NetSettings;

    const RELAY: &str = "https://relay.example./";

    fn door() -> PeerId {
        PeerId::from_bytes(*SecretKey::from_bytes(&[3; 32]).public().as_bytes())
    }

    fn rules(reach: Reach) -> AddressRules {
        AddressRules::of(reach, &NetSettings::default()).unwrap()
    }

    fn contact(addresses: &[&str]) -> Contact {
        let addresses = addresses.iter().map(ToString::to_string).collect();
        Contact { door: door(), addresses }
    }

    fn slot() -> SecretKey {
        SecretKey::from_bytes(&[5; 32])
    }

    fn raw(addresses: &[String], data: &str) -> SignedPacket {
        let mut info = EndpointInfo::new(slot().public());
        info.data.add_addrs(addresses.iter().map(|text| match text.parse() {
            Ok(address) => TransportAddr::Ip(address),
            Err(_) => TransportAddr::Relay(text.parse().unwrap()),
        }));
        info.data.set_user_data(Some(data.parse().unwrap()));
        info.to_pkarr_signed_packet(&slot(), TTL_S).unwrap()
    }

    #[test]
    fn a_contact_survives_its_record_and_an_address_gets_into_none() {
        let full = contact(&["192.0.2.7:4000", "[2001:db8::1]:4000", "127.0.0.1:4000", RELAY]);
        let (internet, loopback) = (rules(Reach::Internet), rules(Reach::Loopback));
        let packet = sign(&slot(), Some(&full), &internet).unwrap();
        let values: Vec<_> = packet.all_txt_records().into_iter().map(|(_, text)| text).collect();
        assert_eq!(values, [format!("relay={RELAY}"), format!("user-data={}", door())]);
        assert_eq!(read(&packet, &internet), Some(contact(&[RELAY])));
        let packet = sign(&slot(), Some(&full), &loopback).unwrap();
        assert_eq!(read(&packet, &loopback), Some(contact(&["127.0.0.1:4000"])));
        // Somebody else's record may have addresses in it.
        let packet = raw(&full.addresses, &door().to_string());
        assert_eq!(read(&packet, &internet), Some(contact(&[RELAY])));
        assert_eq!(read(&packet, &loopback), Some(contact(&["127.0.0.1:4000"])));
    }

    #[test]
    fn an_empty_record_an_old_one_and_one_of_something_else_hold_no_contact() {
        let rules = rules(Reach::Internet);
        let empty = sign(&slot(), None, &rules).unwrap();
        assert_eq!(read(&empty, &rules), None);
        let packet = sign(&slot(), Some(&contact(&[RELAY])), &rules).unwrap();
        let later = |age: std::time::Duration| {
            let age = u64::try_from(age.as_micros()).unwrap();
            Timestamp::from_micros(packet.timestamp().as_micros() + age)
        };
        let age = limits::SLOT_RECORD_AGE_MAX;
        assert!(read_at(&packet, &rules, later(age)).is_some());
        assert_eq!(read_at(&packet, &rules, later(age + std::time::Duration::from_secs(1))), None);
        // Its clock runs ahead.
        let earlier = |ahead: std::time::Duration| {
            let ahead = u64::try_from(ahead.as_micros()).unwrap();
            Timestamp::from_micros(packet.timestamp().as_micros() - ahead)
        };
        let ahead = limits::SLOT_RECORD_AHEAD_MAX;
        assert!(read_at(&packet, &rules, earlier(ahead)).is_some());
        assert_eq!(
            read_at(&packet, &rules, earlier(ahead + std::time::Duration::from_secs(1))),
            None
        );
        for data in ["nobody", &door().to_string()[1..]] {
            assert_eq!(read(&raw(&[RELAY.to_owned()], data), &rules), None, "{data}");
        }
        assert_eq!(read(&raw(&[], &door().to_string()), &rules), None);
    }

    #[test]
    fn the_longest_relays_fit() {
        let long =
            |n| format!("https://{n}{}.example./", "r".repeat(limits::ADDRESS_BYTES_MAX - 19));
        let many: Vec<String> = (0..9).map(long).collect();
        assert_eq!(many[0].len(), limits::ADDRESS_BYTES_MAX);
        let full = Contact { door: door(), addresses: many };
        let packet = sign(&slot(), Some(&full), &rules(Reach::Internet)).unwrap();
        let read = read(&packet, &rules(Reach::Internet)).unwrap();
        assert_eq!(read.addresses.len(), limits::SLOT_ADDRESSES_MAX);
    }
}
