//! `keep`: for how long messages are kept.

use super::{KeepArgs, confirm, erased_text, messages, named, staying};
use crate::{
    cli::{
        Ctx, Exit,
        print::{self, Style},
    },
    node::api::{ApiError, ErrorKind, HumanRequest, KeepRequest, KeepTime, Kept},
};

/// Shows it, or sets it.
pub(super) async fn keep(ctx: &Ctx, args: KeepArgs) -> anyhow::Result<Exit> {
    let KeepArgs { time, peer, sure } = args;
    if time.is_empty() {
        let kept: Kept = ctx.human(HumanRequest::Keep(KeepRequest::Show)).await?;
        ctx.out.data(&kept, |style| text(&kept, style))?;
        return Ok(Exit::Done);
    }
    let time = parse(&time.join(" "))?;
    let set = |dry_run| HumanRequest::Keep(KeepRequest::Set { peer: peer.clone(), time, dry_run });
    let dry: Kept = ctx.human(set(true)).await?;
    let erased = dry.erased.clone().unwrap_or_else(super::nothing);
    if sure.dry_run {
        ctx.out.data(&dry, |style| erased_text(&erased, style))?;
        return Ok(Exit::Done);
    }
    if erased.messages > 0 {
        let count = messages(erased.messages);
        let rest = staying(&erased);
        confirm(sure, &format!("This deletes {count} now.{rest} Go on?"))?;
    }
    let kept: Kept = ctx.human(set(false)).await?;
    ctx.out.data(&kept, |style| text(&kept, style))?;
    if let Some(erased) = kept.erased.filter(|erased| erased.messages > 0) {
        print::talk(&erased_text(&erased, Style::new(false)));
        print::talk("A backup that was made before holds them still.");
    }
    Ok(Exit::Done)
}

/// `90d`, `90 days`, `forever` or `default`.
fn parse(text: &str) -> Result<KeepTime, ApiError> {
    let text = text.trim().to_ascii_lowercase();
    let days = ["days", "day", "d"].into_iter().find_map(|unit| text.strip_suffix(unit));
    let days = days.and_then(|number| number.trim().parse().ok());
    match (text.as_str(), days) {
        ("forever", _) => Ok(KeepTime::Forever),
        ("default", _) => Ok(KeepTime::Default),
        (_, Some(days)) => Ok(KeepTime::Days(days)),
        (_, None) => {
            let shown: String = text.chars().take(40).collect();
            let message = format!("{shown:?} is no time to keep messages for");
            let next = "give days, such as 90d or 90 days, or forever";
            Err(ApiError::new(ErrorKind::Usage, message, next))
        }
    }
}

fn time(days: Option<u32>) -> String {
    match days {
        None => "for ever".to_owned(),
        Some(1) => "for 1 day".to_owned(),
        Some(days) => format!("for {days} days"),
    }
}

fn text(kept: &Kept, style: Style) -> String {
    let head = format!("Messages are kept {}.", style.bold(&time(kept.days)));
    let of = kept
        .peers
        .iter()
        .map(|of| format!("  with {}: {}", named(&of.peer.name), style.bold(&time(of.days))));
    std::iter::once(head).chain(of).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::api::{KeptOf, PeerRef};

    #[test]
    fn a_time_is_read_as_people_write_it() {
        let check = |text: &str, expected: Option<KeepTime>| {
            assert_eq!(parse(text).ok(), expected, "{text:?}");
        };
        for text in ["90d", "90 d", "90 days", "90days", " 90 Days "] {
            check(text, Some(KeepTime::Days(90)));
        }
        check("1 day", Some(KeepTime::Days(1)));
        check("forever", Some(KeepTime::Forever));
        check("default", Some(KeepTime::Default));
        for text in ["", "90", "d", "-1d", "1.5 days", "90 weeks", "99999999999d", "\u{1b}[2J"] {
            check(text, None);
        }
        assert!(!parse("\u{1b}[2J").unwrap_err().to_string().contains('\u{1b}'));
    }

    #[test]
    fn what_is_kept_is_told_and_a_name_is_escaped() {
        let peer = PeerRef { id: "00".into(), name: "bob\u{1b}[2J".into() };
        let of = |days| KeptOf { peer: peer.clone(), days };
        let kept = Kept { days: Some(90), peers: vec![of(Some(1)), of(None)], erased: None };
        let expected = "Messages are kept for 90 days.\n  with bob\\u{1b}[2J: for 1 day\n  \
                        with bob\\u{1b}[2J: for ever";
        assert_eq!(text(&kept, Style::plain()), expected);
    }
}
