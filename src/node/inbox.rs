//! An agent lists its inbox, or looks for words in it.

use rusqlite::Connection;

use super::{
    agent::{parse_opt, reading},
    api::{ApiError, Inbox, InboxRequest, Reply},
    search,
    state::{Answer, Node, reply, store_failed, usage},
    talks::cut,
};
use crate::{
    base::{SessionName, limits},
    store::{
        StoreError,
        messages::{self, Filter, MessageRow},
        search::{self as store_search, FoundRows},
        sessions::{self, Open},
        words::Query,
    },
};

/// A page of the inbox, how many messages are unread, and which of these the session has not seen.
type InboxPage = (FoundRows, u64, Vec<i64>);

impl Node {
    pub(super) fn inbox(
        &mut self,
        request: &InboxRequest,
        session: Option<SessionName>,
        answer: Answer,
    ) {
        let asked = self.filter(request).and_then(|filter| Ok((filter, looked_for(request)?)));
        let (filter, query) = match asked {
            Ok(asked) => asked,
            Err(error) => return reply(answer, Err(error)),
        };
        // A person's command lists what is for any session.
        let open = session.as_ref().map(|_| self.handle.open_names()).unwrap_or_default();
        let filter = Filter { session, open, ..filter };
        let mark_read = request.mark_read;
        match query {
            None => {
                let more = Filter { limit: filter.limit + 1, ..filter.clone() };
                let op = move |db: &Connection| {
                    let rows = messages::page(db, &more)?;
                    with_unread(db, &more, FoundRows { rows, stopped: None })
                };
                self.read(op, move |node, page| node.show_page(page, filter, mark_read, answer));
            }
            Some(query) => self.catch_up(answer, move |node, answer| {
                let more = Filter { limit: filter.limit + 1, ..filter.clone() };
                let op = move |db: &Connection| {
                    let found = store_search::page(db, &more, &query, limits::SEARCH_LOOKS_MAX)?;
                    with_unread(db, &more, found)
                };
                node.scan(op, move |node, page| node.show_page(page, filter, mark_read, answer));
            }),
        }
    }

    fn show_page(
        &mut self,
        page: Result<InboxPage, StoreError>,
        filter: Filter,
        mark_read: bool,
        answer: Answer,
    ) {
        let (FoundRows { mut rows, stopped }, unread, unseen) = match page {
            Ok(page) => page,
            Err(error) => return reply(answer, Err(store_failed(&error))),
        };
        let more = cut(&mut rows, filter.limit);
        let last = rows.last().filter(|_| more).map(|row| row.number);
        let next_cursor = last.or(stopped).map(|number| number.to_string());
        let messages = rows.iter().map(|row| self.message_view(row)).collect();
        let (held, held_total) = self.held_view(filter.peer.as_ref());
        let inbox = Inbox { messages, unread, next_cursor, held, held_total };
        let whole = |row: &&MessageRow| row.text.len() <= limits::PREVIEW_BYTES_MAX;
        let read = rows.iter().filter(|row| mark_read && whole(row)).cloned().collect();
        let read = reading(read, filter.session, &unseen);
        self.show_messages(&rows, read, Reply::Inbox(inbox), answer);
    }

    fn filter(&self, request: &InboxRequest) -> Result<Filter, ApiError> {
        let limit = request.limit.unwrap_or(limits::PAGE_DEFAULT);
        if !(1..=limits::PAGE_MAX).contains(&limit) {
            let message = format!("limit is {limit}; it goes from 1 to {}", limits::PAGE_MAX);
            return Err(usage(message, "choose a number in between"));
        }
        let after = match &request.cursor {
            None => 0,
            Some(cursor) => cursor.parse().map_err(|_| {
                usage("cursor is not one that was given", "pass next_cursor of the page before")
            })?,
        };
        let ids = "copy the id from a message";
        Ok(Filter {
            peer: request.from.as_deref().map(|name| self.find_peer(name)).transpose()?,
            thread: parse_opt(request.thread.as_deref(), ids)?,
            unread: request.unread,
            session: None,
            open: Open::default(),
            reply_to: parse_opt(request.reply_to.as_deref(), ids)?,
            after,
            limit,
        })
    }
}

/// The words that are looked for, if any are.
fn looked_for(request: &InboxRequest) -> Result<Option<Query>, ApiError> {
    let Some(typed) = request.query.as_deref().filter(|typed| !typed.is_empty()) else {
        return Ok(None);
    };
    let none = || usage("query has no word", "look for words: letters and digits");
    search::words(typed)?.ok_or_else(none).map(Some)
}

fn with_unread(
    db: &Connection,
    filter: &Filter,
    found: FoundRows,
) -> Result<InboxPage, StoreError> {
    let (unread, unseen) = match &filter.session {
        None => (messages::counts(db)?.unread, Vec::new()),
        Some(name) => {
            let unread = sessions::unread(db, name, &filter.open)?;
            (unread, sessions::unseen(db, name, &found.rows)?)
        }
    };
    Ok((found, unread, unseen))
}
