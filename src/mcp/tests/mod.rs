//! Sessions with a real client and a node made of fixed answers.

#![expect(clippy::disallowed_methods, reason = "tests spawn as they need")]

mod calls;
mod carried;
mod channel;
mod conforms;
mod elicit;
mod http;
mod errors;
mod messages;
mod news;
mod pump;
mod routes;
mod session;
mod support;
mod surface;
