//! The cases.

mod paths;

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

const fn short(name: &'static str, what: &'static str, run: fn() -> Outcome) -> Case {
    Case { name, what, short: true, limit: Duration::from_secs(90), run }
}

const fn long(name: &'static str, what: &'static str, run: fn() -> Outcome) -> Case {
    Case { name, what, short: false, limit: Duration::from_secs(240), run }
}

/// All of them, in the order of the table.
pub(crate) const CASES: &[Case] = &[
    short("hole-punching", "two NATs with endpoint-independent mapping", paths::hole_punching),
    short("symmetric-nats", "two symmetric NATs", paths::symmetric_nats),
    short("udp-blocked", "firewalls that let out TCP 443 alone", paths::udp_blocked),
    long("http-proxy", "firewalls that let out nothing but an HTTP proxy", paths::http_proxy),
];
