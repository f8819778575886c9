-- The sessions of clients that are known by name: which project and client had it last, since when
-- it is known, and the last message there was then.
CREATE TABLE sessions (
    name TEXT PRIMARY KEY,
    client TEXT,
    project TEXT,
    began_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    after INTEGER NOT NULL
) STRICT;

-- Which session has seen which message.
CREATE TABLE session_reads (
    session TEXT NOT NULL,
    message INTEGER NOT NULL REFERENCES messages (number) ON DELETE CASCADE,
    PRIMARY KEY (session, message)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_reads_by_message ON session_reads (message);

-- Of a message of ours: the session that sent it. Of another: the session that it is for.
ALTER TABLE messages ADD COLUMN session TEXT;
-- The session of the recipient's that the message's header names.
ALTER TABLE messages ADD COLUMN named TEXT;
-- For which of our sessions spoke last in a thread.
CREATE INDEX messages_by_session ON messages (peer, thread, number)
    WHERE outgoing = 1 AND session IS NOT NULL;
-- For what one session has not seen of what another has, without a look at any message.
CREATE INDEX messages_seen ON messages (session, number, state, peer)
    WHERE outgoing = 0 AND unread = 0;

-- Clients that may come over HTTP. `hash`: SHA-256 of the token, which is random and shown once.
CREATE TABLE tokens (
    id BLOB PRIMARY KEY CHECK (length(id) = 5),
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_ms INTEGER NOT NULL,
    used_ms INTEGER,
    ended_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE ended_ms IS NULL;
