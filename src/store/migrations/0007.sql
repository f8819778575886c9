-- Data at rest: what people say, and secrets, are sealed from here on (store/seal.rs). The functions
-- `seal`, `unseal` and `keyed` belong to the connection, which has the key.

-- The index held the words themselves. It is filled again when somebody searches: the tokens of the
-- words, and of their beginnings, under a key.
DROP TABLE words;
CREATE VIRTUAL TABLE words USING fts5 (
    hashes, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);
DELETE FROM meta WHERE key = 'indexed';

ALTER TABLE messages RENAME COLUMN text TO plain_text;
ALTER TABLE messages RENAME COLUMN verdict TO plain_verdict;
ALTER TABLE messages ADD COLUMN text BLOB NOT NULL DEFAULT x'';
ALTER TABLE messages ADD COLUMN verdict BLOB;
UPDATE messages SET
    text = seal('messages.text', plain_text, id, peer, outgoing),
    envelope = seal('messages.envelope', envelope, id, peer, outgoing),
    verdict = seal('messages.verdict', plain_verdict, id, peer, outgoing),
    request = keyed(request);
ALTER TABLE messages DROP COLUMN plain_text;
ALTER TABLE messages DROP COLUMN plain_verdict;

ALTER TABLE pending RENAME COLUMN reasons TO plain_reasons;
ALTER TABLE pending RENAME COLUMN note TO plain_note;
ALTER TABLE pending ADD COLUMN reasons BLOB NOT NULL DEFAULT x'';
ALTER TABLE pending ADD COLUMN note BLOB;
UPDATE pending SET
    item = seal('pending.item', item, id),
    reasons = seal('pending.reasons', plain_reasons, id),
    note = seal('pending.note', plain_note, id);
ALTER TABLE pending DROP COLUMN plain_reasons;
ALTER TABLE pending DROP COLUMN plain_note;

ALTER TABLE invites RENAME COLUMN note TO plain_note;
ALTER TABLE invites ADD COLUMN note BLOB;
UPDATE invites SET
    secret = seal('invites.secret', secret, id), note = seal('invites.note', plain_note, id);
ALTER TABLE invites DROP COLUMN plain_note;

ALTER TABLE pairings RENAME COLUMN note TO plain_note;
ALTER TABLE pairings ADD COLUMN note BLOB;
UPDATE pairings SET
    proof = seal('pairings.proof', proof, peer), nonce = seal('pairings.nonce', nonce, peer),
    note = seal('pairings.note', plain_note, peer);
ALTER TABLE pairings DROP COLUMN plain_note;

ALTER TABLE known_values RENAME COLUMN label TO plain_label;
ALTER TABLE known_values ADD COLUMN label BLOB NOT NULL DEFAULT x'';
UPDATE known_values SET label = seal('known_values.label', plain_label, id);
ALTER TABLE known_values DROP COLUMN plain_label;
UPDATE meta SET value = lower(hex(seal('meta.value', unhex(value), key))) WHERE key = 'known_key';

UPDATE receipts SET envelope = seal('receipts.envelope', envelope, id);
UPDATE outbox SET envelope = seal('outbox.envelope', envelope, peer, id) WHERE envelope IS NOT NULL;
