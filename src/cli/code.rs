//! Asking for a code in the terminal: its words complete as they are typed.

use std::io::IsTerminal as _;

use rustyline::{
    Behavior, CompletionType, Config, Context, Editor, Helper, completion::Completer,
    error::ReadlineError, highlight::Highlighter, hint::Hinter, history::MemHistory,
    validate::Validator,
};

use super::print;
use crate::{
    node::api::{ApiError, ErrorKind},
    wire::code,
};

/// Asks for the words of a code, or an invite.
///
/// # Errors
/// Where there is no terminal to ask in, or nothing was typed.
pub(super) fn ask() -> anyhow::Result<String> {
    let nothing = |message: &str| {
        let next = "countersign connect INVITE, or countersign connect WORD WORD WORD";
        ApiError::new(ErrorKind::Usage, message, next)
    };
    if !std::io::stdin().is_terminal() {
        return Err(nothing("there is neither an invite nor a code").into());
    }
    print::talk(
        "Type the three words that the other person said: the first four letters of each do, Tab \
         completes. Or paste an invite.",
    );
    let config = Config::builder().completion_type(CompletionType::List);
    let config = config.behavior(Behavior::PreferTerm).build();
    // What is typed is a secret for a while, so no history is kept.
    let mut editor = Editor::with_history(config, MemHistory::new())?;
    editor.set_helper(Some(Words));
    match editor.readline("Code or invite: ") {
        Ok(line) if line.trim().is_empty() => Err(nothing("nothing was typed").into()),
        Ok(line) => Ok(line),
        Err(ReadlineError::Interrupted | ReadlineError::Eof) => {
            Err(nothing("nothing was typed").into())
        }
        Err(error) => Err(anyhow::Error::from(error).context("the terminal cannot be read")),
    }
}

/// Knows the words.
struct Words;

/// Where the word under the cursor begins, and its beginning.
fn typed(line: &str, at: usize) -> (usize, &str) {
    let before = line.get(..at).unwrap_or_default();
    let start = before.rfind([' ', '-', ',']).map_or(0, |space| space + 1);
    (start, before.get(start..).unwrap_or_default())
}

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let (start, typed) = typed(line, at);
        let words = code::completions(typed).map(str::to_owned).collect();
        Ok((start, if typed.is_empty() { Vec::new() } else { words }))
    }
}

impl Hinter for Words {
    type Hint = String;

    /// The rest of the word, once it can be no other.
    fn hint(&self, line: &str, at: usize, _: &Context<'_>) -> Option<String> {
        let (_, typed) = typed(line, at);
        let mut words = code::completions(typed);
        let (only, other) = (words.next()?, words.next());
        let whole = other.is_some() || at < line.len();
        only.get(typed.len()..).filter(|rest| !whole && !rest.is_empty()).map(str::to_owned)
    }
}

impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_complete_as_they_are_typed() {
        let history = MemHistory::new();
        let context = Context::new(&history);
        let complete = |line: &str| Words.complete(line, line.len(), &context).unwrap();
        assert_eq!(complete("copp"), (0, vec!["copper".to_owned()]));
        assert_eq!(complete("copper VIO"), (7, vec!["violin".to_owned()]));
        assert_eq!(complete("copper-violin-har").1, ["harbor", "hard", "harsh", "harvest"]);
        assert_eq!(complete("copper "), (7, Vec::new()));
        let hint = |line: &str| Words.hint(line, line.len(), &context);
        assert_eq!(hint("copper vio").as_deref(), Some("lin"));
        assert_eq!(hint("copper violin har"), None, "it may be several");
        assert_eq!(hint("copper"), None, "it is whole");
        assert_eq!(hint("countersign1abc"), None, "an invite has no words");
    }
}
