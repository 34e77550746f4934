//! Calls of functions in a chat: how a model's template writes them, and what stands in where it knows none.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::ChatMessage;

/// A call that an assistant's message makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// What the answer to it names.
    pub id: String,
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which function, and with what.
    pub function: FunctionCall,
}

/// A function and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// Name of the function.
    pub name: String,
    /// Its arguments, an object.
    pub arguments: Json,
}

/// How a model writes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolFormat {
    /// `<tool_call>` around an object of `name` and `arguments`, any number of them, text before and between.
    Hermes,
    /// The whole answer is an object of `name` and `parameters`.
    Llama,
}

/// What stands before a call in [`ToolFormat::Hermes`].
pub const CALL_OPENS: &str = "<tool_call>";
/// What stands behind it.
pub const CALL_CLOSES: &str = "</tool_call>";

impl ToolFormat {
    /// The format that a template tells its model to write; `None` if it is one that is not known here. A template
    /// without tools gets [`ToolFormat::Hermes`] by [`without_tools`].
    pub(super) fn of(template: &str) -> Option<Self> {
        if !knows_tools(template) {
            return Some(Self::Hermes);
        }
        // Some models put XML into the same tag.
        if template.contains(CALL_OPENS) && !template.contains("<function=") {
            return Some(Self::Hermes);
        }
        let llama = template.contains("\"parameters\"") && template.contains("ipython");
        llama.then_some(Self::Llama)
    }

    /// The key of the arguments.
    #[must_use]
    pub fn arguments_key(self) -> &'static str {
        match self {
            Self::Hermes => "arguments",
            Self::Llama => "parameters",
        }
    }
}

pub(super) fn knows_tools(template: &str) -> bool {
    template.contains("tools")
}

/// The same chat for a template that has no place for tools: they are listed in the system message, calls stand in the text
/// and answers to them come from the user.
pub(super) fn without_tools(messages: &[ChatMessage], tools: &[Json]) -> Vec<ChatMessage> {
    let mut plain: Vec<ChatMessage> = messages.iter().map(in_text).collect();
    if tools.is_empty() {
        return plain;
    }
    let preamble = preamble(tools);
    match plain.first_mut() {
        Some(first) if ["system", "developer"].contains(&first.role.as_str()) => {
            first.content = format!("{}\n\n{preamble}", first.content);
        }
        _ => plain.insert(0, ChatMessage::new("system", &preamble)),
    }
    plain
}

fn in_text(message: &ChatMessage) -> ChatMessage {
    if message.role == "tool" {
        let answer = format!("<tool_response>\n{}\n</tool_response>", message.content);
        return ChatMessage::new("user", &answer);
    }
    let calls = message.tool_calls.iter().map(|call| {
        let body = json!({"name": call.function.name, "arguments": call.function.arguments});
        format!("{CALL_OPENS}\n{body}\n{CALL_CLOSES}")
    });
    let said = (!message.content.is_empty()).then(|| message.content.clone());
    let lines: Vec<String> = said.into_iter().chain(calls).collect();
    ChatMessage::new(&message.role, &lines.join("\n"))
}

fn preamble(tools: &[Json]) -> String {
    let listed: Vec<String> = tools.iter().map(Json::to_string).collect();
    format!(
        "You can call functions. Here they are, one a line, each with the JSON schema of its parameters:\n<tools>\n{}\n\
         </tools>\nTo call one, write\n{CALL_OPENS}\n{{\"name\": <its name>, \"arguments\": <an object of its \
         arguments>}}\n{CALL_CLOSES}",
        listed.join("\n")
    )
}
