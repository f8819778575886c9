//! Those who flood a node: strangers, a peer that its human trusts, and clients that say nothing or
//! read too slowly. The node's memory, its disk and its human's list stay bounded, and a message of
//! somebody else arrives as fast as before.
//!
//! A test takes seconds. With `COUNTERSIGN_TEST_LONG=1` the floods are as large as their names say,
//! and the figures of each are printed.

mod clients;
mod measure;
mod peer;
mod strangers;
