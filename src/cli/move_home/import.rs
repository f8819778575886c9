//! `move import`: a home from a sealed file. It is built beside its place, and put there by one rename
//! when all of it was verified.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Serialize;
use tempfile::TempDir;

use super::{
    super::{
        Ctx, Exit, escape,
        print::{self, Style, fields},
        terminal::Terminal,
    },
    NAMES, NAMES_1, STORAGE_KEY, passphrase, trouble,
};
use crate::{
    audit::Event,
    base::{PeerId, Secret, Timestamp, limits},
    identity::{IdentityError, IdentityKey},
    node::{
        api::{ApiError, ErrorKind},
        clock,
        config::{Config, Home},
        guard,
        moved::OF_ONE_HOST,
    },
    store::{
        StoreError,
        archive::{self, Archive, Carried, Purpose},
        keys,
        storage_key::KeySource,
    },
};

/// What came.
#[derive(Serialize)]
pub(in crate::cli) struct Imported {
    pub(in crate::cli) home: PathBuf,
    name: String,
    id: PeerId,
    pub(in crate::cli) made: String,
    sha256: String,
    pub(in crate::cli) peers: u64,
    messages: u64,
    queued: u64,
    pub(in crate::cli) tokens: u64,
    /// Settings that name something of the old host.
    look_at: Vec<&'static str>,
    /// Of a backup, the names of the peers that it trusts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::cli) trusted: Vec<String>,
}

/// Makes this home from an archive, when the passphrase is typed.
pub(super) fn import(ctx: &Ctx, file: &Path) -> anyhow::Result<Exit> {
    let place = place(&ctx.home)?;
    let archive = Archive::open(file, Purpose::Move).map_err(|error| trouble(&error))?;
    let made = archive.made();
    let mut terminal = Terminal::open_for("moving a home needs")?;
    guard::close_memory()?;
    let style = terminal.style();
    terminal.say(&explanation(&place, file, made, style))?;
    let typed = passphrase(&terminal)?;
    let spinner = print::spinner("reading the archive");
    let imported = build(archive, &typed, &place)?.put(&place)?;
    drop((typed, spinner));
    ctx.out.data(&imported, |style| text(&imported, style))?;
    tell(&imported);
    Ok(Exit::Done)
}

/// Where the home will be. There is nothing yet, or an empty folder.
pub(in crate::cli) fn place(home: &Home) -> anyhow::Result<PathBuf> {
    let path = real_path(home);
    let shown = path.display();
    let (message, next) = match fs::read_dir(&path).map(|mut found| found.next().is_some()) {
        Ok(false) => return Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
        Err(error) => return Err(error).with_context(|| shown.to_string()),
        Ok(true) if home.identity_file().exists() => (
            format!("{shown} is set up already"),
            "set COUNTERSIGN_HOME to a folder that is not there yet, or move this one away first; \
             nothing was changed",
        ),
        Ok(true) => (
            format!("{shown} is not empty"),
            "move what is in it away, or set COUNTERSIGN_HOME to another folder; nothing was \
             changed",
        ),
    };
    Err(ApiError::new(ErrorKind::Refused, message, next).into())
}

/// Where a home is, or will be. A rename replaces an empty folder, but no link to one.
pub(in crate::cli) fn real_path(home: &Home) -> PathBuf {
    fs::canonicalize(home.path()).unwrap_or_else(|_| home.path().to_owned())
}

/// A home that is whole, verified and beside its place. Dropped, it is gone.
pub(in crate::cli) struct Built {
    folder: TempDir,
    imported: Imported,
}

impl Built {
    /// Puts it where nothing is, or an empty folder.
    pub(in crate::cli) fn put(self, place: &Path) -> anyhow::Result<Imported> {
        let Self { folder, imported } = self;
        if let Err(error) = fs::rename(folder.path(), place) {
            let message = format!("{} cannot be made: {error}", place.display());
            let next = "see that nothing is there, and try again; nothing was changed";
            return Err(ApiError::new(ErrorKind::Failed, message, next).into());
        }
        drop(folder.keep()); // It has another name now.
        archive::sync_folder(place)?;
        Ok(imported)
    }

