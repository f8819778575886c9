//! Token buckets: how often something may happen.

use std::time::Duration;

use tokio::time::Instant;

/// Lets `burst` through at once, and `burst` more in each `period`.
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
}
