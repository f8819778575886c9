//! Attacks on the page of a real node: by other sites in a real browser, by whoever speaks HTTP on
//! this machine, and by peers whose words it shows.

mod foreign;
mod forms;
mod hosts;
mod markup;
mod secrets;
mod sessions;
mod sizes;
pub(crate) mod visitor;