    /// Puts it where a home is, which goes to `aside`. Where the system can exchange two folders, there
    /// is a home at every moment; else a crash in between leaves the old one in `aside`, of which the
    /// next command tells.
    pub(in crate::cli) fn put_instead(
        self,
        place: &Path,
        aside: &Path,
    ) -> anyhow::Result<Imported> {
        if exchange(self.folder.path(), place).is_err() {
            return self.put_after(place, aside);
        }
        let Self { folder, imported } = self;
        // The home that was here has this name now, and is no temporary folder any more.
        let old = folder.keep();
        if let Err(error) = fs::rename(&old, aside) {
            let old = old.display();
            let message = format!(
                "the backup is in its place, but the home that was there is in {old}: {error}"
            );
            let next = "move that folder to where you want it, and never start it again";
            return Err(ApiError::new(ErrorKind::Failed, message, next).into());
        }
        archive::sync_folder(place)?;
        Ok(imported)
    }

    /// One folder after the other. The one that was there comes back if the second step fails.
    fn put_after(self, place: &Path, aside: &Path) -> anyhow::Result<Imported> {
        if let Err(error) = fs::rename(place, aside) {
            let message = format!("{} cannot be moved aside: {error}", place.display());
            let next = "see that the folder above it can be written; nothing was changed";
            return Err(ApiError::new(ErrorKind::Failed, message, next).into());
        }
        let put = self.put(place);
        if put.is_err()
            && let Err(error) = fs::rename(aside, place)
        {
            let (place, aside) = (place.display(), aside.display());
            let message = format!("{place} cannot be made, nor put back: {error}");
            let next =
                format!("the home that was there is whole, in {aside}: move it back by hand");
            return Err(ApiError::new(ErrorKind::Failed, message, next).into());
        }
        put
    }
}

/// Two folders of one file system take each other's place at one moment.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Makes a home of an archive, in a folder beside its place.
pub(in crate::cli) fn build(
    archive: Archive,
    typed: &Secret<String>,
    place: &Path,
) -> anyhow::Result<Built> {
    let above = place.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    fs::create_dir_all(above).with_context(|| above.display().to_string())?;
    // 0700, and gone with all that is in it unless it is kept.
    let folder = tempfile::Builder::new().prefix(".countersign-").tempdir_in(above)?;
    let (purpose, made) = (archive.purpose(), archive.made());
    let before_keys = purpose == Purpose::Move && archive.version() == 1;
    let names = if before_keys { NAMES_1.as_slice() } else { &NAMES };
    let sha256 = archive.extract(typed, names, folder.path()).map_err(|error| trouble(&error))?;
    let of = Of { purpose, made, sha256 };
    let imported = verified(folder.path(), typed, of, place)?;
    archive::sync_folder(&folder.path().join(super::IDENTITY))?;
    Ok(Built { folder, imported })
}

/// The archive that a home was made of.
struct Of {
    purpose: Purpose,
    made: Timestamp,
    sha256: String,
}

/// Looks at the files together, and makes the database one of this host.
fn verified(
    folder: &Path,
    typed: &Secret<String>,
    of: Of,
    place: &Path,
) -> anyhow::Result<Imported> {
    let file = |name| folder.join(name);
    let key = keys::read_identity(&file(super::IDENTITY))?;
    let sealed = keys::read_approver(&file(super::APPROVER))?.ok_or_else(|| unfit("approver"))?;
    match sealed.open(typed) {
        Ok(_) => {}
        Err(IdentityError::WrongPassphrase) => return Err(unfit("approver")),
        Err(error) => return Err(error.into()),
    }
    let settings = fs::read_to_string(file(super::CONFIG))?;
    let config: Config = toml::from_str(&settings).map_err(|error| {
        let message = format!("its config.toml cannot be read: {error}");
        let next = "update countersign on this host, and try again; nothing was changed";
        ApiError::new(ErrorKind::Refused, message, next)
    })?;
    // The key is a file in there, wherever the old host kept it; a database that is older than the
    // key gets one now.
    let source = KeySource::came_in(file(STORAGE_KEY));
    let (carried, trusted) = settled(&file(super::DATABASE), (&key, &source), &of)?;
    let Carried { peers, messages, queued, tokens } = carried;
    let Of { made, sha256, .. } = of;
    Ok(Imported {
        home: place.to_owned(),
        name: config.name.to_string(),
        id: key.id(),
        made: made.rfc3339(),
        sha256,
        peers,
        messages,
        queued,
        tokens,
        look_at: of_the_old_host(&config),
        trusted,
    })
}

