//! Every bound of the product, with its unit and its reason.

mod net;

use std::time::Duration;

pub use net::*;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}
const fn hours(n: u64) -> Duration {
    minutes(n * 60)
}
const fn days(n: u64) -> Duration {
    hours(n * 24)
}

// Text. Sizes are bytes of UTF-8.

/// A message's text: what one model turn can use, and far below every client's line limit.
pub const TEXT_BYTES_MAX: usize = 64 * KIB;
/// Our name for a peer: short enough to type.
pub const PEER_NAME_BYTES_MAX: usize = 32;
/// Bytes of a session's name.
pub const SESSION_NAME_BYTES_MAX: usize = 32;
/// Sessions of clients that are known by name; the one that was seen longest ago is forgotten.
pub const SESSIONS_KNOWN_MAX: u32 = 256;
/// Characters of what a client calls itself, as they are kept.
pub const CLIENT_CHARS_MAX: usize = 64;
/// The same of the version of MCP.
pub const PROTOCOL_CHARS_MAX: usize = 32;
/// Bytes of the folder that a session works in, as they are kept.
pub const PROJECT_BYTES_MAX: usize = KIB;
/// How many messages a session can be behind: what another session has read, and so many messages
/// came after, is not new to it any more. What nobody has read stays new.
pub const SESSION_BEHIND_MAX: u32 = 1000;
/// Peers that are named where an agent is told what is new; from the others it hears a number.
pub const NEWS_NAMED_MAX: u32 = 5;
/// What a peer calls itself.
pub const CLAIMED_NAME_BYTES_MAX: usize = 64;
/// A note beside an invite or a request.
pub const NOTE_BYTES_MAX: usize = 200;

// Wire.

/// An envelope: a text of full size, its headers and a countersignature with its grant.
pub const ENVELOPE_BYTES_MAX: usize = TEXT_BYTES_MAX + 2 * KIB;
/// A frame of `countersign/1`: one envelope and its numbers.
pub const FRAME_BYTES_MAX: usize = ENVELOPE_BYTES_MAX + 128;
/// A frame of `countersign/pair/1`: what a stranger may make us read.
pub const KNOCK_BYTES_MAX: usize = 512;
/// The name of a kind of message.
pub const KIND_BYTES_MAX: usize = 32;
/// Entries of one receipt: a batch that one transaction made durable.
pub const RECEIPT_ENTRIES_MAX: usize = 256;
/// A reason inside a receipt.
pub const REASON_BYTES_MAX: usize = 200;
/// Addresses of one peer in a hello or an invite.
pub const ADDRESSES_MAX: usize = 8;
/// One address or relay URL.
pub const ADDRESS_BYTES_MAX: usize = 128;
/// Feature names in a hello.
pub const FEATURES_MAX: usize = 16;
/// CBOR nesting: ours needs four levels; more is an attack on the stack.
pub const CBOR_DEPTH_MAX: usize = 8;

// Times of a message.

/// The longest that a message may wait for its peer.
pub const EXPIRY_MAX: Duration = days(30);
/// How long a message waits when nobody said otherwise.
pub const EXPIRY_DEFAULT: Duration = days(7);
/// How far a sender's clock may run ahead before its messages are held with a warning.
pub const CLOCK_AHEAD_MAX: Duration = minutes(10);
/// How far a receiver's clock may run ahead before it would call a live message expired.
pub const EXPIRY_SLACK: Duration = minutes(5);
/// How long a duplicate is remembered after its message expired.
pub const DUPLICATE_KEPT: Duration = days(1);

// The gate.

