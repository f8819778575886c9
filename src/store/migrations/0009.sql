-- What would else be counted over every message whenever somebody looks. Kept right by the triggers
-- below, in the transaction of whatever changes a message; a message's peer and thread never change.

-- Messages in the inbox that nobody has seen. `session` is empty for those that are for every one.
CREATE TABLE unread_counts (
    session TEXT NOT NULL,
    peer BLOB NOT NULL,
    many INTEGER NOT NULL,
    PRIMARY KEY (session, peer)
) STRICT, WITHOUT ROWID;

-- Every conversation: messages in every state, both ways.
CREATE TABLE conversations (
    peer BLOB PRIMARY KEY,
    messages INTEGER NOT NULL,
    threads INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The threads of each.
CREATE TABLE threads (
    peer BLOB NOT NULL,
    thread BLOB NOT NULL,
    messages INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (peer, thread)
) STRICT, WITHOUT ROWID;
CREATE INDEX threads_by_last ON threads (peer, last);

INSERT INTO unread_counts
    SELECT coalesce(session, ''), peer, count(*) FROM messages INDEXED BY messages_to_read
    WHERE unread = 1 AND outgoing = 0 AND state IN ('accepted', 'read', 'replied')
    GROUP BY coalesce(session, ''), peer;
INSERT INTO threads
    SELECT peer, thread, count(*), min(number), max(number) FROM messages GROUP BY peer, thread;
INSERT INTO conversations
    SELECT peer, sum(messages), count(*), max(last) FROM threads GROUP BY peer;

CREATE TRIGGER unread_added AFTER INSERT ON messages
WHEN new.unread = 1 AND new.outgoing = 0 AND new.state IN ('accepted', 'read', 'replied')
BEGIN
    INSERT INTO unread_counts (session, peer, many) VALUES (coalesce(new.session, ''), new.peer, 1)
    ON CONFLICT (session, peer) DO UPDATE SET many = many + 1;
END;
CREATE TRIGGER unread_came AFTER UPDATE OF unread, state, session ON messages
WHEN new.unread = 1 AND new.outgoing = 0 AND new.state IN ('accepted', 'read', 'replied')
BEGIN
    INSERT INTO unread_counts (session, peer, many) VALUES (coalesce(new.session, ''), new.peer, 1)
    ON CONFLICT (session, peer) DO UPDATE SET many = many + 1;
END;
CREATE TRIGGER unread_went AFTER UPDATE OF unread, state, session ON messages
WHEN old.unread = 1 AND old.outgoing = 0 AND old.state IN ('accepted', 'read', 'replied')
BEGIN
    UPDATE unread_counts SET many = many - 1
    WHERE session = coalesce(old.session, '') AND peer = old.peer;
    DELETE FROM unread_counts
    WHERE session = coalesce(old.session, '') AND peer = old.peer AND many = 0;
END;
CREATE TRIGGER unread_removed AFTER DELETE ON messages
WHEN old.unread = 1 AND old.outgoing = 0 AND old.state IN ('accepted', 'read', 'replied')
BEGIN
    UPDATE unread_counts SET many = many - 1
    WHERE session = coalesce(old.session, '') AND peer = old.peer;
    DELETE FROM unread_counts
    WHERE session = coalesce(old.session, '') AND peer = old.peer AND many = 0;
END;

CREATE TRIGGER talk_added AFTER INSERT ON messages
BEGIN
    INSERT INTO conversations (peer, messages, threads, last) VALUES (new.peer, 1, 0, new.number)
    ON CONFLICT (peer) DO UPDATE SET messages = messages + 1, last = max(last, excluded.last);
    UPDATE conversations SET threads = threads + 1 WHERE peer = new.peer AND NOT EXISTS (
        SELECT 1 FROM threads WHERE peer = new.peer AND thread = new.thread);
    INSERT INTO threads (peer, thread, messages, first, last)
    VALUES (new.peer, new.thread, 1, new.number, new.number)
    ON CONFLICT (peer, thread) DO UPDATE SET messages = messages + 1,
    first = min(first, excluded.first), last = max(last, excluded.last);
END;
CREATE TRIGGER talk_removed AFTER DELETE ON messages
BEGIN
    UPDATE threads SET messages = messages - 1 WHERE peer = old.peer AND thread = old.thread;
    DELETE FROM threads WHERE peer = old.peer AND thread = old.thread AND messages = 0;
    UPDATE threads SET first = (
        SELECT min(number) FROM messages WHERE peer = old.peer AND thread = old.thread
    ) WHERE peer = old.peer AND thread = old.thread AND first = old.number;
    UPDATE threads SET last = (
        SELECT max(number) FROM messages WHERE peer = old.peer AND thread = old.thread
    ) WHERE peer = old.peer AND thread = old.thread AND last = old.number;
    UPDATE conversations SET messages = messages - 1, threads = threads - (NOT EXISTS (
        SELECT 1 FROM threads WHERE peer = old.peer AND thread = old.thread
    )) WHERE peer = old.peer;
    DELETE FROM conversations WHERE peer = old.peer AND messages = 0;
    UPDATE conversations SET last = (SELECT max(last) FROM threads WHERE peer = old.peer)
    WHERE peer = old.peer AND last = old.number;
END;

-- For the messages of a session that is forgotten.
CREATE INDEX messages_unread_of ON messages (session) WHERE unread = 1 AND session IS NOT NULL;
-- What the human said lately is looked at at each start.
CREATE INDEX decisions_by_time ON decisions (at_ms);
