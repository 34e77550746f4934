//! `POST /v1/responses` → the plan of a chat, what the answer repeats, and the conversation that it goes on from.

use serde_json::Value;
use svs_openapi::chat::Message;
use svs_openapi::guide::{JsonSchemaFormat, ResponseFormat};
use svs_openapi::responses::{
    InputItem, Response, ResponseInput, ResponseText, ResponseTextFormat, ResponseTool, ResponsesRequest,
};
use svs_openapi::tools::{CalledFunction, FunctionName, NamedTool, Tool, ToolCall, ToolChoice, ToolFunction};
use svs_openapi::{Content, SamplingFields};

use super::plan::{Chat, Plan, plan_conversation};
use crate::app::App;
use crate::error::ApiError;
use crate::responses::NoConversation;

/// What ids of responses begin with.
const PREFIX: &str = "resp_";
/// Fields of chats and what they are called here.
const NAMES: [(&str, &str); 4] = [
    ("messages", "input"),
    ("response_format.json_schema.schema", "text.format.schema"),
    ("response_format.json_schema", "text.format.schema"),
    ("response_format.type", "text.format.type"),
];

/// A checked request for a response, beside the plan that the engine runs.
#[derive(Debug)]
pub struct ResponsePlan {
    /// The response as it begins.
    pub response: Response,
    /// Everything said before the answer, without instructions.
    pub conversation: Vec<Message>,
}

/// Checks a request for a response.
///
/// # Errors
/// The refusal of the first bad field.
pub fn plan_response(app: &App, request: ResponsesRequest) -> Result<(Plan, ResponsePlan), ApiError> {
    check_modes(&request)?;
    let mut conversation = match &request.previous_response_id {
        Some(id) => before(app, id)?,
        None => Vec::new(),
    };
    conversation.extend(turns(request.input.clone())?);
    let opened = request.instructions.clone().map(|text| said("system", text));
    let tools = request.tools.clone().unwrap_or_default();
    let (store, metadata) = (request.store.unwrap_or(true), request.metadata.clone());
    let format = request.text.as_ref().and_then(|text| text.format.clone());
    let chat = Chat {
        prefix: PREFIX,
        model: request.model.clone(),
        messages: opened.into_iter().chain(conversation.iter().cloned()).collect(),
        tools: Some(tools.iter().cloned().map(tool).collect()),
        choice: request.tool_choice.clone().map(choice).transpose()?,
        parallel: request.parallel_tool_calls,
        limit: ("max_output_tokens", request.max_output_tokens),
        logprobs: None,
        fields: SamplingFields {
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: request.top_k,
            seed: request.seed,
            ignore_eos: request.ignore_eos,
            priority: request.priority,
            cache_salt: request.cache_salt.clone(),
            metadata: metadata.clone(),
            store: Some(store),
            stream: request.stream,
            response_format: format.clone().map(response_format).transpose()?,
            ..SamplingFields::default()
        },
    };
    let mut plan = plan_conversation(app, chat).map_err(in_words)?;
    plan.guide_field = plan.guide_field.map(|field| name_of(&field).unwrap_or(field));
    let plain = ResponseTextFormat {
        kind: "text".into(),
        name: None,
        description: None,
        schema: None,
        strict: None,
    };
    let response = Response {
        id: plan.id.clone(),
        object: "response".into(),
        created_at: plan.created,
        status: "in_progress".into(),
        background: request.background.unwrap_or(false),
        completed_at: None,
        error: None,
        incomplete_details: None,
        instructions: request.instructions,
        max_output_tokens: request.max_output_tokens,
        model: request.model,
        output: Vec::new(),
        parallel_tool_calls: request.parallel_tool_calls.unwrap_or(true),
        previous_response_id: request.previous_response_id,
        store,
        temperature: request.temperature.unwrap_or(1.0),
        text: ResponseText {
            format: Some(format.unwrap_or(plain)),
        },
        tool_choice: request.tool_choice.unwrap_or_else(|| "auto".into()),
        tools,
        top_p: request.top_p.unwrap_or(1.0),
        truncation: "disabled".into(),
        usage: None,
        user: request.user,
        safety_identifier: request.safety_identifier,
        prompt_cache_key: request.prompt_cache_key,
        metadata: metadata.unwrap_or_default(),
        weight_version: None,
        seed: None,
    };
    let plan_of_response = ResponsePlan { response, conversation };
    Ok((plan, plan_of_response))
}

fn check_modes(request: &ResponsesRequest) -> Result<(), ApiError> {
    if let Some(other) = request.truncation.as_deref().filter(|mode| *mode != "disabled") {
        let message = format!("`{other}` is not supported; allowed is disabled: what does not fit is refused");
        return Err(ApiError::value("truncation", message));
    }
    if request.background == Some(true) && request.store == Some(false) {
        let message = "a response in the background is fetched later; it needs `store`";
        return Err(ApiError::value("background", message));
    }
    if request.background == Some(true) && request.stream == Some(true) {
        return Err(ApiError::value("background", "is not supported with `stream`"));
    }
    Ok(())
}

