//! The prompts of `prompts/`, as the formats of others write them.

use anyhow::Context as _;

const FILES: [&str; 4] = [
    include_str!("../../../prompts/ask-a-peer.md"),
    include_str!("../../../prompts/check-inbox.md"),
    include_str!("../../../prompts/introduce.md"),
    include_str!("../../../prompts/whats-waiting.md"),
];

/// One prompt.
#[derive(Clone, Debug)]
pub(super) struct Prompt {
    /// What it is called.
    pub(super) name: &'static str,
    /// What it is for.
    pub(super) description: &'static str,
    /// What its user types.
    pub(super) arguments: Vec<Argument>,
    text: &'static str,
}

/// One argument of a prompt.
#[derive(Clone, Debug)]
pub(super) struct Argument {
    /// What it is called.
    pub(super) name: &'static str,
    description: &'static str,
    /// What stands for it where it is not given; `None` where it has to be.
    absent: Option<&'static str>,
}

/// All prompts, by name.
///
/// # Errors
/// When a file has another form than it should.
pub(super) fn all() -> anyhow::Result<Vec<Prompt>> {
    FILES.iter().map(|file| parse(file).context("a prompt without its head")).collect()
}

fn parse(file: &'static str) -> Option<Prompt> {
    let (head, text) = file.strip_prefix("---\n")?.split_once("\n---\n")?;
    let (head, arguments) = head.split_once("\narguments:")?;
    let arguments: Option<Vec<Argument>> = arguments.split("\n- ").skip(1).map(argument).collect();
    let (name, description) = (field(head, "name")?, field(head, "description")?);
    Some(Prompt { name, description, arguments: arguments?, text: text.trim() })
}

fn argument(lines: &'static str) -> Option<Argument> {
    let (name, description) = (field(lines, "name")?, field(lines, "description")?);
    Some(Argument { name, description, absent: field(lines, "absent") })
}

fn field(lines: &'static str, name: &str) -> Option<&'static str> {
    lines.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "))
}

impl Prompt {
    /// Its text, with `mark(name)` where an argument's value goes.
    pub(super) fn text(&self, mark: impl Fn(&str) -> String) -> String {
        let mut text = self.text.to_owned();
        for argument in &self.arguments {
            text = text.replace(&format!("{{{{{}}}}}", argument.name), &mark(argument.name));
        }
        text
    }

    /// A slash command of Claude Code. What its user types comes as one text: which word is which
    /// argument is left to the model, because a question has more than one word.
    pub(super) fn command(&self) -> String {
        let mut head = format!("---\ndescription: {}\n", self.description);
        let mut body = String::new();
        if !self.arguments.is_empty() {
            let hints: Vec<String> =
                self.arguments.iter().map(|one| format!("[{}]", one.name)).collect();
            head = format!("{head}argument-hint: \"{}\"\n", hints.join(" "));
            let told: Vec<String> = self.arguments.iter().map(Argument::told).collect();
            body = format!(
                "I typed: $ARGUMENTS\n\nThat gives, in this order:\n{}\n\n",
                told.join("\n")
            );
        }
        let text = self.text(|name| format!("<{name}>"));
        format!("{head}---\n{body}{text}\n")
    }
}

impl Argument {
    fn told(&self) -> String {
        let without = match self.absent {
            Some(absent) => format!("without it: {absent}"),
            None => "ask me for it where it is missing".to_owned(),
        };
        format!("- <{}>: {}; {without}", self.name, self.description)
    }
}
