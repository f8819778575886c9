//! Personal data, with checksums where they exist.

use super::Hit;

pub(super) fn scan(_text: &str) -> Vec<Hit> {
    Vec::new()
}
