-- The signature of what was moved is over its first and last record and the digest of what stays, under a
-- label of its own. No version that was given out signed anchors before; zeros are nobody's signature.
ALTER TABLE anchors ADD COLUMN kept BLOB NOT NULL
    DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';
