-- Whose texts were shown to an agent of this node, and until when that counts (the taint rule).
CREATE TABLE shown (
    peer BLOB PRIMARY KEY CHECK (length(peer) = 32),
    until_ms INTEGER NOT NULL
) STRICT;

-- The policy: `signed` counts only with the approver's signature, which is looked at whenever the
-- node loads; `tightened` only where it is no looser than that.
CREATE TABLE policies (
    kind TEXT PRIMARY KEY CHECK (kind IN ('signed', 'tightened')),
    statement BLOB NOT NULL,
    signature BLOB
) STRICT;

-- What the human registered to be watched for: keyed hashes, never a value.
CREATE TABLE known_values (
    id BLOB PRIMARY KEY CHECK (length(id) = 5),
    label TEXT NOT NULL,
    length INTEGER NOT NULL,
    filter INTEGER NOT NULL,
    mac BLOB NOT NULL CHECK (length(mac) = 32),
    added_ms INTEGER NOT NULL
) STRICT;

-- What the policy said of a message, as JSON, for people to read.
ALTER TABLE messages ADD COLUMN verdict TEXT;
-- Whose texts had been read before: node ids, one behind the other.
ALTER TABLE pending ADD COLUMN after BLOB;
-- What a peer's node said that it requires, as JSON.
ALTER TABLE peers ADD COLUMN requires TEXT;
-- The newest record that names a policy is looked for at each start.
CREATE INDEX audit_policy ON audit (number) WHERE substr(event, 1, 17) = '{"event":"policy_';
