-- What the approver signed beforehand. A row counts only with a signature that verifies, which
-- is looked at whenever the node loads. `ended_ms`: the human ended it before its time.
CREATE TABLE grants (
    id BLOB PRIMARY KEY CHECK (length(id) = 5),
    statement BLOB NOT NULL,
    signature BLOB NOT NULL,
    ended_ms INTEGER
) STRICT;

-- `granted`: the grant that a message passed by. `request`: a digest of what our agent asked for,
-- where a human was asked about it, so that the same call finds what became of it.
ALTER TABLE messages ADD COLUMN granted BLOB;
ALTER TABLE messages ADD COLUMN request BLOB;
CREATE INDEX messages_by_grant ON messages (granted) WHERE granted IS NOT NULL;
CREATE INDEX messages_by_request ON messages (request) WHERE request IS NOT NULL;
-- For a conversation, which is read from its end.
CREATE INDEX messages_by_peer ON messages (peer, number);
-- For how many there are in which thread, without a look at any message.
CREATE INDEX messages_by_talk ON messages (peer, thread, number);

-- Whom and what a decision was about, for people to read.
ALTER TABLE decisions ADD COLUMN what TEXT;
ALTER TABLE decisions ADD COLUMN peer BLOB;
ALTER TABLE decisions ADD COLUMN message BLOB;
CREATE INDEX decisions_by_message ON decisions (message) WHERE message IS NOT NULL;

-- Every message's words. Filled up to `meta.indexed` when somebody searches, so that no message
-- waits for it.
CREATE VIRTUAL TABLE words USING fts5 (
    text, content = 'messages', content_rowid = 'number', tokenize = "unicode61 remove_diacritics 2"
);
