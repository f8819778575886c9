//! Delivery and pairing as machines without I/O: what to do next, given what happened.

pub mod budget;
pub mod inbox;
pub mod outbox;
pub mod pairing;
pub mod state;

pub use state::MessageState;
