//! stub
use super::{Exit, print::Printer};
pub(super) async fn demo(_: Printer) -> anyhow::Result<Exit> {
    Ok(Exit::Done)
}