/// Makes the database one of this host. Of a backup, what may have ended since ends.
fn settled(
    database: &Path,
    keys: (&IdentityKey, &KeySource),
    of: &Of,
) -> anyhow::Result<(Carried, Vec<String>)> {
    let (archive, made) = (of.sha256.clone(), of.made.rfc3339());
    let now = clock::now();
    let settled = match of.purpose {
        Purpose::Move => {
            let event = Event::HomeImported { archive, made };
            let carried = archive::settle(database, keys, &OF_ONE_HOST, (now, &event));
            carried.map(|carried| (carried, Vec::new()))
        }
        Purpose::Backup => {
            let event = Event::HomeRestored { archive, made };
            archive::settle_past(database, keys, &OF_ONE_HOST, (now, &event))
        }
    };
    match settled {
        Ok(settled) => Ok(settled),
        Err(StoreError::Newer { found, known, .. }) => {
            let message = format!("it is of schema {found}, and this countersign knows {known}");
            let next = "update countersign on this host, and try again; nothing was changed";
            Err(ApiError::new(ErrorKind::Refused, message, next).into())
        }
        Err(StoreError::OtherNode { .. }) => Err(unfit("database")),
        Err(StoreError::Key(_)) => Err(unfit("storage key")),
        Err(StoreError::Damaged { problem, .. }) => {
            let message = format!("the database in it is not whole: {problem}");
            let next = "use an older archive, or make it again; nothing was changed";
            Err(ApiError::new(ErrorKind::Refused, message, next).into())
        }
        Err(error) => Err(error.into()),
    }
}

fn unfit(what: &str) -> anyhow::Error {
    let message = format!("the {what} in it is not of this home");
    let next = "make the archive again; nothing was changed";
    ApiError::new(ErrorKind::Refused, message, next).into()
}

/// Settings that the user wrote for the old host. They are kept, because only the user knows.
fn of_the_old_host(config: &Config) -> Vec<&'static str> {
    let set = [
        ("page.port", config.page.port.is_some()),
        ("network.port", config.network.port.is_some()),
        ("network.proxy", config.network.proxy.is_some()),
        ("network.roots", config.network.roots.is_some()),
        ("mcp.hosts", !config.mcp.hosts.is_empty()),
        ("mcp.listen", config.mcp.listen.is_some()),
        ("wake.command", !config.wake.command.is_empty()),
    ];
    set.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect()
}

fn explanation(place: &Path, file: &Path, made: Timestamp, style: Style) -> String {
    let rows = [
        ("home", escape::line(&place.display().to_string())),
        ("file", escape::line(&file.display().to_string())),
        ("made", made.rfc3339()),
    ];
    let old = clock::now().since(made) > limits::ARCHIVE_FRESH;
    let old = if old {
        style.warn(
            "- It is more than a day old. What you changed since in any other home of this key is \
             not in it: a peer that you revoked after that time is trusted again.\n",
        )
    } else {
        String::new()
    };
    format!(
        "{}\n{}\n\n{old}\
         - The old home must not run any more, and this file must be imported once only: two nodes \
         with one key take each other's messages.\n",
        style.bold("You are about to make this home from an ARCHIVE."),
        fields(&rows, style),
    )
}

/// What is there now, in words.
pub(in crate::cli) fn text(imported: &Imported, style: Style) -> String {
    let Imported { home, name, id, made, peers, messages, queued, .. } = imported;
    let rows = [
        ("home", escape::line(&home.display().to_string())),
        ("name", escape::line(name)),
        ("id", id.to_string()),
        ("made", made.clone()),
        ("peers trusted", peers.to_string()),
        ("messages", format!("{messages}, of which {queued} have still to reach a peer")),
    ];
    format!("{}\n{}", style.good("This home is here now."), fields(&rows, style))
}

/// What is left for the user to do.
fn tell(imported: &Imported) {
    print::talk(
        "Next: delete the file, and run `countersign status` or your MCP client; the node starts \
         and sends what waits. Clients of the old host are not here: countersign join",
    );
    if imported.tokens > 0 {
        let tokens = imported.tokens;
        print::talk(&format!(
            "{tokens} bearer tokens are still good; see `countersign token list`, and revoke those \
             of the old host."
        ));
    }
    if !imported.look_at.is_empty() {
        let settings = imported.look_at.join(", ");
        print::talk(&format!(
            "Settings in config.toml that were made for the old host, kept as they were: {settings}"
        ));
    }
}
