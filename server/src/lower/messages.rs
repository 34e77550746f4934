//! The messages of a chat, checked.

use svs_engine::text::{ChatMessage, FunctionCall, ToolCall};
use svs_openapi::chat::Message;
use svs_openapi::tools;

use crate::error::ApiError;

const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];

/// Checks the messages of a chat.
///
/// # Errors
/// 400 naming the first bad field.
pub(super) fn messages(messages: Vec<Message>) -> Result<Vec<ChatMessage>, ApiError> {
    if messages.is_empty() {
        return Err(ApiError::value("messages", "at least one message is needed"));
    }
    let checked = messages.into_iter().enumerate();
    checked
        .map(|(index, message)| one(&format!("messages[{index}]"), message))
        .collect()
}

fn one(at: &str, message: Message) -> Result<ChatMessage, ApiError> {
    let role = message.role;
    if !ROLES.contains(&role.as_str()) {
        let message = format!("`{role}` is not supported; allowed are {}", ROLES.join(", "));
        return Err(ApiError::value(&format!("{at}.role"), message));
    }
    let calls = message.tool_calls.unwrap_or_default();
    if !calls.is_empty() && role != "assistant" {
        return Err(ApiError::value(
            &format!("{at}.tool_calls"),
            "only an assistant calls functions",
        ));
    }
    if message.tool_call_id.is_some() != (role == "tool") {
        let field = format!("{at}.tool_call_id");
        return Err(match role.as_str() {
            "tool" => ApiError::invalid(&field, "missing_parameter", format!("`{field}` is required of a tool")),
            _ => ApiError::value(&field, "is for the role tool"),
        });
    }
    let content = match message.content {
        Some(content) => content.into_text(),
        None if !calls.is_empty() => String::new(),
        None => {
            let field = format!("{at}.content");
            return Err(ApiError::invalid(
                &field,
                "missing_parameter",
                format!("`{field}` is required"),
            ));
        }
    };
    let calls = calls.into_iter().enumerate();
    let calls = calls.map(|(index, made)| call(&format!("{at}.tool_calls[{index}]"), made));
    Ok(ChatMessage {
        role,
        content,
        tool_calls: calls.collect::<Result<_, _>>()?,
        tool_call_id: message.tool_call_id,
    })
}

fn call(at: &str, made: tools::ToolCall) -> Result<ToolCall, ApiError> {
    if made.kind != "function" {
        let message = format!("`{}` is not supported; allowed is function", made.kind);
        return Err(ApiError::value(&format!("{at}.type"), message));
    }
    let arguments = serde_json::from_str(&made.function.arguments).ok();
    let Some(arguments @ serde_json::Value::Object(_)) = arguments else {
        let field = format!("{at}.function.arguments");
        return Err(ApiError::value(&field, "must be the JSON text of an object"));
    };
    Ok(ToolCall {
        id: made.id,
        kind: made.kind,
        function: FunctionCall {
            name: made.function.name,
            arguments,
        },
    })
}

/// Bytes that the messages and tools bring to the prompt at least.
pub(super) fn bytes(messages: &[ChatMessage], tools: &[serde_json::Value]) -> usize {
    let tools = tools.iter().filter_map(|tool| tool["function"]["name"].as_str());
    let said = messages.iter().map(|message| message.content.len()).sum::<usize>();
    said + tools.map(str::len).sum::<usize>()
}
