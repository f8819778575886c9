//! The wire format against its vectors, its properties and bytes that mean it no good.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what is not as a test made it should stop the test"
)]

mod cast;
mod codes;
mod consents;
mod countersignatures;
mod damage;
mod digests;
mod envelope_bodies;
mod envelopes;
mod forgeries;
mod frames;
pub(crate) mod fuzz;
mod granted;
mod grants;
mod invites;
mod orders;
mod pairs;
mod properties;
mod receipts;
mod shapes;
mod signatures;
mod strategies;
mod vectors;
