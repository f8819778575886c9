//! What a test needs that not every machine has, or not everyone waits for. `COUNTERSIGN_TEST_REQUIRE`
//! names what there must be, separated by commas: `browser`, `lab`, `slow`. What it does not name and is not
//! there is not tested, and said loudly.

use std::{
    env,
    io::{self, Write as _},
    thread,
};

/// Whether the environment says that a test without it is a failure.
pub(crate) fn is_required(what: &str) -> bool {
    let required = env::var("COUNTERSIGN_TEST_REQUIRE").unwrap_or_default();
    required.split(',').any(|required| required.trim() == what)
}

/// Says loudly that something is not tested, and fails where that is not allowed.
pub(crate) fn skip(what: &str, why: &str) {
    assert!(!is_required(what), "COUNTERSIGN_TEST_REQUIRE has `{what}`, and there is {why}");
    let test = thread::current().name().unwrap_or_default().to_owned();
    let said = format!("\n!!! NOT TESTED: {test}: there is {why}.\n");
    // Not by `eprintln!`: what a test says that passes, nobody sees.
    io::stderr().write_all(said.as_bytes()).unwrap();
}

/// Whether tests are to be as large as their names say.
pub(crate) fn is_long() -> bool {
    env::var("COUNTERSIGN_TEST_LONG").is_ok_and(|long| long == "1")
}

/// Whether tests run that take ten seconds and more: where they are asked for, or their long form is.
pub(crate) fn slow() -> bool {
    let runs = is_long() || is_required("slow");
    if !runs {
        skip("slow", "no time; COUNTERSIGN_TEST_REQUIRE=slow takes it");
    }
    runs
}
