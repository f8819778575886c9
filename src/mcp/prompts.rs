//! Prompts from `prompts/`: a head of simple fields between two `---` lines, then the text, where
//! `{{argument}}` stands for what the user typed.

use std::sync::LazyLock;

use rmcp::{
    ErrorData,
    model::{
        CompleteRequestParams, CompleteResult, CompletionInfo, GetPromptResult, Prompt,
        PromptArgument, PromptMessage, Reference, Role,
    },
};
use serde_json::{Map, Value};

use super::{fence, wait::unexpected};
use crate::{
    base::limits::NOTE_BYTES_MAX,
    node::{
        AgentHandle,
        api::{AgentRequest, Reply},
    },
};

const FILES: [&str; 4] = [
    include_str!("../../prompts/introduce.md"),
    include_str!("../../prompts/check-inbox.md"),
    include_str!("../../prompts/ask-a-peer.md"),
    include_str!("../../prompts/whats-waiting.md"),
];

static PROMPTS: LazyLock<Vec<Template>> =
    LazyLock::new(|| FILES.iter().filter_map(|file| Template::parse(file)).collect());

struct Template {
    prompt: Prompt,
    /// What stands for each argument that is not given.
    absent: Vec<(String, String)>,
    text: String,
}

impl Template {
    fn parse(file: &str) -> Option<Self> {
        let (head, text) = file.strip_prefix("---\n")?.split_once("\n---\n")?;
        let field =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let arguments: Vec<_> = head.split("\n- ").skip(1).filter_map(argument).collect();
        let (listed, absent) = arguments.into_iter().unzip();
        let prompt = Prompt::new(field("name")?, field("description"), Some(listed))
            .with_title(field("title")?);
        Some(Self { prompt, absent, text: text.trim_end().to_owned() })
    }

    fn fill(&self, given: Option<&Map<String, Value>>) -> Result<String, ErrorData> {
        let mut text = self.text.clone();
        for (argument, (name, absent)) in self.prompt.arguments.iter().flatten().zip(&self.absent) {
            let value = given.and_then(|given| given.get(name)?.as_str()).unwrap_or_default();
            if value.is_empty() && argument.required == Some(true) {
                return Err(ErrorData::invalid_params(format!("{name} is missing"), None));
            }
            let limit = if name == "peer" { NOTE_BYTES_MAX } else { QUESTION_BYTES_MAX };
            if value.len() > limit {
                let message = format!("{name} is {} bytes; the limit is {limit}", value.len());
                return Err(ErrorData::invalid_params(message, None));
            }
            let shown = if value.is_empty() { absent.clone() } else { fence::line(value) };
            // What was typed cannot name another argument.
            text = text.replace(&format!("{{{{{name}}}}}"), &shown.replace("{{", "{ {"));
        }
        Ok(text)
    }
}

/// What a user types into one prompt.
const QUESTION_BYTES_MAX: usize = 8 * 1024;

/// One argument of a head: `name: n`, `description: d`, and `absent: text` where it is optional.
fn argument(lines: &str) -> Option<(PromptArgument, (String, String))> {
    let field = |name: &str| {
        lines.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "))
    };
    let (name, absent) = (field("name")?, field("absent"));
    let argument = PromptArgument::new(name)
        .with_description(field("description")?)
        .with_required(absent.is_none());
    Some((argument, (name.to_owned(), absent.unwrap_or_default().to_owned())))
}

pub(super) fn list() -> Vec<Prompt> {
    PROMPTS.iter().map(|template| template.prompt.clone()).collect()
}

pub(super) fn get(
    name: &str,
    arguments: Option<&Map<String, Value>>,
) -> Result<GetPromptResult, ErrorData> {
    let template =
        PROMPTS.iter().find(|template| template.prompt.name == name).ok_or_else(|| {
            ErrorData::invalid_params(format!("Unknown prompt: {}", fence::line(name)), None)
        })?;
    let message = PromptMessage::new_text(Role::User, template.fill(arguments)?);
    let mut result = GetPromptResult::new(vec![message]);
    result.description.clone_from(&template.prompt.description);
    Ok(result)
}

/// Completes the argument `peer` with our names for peers.
pub(super) async fn complete(
    node: &AgentHandle,
    request: &CompleteRequestParams,
) -> Result<CompleteResult, ErrorData> {
    let broken = |message: String| ErrorData::internal_error(message, None);
    let wanted = matches!(request.r#ref, Reference::Prompt(_)) && request.argument.name == "peer";
    let mut names = Vec::new();
    if wanted {
        let reply = node.ask(AgentRequest::Peers { state: None }).await;
        let Reply::Peers(peers) = reply.map_err(|e| broken(fence::line(&e.to_string())))? else {
            return Err(broken(unexpected().to_string()));
        };
        let typed = request.argument.value.to_lowercase();
        names = peers.peers.into_iter().map(|peer| peer.name).collect();
        names.retain(|name| name.starts_with(&typed));
        names.truncate(CompletionInfo::MAX_VALUES);
    }
    CompletionInfo::new(names).map(CompleteResult::new).map_err(broken)
}
