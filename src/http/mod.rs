//! The listeners for HTTP, and their guards.
//!
//! The page's listener, which MCP clients of this machine come to as well (`caller`), binds the
//! loopback addresses and no other. A second one, for MCP clients alone and over TLS alone (`tls`),
//! is there only where the configuration names an address and files for it.
//!
//! Bounds every connection. To the page it lets through only what
//! a browser sends for one site of this machine: a name that was made to point here (DNS
//! rebinding), another site's form, script or frame, and another port's are refused before any
//! handler runs. On Linux a connection of another user of this machine is dropped (`owner`); on
//! other platforms it is not checked. It knows no session and serves no
//! content, but for the script that ends a service worker that another program left at this site.

mod body;
mod caller;
mod guard;
mod listener;
mod owner;
mod patient;
mod tls;

pub use body::{BodyError, read_body};
pub use caller::{Callers, TurnedAway};
pub use guard::{Refusal, Site, guarded};
pub use listener::Listener;
pub use tls::{TlsError, TlsListener};
