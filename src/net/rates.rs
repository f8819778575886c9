//! How often something may happen.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use tokio::time::Instant;

use crate::base::{PeerId, limits};

const SECOND: Duration = Duration::from_secs(1);

/// A token bucket: lets `burst` through at once, and `burst` more in each `period`.
#[derive(Debug)]
pub(super) struct Bucket {
    burst: f64,
    period: Duration,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(burst: u32, period: Duration, now: Instant) -> Self {
        Self { burst: burst.into(), period, tokens: burst.into(), at: now }
    }

    /// Takes one token, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let there = self.tokens >= 1.0;
        if there {
            self.tokens -= 1.0;
        }
        there
    }

    /// Less than half is left.
    pub(super) fn is_low(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens < self.burst / 2.0
    }

    /// As good as new: it need not be kept.
    pub(super) fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= self.burst
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        let more = self.burst * passed / self.period.as_secs_f64();
        self.tokens = self.burst.min(self.tokens + more);
    }
}

/// Where a connection comes from, as far as its rate goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// A trusted peer, by the id that its relay vouches for: strangers do not use up its share.
    Peer(PeerId),
    /// All strangers of one relay.
    Relay(String),
    /// An IPv4 /24 or an IPv6 /64.
    Network(u64),
}

/// The first 24 bits of an IPv4 address, or the first 64 of an IPv6 one.
pub(super) fn network(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).unwrap_or(u64::MAX),
    }
}

/// How a handshake stands to the rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    /// Go on.
    Within,
    /// Many come, and this one has not shown that it is where it says.
    Unproven,
    /// No more for now.
    Over,
}

/// Handshakes lately.
#[derive(Debug)]
pub(super) struct Rates {
    all: Bucket,
    sources: HashMap<Source, Bucket>,
}

impl Rates {
    /// None yet.
    pub(super) fn new(now: Instant) -> Self {
        let all = Bucket::new(limits::HANDSHAKES_PER_S, SECOND, now);
        Self { all, sources: HashMap::new() }
    }

    /// Counts one that comes now. `is_proven`: packets reach it where it says it is.
    pub(super) fn check(&mut self, source: Source, is_proven: bool, now: Instant) -> Rate {
        let of_peer = matches!(source, Source::Peer(_));
        if !of_peer && !is_proven && self.all.is_low(now) {
            return Rate::Unproven;
        }
        let source = self.source(source, now);
        if source.is_none_or(|bucket| bucket.take(now)) && (of_peer || self.all.take(now)) {
            Rate::Within
        } else {
            Rate::Over
        }
    }

    fn source(&mut self, source: Source, now: Instant) -> Option<&mut Bucket> {
        if self.sources.len() >= limits::HANDSHAKE_SOURCES_MAX {
            self.sources.retain(|_, bucket| !bucket.is_full(now));
        }
        if self.sources.len() >= limits::HANDSHAKE_SOURCES_MAX {
            return self.sources.get_mut(&source);
        }
        let fresh = || Bucket::new(limits::HANDSHAKES_PER_SOURCE_S, SECOND, now);
        Some(self.sources.entry(source).or_insert_with(fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_its_burst_through_and_then_its_rate() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut bucket = Bucket::new(4, second, start);
        assert_eq!((0..9).filter(|_| bucket.take(start)).count(), 4);
        assert!(bucket.is_low(start) && !bucket.is_full(start));
        assert_eq!((0..9).filter(|_| bucket.take(start + second / 2)).count(), 2);
        assert!(bucket.is_full(start + second * 9));
    }

    #[test]
    fn one_network_does_not_use_up_what_others_and_trusted_peers_may() {
        let now = Instant::now();
        let mut rates = Rates::new(now);
        let within = |rates: &mut Rates, source: &Source| {
            (0..100).filter(|_| rates.check(source.clone(), true, now) == Rate::Within).count()
        };
        assert_eq!(within(&mut rates, &Source::Network(1)), 10);
        assert_eq!(rates.check(Source::Network(2), true, now), Rate::Within);
        assert_eq!(rates.check(Source::Network(2), false, now), Rate::Unproven);
        assert_eq!(within(&mut rates, &Source::Relay("r".to_owned())), 9, "all: 20 in a second");
        assert_eq!(within(&mut rates, &Source::Peer(PeerId::from_bytes([1; 32]))), 10);
    }

    #[test]
    fn the_table_of_sources_has_a_bound() {
        let mut now = Instant::now();
        let mut rates = Rates::new(now);
        for n in 0..5000 {
            rates.check(Source::Network(n), true, now);
            now += Duration::from_micros(10);
        }
        assert!(rates.sources.len() <= limits::HANDSHAKE_SOURCES_MAX);
    }

    #[test]
    fn networks_are_24_and_64_bits() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("192.0.2.200"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.9"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::2:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
