//! `known`: the human's own secrets, which are to be found in messages.
//!
//! A file is read and its values are hashed in this process; the node gets the hashes. No value is
//! printed, sent or kept.

use std::{io::Read as _, path::Path};

use data_encoding::HEXLOWER;
use serde::Serialize;

use super::{
    Ctx, Exit, escape, order,
    print::{self, Style, table},
};
use crate::{
    base::{KnownId, Secret, limits},
    node::api::{ApiError, ErrorKind, HumanRequest, KnownKey, KnownNew, KnownValues},
    risk::{KnownValue, Listed, values_of},
    wire::Command,
};

/// What became of a file's values. Names alone.
#[derive(Serialize)]
struct Taken {
    /// New ones.
    added: u64,
    /// Names of what is watched for from now on.
    labels: Vec<String>,
    skipped: Vec<Skipped>,
}

#[derive(Serialize)]
struct Skipped {
    label: String,
    why: String,
}

/// Watches for the values of a file.
pub(super) async fn add(ctx: &Ctx, file: &Path) -> anyhow::Result<Exit> {
    let text = read(file)?;
    let listed = values_of(text.expose_secret());
    drop(text);
    if listed.values.is_empty() {
        let message =
            format!("there is nothing to watch for among {} values", listed.skipped.len());
        let next = "give a file of NAME=VALUE lines; values have 8 to 512 bytes";
        return Err(ApiError::new(ErrorKind::Usage, message, next).into());
    }
    let key: KnownKey = ctx.human(HumanRequest::KnownKey).await?;
    let (values, skipped) = hashed(&key, &listed)?;
    let labels = values.iter().map(|value| value.label.clone()).collect();
    let watched: KnownValues = ctx.human(HumanRequest::KnownAdd { values }).await?;
    let taken = Taken { added: watched.added, labels, skipped };
    ctx.out.data(&taken, |style| text_of(&taken, style))?;
    Ok(Exit::Done)
}

/// Reads a file, or stdin for `-`.
fn read(file: &Path) -> anyhow::Result<Secret<String>> {
    let shown = file.display();
    let wrong = |problem: String| {
        let next = "give a text file of at most 1 MiB, such as .env";
        ApiError::new(ErrorKind::Usage, format!("{shown}: {problem}"), next)
    };
    let most = u64::try_from(limits::LINE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(most + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(most + 1).read_to_string(&mut text))
    };
    let text = Secret::new(text);
    let size = read.map_err(|error| wrong(error.to_string()))?;
    if size > limits::LINE_BYTES_MAX {
        return Err(wrong("it is too long".to_owned()).into());
    }
    Ok(text)
}

fn hashed(key: &KnownKey, listed: &Listed) -> anyhow::Result<(Vec<KnownNew>, Vec<Skipped>)> {
    let bytes = HEXLOWER.decode(key.key.as_bytes())?;
    let key: [u8; 32] = bytes.try_into().map_err(|_| anyhow::Error::msg("the key is no key"))?;
    let key = Secret::new(key);
    let mut skipped: Vec<Skipped> = listed
        .skipped
        .iter()
        .map(|(label, why)| Skipped { label: label.clone(), why: why.to_string() })
        .collect();
    let mut values = Vec::new();
    for named in &listed.values {
        match KnownValue::new(&key, &named.label, named.value.expose_secret()) {
            Ok(value) => values.push(KnownNew {
                label: value.label,
                length: value.length,
                filter: value.filter,
                mac: HEXLOWER.encode(&value.mac),
            }),
            Err(error) => {
                skipped.push(Skipped { label: named.label.clone(), why: error.to_string() });
            }
        }
    }
    Ok((values, skipped))
}

fn text_of(taken: &Taken, style: Style) -> String {
    let mut lines: Vec<String> = Vec::new();
    for label in &taken.labels {
        lines.push(format!("{}  {}", style.good("watched"), escape::line(label)));
    }
    for Skipped { label, why } in &taken.skipped {
        lines.push(style.dim(&format!("skipped  {}: {}", escape::line(label), escape::line(why))));
    }
    lines.push(format!("{} new; no value was kept, only keyed hashes.", taken.added));
    lines.join("\n")
}

/// Lists what is watched for.
pub(super) async fn list(ctx: &Ctx) -> anyhow::Result<Exit> {
    let watched: KnownValues = ctx.human(HumanRequest::KnownList).await?;
    ctx.out.data(&watched, |style| list_text(&watched, style))?;
    Ok(Exit::Done)
}

fn list_text(watched: &KnownValues, style: Style) -> String {
    if watched.values.is_empty() {
        return "Nothing is watched for. To begin: countersign known add .env".to_owned();
    }
    let mut rows = vec![["ID", "NAME", "BYTES", "SINCE"].map(str::to_owned).to_vec()];
    rows.extend(watched.values.iter().map(|value| {
        let (id, label) = (escape::line(&value.id), escape::line(&value.label));
        vec![id, label, value.length.to_string(), escape::line(&value.added_at)]
    }));
    table(&rows, style)
}

/// Watches for a value no more, when the passphrase is typed.
pub(super) async fn forget(ctx: &Ctx, id: KnownId) -> anyhow::Result<Exit> {
    let watched: KnownValues = ctx.human(HumanRequest::KnownList).await?;
    let id_text = id.to_string();
    let Some(value) = watched.values.into_iter().find(|value| value.id == id_text) else {
        let message = format!("no value is watched for under {id}");
        let next = "countersign known list names them";
        return Err(ApiError::new(ErrorKind::NotFound, message, next).into());
    };
    let explanation = |style: Style| {
        let label = style.bold(&escape::line(&value.label));
        format!("{label} ({id}) will not be watched for any more: it may leave unasked.\n")
    };
    let order = order::sign(ctx, explanation, Command::KnownForget { id })?;
    let left: KnownValues = ctx.human(HumanRequest::KnownForget { order }).await?;
    let value = serde_json::json!({ "id": id, "forgotten": true, "left": left.values.len() });
    ctx.out.data(&value, |style| format!("{} {id}", style.good("forgotten")))?;
    print::talk("What was found of it before stays as it is.");
    Ok(Exit::Done)
}
