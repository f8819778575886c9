//! Addresses as text: which of a peer's we dial, and which of ours we name.
//!
//! A peer writes its own addresses, so they are a way to make us send packets somewhere. Each
//! network mode dials only what can be a peer in it.

use std::net::{IpAddr, SocketAddr};

use iroh::{EndpointAddr, RelayMode, RelayUrl, TransportAddr};
use url::Url;

use super::{NetError, NetSettings, Reach};
use crate::base::limits;

/// Which addresses count.
#[derive(Clone, Debug)]
pub struct AddressRules {
    /// Which networks.
    reach: Reach,
    /// The relays that we use ourselves.
    relays: Relays,
}

/// Which relays we are at home at.
#[derive(Clone, Debug)]
pub(super) enum Relays {
    /// Those of iroh's makers.
    Public,
    /// These.
    Own(Vec<RelayUrl>),
}

impl AddressRules {
    /// The rules of a reach.
    ///
    /// # Errors
    /// A relay that is no URL, or none that this reach may use.
    pub fn of(reach: Reach, settings: &NetSettings) -> Result<Self, NetError> {
        let relays = match (&settings.relays, reach) {
            (None, Reach::Internet) => Relays::Public,
            (None, Reach::Lan | Reach::Loopback) => Relays::Own(Vec::new()),
            (Some(urls), _) => {
                let urls = urls.iter().map(|url| relay(url, reach));
                Relays::Own(urls.collect::<Result<_, _>>()?)
            }
        };
        Ok(Self { reach, relays })
    }

    /// Which networks.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// There is a relay that we can be at home at.
    pub(super) fn has_relays(&self) -> bool {
        match &self.relays {
            Relays::Public => true,
            Relays::Own(own) => !own.is_empty(),
        }
    }

    /// Which relays are ours.
    pub(super) const fn relays(&self) -> &Relays {
        &self.relays
    }

    /// The addresses among a peer's that we dial.
    #[must_use]
    pub fn dialable(&self, addresses: &[String]) -> Vec<TransportAddr> {
        let few = addresses.iter().take(limits::ADDRESSES_MAX);
        few.filter(|text| text.len() <= limits::ADDRESS_BYTES_MAX)
            .filter_map(|text| self.parse(text))
            .collect()
    }

    fn parse(&self, text: &str) -> Option<TransportAddr> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return self.may_dial(address).then_some(TransportAddr::Ip(address));
        }
        let url: RelayUrl = text.parse().ok().filter(is_web)?;
        let known = match &self.relays {
            Relays::Public => url.scheme() == "https",
            Relays::Own(own) => {
                // Who is at home at one relay can meet others at theirs.
                let foreign = match self.reach {
                    Reach::Internet => url.scheme() == "https",
                    Reach::Lan => false,
                    Reach::Loopback => is_within(&url, self.reach),
                };
                own.contains(&url) || (foreign && !own.is_empty())
            }
        };
        known.then_some(TransportAddr::Relay(url))
    }

    /// Those of `addresses` that we would dial, and that neither we nor whoever is at `known` uses:
    /// relays, and in internet mode each `ip:port` outside a private network.
    #[must_use]
    pub fn strange(&self, addresses: &[String], known: &[String]) -> Vec<String> {
        let ours = match &self.relays {
            Relays::Public => RelayMode::Default.relay_map().urls::<Vec<RelayUrl>>(),
            Relays::Own(own) => own.clone(),
        };
        let known = self.dialable_all(known);
        let strange = |address: &TransportAddr| match address {
            TransportAddr::Relay(url) => !ours.contains(url) && !known.contains(address),
            TransportAddr::Ip(ip) => {
                self.reach == Reach::Internet && !is_near(ip.ip()) && !known.contains(address)
            }
            TransportAddr::Custom(_) | _ => false,
        };
        addresses
            .iter()
            .filter(|text| self.parse(text).is_some_and(|address| strange(&address)))
            .cloned()
            .collect()
    }

    fn dialable_all(&self, addresses: &[String]) -> Vec<TransportAddr> {
        addresses.iter().filter_map(|text| self.parse(text)).collect()
    }

    fn may_dial(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let somewhere = match ip {
            IpAddr::V4(v4) => !v4.is_broadcast() && !v4.is_unspecified() && !v4.is_multicast(),
            IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast(),
        };
        let in_reach = ip.is_loopback() == (self.reach == Reach::Loopback);
        address.port() != 0 && somewhere && in_reach
    }

    /// Our own addresses as we name them to peers: relays first, they are the surest.
    pub(super) fn named(&self, address: &EndpointAddr) -> Vec<String> {
        let relays = address.relay_urls().map(ToString::to_string);
        let direct = address.ip_addrs().filter(|ip| self.may_name(**ip)).map(ToString::to_string);
        let fits = |text: &String| text.len() <= limits::ADDRESS_BYTES_MAX;
        relays.chain(direct).filter(fits).take(limits::ADDRESSES_MAX).collect()
    }

    fn may_name(&self, address: SocketAddr) -> bool {
        let local = match address.ip() {
            IpAddr::V4(_) => false,
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        self.may_dial(address) && !local
    }
}

/// In a network that is not the internet: private, of one link, or unique local.
fn is_near(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

fn relay(text: &str, reach: Reach) -> Result<RelayUrl, NetError> {
    let url = text.parse().ok().filter(is_web).ok_or_else(|| NetError::Relay(redacted(text)))?;
    is_within(&url, reach).then_some(url).ok_or_else(|| NetError::NotLoopback(redacted(text)))
}

/// Whether a relay can be asked by such a URL.
fn is_web(url: &RelayUrl) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// A URL of the configuration as it may be shown: without user and password, whether it is a URL
/// or not.
pub(super) fn redacted(text: &str) -> String {
    let Some((secret, host)) = text.rsplit_once('@') else { return text.to_owned() };
    match secret.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://…@{host}"),
        None => format!("…@{host}"),
    }
}

