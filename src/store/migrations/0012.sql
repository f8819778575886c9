-- A letter of a script that puts no spaces between words is a word by itself from here on, so that what
-- stands inside such a line is found. The index is filled again.
DROP TABLE words;
CREATE VIRTUAL TABLE words USING fts5 (
    hashes, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);
DELETE FROM meta WHERE key = 'indexed';

-- When a thread's newest message came is in the index too: a list of threads reads half as many messages.
DROP INDEX messages_by_talk;
CREATE INDEX messages_by_talk ON messages (peer, thread, number, stored_ms);

-- What `unread_counts` adds up to, and whose is the most of it, so that neither takes a look at every peer.
-- Kept right by triggers on it.
CREATE TABLE unread_totals (
    session TEXT PRIMARY KEY,
    many INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX unread_most ON unread_counts (session, many DESC, peer);

INSERT INTO unread_totals SELECT session, sum(many) FROM unread_counts GROUP BY session;

CREATE TRIGGER unread_count_added AFTER INSERT ON unread_counts
BEGIN
    INSERT INTO unread_totals (session, many) VALUES (new.session, new.many)
    ON CONFLICT (session) DO UPDATE SET many = many + excluded.many;
END;
CREATE TRIGGER unread_count_changed AFTER UPDATE OF many ON unread_counts
BEGIN
    UPDATE unread_totals SET many = many + new.many - old.many WHERE session = new.session;
END;
CREATE TRIGGER unread_count_removed AFTER DELETE ON unread_counts
BEGIN
    UPDATE unread_totals SET many = many - old.many WHERE session = old.session;
    DELETE FROM unread_totals WHERE session = old.session AND many = 0;
END;
