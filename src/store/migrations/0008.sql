-- For how long messages are kept: of the empty peer for everybody who has no row of their own.
-- `days` NULL: forever, as where there is no row at all.
CREATE TABLE retention (
    peer BLOB PRIMARY KEY CHECK (length(peer) IN (0, 32)),
    days INTEGER CHECK (days BETWEEN 1 AND 36500),
    set_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What messages that were deleted had used up of a grant or of a rate: no deletion gives it back.
CREATE TABLE spent (
    peer BLOB NOT NULL,
    outgoing INTEGER NOT NULL,
    granted BLOB,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX spent_by_grant ON spent (granted) WHERE granted IS NOT NULL;
CREATE INDEX spent_by_time ON spent (at_ms);

-- For what is old enough to be deleted, without a look at what is not.
CREATE INDEX messages_by_age ON messages (peer, stored_ms);
-- For whether a receipt still tells of a message.
CREATE INDEX history_by_receipt ON history (receipt) WHERE receipt IS NOT NULL;
