-- What this node remembers about itself.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Every peer we ever heard of. `trusted` counts only with a record that both approvers signed,
-- which is verified again whenever the node loads.
CREATE TABLE peers (
    id BLOB PRIMARY KEY CHECK (length(id) = 32),
    name TEXT NOT NULL UNIQUE,
    claim TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('requested', 'incoming', 'trusted', 'revoked', 'blocked')),
    addresses TEXT NOT NULL,
    record BLOB,
    ours BLOB,
    theirs BLOB,
    statement BLOB,
    signature BLOB,
    other_approver BLOB,
    created_ms INTEGER NOT NULL,
    seen_ms INTEGER
) STRICT;

-- Invites that we made. The secret is gone once the invite is used up or expired.
CREATE TABLE invites (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    secret BLOB NOT NULL,
    note TEXT,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_by BLOB
) STRICT;

-- Pairings that are not finished on both sides.
CREATE TABLE pairings (
    peer BLOB PRIMARY KEY CHECK (length(peer) = 32),
    joiner INTEGER NOT NULL,
    invite BLOB NOT NULL,
    proof BLOB NOT NULL,
    fingerprint BLOB,
    nonce BLOB NOT NULL,
    commitment BLOB NOT NULL,
    knocked_ms INTEGER NOT NULL,
    their_name TEXT,
    their_approver BLOB,
    record BLOB,
    ours BLOB,
    theirs BLOB,
    kept INTEGER NOT NULL DEFAULT 0,
    note TEXT
) STRICT;

-- What waits for the human. `item` is the exact bytes; NULL until the other side has answered.
CREATE TABLE pending (
    id BLOB PRIMARY KEY CHECK (length(id) = 5),
    what TEXT NOT NULL,
    peer BLOB NOT NULL,
    message BLOB,
    item BLOB,
    reasons TEXT NOT NULL,
    note TEXT,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX pending_by_message ON pending (message) WHERE message IS NOT NULL;

-- What the human decided. A refusal needs no signature.
CREATE TABLE decisions (
    id BLOB PRIMARY KEY,
    digest BLOB NOT NULL,
    decision TEXT NOT NULL,
    method TEXT NOT NULL,
    statement BLOB,
    signature BLOB,
    at_ms INTEGER NOT NULL
) STRICT;

-- Every message, both ways. `number` is the order of the inbox.
CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    outgoing INTEGER NOT NULL,
    peer BLOB NOT NULL,
    id BLOB NOT NULL CHECK (length(id) = 16),
    digest BLOB NOT NULL,
    kind TEXT NOT NULL,
    thread BLOB NOT NULL,
    reply_to BLOB,
    text TEXT NOT NULL,
    envelope BLOB NOT NULL,
    countersigned INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    unread INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    stored_ms INTEGER NOT NULL,
    note TEXT
) STRICT;
CREATE UNIQUE INDEX messages_by_id ON messages (id, peer, outgoing);
CREATE INDEX messages_unread ON messages (peer) WHERE unread = 1;
-- For the inbox's own order; an old inbox is long, and little of it is unread.
CREATE INDEX messages_to_read ON messages (outgoing) WHERE unread = 1;
CREATE INDEX messages_by_thread ON messages (thread, number);
CREATE INDEX messages_by_reply ON messages (reply_to) WHERE reply_to IS NOT NULL;
CREATE INDEX messages_waiting ON messages (outgoing, state) WHERE state IN ('held', 'queued');

-- Each state that a message was in. `receipt` names the signed receipt that says so.
CREATE TABLE history (
    message INTEGER NOT NULL REFERENCES messages (number) ON DELETE CASCADE,
    state TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    reason TEXT,
    receipt BLOB
) STRICT;
CREATE INDEX history_by_message ON history (message);

-- Receipts that peers signed, as they came.
CREATE TABLE receipts (
    id BLOB PRIMARY KEY,
    peer BLOB NOT NULL,
    envelope BLOB NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

-- What has still to reach a peer, in its order. `envelope` is NULL where it is the message's own.
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    envelope BLOB
) STRICT;
CREATE INDEX outbox_by_peer ON outbox (peer, number);
CREATE INDEX outbox_by_id ON outbox (id);

-- Which messages have arrived, so that none arrives twice; kept beyond the message's expiry.
CREATE TABLE arrivals (
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    digest BLOB NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    forget_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX arrivals_to_forget ON arrivals (forget_ms);

-- The audit chain and the node's signatures of its head.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    previous BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    event TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE TABLE checkpoints (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT;
