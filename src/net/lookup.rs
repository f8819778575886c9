//! Where peers are looked up by their id, and where we can be.

use iroh::{
    address_lookup::{AddrFilter, DnsAddressLookup, PkarrPublisher},
    endpoint::Builder,
};

use super::{
    NetError, NetSettings, Reach,
    address::{AddressRules, Relays},
};

/// Peers are found by their id. What is published is our relay, never our addresses: the record
/// is public.
pub(super) fn add(
    builder: Builder,
    rules: &AddressRules,
    _settings: &NetSettings,
) -> Result<Builder, NetError> {
    if rules.reach() != Reach::Internet {
        return Ok(builder);
    }
    let builder = builder.address_lookup(DnsAddressLookup::n0_dns());
    if matches!(rules.relays(), Relays::Own(own) if own.is_empty()) {
        return Ok(builder);
    }
    Ok(builder.address_lookup(PkarrPublisher::n0_dns().addr_filter(AddrFilter::relay_only())))
}
