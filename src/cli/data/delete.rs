//! `delete` and `forget`.

use super::{DeleteArgs, Sure, confirm, erased_text, messages, named, staying};
use crate::{
    cli::{
        Ctx, Exit,
        print::{self, Style},
    },
    node::api::{ApiError, Erased, ErrorKind, Forgotten, HumanRequest, KeepRequest},
    trust::PeerState,
};

/// Deletes a message, or those with a peer before a time.
pub(super) async fn delete(ctx: &Ctx, args: DeleteArgs) -> anyhow::Result<Exit> {
    let DeleteArgs { message, peer, before, sure } = args;
    let before_ms = before.as_deref().map(parse_when).transpose()?;
    let request = |dry_run| {
        let request = match (&message, &peer, before_ms) {
            (None, Some(peer), Some(before_ms)) => {
                KeepRequest::DeleteBefore { peer: peer.clone(), before_ms, dry_run }
            }
            // The arguments are the one or the other.
            (id, _, _) => {
                KeepRequest::DeleteMessage { id: id.clone().unwrap_or_default(), dry_run }
            }
        };
        HumanRequest::Keep(request)
    };
    let dry: Erased = ctx.human(request(true)).await?;
    if sure.dry_run || dry.messages == 0 {
        ctx.out.data(&dry, |style| erased_text(&dry, style))?;
        return Ok(Exit::Done);
    }
    let (count, rest) = (messages(dry.messages), staying(&dry));
    confirm(sure, &format!("This deletes {count}.{rest} Go on?"))?;
    let erased: Erased = ctx.human(request(false)).await?;
    ctx.out.data(&erased, |style| erased_text(&erased, style))?;
    print::talk("The other side has its own copy, and so has a backup that was made before.");
    Ok(Exit::Done)
}

/// A day, which begins at midnight (UTC), or a time of RFC 3339, in milliseconds since 1970.
fn parse_when(text: &str) -> Result<u64, ApiError> {
    let day = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == "2026-01-01".len());
    let day = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let time = day.map(|day| day.timestamp()).or_else(|| text.parse::<jiff::Timestamp>().ok());
    let ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    ms.ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        let message = format!("{shown:?} is no day and no time");
        let next = "write it as 2026-01-01 or 2026-01-01T12:00:00Z";
        ApiError::new(ErrorKind::Usage, message, next)
    })
}

/// Forgets a peer.
pub(super) async fn forget(ctx: &Ctx, peer: String, sure: Sure) -> anyhow::Result<Exit> {
    let request = |peer: &str, dry_run| {
        HumanRequest::Keep(KeepRequest::Forget { peer: peer.to_owned(), dry_run })
    };
    let dry: Forgotten = ctx.human(request(&peer, true)).await?;
    let name = named(&dry.peer.name);
    if sure.dry_run {
        ctx.out.data(&dry, |style| forgotten_text(&dry, style))?;
        return Ok(Exit::Done);
    }
    let count = messages(dry.erased.messages);
    confirm(sure, &format!("This forgets {name}, and deletes {count} with it. Go on?"))?;
    // By its id: what was shown is what goes.
    let forgotten: Forgotten = ctx.human(request(&dry.peer.id, false)).await?;
    ctx.out.data(&forgotten, |style| forgotten_text(&forgotten, style))?;
    let block = match forgotten.state {
        PeerState::Blocked => "Its id stays, so that it stays blocked. ",
        PeerState::Requested | PeerState::Incoming | PeerState::Trusted | PeerState::Revoked => "",
    };
    print::talk(&format!(
        "{block}The audit record and your decisions stay; they hold no text. Where your agent has read \
         its texts, that counts as long as it would have."
    ));
    Ok(Exit::Done)
}

fn forgotten_text(forgotten: &Forgotten, style: Style) -> String {
    let Forgotten { peer, erased, .. } = forgotten;
    let name = named(&peer.name);
    if erased.dry_run {
        return format!("{name} would be forgotten, and {} deleted.", messages(erased.messages));
    }
    if !erased.done || erased.staying > 0 {
        let text = erased_text(erased, style);
        return format!("{name} is not forgotten yet: run the command again.\n{text}");
    }
    style.good(&format!("{name} is forgotten, and {} deleted.", messages(erased.messages)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_and_a_time_is_as_it_is_written() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(parse_when(text).ok(), expected, "{text:?}");
        };
        check("2026-01-01", Some(1_767_225_600_000));
        check("2026-01-01T00:00:00Z", Some(1_767_225_600_000));
        check("2026-01-01T02:00:00+02:00", Some(1_767_225_600_000));
        for text in ["", "2026", "2026-13-01", "yesterday", "1900-01-01", "20260101", "90d"] {
            check(text, None);
        }
    }
}
