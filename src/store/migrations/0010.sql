-- What the audit chain says of rows that carry no signature is looked for at each start: the newest
-- move of a peer's trust, the end of a grant, and how often a message passed by one.
CREATE INDEX IF NOT EXISTS audit_trust ON audit (substr(event, 32, 64), number)
    WHERE substr(event, 1, 22) = '{"event":"trust_moved"';
CREATE INDEX IF NOT EXISTS audit_grant_ended ON audit (substr(event, 33, 8))
    WHERE substr(event, 1, 22) = '{"event":"grant_ended"';
CREATE INDEX IF NOT EXISTS audit_passed ON audit (substr(event, 73, 8), at_ms)
    WHERE substr(event, 1, 17) = '{"event":"passed"';
