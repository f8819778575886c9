//! A client's own file: read whole, backed up, and replaced in one step.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, bail};
use rustix::fs::OFlags;
use similar::{ChangeTag, TextDiff};

use super::{client::Form, secrets};
use crate::base::Timestamp;

/// No client's configuration is longer; what is, is no configuration.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// For a file that holds a token.
const SECRET_MODE: u32 = 0o600;
/// What the process's mask leaves of it, as for any new file.
const NEW_MODE: u32 = 0o666;
/// So many backups are looked at for the text as it was.
const BACKUPS_MAX: usize = 100;

/// A client's file as it was read.
#[derive(Debug)]
pub(super) struct ClientFile {
    /// Where its client looks for it.
    pub(super) path: PathBuf,
    /// Where it lies: what `path` links to, where it is a link.
    pub(super) real: PathBuf,
    /// Where it has to lie.
    within: Option<PathBuf>,
    /// What is in it; `None` where there is no file.
    pub(super) text: Option<String>,
    mode: u32,
}

impl ClientFile {
    /// Reads the file at `path`; there may be none. Links are followed, `within` a folder where there
    /// is one: a repository that somebody else made chooses no file of ours.
    ///
    /// # Errors
    /// When it is no file, too long, not UTF-8, not within, or cannot be read.
    pub(super) fn read(path: &Path, within: Option<&Path>) -> anyhow::Result<Self> {
        let real = resolved(path, &followed(path)?)?;
        if let Some(folder) = within {
            is_within(path, &real, folder)?;
        }
        let shown = path.display();
        let (path, within) = (path.to_owned(), within.map(Path::to_owned));
        let (bytes, mode) = match open(&real, OFlags::empty()).and_then(read_bytes) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, real, within, text: None, mode: NEW_MODE });
            }
            Err(error) => bail!("cannot read {shown}: {error}"),
        };
        let text = String::from_utf8(bytes).map_err(|error| {
            let byte = error.utf8_error().valid_up_to();
            anyhow::anyhow!("{shown} is not UTF-8 at byte {byte}; nothing was changed")
        })?;
        Ok(Self { path, real, within, text: Some(text), mode })
    }

    /// Whether it may hold a token: it has a header of one, or `token`.
    pub(super) fn may_hold(&self, token: Option<&str>) -> bool {
        let text = self.text();
        text.contains("Bearer") || token.is_some_and(|token| text.contains(token))
    }

    /// What is in it, or nothing.
    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// A copy beside the file, with its mode, readable for its owner alone where `is_secret`, under a
    /// name that no file has; `None` where there is no file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn back_up(
        &self,
        now: Timestamp,
        is_secret: bool,
    ) -> anyhow::Result<Option<PathBuf>> {
        let Some(text) = &self.text else { return Ok(None) };
        let mode = if is_secret { self.mode & SECRET_MODE } else { self.mode };
        let seconds = now.rfc3339().chars().take_while(|c| *c != '.').collect::<String>();
        let stamp: String = seconds.chars().filter(char::is_ascii_alphanumeric).collect();
        for again in 1_u32.. {
            let more = if again == 1 { String::new() } else { format!("-{again}") };
            let path = self.beside(&format!("{}{stamp}Z{more}", self.backup_prefix()));
            let options = OpenOptions::new().write(true).create_new(true).mode(SECRET_MODE).clone();
            let mut copy = match options.open(&path) {
                Ok(copy) => copy,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("cannot write a backup at {}", path.display()));
                }
            };
            copy.write_all(text.as_bytes())?;
            copy.set_permissions(Permissions::from_mode(mode))?;
            copy.sync_all()?;
            return Ok(Some(path));
        }
        bail!("there is no free name for a backup of {}", self.path.display())
    }

    /// The texts of its backups, the newest first, each read when it is asked for. What is no file of
    /// a length that can be is none.
    pub(super) fn backups(&self) -> impl Iterator<Item = String> {
        let folder = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        let named = folder.filter(|entry| {
            let name = entry.file_name();
            name.to_str().is_some_and(|name| name.starts_with(&self.backup_prefix()))
        });
        let mut paths: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
        paths.sort();
        paths.into_iter().rev().take(BACKUPS_MAX).filter_map(|path| {
            let (bytes, _) = open(&path, OFlags::NOFOLLOW).and_then(read_bytes).ok()?;
            String::from_utf8(bytes).ok()
        })
    }

    /// Puts `new` in its place in one step, with its mode, readable for its owner alone where
    /// `is_secret`. A client that reads it meanwhile finds the one or the other, whole.
    ///
    /// # Errors
    /// When somebody else changed it since it was read, or it cannot be written.
    pub(super) fn write(&self, new: &str, is_secret: bool) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        let folder = self.folder();
        fs::create_dir_all(folder).with_context(failed)?;
        let mode = if is_secret { self.mode & SECRET_MODE } else { self.mode };
        let mut made = tempfile::Builder::new()
            .prefix(".countersign-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)
            .with_context(failed)?;
        made.write_all(new.as_bytes()).with_context(failed)?;
        if self.text.is_some() || is_secret {
            // What it had stays, whatever the process's mask is.
            made.as_file().set_permissions(Permissions::from_mode(mode)).with_context(failed)?;
        }
        made.as_file().sync_all().with_context(failed)?;
        self.is_as_read()?;
        made.persist(&self.real).map_err(|error| error.error).with_context(failed)?;
        Ok(())
    }

    /// Removes the file.
    ///
    /// # Errors
    /// When somebody else changed it since it was read, or it cannot be removed.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        self.is_as_read()?;
        fs::remove_file(&self.real)
            .with_context(|| format!("cannot remove {}", self.path.display()))
    }

    fn is_as_read(&self) -> anyhow::Result<()> {
        let now = Self::read(&self.path, self.within.as_deref())?;
        if (&now.text, &now.real) == (&self.text, &self.real) {
            Ok(())
        } else {
            bail!("{} was changed meanwhile, and is as it was left; try again", self.path.display())
        }
    }

    fn folder(&self) -> &Path {
        self.real.parent().unwrap_or(Path::new("/"))
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    fn backup_prefix(&self) -> String {
        let name = self.real.file_name().unwrap_or_default().to_string_lossy();
        format!("{name}.backup-")
    }
}

