-- What peers signed about audit chains: their own newest head and ours (`what` is theirs, ours,
-- forked, lost or excused), at most one row of each for a peer.
CREATE TABLE witnesses (
    peer BLOB NOT NULL,
    what TEXT NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    receipt BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, what)
) STRICT, WITHOUT ROWID;
-- Where records were moved into a file: the signed head of what was moved.
CREATE TABLE anchors (
    number INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    hash BLOB NOT NULL,
    signature BLOB NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
