//! Which classes of words, how near to each other, are a sign of what.

use super::Severity::{self, High, Low, Medium};
use super::words::{
    ABOVE, ACT, ALL, ANSWER, ASK, AUTHORITY, Class, DANGER, DECEIT, DEED, DEMAND, EXFIL, FIRST,
    HATE, HIDE, HIDE_WEAK, IGNORE, LOCAL_ASK, LOCAL_NOUN, LOCAL_OVERRIDE, LOCAL_PASS, LOCAL_PRIOR,
    NOUN, OVERRIDE, OWN, PASS, PIECE, PRIOR, REPLY, REVEAL, RULES_NOUN, SECRET, SNIPPET, SOLUTION,
    SYSTEM, TARGET, TASK, TODO, TOKEN, TOKEN_WEAK, USER_DATA, WEAVE,
};

/// Whether words must come in the order of the rule.
#[derive(Clone, Copy)]
pub(super) enum Order {
    Given,
    /// As given, within one sentence.
    Sentence,
    Any,
}

pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    pub(super) needs: &'static [Class],
    pub(super) order: Order,
    /// From the start of the first word to the end of the last.
    pub(super) bytes: usize,
    pub(super) text: &'static str,
}

const fn rule(
    (id, text): (&'static str, &'static str),
    severity: Severity,
    needs: &'static [Class],
    order: Order,
    bytes: usize,
) -> Rule {
    Rule { id, severity, needs, order, bytes, text }
}

const OVERRIDES: (&str, &str) =
    ("instruction.override", "words that tell a model to drop its earlier instructions");
const PROMPT: (&str, &str) =
    ("instruction.reveal_prompt", "words that ask a model for its own instructions");
const SECRETS: (&str, &str) = ("instruction.reveal_secret", "words that ask a model for a secret");
const CLAIMS: (&str, &str) = ("instruction.authority", "a claim of authority over a model");
const HIDDEN: (&str, &str) =
    ("instruction.hidden_action", "words that ask for something behind the user's back");
const CHAT: (&str, &str) =
    ("instruction.chat_token", "marks that separate roles in a model's input");
const HIJACK: (&str, &str) = ("instruction.task", "words that set a model a task of their own");
const WOVEN: (&str, &str) = (
    "instruction.woven_in",
    "a demand on how a model is to answer, or what to put into its answer",
);
const HARM: (&str, &str) = ("instruction.harmful_content", "a demand for hateful text");
const USERS: (&str, &str) = ("instruction.reveal_user", "words that ask a model about its user");
const LINK: (&str, &str) =
    ("instruction.exfiltration", "a demand to send what a model knows elsewhere");

pub(super) const RULES: &[Rule] = &[
    rule(OVERRIDES, High, &[OVERRIDE, PRIOR, NOUN], Order::Sentence, 60),
    rule(OVERRIDES, High, &[OVERRIDE, OWN, NOUN | RULES_NOUN], Order::Sentence, 60),
    rule(OVERRIDES, High, &[OVERRIDE, NOUN, PRIOR], Order::Sentence, 70),
    rule(OVERRIDES, High, &[OVERRIDE, RULES_NOUN, OWN], Order::Sentence, 70),
    rule(OVERRIDES, High, &[OVERRIDE, OWN, PRIOR], Order::Sentence, 36),
    rule(OVERRIDES, Medium, &[OVERRIDE, PRIOR, RULES_NOUN], Order::Sentence, 50),
    rule(OVERRIDES, High, &[OVERRIDE, ABOVE, REPLY], Order::Sentence, 64),
    rule(OVERRIDES, Medium, &[OVERRIDE, REPLY], Order::Sentence, 70),
    rule(OVERRIDES, High, &[LOCAL_OVERRIDE, LOCAL_PRIOR], Order::Any, 56),
    rule(OVERRIDES, High, &[LOCAL_OVERRIDE, LOCAL_NOUN], Order::Any, 56),
    rule(OVERRIDES, High, &[IGNORE, SYSTEM], Order::Sentence, 44),
    rule(OVERRIDES, Medium, &[IGNORE, ALL, NOUN | RULES_NOUN], Order::Sentence, 40),
    rule(OVERRIDES, Low, &[IGNORE, ABOVE], Order::Sentence, 30),
    rule(PROMPT, High, &[REVEAL, SYSTEM], Order::Sentence, 60),
    rule(PROMPT, Medium, &[REVEAL, OWN, NOUN], Order::Sentence, 44),
    rule(SECRETS, High, &[REVEAL | ASK, PASS], Order::Sentence, 60),
    rule(SECRETS, High, &[LOCAL_PASS, LOCAL_ASK], Order::Any, 70),
    rule(SECRETS, Low, &[ACT, SECRET, EXFIL], Order::Any, 160),
    rule(CLAIMS, Medium, &[AUTHORITY], Order::Given, 0),
    rule(CLAIMS, High, &[AUTHORITY, DEMAND | REVEAL | PASS | OVERRIDE], Order::Given, 160),
    rule(HIDDEN, High, &[HIDE], Order::Given, 0),
    rule(HIDDEN, Medium, &[HIDE_WEAK], Order::Given, 0),
    rule(HIDDEN, High, &[ACT, HIDE_WEAK], Order::Given, 240),
    rule(CHAT, High, &[TOKEN], Order::Given, 0),
    rule(CHAT, Medium, &[TOKEN_WEAK], Order::Given, 0),
    rule(CHAT, High, &[TOKEN_WEAK, OVERRIDE | DEMAND | FIRST | TASK], Order::Given, 200),
    rule(HIJACK, High, &[TASK], Order::Given, 0),
    rule(HIJACK, High, &[FIRST, FIRST | REPLY | TOKEN_WEAK], Order::Given, 240),
    rule(HIJACK, Medium, &[FIRST], Order::Given, 0),
    rule(WOVEN, Medium, &[WEAVE, ANSWER], Order::Given, 100),
    rule(WOVEN, Medium, &[ANSWER, WEAVE], Order::Given, 40),
    rule(WOVEN, High, &[ANSWER, WEAVE, DECEIT], Order::Any, 110),
    rule(WOVEN, Medium, &[WEAVE, SNIPPET, SOLUTION], Order::Any, 110),
    rule(WOVEN, High, &[SNIPPET, SOLUTION, DANGER], Order::Any, 420),
    rule(HARM, High, &[WEAVE, HATE, PIECE], Order::Sentence, 60),
    rule(USERS, Medium, &[REVEAL | ASK, USER_DATA], Order::Sentence, 70),
    rule(HIJACK, Medium, &[TODO, DEED], Order::Given, 24),
    rule(HIJACK, High, &[TODO, DEED, TARGET], Order::Given, 180),
    rule(HIJACK, High, &[DEED, TARGET], Order::Any, 100),
    rule(LINK, High, &[EXFIL, SECRET | SYSTEM | PASS], Order::Any, 120),
];
