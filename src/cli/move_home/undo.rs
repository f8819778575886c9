//! `move undo`: the mark goes away, and the home starts here again.

use super::{
    super::{
        Ctx, Exit, approval, escape,
        print::{self, Style},
        terminal::Terminal,
    },
    passphrase, trouble,
};
use crate::{
    audit::Event,
    daemon::Lock,
    node::{
        api::{ApiError, ErrorKind},
        clock,
        config::Config,
        guard, moved,
    },
    store::{archive, keys},
};

/// Takes the mark away, when the passphrase is typed.
pub(super) async fn undo(ctx: &Ctx) -> anyhow::Result<Exit> {
    let home = &ctx.home;
    let Some(moved) = moved::says(home) else {
        let message = format!("{} has not moved", home.path().display());
        let next = "it can be used as it is; see it with `countersign status`";
        return Err(ApiError::new(ErrorKind::Refused, message, next).into());
    };
    let mut terminal = Terminal::open_for("letting a moved home start again needs")?;
    approval::sealed(home)?;
    guard::close_memory()?;
    let style = terminal.style();
    terminal.say(&explanation(&moved, style))?;
    let typed = passphrase(&terminal)?;
    drop(approval::open(home, &typed)?);
    drop(typed);
    let _lock = Lock::take(home).await?;
    let key = keys::read_identity(&home.identity_file())?;
    let source = home.key_source(&Config::read(home)?);
    archive::note(&home.database_file(), (&key, &source), clock::now(), &Event::MoveUndone)?;
    moved::unmark(home).map_err(|error| trouble(&error))?;
    let value = serde_json::json!({ "home": home.path(), "id": key.id() });
    ctx.out.data(&value, |style| style.good("This home may start again."))?;
    print::talk("Delete the archive, and the home that was made from it.");
    Ok(Exit::Done)
}

fn explanation(moved: &str, style: Style) -> String {
    format!(
        "{}\n{}.\n\n\
         - Do this only if the archive was imported nowhere, or if the home that was made from it is \
         gone for good. Two homes with one key take each other's links: messages reach the one or \
         the other, and neither has all of them.\n\
         - What happened in the other home since is not here: its messages, and whom you trusted or \
         revoked there.\n",
        style.bold("You are about to let a home START AGAIN that has moved."),
        escape::line(moved),
    )
}