/// How long a new peer waits for a decision.
pub const PENDING_PEER_LIFE: Duration = days(7);
/// How long a pairing may take from its knock: both humans may wait for the other.
pub const PAIRING_LIFE: Duration = days(14);
/// How long a payload waits for a decision.
pub const PENDING_PAYLOAD_LIFE: Duration = hours(24);
/// How old a signed decision may be when it arrives: the time a decision screen is open.
pub const DECISION_LIFE: Duration = minutes(10);
/// The longest that a grant may hold: a person should be asked again within a month.
pub const GRANT_LIFE_MAX: Duration = days(30);
/// Messages that may pass by one grant.
pub const GRANT_MESSAGES_MAX: u64 = 1000;
/// The time within which a grant's rate counts.
pub const GRANT_RATE_WINDOW: Duration = hours(1);
/// Rules that one grant names.
pub const GRANT_RULES_MAX: usize = 16;
/// A grant's bytes.
pub const GRANT_BYTES_MAX: usize = KIB;
/// A policy's text, bytes of UTF-8: what a person still reads.
pub const POLICY_BYTES_MAX: usize = 64 * KIB;
/// An order's bytes: a policy and its other fields.
pub const ORDER_BYTES_MAX: usize = POLICY_BYTES_MAX + 256;
/// Peers whose texts an agent has read lately, as one decision names them.
pub const TAINT_SOURCES_MAX: usize = 64;
/// A decision's signed bytes: its fields and those names.
pub const STATEMENT_BYTES_MAX: usize = 512 + TAINT_SOURCES_MAX * 36;
/// How much longer it counts than was said, so that not every look at the inbox is a write.
pub const TAINT_STEP: Duration = minutes(5);
/// Messages that the policy refuses go into the audit log this often at most, for each peer.
pub const REFUSALS_NOTED_EVERY: Duration = minutes(1);
/// So many bytes that arrived together are looked at by the node itself; more, elsewhere.
pub const LOOK_AT_ONCE_BYTES: usize = 8 * KIB;
/// The longest window of a rate in a policy.
pub const RATE_WINDOW_MAX: Duration = days(1);
/// The largest number of messages in one.
pub const RATE_MESSAGES_MAX: usize = 1024;
/// Prompts that a person gets within [`PROMPTS_WINDOW`]: more are not read.
pub const PROMPTS_MAX: usize = 6;
/// See [`PROMPTS_MAX`].
pub const PROMPTS_WINDOW: Duration = hours(1);
/// How long a prompt counts as open that nobody answers: a person who is there has answered.
pub const PROMPT_LIFE: Duration = minutes(10);
/// Held messages of peers that an agent is told of at once.
pub const HELD_SHOWN_MAX: usize = 20;
/// Bytes of a result for them.
pub const HELD_BYTES_MAX: usize = 8 * KIB;
/// Reasons of one of them.
pub const HELD_REASONS_MAX: usize = 8;
/// The time within which what was approved counts for what repeats it.
pub const REPEATS_WINDOW: Duration = hours(24);
/// Approvals among them that are looked at.
pub const REPEATS_KEPT_MAX: usize = 1000;
/// Grants that hold at once.
pub const GRANTS_MAX: usize = 200;
/// Strangers that wait for a decision at once; more would tire a person.
pub const PENDING_STRANGERS_MAX: usize = 10;
/// Requests of ours that wait at once.
pub const PENDING_REQUESTS_MAX: usize = 10;
/// Payloads that wait for a decision at once.
pub const PENDING_PAYLOADS_MAX: usize = 100;
/// Payloads of one peer among them: the rest stays for others and for our own.
pub const PENDING_PAYLOADS_PER_PEER_MAX: usize = 20;
/// Wrong passphrases before the approver locks.
pub const PASSPHRASE_TRIES: u32 = 5;
/// The first lock; each further one is twice as long.
pub const PASSPHRASE_LOCK: Duration = minutes(15);
/// The longest lock: a person who forgot must be able to come back.
pub const PASSPHRASE_LOCK_MAX: Duration = days(7);
/// The least score of a passphrase, 0 to 4 as zxcvbn counts: 3 is "safely unguessable".
pub const PASSPHRASE_SCORE_MIN: u8 = 3;
/// The longest passphrase: Argon2 takes more, a terminal line does not.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;

// Pairing.

