//! Sessions with a real client and a node made of fixed answers.

mod calls;
mod messages;
mod pump;
mod session;
mod support;
mod surface;
