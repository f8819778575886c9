//! The one place that reads the clocks, and the one that asks the system for randomness.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::base::{Moment, Timestamp};

/// Now, by the system's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn now() -> Timestamp {
    #[cfg(test)]
    if let Some(now) = simulated::now() {
        return now;
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let ms = since.map_or(0, |since| since.as_millis());
    Timestamp::from_ms(u64::try_from(ms).unwrap_or(u64::MAX))
}

/// How long this process has asked for it: time that no clock's setting moves.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn uptime() -> Duration {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    #[cfg(test)]
    if let Some(uptime) = simulated::uptime() {
        return uptime;
    }
    BEGAN.get_or_init(Instant::now).elapsed()
}

/// Now, by both clocks.
#[must_use]
pub fn moment() -> Moment {
    Moment { now: now(), uptime: uptime() }
}

/// Random bytes from the operating system.
///
/// # Panics
/// When the system has none: nothing here is safe without.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[cfg(test)]
    if simulated::fill(&mut bytes) {
        return bytes;
    }
    let filled = getrandom::fill(&mut bytes);
    assert!(filled.is_ok(), "the system's random source failed: {filled:?}");
    bytes
}

/// Time and chance of a simulation: of the thread that it runs on, and of no other.
#[cfg(test)]
pub(super) mod simulated {
    use std::{cell::Cell, time::Duration};

    use crate::base::Timestamp;

    thread_local! {
        static NOW: Cell<Option<Timestamp>> = const { Cell::new(None) };
        static UPTIME: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        static CHANCE: Cell<u64> = const { Cell::new(0) };
    }

    /// Begins, with what all chance comes from.
    pub(in crate::node) fn begin(seed: u64) {
        CHANCE.set(seed);
        NOW.set(Some(Timestamp::from_ms(0)));
    }

    /// It is this time now, and this long since the beginning.
    pub(in crate::node) fn set(now: Timestamp, uptime: Duration) {
        NOW.set(Some(now));
        UPTIME.set(uptime);
    }

    pub(super) fn uptime() -> Option<Duration> {
        is_on().then(|| UPTIME.get())
    }

    /// Back to the system's own.
    pub(in crate::node) fn end() {
        NOW.set(None);
    }

    /// Whether this thread is simulated.
    pub(in crate::node) fn is_on() -> bool {
        NOW.get().is_some()
    }

    pub(super) fn now() -> Option<Timestamp> {
        NOW.get()
    }

    /// Fills with what looks like chance (splitmix64). `false` where nothing is simulated.
    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        if NOW.get().is_none() {
            return false;
        }
        for chunk in bytes.chunks_mut(8) {
            CHANCE.set(CHANCE.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
            let mut x = CHANCE.get();
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let drawn = (x ^ (x >> 31)).to_le_bytes();
            chunk.iter_mut().zip(drawn).for_each(|(byte, drawn)| *byte = drawn);
        }
        true
    }
}