/// The conversation up to and with a stored response.
fn before(app: &App, id: &str) -> Result<Vec<Message>, ApiError> {
    let conversation = app.responses.conversation(id).map_err(|error| match error {
        NoConversation::Unknown => ApiError::invalid(
            "previous_response_id",
            "previous_response_not_found",
            format!("`previous_response_id`: no response `{id}` is stored; send the conversation as `input`"),
        ),
        NoConversation::Running => ApiError::value("previous_response_id", "that response has not ended yet"),
    })?;
    Ok(conversation.to_vec())
}

fn said(role: &str, text: String) -> Message {
    Message {
        role: role.into(),
        content: Some(Content::Text(text)),
        tool_calls: None,
        tool_call_id: None,
    }
}

/// The messages of a chat that items are: calls belong to the assistant's message before them.
fn turns(input: ResponseInput) -> Result<Vec<Message>, ApiError> {
    let items = match input {
        ResponseInput::Text(text) => return Ok(vec![said("user", text)]),
        ResponseInput::Items(items) => items,
    };
    if items.is_empty() {
        return Err(ApiError::value("input", "an empty list; at least one item is needed"));
    }
    let mut messages: Vec<Message> = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let at = |field: &str| format!("input[{index}].{field}");
        match item.kind.as_deref().unwrap_or("message") {
            "message" => messages.push(message(item, at)?),
            "function_call" => {
                let call = call(item, at)?;
                match messages.last_mut().filter(|last| last.role == "assistant") {
                    Some(last) => last.tool_calls.get_or_insert_default().push(call),
                    None => messages.push(Message {
                        content: None,
                        tool_calls: Some(vec![call]),
                        ..said("assistant", String::new())
                    }),
                }
            }
            "function_call_output" => messages.push(Message {
                tool_call_id: Some(needed(item.call_id, at("call_id"))?),
                ..said("tool", needed(item.output, at("output"))?.into_text())
            }),
            other => {
                let message =
                    format!("`{other}` is not supported; allowed are message, function_call and function_call_output");
                return Err(ApiError::value(&at("type"), message));
            }
        }
    }
    Ok(messages)
}

fn needed<T>(value: Option<T>, field: String) -> Result<T, ApiError> {
    value.ok_or_else(|| ApiError::invalid(&field, "missing_parameter", format!("`{field}` is required")))
}

fn message(item: InputItem, at: impl Fn(&str) -> String) -> Result<Message, ApiError> {
    let role = needed(item.role, at("role"))?;
    let allowed = ["system", "developer", "user", "assistant"];
    if !allowed.contains(&role.as_str()) {
        let message = format!("`{role}` is not supported; allowed are {}", allowed.join(", "));
        return Err(ApiError::value(&at("role"), message));
    }
    Ok(said(&role, needed(item.content, at("content"))?.into_text()))
}

fn call(item: InputItem, at: impl Fn(&str) -> String) -> Result<ToolCall, ApiError> {
    let arguments = needed(item.arguments, at("arguments"))?;
    if !matches!(serde_json::from_str(&arguments), Ok(Value::Object(_))) {
        return Err(ApiError::value(&at("arguments"), "must be the JSON text of an object"));
    }
    Ok(ToolCall {
        id: needed(item.call_id, at("call_id"))?,
        kind: "function".into(),
        function: CalledFunction {
            name: needed(item.name, at("name"))?,
            arguments,
        },
    })
}

fn tool(tool: ResponseTool) -> Tool {
    Tool {
        kind: tool.kind,
        function: ToolFunction {
            name: tool.name,
            description: tool.description,
            parameters: tool.parameters,
            strict: tool.strict,
        },
    }
}

fn choice(choice: Value) -> Result<ToolChoice, ApiError> {
    let kind = choice.get("type").and_then(Value::as_str);
    let name = choice.get("name").and_then(Value::as_str);
    match (&choice, kind, name) {
        (Value::String(mode), ..) => Ok(ToolChoice::Mode(mode.clone())),
        (Value::Object(members), Some("function"), Some(name)) if members.len() == 2 => {
            Ok(ToolChoice::Named(NamedTool {
                kind: "function".into(),
                function: FunctionName { name: name.into() },
            }))
        }
        _ => {
            let message = "expected none, auto, required or {\"type\": \"function\", \"name\": …}";
            Err(ApiError::value("tool_choice", message))
        }
    }
}

fn response_format(format: ResponseTextFormat) -> Result<ResponseFormat, ApiError> {
    if format.schema.is_none() && format.kind == "json_schema" {
        needed(None::<()>, "text.format.schema".into())?;
    }
    let json_schema = format.schema.map(|schema| JsonSchemaFormat {
        name: format.name,
        description: format.description,
        schema,
        strict: format.strict,
    });
    Ok(ResponseFormat {
        kind: format.kind,
        json_schema,
    })
}

/// What a field of chats is called here, if it has another name.
fn name_of(field: &str) -> Option<String> {
    if let Some((_, ours)) = NAMES.iter().find(|(theirs, _)| *theirs == field) {
        return Some((*ours).to_owned());
    }
    field
        .contains(".function.")
        .then(|| field.replacen(".function.", ".", 1))
}

/// A refusal in the words of this route.
pub fn in_words(error: ApiError) -> ApiError {
    let named = error.param.clone().and_then(|field| Some((name_of(&field)?, field)));
    match named {
        Some((ours, theirs)) => error.rename_param(&theirs, &ours),
        None => error,
    }
}
