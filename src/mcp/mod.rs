//! What a model sees: tools, prompts and resources over MCP, and the fence around peer text.
//!
//! It holds a handle that can ask what an agent may ask. Nothing here decides, trusts or loosens.

mod arguments;
mod carried;
mod channel;
mod elicit;
pub mod fence;
#[cfg(feature = "fixtures")]
mod fixtures;
pub mod http;
mod news;
mod prompts;
mod question;
mod replay;
mod resources;
mod results;
mod routes;
mod schema;
mod server;
mod speak;
pub mod stdio;
mod tools;
mod underway;
mod wait;

pub use server::{ServeError, serve};

#[cfg(test)]
mod tests;