/// How long an invite is good when nobody said otherwise.
pub const INVITE_LIFE_DEFAULT: Duration = hours(24);
/// The longest an invite may be good.
pub const INVITE_LIFE_MAX: Duration = days(7);
/// Invites open at once.
pub const INVITES_OPEN_MAX: usize = 20;
/// The longest invite text that is looked at.
pub const INVITE_BYTES_MAX: usize = 4 * KIB;
/// How long a short code is good: as long as two people who talk need.
pub const CODE_LIFE: Duration = minutes(10);
/// Short codes open at once. Each lets a stranger guess once, at one in four million.
pub const CODES_OPEN_MAX: usize = 3;
/// Connections to a short code that end before the guess; then it closes.
pub const CODE_STARTS_MAX: usize = 10;
/// Connections to a short code that are heard beside each other.
pub const CODE_TALKS_MAX: usize = 3;
/// Codes of others that agents use within [`CODE_JOINS_WINDOW`]; each tells the place of a word, and
/// who we are, to whoever waits there.
pub const CODE_JOINS_MAX: usize = 10;
/// How long one of them counts.
pub const CODE_JOINS_WINDOW: Duration = hours(1);
/// First words that are tried for a code whose place is taken.
pub const CODE_WORD_TRIES: usize = 8;
/// Endpoints at one place that a joiner dials. Each of them can check a guess of the words.
pub const CODE_CONTACTS_MAX: usize = 4;
/// The longest text that is looked at as a code.
pub const CODE_BYTES_MAX: usize = 128;
/// Of a word that is none, what an error shows.
pub const CODE_WORD_CHARS_SHOWN: usize = 20;
/// A frame of `countersign/code/1`: a sealed invite, and who made it.
pub const CODE_FRAME_BYTES_MAX: usize = INVITE_BYTES_MAX + 256;
/// How long the other side of a short code may take for one step.
pub const CODE_STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the exchange of a short code may take, from the dial on.
pub const CODE_EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long an endpoint for a short code may take until a relay knows it.
pub const CODE_ONLINE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the human is told that a wrong code was tried.
pub const CODE_WARNING_LIFE: Duration = hours(24);

// Quotas.

/// Messages of one peer that wait unread before we answer `busy`.
pub const INBOX_UNREAD_MESSAGES_MAX: u64 = 200;
/// Bytes of one peer's messages that wait unread before we answer `busy`.
pub const INBOX_UNREAD_BYTES_MAX: u64 = 16 * MIB as u64;
/// Messages that wait at the sender for one peer.
pub const OUTBOX_MESSAGES_MAX: u64 = 10_000;
/// Peers known at once, in any state.
pub const PEERS_MAX: u64 = 10_000;
/// Messages on their way to one peer and not yet acknowledged: two receipts' worth.
pub const IN_FLIGHT_MESSAGES_MAX: usize = 2 * RECEIPT_ENTRIES_MAX;

// Node, store and surfaces.

