-- An invite that a short code carries: worth nothing until the code was said to the end, and then
-- for one node of one human alone.
ALTER TABLE invites ADD COLUMN by_code INTEGER NOT NULL DEFAULT 0;
ALTER TABLE invites ADD COLUMN approver BLOB;
-- A pairing that began with a short code, which has shown each side who the other is.
ALTER TABLE pairings ADD COLUMN by_code INTEGER NOT NULL DEFAULT 0;
