//! A client's own file: read whole, backed up, and replaced in one step.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use similar::TextDiff;

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
    real: PathBuf,
    /// What is in it; `None` where there is no file.
    pub(super) text: Option<String>,
    mode: u32,
}

impl ClientFile {
    /// Reads the file at `path`; there may be none.
    ///
    /// # Errors
    /// When it is no file, too long, not UTF-8, or cannot be read.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let real = followed(path)?;
        let shown = path.display();
        let file = match File::open(&real) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path: path.to_owned(), real, text: None, mode: NEW_MODE });
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
        };
        let about = file.metadata().with_context(|| format!("cannot read {shown}"))?;
        if !about.is_file() {
            bail!("{shown} is no file; move it away, and try again");
        }
        if about.len() > FILE_BYTES_MAX {
            bail!("{shown} is {} bytes; the limit is {FILE_BYTES_MAX}", about.len());
        }
        let mut bytes = Vec::new();
        let read = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes);
        read.with_context(|| format!("cannot read {shown}"))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let byte = error.utf8_error().valid_up_to();
            anyhow::anyhow!("{shown} is not UTF-8 at byte {byte}; nothing was changed")
        })?;
        Ok(Self { path: path.to_owned(), real, text: Some(text), mode: about.mode() & 0o7777 })
    }

    /// What is in it, or nothing.
    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// A copy beside the file, with its mode, under a name that no file has; `None` where there is no
    /// file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn back_up(&self, now: Timestamp) -> anyhow::Result<Option<PathBuf>> {
        let Some(text) = &self.text else { return Ok(None) };
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
            copy.set_permissions(Permissions::from_mode(self.mode))?;
            copy.sync_all()?;
            return Ok(Some(path));
        }
        bail!("there is no free name for a backup of {}", self.path.display())
    }

    /// The texts of its backups, the newest first.
    pub(super) fn backups(&self) -> Vec<String> {
        let folder = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        let named = folder.filter(|entry| {
            let name = entry.file_name();
            name.to_str().is_some_and(|name| name.starts_with(&self.backup_prefix()))
        });
        let mut paths: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
        paths.sort();
        let newest = paths.iter().rev().take(BACKUPS_MAX);
        newest.filter_map(|path| fs::read_to_string(path).ok()).collect()
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
        if Self::read(&self.path)?.text == self.text {
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

/// What would change, as a unified difference.
pub(super) fn difference(path: &Path, old: &str, new: &str) -> String {
    let name = path.display().to_string();
    let difference = TextDiff::from_lines(old, new);
    difference.unified_diff().header(&name, &name).to_string()
}
