//! What can be asked of a node, and the shapes of its answers.
//!
//! [`AgentRequest`] is all that a model's tools can say. [`HumanRequest`] is for the terminal and
//! the page; none of its variants counts without the approver's signature where it loosens
//! anything. The shapes are a contract: fields are added, never renamed.

mod audit;
mod invite;
mod keep;
mod page;
mod reach;
mod reply;
mod request;
mod rules;
mod tokens;
mod tell;
mod trouble;

pub use audit::*;
pub use invite::*;
pub use keep::*;
pub use page::*;
pub use reach::*;
pub use reply::*;
pub use request::*;
pub use rules::*;
pub use tell::*;
pub use tokens::*;
pub use trouble::*;
