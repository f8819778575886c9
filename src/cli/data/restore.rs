//! `restore`: a home from a backup. It is built and verified beside its place, as `move import` does it,
//! and only then put there; a home that is there already is moved aside, never deleted.

use std::path::{Path, PathBuf};

use super::super::{
    Ctx, Exit, escape,
    move_home::{
        import::{self, Built, Imported},
        passphrase, trouble,
    },
    node,
    print::{self, Style, fields},
    terminal::Terminal,
};
use crate::{
    base::Timestamp,
    daemon::{self, Lock},
    node::{
        api::{ApiError, ErrorKind},
        clock, guard,
    },
    store::archive::{self, Archive, Purpose},
};

/// Makes this home from a backup, when the passphrase is typed.
pub(super) async fn restore(ctx: &Ctx, file: &Path, replace: bool) -> anyhow::Result<Exit> {
    let path = import::real_path(&ctx.home);
    let old = replace && ctx.home.identity_file().exists();
    let place = if old { path } else { place(ctx)? };
    let archive = Archive::open(file, Purpose::Backup).map_err(|error| trouble(&error))?;
    let made = archive.made();
    let mut terminal = Terminal::open_for("restoring a home needs")?;
    guard::close_memory()?;
    let style = terminal.style();
    let aside = old.then(|| aside(&place));
    terminal.say(&explanation((&place, aside.as_deref()), file, made, style))?;
    let typed = passphrase(&terminal)?;
    let spinner = print::spinner("reading the backup");
    let built = import::build(archive, &typed, &place)?;
    drop((typed, spinner));
    let imported = match &aside {
        None => built.put(&place)?,
        Some(aside) => put_instead(ctx, built, (&place, aside)).await?,
    };
    ctx.out.data(&imported, |style| import::text(&imported, style))?;
    tell(&imported, aside.as_deref());
    Ok(Exit::Done)
}

fn place(ctx: &Ctx) -> anyhow::Result<PathBuf> {
    import::place(&ctx.home).map_err(|error| {
        if !ctx.home.identity_file().exists() {
            return error;
        }
        let message = format!("{} is set up already", ctx.home.path().display());
        let next =
            "to move it aside and put the backup in its place, add --replace; nothing was changed";
        ApiError::new(ErrorKind::Refused, message, next).into()
    })
}

/// Where the home that is there goes: beside its place, under the time.
fn aside(place: &Path) -> PathBuf {
    let time: String = clock::now().rfc3339().chars().filter(char::is_ascii_alphanumeric).collect();
    let mut name = daemon::aside_prefix(place);
    name.push(time);
    place.with_file_name(name)
}

/// Ends the node, and changes the two folders.
async fn put_instead(
    ctx: &Ctx,
    built: Built,
    (place, aside): (&Path, &Path),
) -> anyhow::Result<Imported> {
    if node::end(ctx).await?.is_some() {
        print::talk("The node has ended.");
    }
    // Held by the folder that goes: no node starts in it while it does, and who waited for this lock
    // sees that it is of another home.
    let lock = Lock::take(&ctx.home).await?;
    let put = built.put_instead(place, aside);
    drop(lock);
    let imported = put?;
    archive::sync_folder(aside).map_err(|error| trouble(&error))?;
    Ok(imported)
}

fn explanation(
    (place, aside): (&Path, Option<&Path>),
    file: &Path,
    made: Timestamp,
    style: Style,
) -> String {
    let shown = |path: &Path| escape::line(&path.display().to_string());
    let mut rows = vec![("home", shown(place))];
    rows.extend(aside.map(|aside| ("the one there now goes to", shown(aside))));
    rows.extend([("file", shown(file)), ("made", made.rfc3339())]);
    let hours = clock::now().since(made).as_secs() / 3600;
    format!(
        "{}\n{}\n\n{}\
         - The home will be as it was then, {hours} hours ago. What came after is not in it: messages \
         that your node took since are gone, and peers do not send them again; what you revoked, ended \
         or deleted since is back.\n\
         - No other home of this key may run, from now on: two nodes with one key take each other's \
         messages.\n",
        style.bold("You are about to PUT BACK a home from a backup."),
        fields(&rows, style),
        aside.map_or("", |_| "- The node that runs here ends.\n"),
    )
}

/// What is left for the user to do.
fn tell(imported: &Imported, aside: Option<&Path>) {
    let made = escape::line(&imported.made);
    print::talk(&format!(
        "This home knows nothing of what came after {made}. Look through what it says again:"
    ));
    if !imported.trusted.is_empty() {
        let names: Vec<String> = imported.trusted.iter().map(|name| escape::line(name)).collect();
        print::talk(&format!(
            "- trusted: {}. Whom you revoked since: countersign revoke PEER",
            names.join(", ")
        ));
    }
    print::talk("- grants and invites ended, because nobody knows how often they were used since");
    print::talk("- the policy and what is watched for: countersign policy show, known list");
    if imported.tokens > 0 {
        let tokens = imported.tokens;
        print::talk(&format!("- {tokens} bearer tokens are good: countersign token list"));
    }
    print::talk("- messages that you deleted since are back: countersign delete, countersign keep");
    if let Some(aside) = aside {
        let aside = escape::line(&aside.display().to_string());
        print::talk(&format!(
            "The home that was here is in {aside}. Never start it again; delete it when you are sure."
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_that_was_there_goes_beside_its_place() {
        let aside = aside(Path::new("/h/a/.countersign"));
        let name = aside.file_name().unwrap().to_str().unwrap();
        assert_eq!(aside.parent(), Some(Path::new("/h/a")));
        assert!(name.starts_with(".countersign.before-2") && name.ends_with('Z'), "{name}");
    }

    #[test]
    fn the_explanation_says_what_is_lost_and_is_escaped() {
        let place = (Path::new("/h"), Some(Path::new("/h\u{1b}[2J")));
        let text = explanation(place, Path::new("f"), Timestamp::from_ms(0), Style::plain());
        assert!(text.contains("made") && text.contains("1970-01-01") && text.contains("revoked"));
        assert!(text.contains("node that runs here ends") && !text.contains('\u{1b}'), "{text}");
    }
}
