//! Times: absolute as the server sends them, relative once the script has looked at them.

use maud::{Markup, html};

use super::text;
use crate::base::Timestamp;

/// A time that has passed. The script says how long ago.
pub(super) fn ago(at: &str) -> Markup {
    html! { time datetime=(text::plain(at)) data-when="ago" { (absolute(at)) } }
}

/// A time that comes. The script says how long it still is.
pub(super) fn left(at: &str) -> Markup {
    html! { time datetime=(text::plain(at)) data-when="left" { (absolute(at)) } }
}

/// A time that stays absolute: evidence.
pub(super) fn exact(at: &str) -> Markup {
    html! { time datetime=(text::plain(at)) { (absolute(at)) } }
}

/// As [`left`], for a time of ours.
pub(super) fn left_at(at: Timestamp) -> Markup {
    left(&at.rfc3339())
}

/// `2027-01-15 08:00 UTC` of RFC 3339 in UTC; anything else as it is, with nothing hidden in it.
fn absolute(at: &str) -> String {
    match (at.get(..10), at.get(10..11), at.get(11..16), at.ends_with('Z')) {
        (Some(day), Some("T"), Some(minute), true) => text::plain(&format!("{day} {minute} UTC")),
        _ => text::plain(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_well_and_any_other_text_is_kept() {
        assert_eq!(absolute("2027-01-15T08:00:12.345Z"), "2027-01-15 08:00 UTC");
        for other in ["", "soon", "2027-01-15", "2027-01-15T08:00:12+01:00"] {
            assert_eq!(absolute(other), other);
        }
    }
}
