//! A line of news beside the result of each call: how much is unread and of whom, in our own words
//! and names.

use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock};
use serde_json::Value;

use super::{fence, server::Server};
use crate::{
    base::limits,
    node::api::{News, NewsOf},
};

/// Where a result has it.
pub(super) const FIELD: &str = "news";

/// Adds the news to what the tool `name` gave, whatever that was. It is asked for afterwards, so
/// that it knows what the call itself has shown.
pub(super) async fn with_news(
    server: &Server,
    name: &str,
    response: CallToolResponse,
) -> CallToolResponse {
    let CallToolResponse::Complete(result) = response else { return response };
    // A node that is about to end has none; the result is what was asked for.
    let news = server.node.news().await.unwrap_or_default();
    // The inbox says itself what is held.
    let news = if name == "peer_inbox" { News { held: 0, ..news } } else { news };
    match line(&news) {
        Some(line) => with_line(result, &line).into(),
        None => result.into(),
    }
}

fn with_line(mut result: CallToolResult, line: &str) -> CallToolResult {
    let text = result.content.first().and_then(ContentBlock::as_text).map(|block| &block.text);
    let text = match (&mut result.structured_content, text) {
        (Some(Value::Object(fields)), Some(text)) => {
            fields.insert(FIELD.to_owned(), line.into());
            let (summary, _) = text.split_once('\n').unwrap_or((text, ""));
            format!("{summary}\n{}", Value::Object(fields.clone()))
        }
        // An error, of which clients show the text alone.
        (_, Some(text)) => format!("{text}\nNews: {line}"),
        (_, None) => return result,
    };
    result.content = vec![ContentBlock::text(text)];
    result
}

/// All of it in one line, where there is any.
fn line(news: &News) -> Option<String> {
    let News { unread, others, elsewhere, held } = news;
    let mut parts = Vec::new();
    let mine = listed(unread, *others, ("unread from ", "from "));
    let others = listed(elsewhere, 0, ("for session ", "for session "));
    if !mine.is_empty() {
        parts.push(format!("{mine}: peer_inbox reads them"));
    }
    if !others.is_empty() {
        parts.push(others);
    }
    if *held > 0 {
        parts.push(format!("{held} held for your human (countersign pending)"));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The first few by their names, and all others as one number.
fn listed(all: &[NewsOf], others: u64, (first, next): (&str, &str)) -> String {
    let named_max = usize::try_from(limits::NEWS_NAMED_MAX).unwrap_or(usize::MAX);
    let named = all.iter().take(named_max).enumerate().map(|(at, of)| {
        let word = if at == 0 { first } else { next };
        format!("{} {word}{}", of.unread, fence::line(&of.name))
    });
    let rest = all.iter().skip(named_max).map(|of| of.unread).sum::<u64>().saturating_add(others);
    let rest = (rest > 0).then(|| format!("{rest} {next}others"));
    named.chain(rest).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, unread: u64) -> NewsOf {
        NewsOf { name: name.to_owned(), unread }
    }

    #[test]
    fn the_line_names_whom_and_the_next_call_and_nothing_when_there_is_nothing() {
        let check = |unread: &[NewsOf], elsewhere: &[NewsOf], held, expected: Option<&str>| {
            let (unread, elsewhere) = (unread.to_vec(), elsewhere.to_vec());
            let news = News { unread, elsewhere, held, ..News::default() };
            assert_eq!(line(&news).as_deref(), expected);
        };
        check(&[], &[], 0, None);
        let two = [of("alice", 2), of("bob", 1)];
        check(&two, &[], 0, Some("2 unread from alice, 1 from bob: peer_inbox reads them"));
        let all = "1 unread from alice: peer_inbox reads them; 1 for session api; 3 held for your \
                   human (countersign pending)";
        check(&[of("alice", 1)], &[of("api", 1)], 3, Some(all));
        check(&[], &[], 1, Some("1 held for your human (countersign pending)"));
    }

    #[test]
    fn many_peers_are_counted() {
        let many: Vec<_> = (0..100).map(|n| of(&format!("{n}").repeat(16), 2)).collect();
        let all = line(&News { unread: many.clone(), ..News::default() }).unwrap();
        assert!(all.contains(", 190 from others: ") && all.len() < 400, "{all}");
        let some = News { unread: many[..5].to_vec(), others: 190, ..News::default() };
        assert_eq!(line(&some).unwrap(), all);
    }
}
