//! Waiting for something to become true: often enough that a test is not slower than what it
//! tests, and never without an end.

use std::{
    thread,
    time::{Duration, Instant},
};

const BETWEEN: Duration = Duration::from_millis(25);

/// What a condition gives while it does not hold, and what it gives when it does.
pub(crate) trait Answer {
    /// What is there once the condition holds.
    type Found;

    /// The answer, if the condition holds.
    fn found(self) -> Option<Self::Found>;
}

impl Answer for bool {
    type Found = ();

    fn found(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Answer for Option<T> {
    type Found = T;

    fn found(self) -> Option<T> {
        self
    }
}

/// Waits until `condition` holds and gives what it found.
pub(crate) fn until<A: Answer>(
    what: &str,
    timeout: Duration,
    mut condition: impl FnMut() -> A,
) -> A::Found {
    let start = Instant::now();
    loop {
        if let Some(found) = condition().found() {
            return found;
        }
        assert!(start.elapsed() < timeout, "not within {timeout:?}: {what}");
        thread::sleep(BETWEEN);
    }
}

/// Whether `condition` comes to hold within `timeout`.
pub(crate) fn within<T>(timeout: Duration, mut condition: impl FnMut() -> Option<T>) -> bool {
    let start = Instant::now();
    while start.elapsed() < timeout {
        if condition().is_some() {
            return true;
        }
        thread::sleep(BETWEEN);
    }
    false
}

/// Asserts that `condition` holds, and does not cease to for `time`. For what must never happen
/// and leaves no trace to wait for.
pub(crate) fn stays(what: &str, time: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < time {
        assert!(condition(), "no longer: {what}");
        thread::sleep(BETWEEN);
    }
}
