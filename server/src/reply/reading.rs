//! The text of a chat's answer as it comes: as it is, or split into what it says and the functions it calls.

use svs_engine::FinishReason;
use svs_openapi::chat::Delta;
use svs_openapi::tools::{ToolCall, ToolCallDelta};

use super::calls::{CallReader, Part, numbered};
use crate::metrics::finish_name;
use crate::session::Session;

/// Reads one choice.
#[derive(Debug)]
pub struct Reading {
    reader: Option<CallReader>,
    /// Calls so far.
    calls: u32,
    /// The client named the function.
    named: bool,
}

/// What a piece of text adds.
#[derive(Debug, Default)]
pub struct Said {
    /// Text.
    pub text: String,
    /// Calls.
    pub calls: Vec<ToolCall>,
    /// Calls before these.
    pub before: u32,
    /// The answer is one that ends for its calls.
    pub ends_for_calls: bool,
}

impl Reading {
    /// A reader of a choice of `session`.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        let tools = session.plan.tools;
        Self {
            reader: tools.map(|tools| CallReader::new(tools.format)),
            calls: 0,
            named: tools.is_some_and(|tools| tools.named),
        }
    }

    /// Takes text in.
    pub fn push(&mut self, text: &str) -> Said {
        match &mut self.reader {
            Some(reader) => {
                let parts = reader.push(text);
                self.said(parts)
            }
            None => Said {
                text: text.to_owned(),
                ..Said::default()
            },
        }
    }

    /// Takes the last text in.
    pub fn finish(&mut self, text: &str) -> Said {
        match &mut self.reader {
            Some(reader) => {
                let mut parts = reader.push(text);
                parts.extend(reader.finish());
                self.said(parts)
            }
            None => self.push(text),
        }
    }

    fn said(&mut self, parts: Vec<Part>) -> Said {
        let mut said = Said {
            before: self.calls,
            ..Said::default()
        };
        for part in parts {
            match part {
                Part::Text(text) => said.text.push_str(&text),
                Part::Call(call) => {
                    said.calls.push(numbered(call));
                    self.calls += 1;
                }
            }
        }
        said.ends_for_calls = self.calls > 0 && !self.named;
        said
    }
}

impl Said {
    /// As part of a chunk.
    pub(super) fn delta(self) -> Delta {
        let numbered = (self.before..)
            .zip(self.calls)
            .map(|(index, call)| ToolCallDelta { index, call });
        let calls: Vec<_> = numbered.collect();
        Delta {
            role: None,
            content: (!self.text.is_empty()).then_some(self.text),
            tool_calls: (!calls.is_empty()).then_some(calls),
        }
    }

    /// Why the answer ends.
    pub(super) fn finish_reason(&self, reason: FinishReason) -> String {
        match reason {
            FinishReason::Stop if self.ends_for_calls => "tool_calls".into(),
            reason => finish_name(reason).into(),
        }
    }
}
