//! Orders: what the human signs at the terminal that is about their own node. The passphrase is typed
//! there, and nowhere else.

use super::{Ctx, approval, terminal::Terminal};
use crate::{
    node::{
        api::{ApiError, ErrorKind, SignedHex},
        clock, guard,
    },
    store::keys,
    wire::{Command, Order},
};

/// What asks for the passphrase of an order.
pub(super) const PROMPT: &str = "Approval passphrase (Enter alone changes nothing): ";

/// Shows `explanation`, and signs the command when the passphrase is typed.
///
/// # Errors
/// Without a terminal or an approver, without a passphrase, or with a wrong one.
pub(super) fn sign(
    ctx: &Ctx,
    explanation: impl FnOnce(super::print::Style) -> String,
    command: Command,
) -> anyhow::Result<SignedHex> {
    let mut terminal = Terminal::open()?;
    approval::sealed(&ctx.home)?;
    guard::close_memory()?;
    let node = keys::read_identity(&ctx.home.identity_file())?.id();
    let style = terminal.style();
    terminal.say(&explanation(style))?;
    let passphrase = terminal.passphrase(PROMPT)?;
    if passphrase.expose_secret().is_empty() {
        let next = "run the command again when you want it";
        return Err(ApiError::new(ErrorKind::WaitsForHuman, "nothing was changed", next).into());
    }
    let key = approval::open(&ctx.home, &passphrase)?;
    drop(passphrase);
    let order = Order { node, at: clock::now(), command };
    Ok(SignedHex::from(&order.sign(&key)?))
}
