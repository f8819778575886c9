//! `move export`: the whole home into one sealed file, and the mark that it has moved.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    super::{
        Ctx, Exit, approval, escape, node,
        print::{self, Style, fields},
        terminal::Terminal,
    },
    parts, passphrase, trouble,
};
use crate::{
    audit::Event,
    base::{PeerId, Secret},
    daemon::{self, Lock},
    identity::IdentityKey,
    node::{
        api::{ApiError, ErrorKind},
        clock,
        config::Config,
        guard,
        moved::{self, Moved},
    },
    store::{
        archive::{self, ArchiveError, Making, Purpose, Written},
        keys, storage_key,
    },
};

/// What was written.
#[derive(Serialize)]
struct Exported {
    file: PathBuf,
    bytes: u64,
    sha256: String,
    id: PeerId,
}

/// Writes the archive, and marks the home.
pub(super) async fn export(ctx: &Ctx, file: PathBuf) -> anyhow::Result<Exit> {
    daemon::need_set_up(&ctx.home)?;
    if file.symlink_metadata().is_ok() {
        return Err(trouble(&ArchiveError::Exists(file)).into());
    }
    let mut terminal = Terminal::open_for("moving a home needs")?;
    approval::sealed(&ctx.home)?;
    guard::close_memory()?;
    let key = keys::read_identity(&ctx.home.identity_file())?;
    let style = terminal.style();
    terminal.say(&explanation(ctx, &key.id(), &file, style))?;
    let typed = passphrase(&terminal)?;
    drop(approval::open(&ctx.home, &typed)?);
    if node::end(ctx).await?.is_some() {
        print::talk("The node has ended.");
    }
    // Until the mark is there, no other process may start one.
    let lock = Lock::take(&ctx.home).await?;
    let written = write(ctx, &key, &file, &typed)?;
    drop((typed, lock));
    let exported = Exported { file, bytes: written.bytes, sha256: written.sha256, id: key.id() };
    ctx.out.data(&exported, |style| text(&exported, style))?;
    print::talk(
        "Next, on the other host: copy the file there, run `countersign move import FILE`, and \
         delete the file. To go on here after all: countersign move undo",
    );
    Ok(Exit::Done)
}

/// The archive first, and the mark when it is on disk: a crash in between leaves both homes able to
/// start, and none lost.
fn write(
    ctx: &Ctx,
    key: &IdentityKey,
    file: &Path,
    typed: &Secret<String>,
) -> anyhow::Result<Written> {
    let home = &ctx.home;
    let spinner = print::spinner("writing the archive");
    let source = home.key_source(&Config::read(home)?);
    let (_, storage_key) = storage_key::key(&home.database_file(), &key.id(), &source)?;
    archive::fold(&home.database_file(), &key.id(), &source)?;
    let making = Making {
        purpose: Purpose::Move,
        at: clock::now(),
        salt: clock::random(),
        nonce: clock::random(),
    };
    let parts = parts(home, storage_key)?;
    let written = archive::write(file, &parts, typed, &making).map_err(|e| trouble(&e))?;
    drop(spinner);
    let moved = Moved { at: making.at, archive: written.sha256.clone() };
    if let Err(error) = moved::mark(home, &moved) {
        std::fs::remove_file(file).ok(); // Where even this fails, the error is told all the same.
        let message = format!("the home cannot be marked as moved: {error}");
        let next = "it has not moved; see that its folder can be written, and export again";
        return Err(ApiError::new(ErrorKind::Failed, message, next).into());
    }
    let event = Event::HomeExported { archive: written.sha256.clone() };
    archive::note(&home.database_file(), (key, &source), clock::now(), &event)?;
    Ok(written)
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
         - The node that runs here ends, and from then on this home refuses to start: two nodes \
         with one key would take each other's messages.\n",
        style.bold("You are about to MOVE this home to another host."),
        fields(&rows, style),
    )
}

fn text(exported: &Exported, style: Style) -> String {
    let rows = [
        ("file", escape::line(&exported.file.display().to_string())),
        ("bytes", exported.bytes.to_string()),
        ("sha256", exported.sha256.clone()),
        ("id", exported.id.to_string()),
    ];
    let head = style.good("This home is in the file, and starts here no more.");
    format!("{head}\n{}", fields(&rows, style))
}
