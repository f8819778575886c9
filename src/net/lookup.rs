//! Where peers are looked up by their id, and where we can be. What each way shows to whom is in
//! [`discovery`](super::discovery).
//!
//! Whatever a lookup says of a peer's addresses is dialed only within the [`AddressRules`]: a peer
//! writes its own record, so it is a way to make us send packets somewhere.

use futures_util::{
    StreamExt as _,
    stream::{BoxStream, select_all},
};
use iroh::{
    Endpoint, EndpointAddr, EndpointId, TransportAddr,
    address_lookup::{
        AddrFilter, AddressLookup, AddressLookupBuilder, AddressLookupBuilderError, EndpointData,
        Error, Item, MemoryLookup, N0_DNS_PKARR_RELAY_PROD, PkarrPublisher, PkarrResolver,
    },
    endpoint::Builder,
    endpoint_info::EndpointInfo,
};
use iroh_mainline_address_lookup::DhtAddressLookup;
use n0_mainline::DhtBuilder;
use url::Url;

use super::{
    LOOKUP_DHT, NetError, NetSettings, Reach,
    address::{AddressRules, is_within, redacted},
};
use crate::base::limits;

/// What a lookup finds, as it comes.
pub(super) type Found = BoxStream<'static, Result<Item, Error>>;

/// One place where records are kept.
#[derive(Clone, Debug)]
pub(super) enum Lookup {
    /// A pkarr server, by HTTP.
    Server(Url),
    /// The BitTorrent DHT.
    Dht(DhtBuilder),
}

/// The lookups of a configuration, in its order.
pub(super) fn lookups(reach: Reach, settings: &NetSettings) -> Result<Vec<Lookup>, NetError> {
    let public = [N0_DNS_PKARR_RELAY_PROD.to_owned()];
    let texts = match (&settings.lookups, reach) {
        (Some(texts), _) => texts.as_slice(),
        (None, Reach::Internet) => &public,
        (None, Reach::Lan | Reach::Loopback) => &[],
    };
    texts.iter().take(limits::LOOKUPS_MAX).map(|text| lookup(text, reach)).collect()
}

fn lookup(text: &str, reach: Reach) -> Result<Lookup, NetError> {
    let elsewhere = || NetError::NotLoopback(redacted(text));
    if text == LOOKUP_DHT {
        return match reach {
            Reach::Internet | Reach::Lan => Ok(Lookup::Dht(DhtBuilder::default())),
            Reach::Loopback => Err(elsewhere()),
        };
    }
    let url: Url = text.parse().map_err(|_| NetError::Lookup(redacted(text)))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || url.query().is_some() {
        return Err(NetError::Lookup(redacted(text)));
    }
    is_within(&url, reach).then_some(Lookup::Server(url)).ok_or_else(elsewhere)
}

/// Peers are found by their id, and where our human wrote that they are.
pub(super) fn add(
    builder: Builder,
    rules: &AddressRules,
    settings: &NetSettings,
) -> Result<Builder, NetError> {
    let places = places(rules, settings);
    let lookups = Lookups { lookups: lookups(rules.reach(), settings)?, rules: rules.clone() };
    Ok(builder.address_lookup(places).address_lookup(lookups))
}

/// All lookups of a configuration, before there is an endpoint.
#[derive(Debug)]
pub(super) struct Lookups {
    pub(super) lookups: Vec<Lookup>,
    pub(super) rules: AddressRules,
}

impl AddressLookupBuilder for Lookups {
    fn into_address_lookup(
        self,
        endpoint: &Endpoint,
    ) -> Result<impl AddressLookup, AddressLookupBuilderError> {
        let Self { lookups, rules } = self;
        let mut services: Vec<Box<dyn AddressLookup>> = Vec::new();
        for lookup in lookups {
            match lookup {
                Lookup::Server(url) => {
                    let publisher = PkarrPublisher::builder(url.clone());
                    let publisher = publisher.addr_filter(published(rules.reach()));
                    services.push(Box::new(publisher.into_address_lookup(endpoint)?));
                    let resolver = PkarrResolver::builder(url);
                    services.push(Box::new(resolver.into_address_lookup(endpoint)?));
                }
                Lookup::Dht(dht) => {
                    let dht = DhtAddressLookup::builder().dht_builder(dht);
                    let dht = dht.addr_filter(published(rules.reach()));
                    services.push(Box::new(dht.into_address_lookup(endpoint)?));
                }
            }
        }
        Ok(Services { services, rules })
    }
}

/// All lookups of a configuration, kept to the rules.
#[derive(Debug)]
struct Services {
    services: Vec<Box<dyn AddressLookup>>,
    rules: AddressRules,
}

impl AddressLookup for Services {
    /// What is published is our relay, never our addresses: the record is public. Only where
    /// nothing leaves the machine, the addresses are.
    fn publish(&self, data: &EndpointData) {
        // A record without an address would tell nothing but that we are awake.
        if data.filtered_addrs(&published(self.rules.reach())).is_empty() {
            return;
        }
        for service in &self.services {
            service.publish(data);
        }
    }

    fn resolve(&self, id: EndpointId) -> Option<Found> {
        let found: Vec<_> = self.services.iter().filter_map(|one| one.resolve(id)).collect();
        let rules = self.rules.clone();
        let found = select_all(found).map(move |item| item.map(|item| within(&rules, &item)));
        Some(Box::pin(found))
    }
}

/// What of our addresses others may read in a record.
pub(super) fn published(reach: Reach) -> AddrFilter {
    match reach {
        Reach::Internet | Reach::Lan => AddrFilter::relay_only(),
        Reach::Loopback => AddrFilter::unfiltered(),
    }
}

/// The addresses that our human wrote down: tried at each dial, beside what else is known.
fn places(rules: &AddressRules, settings: &NetSettings) -> MemoryLookup {
    let known = settings.places.iter().filter_map(|(peer, addresses)| {
        let id = EndpointId::from_bytes(peer.as_bytes()).ok()?;
        Some(EndpointAddr::from_parts(id, rules.dialable(addresses)))
    });
    MemoryLookup::from_endpoint_info(known)
}

/// What of a found record may be dialed.
fn within(rules: &AddressRules, item: &Item) -> Item {
    let texts: Vec<String> = item.addrs().filter_map(text).take(limits::ADDRESSES_MAX).collect();
    let data = EndpointData::new(rules.dialable(&texts));
    let info = EndpointInfo::from_parts(item.endpoint_id(), data);
    Item::new(info, item.provenance(), item.last_updated())
}

/// An address as peers are told it.
pub(super) fn text(address: &TransportAddr) -> Option<String> {
    match address {
        TransportAddr::Relay(url) => Some(url.to_string()),
        TransportAddr::Ip(address) => Some(address.to_string()),
        // No other transport is configured.
        TransportAddr::Custom(_) | _ => None,
    }
}
