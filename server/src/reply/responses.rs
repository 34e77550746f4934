//! A response as it grows: its items, the events of a stream, and its end.

use axum::response::sse::Event;
use serde_json::{Value, json};
use svs_engine::FinishReason;
use svs_openapi::Content;
use svs_openapi::chat::Message;
use svs_openapi::responses::{IncompleteDetails, OutputItem, OutputText, Response, ResponseError, ResponseUsage};
use svs_openapi::tools::{CalledFunction, ToolCall};
use uuid::Uuid;

use super::reading::Said;
use super::{Reading, usage};
use crate::app::unix_seconds;
use crate::error::ApiError;
use crate::session::Session;

/// Writes one response.
#[derive(Debug)]
pub struct Writer {
    response: Response,
    reading: Option<Reading>,
    /// Where in the output the message is.
    message: Option<usize>,
    /// Events so far.
    events: u64,
}

impl Writer {
    /// A response that has not begun.
    #[must_use]
    pub fn new(response: Response) -> Self {
        Self {
            response,
            reading: None,
            message: None,
            events: 0,
        }
    }

    /// The response so far.
    #[must_use]
    pub fn response(&self) -> &Response {
        &self.response
    }

    fn event(&mut self, kind: &str, fields: Value) -> Event {
        let mut body = json!({"type": kind, "sequence_number": self.events});
        if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
            body.extend(fields);
        }
        self.events += 1;
        Event::default().event(kind).data(body.to_string())
    }

    fn whole(&mut self, kind: &str) -> Event {
        let response = json!({"response": self.response});
        self.event(kind, response)
    }

    /// What begins a stream.
    pub fn opening(&mut self, session: &Session) -> Vec<Event> {
        self.reading = Some(Reading::of(session));
        vec![self.whole("response.created"), self.whole("response.in_progress")]
    }

    /// Text that follows.
    pub fn push(&mut self, text: &str) -> Vec<Event> {
        let said = self.reading.as_mut().map(|reading| reading.push(text));
        self.said(said.unwrap_or_default())
    }

    /// The last text; the events before the one that ends the stream.
    pub fn finish(&mut self, session: &Session, text: &str) -> Vec<Event> {
        let said = self.reading.as_mut().map(|reading| reading.finish(text));
        let mut events = self.said(said.unwrap_or_default());
        if self.response.output.is_empty() {
            events.extend(self.open_message());
        }
        let reason = session.choices[0].choice.finish_reason;
        let status = if reason == FinishReason::Stop {
            "completed"
        } else {
            "incomplete"
        };
        events.extend(self.close_message(status));
        let response = &mut self.response;
        response.status = match reason {
            FinishReason::Stop => "completed",
            FinishReason::Length => "incomplete",
            FinishReason::Abort => "cancelled",
        }
        .into();
        response.completed_at = (reason == FinishReason::Stop).then(unix_seconds);
        response.incomplete_details = (reason == FinishReason::Length).then(|| IncompleteDetails {
            reason: "max_output_tokens".into(),
        });
        let counted = usage(session);
        response.usage = Some(ResponseUsage {
            input_tokens: counted.prompt_tokens,
            output_tokens: counted.completion_tokens,
            total_tokens: counted.total_tokens,
            ..ResponseUsage::default()
        });
        response.weight_version = Some(session.weight_version(&session.choices));
        response.seed = Some(session.seeds[0]);
        events
    }

    /// The event that ends a stream.
    pub fn last(&mut self) -> Event {
        let kind = match self.response.status.as_str() {
            "completed" => "response.completed",
            _ => "response.incomplete",
        };
        self.whole(kind)
    }

    /// The event of a failure, after which nothing follows.
    pub fn failed(&mut self, error: &ApiError) -> Event {
        self.response.status = "failed".into();
        self.response.error = Some(ResponseError {
            code: error.code.into(),
            message: error.message.clone(),
        });
        self.whole("response.failed")
    }

    /// The answer as a message of the conversation.
    #[must_use]
    pub fn as_message(&self) -> Message {
        let mut message = Message {
            role: "assistant".into(),
            content: None,
            tool_calls: None,
            tool_call_id: None,
        };
        for item in &self.response.output {
            match item {
                OutputItem::Message { content, .. } => {
                    let text = content.iter().map(|part| part.text.as_str()).collect();
                    message.content = Some(Content::Text(text));
                }
                OutputItem::FunctionCall {
                    call_id,
                    name,
                    arguments,
                    ..
                } => message.tool_calls.get_or_insert_default().push(ToolCall {
                    id: call_id.clone(),
                    kind: "function".into(),
                    function: CalledFunction {
                        name: name.clone(),
                        arguments: arguments.clone(),
                    },
                }),
            }
        }
        message
    }

    fn said(&mut self, said: Said) -> Vec<Event> {
        let mut events = Vec::new();
        if !said.text.is_empty() {
            if self.message.is_none() {
                events.extend(self.open_message());
            }
            events.extend(self.add_text(&said.text));
        }
        for call in said.calls {
            events.extend(self.add_call(call));
        }
        events
    }

    fn open_message(&mut self) -> Vec<Event> {
        let at = self.response.output.len();
        let id = format!("msg_{}", Uuid::new_v4().simple());
        let opened = json!({"type": "message", "id": id, "status": "in_progress", "role": "assistant", "content": []});
        self.message = Some(at);
        self.response.output.push(OutputItem::Message {
            id: id.clone(),
            status: "in_progress".into(),
            role: "assistant".into(),
            content: vec![output_text(String::new())],
        });
        vec![
            self.event(
                "response.output_item.added",
                json!({"output_index": at, "item": opened}),
            ),
            self.event(
                "response.content_part.added",
                json!({"item_id": id, "output_index": at, "content_index": 0, "part": output_text(String::new())}),
            ),
        ]
    }

    fn add_text(&mut self, text: &str) -> Option<Event> {
        let at = self.message?;
        let OutputItem::Message { id, content, .. } = &mut self.response.output[at] else {
            return None;
        };
        content.iter_mut().for_each(|part| part.text.push_str(text));
        let fields = json!({"item_id": id, "output_index": at, "content_index": 0, "delta": text, "logprobs": []});
        Some(self.event("response.output_text.delta", fields))
    }

    fn close_message(&mut self, ends: &str) -> Vec<Event> {
        let Some(at) = self.message else { return Vec::new() };
        let OutputItem::Message {
            id, status, content, ..
        } = &mut self.response.output[at]
        else {
            return Vec::new();
        };
        ends.clone_into(status);
        let (id, part) = (id.clone(), content[0].clone());
        let item = json!(self.response.output[at]);
        let place = json!({"item_id": id, "output_index": at, "content_index": 0});
        let with = |name: &str, value: Value| {
            let mut fields = place.clone();
            fields[name] = value;
            fields
        };
        let mut done = with("text", json!(part.text));
        done["logprobs"] = json!([]);
        vec![
            self.event("response.output_text.done", done),
            self.event("response.content_part.done", with("part", json!(part))),
            self.event("response.output_item.done", json!({"output_index": at, "item": item})),
        ]
    }

    fn add_call(&mut self, call: ToolCall) -> Vec<Event> {
        let at = self.response.output.len();
        let id = format!("fc_{}", Uuid::new_v4().simple());
        let (name, arguments) = (call.function.name, call.function.arguments);
        let item = |status: &str, arguments: &str| OutputItem::FunctionCall {
            id: id.clone(),
            call_id: call.id.clone(),
            name: name.clone(),
            arguments: arguments.into(),
            status: status.into(),
        };
        let (opened, made) = (item("in_progress", ""), item("completed", &arguments));
        self.response.output.push(made.clone());
        let place = |field: &str| json!({"item_id": id, "output_index": at, field: arguments});
        vec![
            self.event(
                "response.output_item.added",
                json!({"output_index": at, "item": opened}),
            ),
            self.event("response.function_call_arguments.delta", place("delta")),
            self.event("response.function_call_arguments.done", place("arguments")),
            self.event("response.output_item.done", json!({"output_index": at, "item": made})),
        ]
    }
}

fn output_text(text: String) -> OutputText {
    OutputText {
        kind: "output_text".into(),
        text,
        annotations: Vec::new(),
        logprobs: Vec::new(),
    }
}
