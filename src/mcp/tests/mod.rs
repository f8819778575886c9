//! Sessions with a real client and a node made of fixed answers.

#![expect(clippy::disallowed_methods, reason = "tests spawn as they need")]

mod calls;
mod carried;
mod elicit;
mod http;
mod messages;
mod pump;
mod session;
mod support;
mod surface;
