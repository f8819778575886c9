//! The one place that reads the wall clock, and the one that asks the system for randomness.

use crate::base::Timestamp;

/// Now, by the system's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let ms = since.map_or(0, |since| since.as_millis());
    Timestamp::from_ms(u64::try_from(ms).unwrap_or(u64::MAX))
}

/// Random bytes from the operating system.
///
/// # Panics
/// When the system has none: nothing here is safe without.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let filled = getrandom::fill(&mut bytes);
    assert!(filled.is_ok(), "the system's random source failed: {filled:?}");
    bytes
}