/// The page's port when none is set and it is free.
pub const PAGE_PORT: u16 = 7311;
/// How many ports after it are tried, and after a remembered one.
pub const PAGE_PORTS_TRIED: u16 = 100;
/// How long the code of a link to the page is good, once.
pub const PAGE_CODE_LIFE: Duration = minutes(10);
/// Codes that are good at once; a further one ends the oldest.
pub const PAGE_CODES_MAX: usize = 8;
/// How long a page may be read after its link was opened.
pub const PAGE_SESSION_LIFE: Duration = hours(12);
/// Pages open at once; a further one ends the one that was silent for longest.
pub const PAGE_SESSIONS_MAX: usize = 16;
/// How long a page decides without the passphrase after the last form that was sent.
pub const PAGE_UNLOCK_IDLE: Duration = minutes(10);
/// How long a page decides without the passphrase at most.
pub const PAGE_UNLOCK_LIFE: Duration = hours(12);
/// The body of a form: the largest text, percent-encoded, and its other fields.
pub const FORM_BYTES_MAX: usize = 3 * TEXT_BYTES_MAX + 16 * KIB;
/// Connections to the page at once.
pub const HTTP_CONNECTIONS_MAX: usize = 128;
/// From a connection's first byte, or the end of its last request, to the end of its headers.
pub const HTTP_HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the node may take to read or write one body.
pub const HTTP_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the answers under way may take when the node ends.
pub const HTTP_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the system's tables are looked at for the other end of one connection.
pub const HTTP_OWNER_TRIES: usize = 5;
/// What is read of one such table: about 100,000 sockets.
pub const HTTP_OWNER_TABLE_BYTES: u64 = 16 * MIB as u64;
/// That connections were refused is logged this often at most.
pub const HTTP_REFUSALS_TOLD_EVERY: Duration = minutes(1);
/// Bearer tokens that are good at once.
pub const TOKENS_MAX: usize = 32;
/// Wrong bearer tokens, a minute. A further wrong one is told to wait; a good one is let in always.
pub const WRONG_TOKENS_PER_MINUTE: usize = 20;
/// Requests of MCP clients at once, with their streams: a share of [`HTTP_CONNECTIONS_MAX`] that
/// leaves room for the page.
pub const HTTP_CALLS_MAX: usize = HTTP_CONNECTIONS_MAX - 32;
/// Those of one token among them; and so many of its handlers may be under way, in all of its
/// sessions, whether or not anybody still waits for their answers.
pub const HTTP_CALLS_TOKEN_MAX: usize = HTTP_CALLS_MAX / 2;
/// Sessions over HTTP at once, of all tokens. Of those that nobody uses at the moment, the one
/// that was silent for longest ends for a new one.
pub const HTTP_SESSIONS_MAX: usize = 128;
/// Those of one token among them.
pub const HTTP_SESSIONS_TOKEN_MAX: usize = 32;
/// Names of sessions that one token may choose within [`HTTP_NAMES_KEPT`].
pub const HTTP_NAMES_TOKEN_MAX: usize = 16;
/// How long a name that a token chose counts after its last use.
pub const HTTP_NAMES_KEPT: Duration = hours(24);
/// How long a session over HTTP may be silent: a human may take so long.
pub const HTTP_SESSION_IDLE: Duration = minutes(30);
/// The same for clients since version 2026-07-28, who have no session but the name.
pub const HTTP_NAME_IDLE: Duration = minutes(10);
/// How often sessions that were silent for too long are looked for.
pub const HTTP_SWEEP_EVERY: Duration = Duration::from_secs(15);
/// How long an answer may take before its headers are sent without it: several clients give up
/// when nothing came for 60 s, and some sooner.
pub const HTTP_FIRST_BYTE: Duration = Duration::from_secs(5);
/// How often a silent stream is touched.
pub const HTTP_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What is read ahead of one connection: its headers fit.
pub const HTTP_BUFFER_BYTES: usize = 32 * KIB;
/// Fields of one form.
pub const FORM_FIELDS_MAX: usize = 32;
/// Codes that open nothing, a minute. A further one is answered late; a good one opens always.
pub const PAGE_WRONG_CODES_PER_MINUTE: usize = 10;
/// How late: each such answer takes one of [`HTTP_CONNECTIONS_MAX`] places for so long.
pub const PAGE_WRONG_CODE_PAUSE: Duration = Duration::from_secs(1);
/// Streams of events of one page session: a few tabs.
pub const PAGE_STREAMS_MAX: usize = 6;
/// Events are told at most this often: a burst is one.
pub const PAGE_EVENTS_EVERY: Duration = Duration::from_millis(250);
/// How often a silent stream of events is touched, so that a browser that went away is noticed.
pub const PAGE_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often open pages are looked at: a key is wiped this late at most.
pub const PAGE_SWEEP_EVERY: Duration = Duration::from_secs(5);
/// Bytes of items that are shown whole in the list of what waits; the rest have a page each. One
/// peer's full quota of full texts would be a page that no browser shows.
pub const WAITING_LIST_BYTES: u64 = 128 * KIB as u64;
/// Items of at most so many bytes are shown whole all the same: a full list of them is small.
pub const WAITING_SHORT_BYTES: u64 = 2 * KIB as u64;
/// Messages that one part of a conversation shows.
pub const TALK_PAGE: u32 = 50;
/// Threads of one conversation that are listed.
pub const THREADS_MAX: u32 = 200;
/// Characters of a thread's title.
pub const TITLE_CHARS_MAX: usize = 80;
/// Messages that are taken into the search index in one write.
pub const INDEX_BATCH: u32 = 2000;
/// The same for a write that nobody asked for: others hardly wait for it.
pub const INDEX_IDLE_BATCH: u32 = 100;
/// How long after such a write the next one comes.
pub const INDEX_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of text for each message of such a write, on average, after which it ends: large messages
/// take long to split.
pub const INDEX_MESSAGE_BYTES: usize = KIB;
/// How long a keyring may take, when a home is new, before the storage key goes to a file.
pub const KEYRING_CHOICE_WAIT: Duration = Duration::from_secs(3);
/// How long the keyring that has the key may take: a person may be asked to unlock it.
pub const KEYRING_WAIT: Duration = Duration::from_secs(15);
/// Messages that one search opens and holds against its words, before it answers with what it found
/// and where to go on: a second of work on a small machine.
pub const SEARCH_LOOKS_MAX: u32 = 20_000;
/// What is looked for: more than anybody types, and few enough words to look for at once.
pub const SEARCH_QUERY_BYTES_MAX: usize = KIB;
/// Words before the first place that was found, and from there on: two lines of the page.
pub const SNIPPET_WORDS: (usize, usize) = (8, 16);
/// Characters of them, for what has no spaces.
pub const SNIPPET_CHARS: (usize, usize) = (80, 240);
/// Hits on one page of a search.
pub const SEARCH_PAGE: u32 = 30;
/// Records on one page of the evidence.
pub const EVIDENCE_PAGE: u32 = 100;
/// Records on one page of the evidence at most, for export.
pub const EVIDENCE_PAGE_MAX: u32 = 1000;
/// Kinds of events that a timeline is narrowed to; there are fewer.
pub const EVIDENCE_EVENTS_MAX: usize = 32;
/// Requests that wait for the node.
pub const NODE_QUEUE_REQUESTS: usize = 1024;
/// Writes that wait for the store.
pub const STORE_QUEUE_WRITES: usize = 4096;
/// Writes that are under way before the node takes no more from the net: a peer that sends
/// faster than the disk writes is held back, not stored in memory.
pub const NODE_WRITES_NET_MAX: usize = 64;
/// Writes that are under way before the node takes no more requests.
pub const NODE_WRITES_MAX: usize = STORE_BATCH_WRITES;
/// Writes joined in one commit.
pub const STORE_BATCH_WRITES: usize = 512;
/// Hints that a slow listener may fall behind before it reads the store again.
pub const EVENT_QUEUE: usize = 256;
/// Connections to the node's socket at once.
pub const IPC_CLIENTS_MAX: usize = 256;
/// Agents' sessions among them: the rest stays for the human's own commands.
pub const IPC_SESSIONS_MAX: usize = IPC_CLIENTS_MAX - 32;
/// Requests of one client that run at once; more wait in its socket.
pub const IPC_REQUESTS_MAX: usize = 16;
/// How long the node may take to answer a command that does not wait for anything.
pub const IPC_ANSWER_TIMEOUT: Duration = minutes(1);
/// How long a client may take to read an answer before it loses its connection.
pub const IPC_READ_TIMEOUT: Duration = minutes(1);
/// How long a node that was just started may take until its socket answers.
pub const NODE_START_TIMEOUT: Duration = Duration::from_secs(10);
/// The node's log is emptied at a start when it is longer.
pub const LOG_BYTES_MAX: u64 = 4 * MIB as u64;
/// One line on the node's socket, and one MCP message.
pub const LINE_BYTES_MAX: usize = MIB;
/// How deep an MCP message may be nested: below the 128 levels at which its parser gives up.
pub const JSON_DEPTH_MAX: usize = 100;
/// A result that a model reads.
pub const RESULT_BYTES_MAX: usize = 100 * KIB;
/// Calls of one stdio session that are not answered yet.
pub const CALLS_MAX: usize = 1024;
/// Bytes that the stdio process holds for a side that does not read: a few messages.
pub const PUMP_BYTES_MAX: usize = 4 * LINE_BYTES_MAX;
/// How long the stdio process waits for last answers once its client is gone.
pub const STDIO_DRAIN: Duration = Duration::from_millis(500);
/// How often the stdio process looks for a node that went away, and starts one at most.
pub const NODE_RETRY: Duration = Duration::from_secs(2);
/// Resources that one session follows.
pub const SUBSCRIPTIONS_MAX: usize = 100;
/// How long `peer_ask` waits when nobody said otherwise: several clients give up a call at 60 s.
pub const ASK_WAIT_DEFAULT: Duration = Duration::from_secs(45);
/// How often a waiting call reports progress, so that its client knows that it lives.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// Messages on one page of the inbox when nobody said otherwise, and at most.
pub const PAGE_DEFAULT: u32 = 20;
/// See [`PAGE_DEFAULT`].
pub const PAGE_MAX: u32 = 100;
/// Bytes of a message that a page of the inbox shows; the rest is for reading it alone.
pub const PREVIEW_BYTES_MAX: usize = 4 * KIB;
/// Bytes that `countersign hook` prints where its user sets no budget: about a thousand tokens.
pub const HOOK_BYTES_DEFAULT: u32 = 4 * 1024;
/// Bytes that `countersign hook` prints at most: clients cut longer outputs.
pub const HOOK_BYTES_MAX: u32 = 32 * 1024;
/// Runs of the user's command within [`WAKE_WINDOW`] where its user sets no number.
pub const WAKE_PER_HOUR_DEFAULT: u32 = 12;
/// Runs of the user's command within [`WAKE_WINDOW`] at most.
pub const WAKE_PER_HOUR_MAX: u32 = 120;
/// The time in which the runs of the user's command are counted.
pub const WAKE_WINDOW: Duration = hours(1);
/// How long the user's command waits for more messages, so that a burst is one run.
pub const WAKE_COLLECT: Duration = Duration::from_secs(1);
/// How long the user's command may run before it is killed.
pub const WAKE_TIME_MAX: Duration = minutes(1);
/// Messages that a hook or a channel tells of at once.
pub const TOLD_AT_ONCE: u32 = 20;
/// Messages of which it is remembered that a conversation was told of them.
pub const TOLD_MESSAGES_MAX: usize = 1000;
/// Conversations of which it is remembered what they were told.
pub const TOLD_LISTENERS_MAX: usize = 64;
/// What of a client's name for a conversation is looked at, bytes.
pub const CONVERSATION_BYTES_MAX: usize = 128;
/// Bytes of a message that one read gives.
pub const READ_BYTES_MAX: usize = 48 * KIB;
/// Bytes of a text that a question in a client shows: what a person reads in a dialog. The page
/// and the terminal show the rest.
pub const QUESTION_TEXT_BYTES: usize = KIB;
/// How long a call stays with its client's user when the client asked for no progress: several
/// clients give up a call at 60 s.
pub const QUESTION_WAIT: Duration = Duration::from_secs(45);
/// The same where the client is told every [`PROGRESS_EVERY`]: one sitting. After it the call
/// says that the item waits, and the agent goes on with something else.
pub const QUESTION_WAIT_PROGRESS: Duration = minutes(5);
/// How old a question that a client carries itself may be when its answer comes: a person may
/// have left the dialog open. The item is looked up again then.
pub const QUESTION_LIFE: Duration = hours(1);
/// Questions of all clients that carry them themselves; a further one ends the oldest, whose
/// answer is refused. More than can wait for a decision at once.
pub const QUESTIONS_MAX: usize = 256;
/// Questions of one session among them.
pub const QUESTIONS_SESSION_MAX: usize = 16;
/// How long what a human decided about a message stands for the same message sent again.
pub const DECIDED_AGAIN: Duration = hours(24);
/// The longest a call waits for an answer.
pub const WAIT_MAX: Duration = minutes(10);
/// How long `connect` waits for the other side's node before it answers with what it knows.
pub const CONNECT_ANSWER_WAIT: Duration = Duration::from_secs(8);
/// How long an endpoint that closes waits for its peers to confirm it. They were told at once;
/// one that is gone itself never answers.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// An archive of a home that is older is imported with a warning: what was revoked since is not
/// in it.
pub const ARCHIVE_FRESH: Duration = hours(24);
/// Messages that one write deletes, and bytes of their envelopes: about a hundredth of a second, so
/// that nobody waits for a clean-up.
pub const DELETE_BATCH: usize = 64;
/// See [`DELETE_BATCH`].
pub const DELETE_BATCH_BYTES: u64 = 256 * KIB as u64;
/// Messages that one read counts, before another read has its turn.
pub const COUNT_BATCH: usize = 1024;
/// Peers that one write of a clean-up looks at.
pub const DELETE_PEERS: usize = 128;
/// Free pages of 4 KiB that one write gives back to the file system.
pub const SHRINK_PAGES: u32 = 128;
/// How often messages that were kept for long enough are looked for.
pub const RETENTION_EVERY: Duration = hours(1);
/// Not so soon after a start: a clock that is wrong at a boot is set by then.
pub const RETENTION_FIRST: Duration = minutes(10);
/// Days that messages can be kept.
pub const RETENTION_DAYS_MAX: u32 = 36_500;
/// How long the emptying of the log waits for a reader, while writers wait for it.
pub const WIPE_WAIT: Duration = Duration::from_millis(100);
/// A database up to this size is written anew after a deletion: writers wait less than a second.
pub const WIPE_REWRITE_BYTES_MAX: u64 = 32 * MIB as u64;
/// How often it is tried for whoever waits for the end of a deletion.
pub const WIPE_TRIES: u32 = 50;
/// A deletion that takes longer is answered, and goes on.
pub const DELETE_ANSWER: Duration = Duration::from_secs(40);
/// A database of the old make up to this size is written anew at a start, so that its file can
/// shrink: a second or two.
pub const REWRITE_BYTES_MAX: u64 = 256 * MIB as u64;
/// How long the copy that a backup is made from may lie in the home.
pub const BACKUP_COPY_LIFE: Duration = hours(1);
/// How long such a copy keeps another one from being made in its place: whoever asked for it opens it
/// at once, and then tells that it was sealed.
pub const BACKUP_COPY_HELD: Duration = minutes(2);
/// How long a shutdown may take.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// Records between two signed checkpoints of the audit chain.
pub const AUDIT_CHECKPOINT_RECORDS: u64 = 64;
/// Records of the audit chain that one request looks at: some tens of milliseconds.
pub const AUDIT_SCAN_RECORDS: u64 = 10_000;
/// Records in one answer: of some hundred bytes each, they fit a line of [`LINE_BYTES_MAX`].
pub const AUDIT_PAGE_RECORDS: u32 = 1000;
/// How long records stay in the database by default, when they are moved.
pub const AUDIT_KEPT: Duration = days(90);
/// Refusals of things on this machine that go into the audit log within [`REFUSALS_NOTED_EVERY`]: a
/// person's slips, each by itself. More are counted.
pub const REFUSALS_NOTED_HERE: u32 = 8;
/// The words of a refusal in the audit log, bytes.
pub const REFUSAL_BYTES_MAX: usize = 300;
/// Records behind the last checkpoint that are verified when the node starts. The head is signed
/// every 15 seconds, and no node writes that many records meanwhile; verifying them takes less than
/// a second.
pub const AUDIT_TAIL_RECORDS_MAX: u32 = 65_536;

const _: () = assert!(FRAME_BYTES_MAX < MIB, "a frame fits the stream window of 1 MiB");
const _: () = assert!(FRAME_BYTES_MAX + 4 <= READ_BUFFER_BYTES_MAX, "a frame fits the buffer");
const _: () = assert!(PREVIEW_BYTES_MAX < RESULT_BYTES_MAX, "a page holds more than one message");
const _: () = assert!(READ_BYTES_MAX * 2 <= RESULT_BYTES_MAX, "escaped text still fits a result");
