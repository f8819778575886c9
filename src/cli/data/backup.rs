//! `backup`: all of the home into one sealed file, while the node goes on.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;

use super::super::{
    Ctx, Exit, approval, escape,
    move_home::{parts, passphrase, trouble},
    print::{self, Style, fields},
    terminal::Terminal,
};
use crate::{
    base::{PeerId, Secret},
    daemon,
    node::{
        api::{CopyMade, Done, HumanRequest, KeepRequest, Request},
        clock,
        config::Config,
        guard,
    },
    store::{
        archive::{self, ArchiveError, Making, Purpose, Source, Written},
        keys, space, storage_key,
    },
};

/// What was written.
#[derive(Serialize)]
struct BackedUp {
    file: PathBuf,
    bytes: u64,
    sha256: String,
    id: PeerId,
}

/// Writes the file.
pub(super) async fn backup(ctx: &Ctx, file: PathBuf) -> anyhow::Result<Exit> {
    daemon::need_set_up(&ctx.home)?;
    if file.symlink_metadata().is_ok() {
        return Err(trouble(&ArchiveError::Exists(file)).into());
    }
    let mut terminal = Terminal::open_for("a backup needs")?;
    approval::sealed(&ctx.home)?;
    guard::close_memory()?;
    let id = keys::read_identity(&ctx.home.identity_file())?.id();
    let style = terminal.style();
    terminal.say(&explanation(ctx, &id, &file, style))?;
    let typed = passphrase(&terminal)?;
    drop(approval::open(&ctx.home, &typed)?);
    let written = copied_and_written(ctx, &id, &file, &typed).await;
    drop(typed);
    let Written { bytes, sha256 } = written?;
    let backed_up = BackedUp { file, bytes, sha256, id };
    ctx.out.data(&backed_up, |style| text(&backed_up, style))?;
    print::talk(
        "To put it back: countersign restore FILE. Keep it where nobody else has it: with the file and \
         the passphrase anybody is you. What you delete from now on is still in it.",
    );
    Ok(Exit::Done)
}

/// The node copies its database; the copy goes whatever comes of it.
async fn copied_and_written(
    ctx: &Ctx,
    id: &PeerId,
    file: &Path,
    typed: &Secret<String>,
) -> anyhow::Result<Written> {
    let spinner = print::spinner("copying the database and writing the backup");
    let mut client = ctx.client().await?;
    let copy = Request::Human(HumanRequest::Keep(KeepRequest::Copy));
    let _: CopyMade = client.ask_slow(copy).await?;
    let written = write(ctx, id, file, typed);
    let archive = written.as_ref().ok().map(|written| written.sha256.clone());
    let copied = HumanRequest::Keep(KeepRequest::Copied { archive });
    let gone: Result<Done, _> = client.ask(Request::Human(copied)).await;
    drop(spinner);
    let written = written?;
    gone?;
    Ok(written)
}

/// Seals the copy, when it is whole and the key opens it. It is opened before the passphrase is
/// stretched, which takes a while: what comes to its place meanwhile is not what is sealed.
fn write(ctx: &Ctx, id: &PeerId, file: &Path, typed: &Secret<String>) -> anyhow::Result<Written> {
    let home = &ctx.home;
    let copy = space::open_whole(&home.copy_file(), id)?;
    let size = copy.metadata()?.len();
    let key = storage_key::read(&home.copy_file(), id, &home.key_source(&Config::read(home)?))?;
    let mut files = parts(home, key)?;
    for part in &mut files {
        if matches!(&part.from, Source::File(path) if *path == home.database_file()) {
            part.from = Source::Opened(Arc::new(copy.try_clone()?), size);
        }
    }
    let (purpose, at) = (Purpose::Backup, clock::now());
    let making = Making { purpose, at, salt: clock::random(), nonce: clock::random() };
    archive::write(file, &files, typed, &making).map_err(|error| trouble(&error).into())
}

fn explanation(ctx: &Ctx, id: &PeerId, file: &Path, style: Style) -> String {
    let rows = [
        ("home", escape::line(&ctx.home.path().display().to_string())),
        ("id", id.to_string()),
        ("file", escape::line(&file.display().to_string())),
    ];
    format!(
        "{}\n{}\n\n\
         - The file gets everything: keys, settings, trust, and every message, sealed by your \
         approval passphrase. Whoever has the file and the passphrase is you.\n\
         - The home stays in use. The backup is the home as it is now, and never learns what comes \
         after.\n",
        style.bold("You are about to make a BACKUP of this home."),
        fields(&rows, style),
    )
}

fn text(backed_up: &BackedUp, style: Style) -> String {
    let rows = [
        ("file", escape::line(&backed_up.file.display().to_string())),
        ("bytes", backed_up.bytes.to_string()),
        ("sha256", backed_up.sha256.clone()),
        ("id", backed_up.id.to_string()),
    ];
    format!("{}\n{}", style.good("The backup is whole and on disk."), fields(&rows, style))
}
