//! A human looks for words in everything that was said, held messages too.

use data_encoding::HEXLOWER;
use rusqlite::Connection;

use super::{
    api::{ApiError, Found, HIT_BEGINS, HIT_ENDS, Hit, PeerRef, Reply},
    clock,
    state::{Answer, Node, reply, store_failed, usage},
    talks::{cut, place},
};
use crate::{
    base::limits,
    store::{
        search::{self, HitRow, Search},
        words::Query,
    },
};

impl Node {
    pub(super) fn search(
        &mut self,
        (query, peer): (&str, Option<&str>),
        before: Option<u64>,
        limit: u32,
        answer: Answer,
    ) {
        let limit = limit.clamp(1, limits::PAGE_MAX);
        let job = words(query).and_then(|query| {
            let peer = peer.map(|peer| self.find_peer(peer)).transpose()?;
            let (before, limit) = (place(before), limit + 1);
            let looks = limits::SEARCH_LOOKS_MAX;
            let search = |query| Search { query, peer, before, limit, looks, marks: marks() };
            Ok(query.map(search))
        });
        match job {
            Err(error) => reply(answer, Err(error)),
            Ok(None) => reply(answer, Ok(Reply::Found(Found { hits: vec![], older: None }))),
            Ok(Some(job)) => {
                self.catch_up(answer, move |node, answer| node.look(job, limit, answer));
            }
        }
    }

    /// Brings the index up to date, a batch for each write: what arrives meanwhile is stored in
    /// between.
    pub(super) fn catch_up(
        &mut self,
        answer: Answer,
        then: impl FnOnce(&mut Self, Answer) + Send + 'static,
    ) {
        let op = |db: &Connection| search::index_batch(db, limits::INDEX_BATCH);
        self.write(op, move |node, more| match more {
            Err(error) => reply(answer, Err(store_failed(&error))),
            Ok(true) => node.catch_up(answer, then),
            Ok(false) => then(node, answer),
        });
    }

    fn look(&mut self, job: Search, limit: u32, answer: Answer) {
        let marks = job.marks.clone();
        let op = move |db: &Connection| search::search(db, &job);
        self.scan(op, move |node, found| {
            let result = found.map_err(|e| store_failed(&e)).map(|found| {
                let mut rows = found.hits;
                let more = cut(&mut rows, limit);
                let last = rows.last().filter(|_| more).map(|row| row.message.number);
                let older = last.or(found.stopped).map(i64::unsigned_abs);
                let hits = rows.iter().map(|row| node.hit_view(row, &marks)).collect();
                Reply::Found(Found { hits, older })
            });
            reply(answer, result);
        });
    }

    fn hit_view(&self, row: &HitRow, marks: &(String, String)) -> Hit {
        let peer = row.message.peer;
        Hit {
            message: self.message_view(&row.message),
            peer: PeerRef { id: peer.to_string(), name: self.name_of(&peer) },
            snippet: snippet(&row.marked, marks),
        }
    }
}

/// The query, if it is one.
pub(super) fn words(query: &str) -> Result<Option<Query>, ApiError> {
    let (size, limit) = (query.len(), limits::SEARCH_QUERY_BYTES_MAX);
    if size > limit {
        let message = format!("the query is {size} bytes; the limit is {limit}");
        return Err(usage(message, "look for fewer words"));
    }
    Ok(Query::of(query))
}

/// Marks that no text can hold, because nobody knows them: a peer could write the real ones into
/// its message, and so point at what was not found.
fn marks() -> (String, String) {
    let mark = || HEXLOWER.encode(&clock::random::<8>());
    (mark(), mark())
}

/// The first place that was found and what is around it, with the marks of the contract, as many
/// that begin as end.
fn snippet(marked: &str, (begins, ends): &(String, String)) -> String {
    let plain = marked.replace([HIT_BEGINS, HIT_ENDS], "\u{fffd}");
    let text = plain.replace(begins, &HIT_BEGINS.to_string()).replace(ends, &HIT_ENDS.to_string());
    let (before, found) = text.split_at(text.find(HIT_BEGINS).unwrap_or_default());
    let mut snippet = last_words(before) + &first_words(found);
    if snippet.rfind(HIT_BEGINS) > snippet.rfind(HIT_ENDS) {
        snippet.push(HIT_ENDS);
    }
    snippet
}

fn first_words(text: &str) -> String {
    let (words, chars) = (limits::SNIPPET_WORDS.1, limits::SNIPPET_CHARS.1);
    let cut: String = text.chars().take(chars).collect();
    let mut first: Vec<&str> = cut.split_whitespace().collect();
    let more = cut.len() < text.trim_end().len() || first.len() > words;
    first.truncate(words);
    first.join(" ") + if more { "…" } else { "" }
}

fn last_words(text: &str) -> String {
    let (words, chars) = (limits::SNIPPET_WORDS.0, limits::SNIPPET_CHARS.0);
    let from = text.char_indices().rev().take(chars).last().map_or(0, |(from, _)| from);
    let cut = text.get(from..).unwrap_or_default();
    let mut last: Vec<&str> = cut.split_whitespace().collect();
    let more = from > 0 || last.len() > words;
    last.drain(..last.len().saturating_sub(words));
    let gap = if last.is_empty() || !cut.ends_with(char::is_whitespace) { "" } else { " " };
    [if more { "…" } else { "" }, &last.join(" "), gap].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_holds_only_our_own_marks_and_each_that_begins_ends() {
        let marks = ("AAAA".to_owned(), "ZZZZ".to_owned());
        let check = |marked: &str, expected: &str| {
            let snippet = snippet(marked, &marks).replace(HIT_BEGINS, "[").replace(HIT_ENDS, "]");
            assert_eq!(snippet, expected, "{marked}");
        };
        check("a (AAAAbZZZZ), c\n d ", "a ([b]), c d");
        check("AAAAbZZZZ", "[b]");
        check(&format!("{HIT_BEGINS}x{HIT_ENDS} AAAAbZZZZ"), "\u{fffd}x\u{fffd} [b]");
        let so = "so ".repeat(20);
        let (eight, fourteen) = ("so ".repeat(8), "so ".repeat(14));
        let around = format!("…{eight}[b c] {}…", fourteen.trim_end());
        check(&format!("{so}AAAAb cZZZZ {so}"), &around);
        let word = "ä".repeat(1000);
        let (before, after) = ("ä".repeat(80), "ä".repeat(236));
        check(&format!("{word}AAAAbZZZZ{word}"), &format!("…{before}[b]{after}ä…"));
        check(&format!("AAAA{word}ZZZZ"), &format!("[{}…]", "ä".repeat(239)));
    }
}