/// What a path leads to, also where its end does not exist yet.
fn followed(path: &Path) -> anyhow::Result<PathBuf> {
    const LINKS_MAX: usize = 40; // As many as the system follows.
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    bail!("{} is a link that leads nowhere", path.display())
}

/// The same, as the system finds it, with what does not exist yet.
fn resolved(path: &Path, followed: &Path) -> anyhow::Result<PathBuf> {
    let nowhere = || anyhow::anyhow!("{} is a link that leads nowhere", path.display());
    for folder in followed.ancestors() {
        match fs::canonicalize(folder) {
            Ok(found) => {
                let rest = followed.strip_prefix(folder).unwrap_or(Path::new(""));
                if rest.components().any(|part| part == Component::ParentDir) {
                    return Err(nowhere());
                }
                // Joined with nothing, the name of a file would end in a separator.
                let is_all = rest.as_os_str().is_empty();
                return Ok(if is_all { found } else { found.join(rest) });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(folder).is_ok() {
                    return Err(nowhere());
                }
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        }
    }
    Err(nowhere())
}

fn is_within(path: &Path, real: &Path, folder: &Path) -> anyhow::Result<()> {
    let own = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    if real.starts_with(&own) {
        return Ok(());
    }
    bail!(
        "{} leads out of the project, to {}; nothing was changed; put a file in its place, or leave \
         out --scope project",
        path.display(),
        real.display()
    )
}

/// Opens a file to read it. What is none, such as a pipe, is not waited for.
fn open(path: &Path, more: OFlags) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | more).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// All of it, and its mode.
fn read_bytes(file: File) -> io::Result<(Vec<u8>, u32)> {
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is no file; move it away, and try again"));
    }
    let too_long = |bytes: u64| {
        io::Error::other(format!("it is {bytes} bytes; the limit is {FILE_BYTES_MAX}"))
    };
    if about.len() > FILE_BYTES_MAX {
        return Err(too_long(about.len()));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if read > FILE_BYTES_MAX { Err(too_long(read)) } else { Ok((bytes, about.mode() & 0o7777)) }
}

/// What would change, as a unified difference, without what is secret.
pub(super) fn difference(path: &Path, old: &str, new: &str, form: Form) -> String {
    let lines =
        |text: &str| -> Vec<String> { text.split_inclusive('\n').map(ToOwned::to_owned).collect() };
    let shown = [old, new].map(|text| lines(&secrets::masked(text, form)));
    let compared = [old, new].map(lines);
    let [old, new] = compared.each_ref().map(|all| all.iter().map(String::as_str).collect());
    let (old, new): (Vec<&str>, Vec<&str>) = (old, new);
    let difference = TextDiff::from_slices(&old, &new);
    let mut text = String::new();
    for hunk in difference.unified_diff().iter_hunks() {
        text.extend([hunk.header().to_string().as_str(), "\n"]);
        for change in hunk.iter_changes() {
            let (sign, side, at) = match change.tag() {
                ChangeTag::Equal => (' ', 1, change.new_index()),
                ChangeTag::Delete => ('-', 0, change.old_index()),
                ChangeTag::Insert => ('+', 1, change.new_index()),
            };
            let line = at.and_then(|at| shown.get(side)?.get(at)).map_or("", String::as_str);
            text.push(sign);
            text.push_str(line);
            if !line.ends_with('\n') {
                text.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
    let name = path.display();
    if text.is_empty() { text } else { format!("--- {name}\n+++ {name}\n{text}") }
}
