//! The wall clock, for what people are shown and for noticing that this process stood still.
//! Nothing here is decided by it.

use crate::base::Timestamp;

/// Now, by the system's clock.
#[expect(clippy::disallowed_methods, reason = "the layer below `node` that has I/O anyway")]
pub(super) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let ms = since.map_or(0, |since| since.as_millis());
    Timestamp::from_ms(u64::try_from(ms).unwrap_or(u64::MAX))
}
