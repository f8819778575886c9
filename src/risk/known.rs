//! Values that the human registered, such as those of a `.env` file: found exactly, and through
//! every encoding that [`super::views`] reads.

use super::Hit;

/// What was registered: keyed hashes, never the values.
#[derive(Clone, Debug, Default)]
pub struct Known {}

impl Known {
    pub(super) fn scan(&self, _text: &str) -> Vec<Hit> {
        Vec::new()
    }
}
