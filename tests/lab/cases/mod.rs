//! The cases.

mod capture;
mod healing;
mod lan;
mod moving;
mod paths;
mod weather;
mod words;

use std::time::Duration;

use crate::outcome::Outcome;

/// Something that happens to two homes.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// For the table.
    pub(crate) what: &'static str,
    /// Part of `cargo test`.
    pub(crate) short: bool,
    /// It fails when it takes longer.
    pub(crate) limit: Duration,
    pub(crate) run: fn() -> Outcome,
}

/// A case that is short enough for `cargo test`.
const fn short(name: &'static str, what: &'static str, run: fn() -> Outcome) -> Case {
    Case { name, what, short: true, limit: Duration::from_secs(90), run }
}

/// As [`short`], for `cargo test --test lab -- --all` alone.
const fn long(name: &'static str, what: &'static str, run: fn() -> Outcome) -> Case {
    Case { name, what, short: false, limit: Duration::from_mins(4), run }
}

/// All of them, in the order of the table.
pub(crate) const CASES: &[Case] = &[
    short("hole-punching", "two NATs with endpoint-independent mapping", paths::hole_punching),
    short("symmetric-nats", "two symmetric NATs", paths::symmetric_nats),
    short("udp-blocked", "firewalls that let out TCP 443 alone", paths::udp_blocked),
    long("http-proxy", "firewalls that let out nothing but an HTTP proxy", paths::http_proxy),
    short("relay-dies", "the relay of both ends; there is a second one", healing::relay_dies),
    long("relay-lost", "the relay falls silent; there is a second one", healing::relay_lost),
    short("udp-lost", "UDP is dropped in mid-connection", healing::udp_lost),
    short("peer-killed", "kill -9, and a start three seconds later", healing::peer_killed),
    short("nat-rebound", "the NAT forgets all it knew", healing::nat_rebound),
    short("nat-changed", "the machine is plugged into another network", healing::nat_changed),
    short("link-20", "no link for 20 s", healing::link_20),
    long("link-60", "no link for 60 s", healing::link_60),
    long("frozen-40", "the process is stopped for 40 s, as in a laptop's sleep", healing::frozen),
    long("silence-30", "nothing is said for 30 s", healing::silence_30),
    Case {
        limit: Duration::from_secs(800),
        ..long("silence-600", "nothing is said for 10 min", healing::silence_600)
    },
    short("other-host", "a home is copied to another host and goes on there", moving::other_host),
    long("both-hosts", "both homes move to other hosts at once", moving::both_hosts),
    long("both-networks", "both machines change networks at once", moving::both_networks),
    long("loss-2", "2 % of packets are lost", weather::loss_2),
    short("loss-10", "10 % of packets are lost", weather::loss_10),
    long("delay-200", "200 ms each way, up to 60 ms more, out of order", weather::delay),
    short("capture-direct", "a capture of pairing and talking", capture::capture_direct),
    long("capture-relay", "the same through a relay", capture::capture_relay),
    short("lan-moved", "one network, mDNS alone; both go on at other machines", lan::found),
    short("lan-words", "one network, mDNS alone; three words", lan::words),
    short("three-words", "three words, by a lookup and a relay of one's own", words::by_rendezvous),
    Case {
        limit: Duration::from_mins(10),
        ..long("wrong-guesses", "1,000 wrong guesses at a code", words::wrong_guesses)
    },
];