/// Whether a server of the configuration may be asked: in loopback mode, one on this machine.
pub(super) fn is_within(url: &Url, reach: Reach) -> bool {
    let is_here = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse().ok());
    reach != Reach::Loopback || is_here.is_some_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(reach: Reach, relays: Option<&[&str]>) -> Result<AddressRules, NetError> {
        let relays = relays.map(|urls| urls.iter().map(ToString::to_string).collect());
        AddressRules::of(reach, &NetSettings { relays, ..NetSettings::default() })
    }

    fn check(rules: &AddressRules, text: &str, dialed: bool) {
        assert_eq!(rules.dialable(&[text.to_owned()]).len() == 1, dialed, "{rules:?} {text}");
    }

    #[test]
    fn no_error_shows_a_password() {
        for (text, shown) in [
            ("http://user:secret@proxy.example:3128", "http://…@proxy.example:3128"),
            ("http://user:sec@ret/x@proxy.example", "http://…@proxy.example"),
            ("user:secret@proxy.example", "…@proxy.example"),
            ("http://proxy.example:3128/", "http://proxy.example:3128/"),
        ] {
            assert_eq!(redacted(text), shown);
        }
        let error = rules(Reach::Loopback, Some(&["http://user:secret@relay.example"]));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("relay.example") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_peer_cannot_make_us_send_packets_where_no_peer_is() {
        let public = rules(Reach::Internet, None).unwrap();
        let own = rules(Reach::Internet, Some(&["http://relay.example:3340"])).unwrap();
        let none = rules(Reach::Internet, Some(&[])).unwrap();
        let lan = rules(Reach::Lan, None).unwrap();
        let loopback = rules(Reach::Loopback, None).unwrap();
        for rules in [&public, &own, &none, &lan] {
            check(rules, "192.0.2.7:4000", true);
            check(rules, "[2001:db8::1]:4000", true);
            let bad = ["127.0.0.1:4000", "[::1]:4000", "[::ffff:127.0.0.1]:4000", "0.0.0.0:4000"];
            let worse = ["224.0.0.1:4000", "255.255.255.255:4000", "192.0.2.7:0", "192.0.2.7", ""];
            for text in bad.into_iter().chain(worse) {
                check(rules, text, false);
            }
        }
        check(&loopback, "127.0.0.1:4000", true);
        check(&loopback, "192.0.2.7:4000", false);
        for (rules, tls, plain) in [
            (&public, true, false),
            (&own, true, true),
            (&none, false, false),
            (&lan, false, false),
            (&loopback, false, false),
        ] {
            check(rules, "https://other.example", tls);
            check(rules, "http://relay.example:3340", plain);
        }
        check(&own, "http://other.example", false);
        let here = self::rules(Reach::Loopback, Some(&["http://127.0.0.1:3340"])).unwrap();
        check(&here, "http://127.0.0.1:3341", true);
        check(&here, "other://127.0.0.1:3340", false);
    }

    #[test]
    fn what_neither_we_nor_our_peers_use_is_strange() {
        let public = rules(Reach::Internet, None).unwrap();
        let own = rules(Reach::Internet, Some(&["https://relay.example"])).unwrap();
        let [here, there] = ["https://relay.example", "https://other.example"].map(str::to_owned);
        let direct = "192.0.2.7:4000".to_owned();
        let n0 = RelayMode::Default.relay_map().urls::<Vec<RelayUrl>>();
        let n0 = n0.first().unwrap().to_string();
        let asked = [here.clone(), there.clone(), direct.clone(), n0.clone()];
        assert_eq!(public.strange(&asked, &[]), [here.clone(), there.clone(), direct.clone()]);
        assert_eq!(own.strange(&asked, &[]), [there.clone(), direct.clone(), n0.clone()]);
        assert_eq!(own.strange(&asked, &[direct, there]), [n0]);
        let near = ["10.0.0.1:4000", "192.168.1.2:4000", "169.254.0.1:1", "[fd00::1]:1"];
        let near = near.into_iter().chain(["[fe80::1]:1", "[::ffff:10.0.0.1]:1"]);
        assert!(own.strange(&near.map(str::to_owned).collect::<Vec<_>>(), &[]).is_empty());
        let far =
            ["100.64.0.1:1", "[2001:db8:6869::1]:1", "[::ffff:192.0.2.7]:1"].map(str::to_owned);
        assert_eq!(own.strange(&far, &[]), far);
        // What is not dialed at all is no danger.
        assert!(rules(Reach::Lan, None).unwrap().strange(&asked, &[]).is_empty());
    }

    #[test]
    fn a_relay_that_is_no_url_of_one_is_named_in_the_error() {
        for text in ["not a url", "wss://relay.example"] {
            let error = rules(Reach::Internet, Some(&[text])).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("https://host"), "{error}");
        }
    }

    #[test]
    fn in_loopback_mode_only_a_relay_on_this_machine_is_used() {
        for url in ["http://127.0.0.1:3340", "http://[::1]:3340"] {
            let rules = rules(Reach::Loopback, Some(&[url])).unwrap();
            check(&rules, url, true);
            check(&rules, "https://other.example", false);
        }
        for url in ["https://relay.example", "http://localhost:3340", "http://192.0.2.7:3340"] {
            let error = rules(Reach::Loopback, Some(&[url])).unwrap_err();
            assert!(matches!(error, NetError::NotLoopback(_)), "{error}");
        }
    }
}
