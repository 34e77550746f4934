//! Calls of functions, read from the text of an answer as it comes.

use serde::de::IgnoredAny;
use serde_json::Deserializer;
use svs_engine::text::{CALL_CLOSES, CALL_OPENS, ToolFormat};
use svs_openapi::tools::{CalledFunction, ToolCall};
use uuid::Uuid;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What it says.
    Text(String),
    /// A function that it calls.
    Call(CalledFunction),
}

/// Splits a text into what it says and the calls it makes. A call that cannot be read stays text: nothing is lost.
#[derive(Debug)]
pub struct CallReader {
    format: ToolFormat,
    pending: String,
    /// So much of `pending` cannot begin the mark that is looked for.
    searched: usize,
    /// `pending` begins with a call.
    inside: bool,
    /// White space that is not said beside a call.
    space: String,
    /// There has been a call.
    called: bool,
    /// There has been text.
    said: bool,
}

impl CallReader {
    /// A reader of one answer.
    #[must_use]
    pub fn new(format: ToolFormat) -> Self {
        Self {
            format,
            pending: String::new(),
            searched: 0,
            inside: false,
            space: String::new(),
            called: false,
            said: false,
        }
    }

    /// Takes text in and gives what is certain now.
    pub fn push(&mut self, text: &str) -> Vec<Part> {
        self.pending.push_str(text);
        let mut parts = Vec::new();
        match self.format {
            ToolFormat::Hermes => while self.hermes(&mut parts) {},
            ToolFormat::Llama if self.may_be_call() => {}
            ToolFormat::Llama => self.say_pending(&mut parts),
        }
        parts
    }

    /// Gives what was held back; the text has ended.
    pub fn finish(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        let body = if self.inside {
            &self.pending[CALL_OPENS.len()..]
        } else {
            &self.pending
        };
        let whole = self.inside || self.format == ToolFormat::Llama && self.may_be_call();
        match whole.then(|| call(self.format, body)).flatten() {
            Some(call) => self.make(call, &mut parts),
            None => self.say_pending(&mut parts),
        }
        if !self.called && !self.space.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut self.space)));
        }
        parts
    }

    /// Takes the next mark of `pending`, if it is there.
    fn hermes(&mut self, parts: &mut Vec<Part>) -> bool {
        let mark = if self.inside { CALL_CLOSES } else { CALL_OPENS };
        let Some(at) = self.pending[self.searched..].find(mark).map(|at| self.searched + at) else {
            let kept = kept_back(&self.pending, mark);
            self.searched = self.pending.len() - kept;
            if !self.inside {
                let rest = self.pending.split_off(self.searched);
                self.say_pending(parts);
                (self.pending, self.searched) = (rest, 0);
            }
            return false;
        };
        if self.inside {
            let rest = self.pending.split_off(at + mark.len());
            match call(self.format, &self.pending[CALL_OPENS.len()..at]) {
                Some(call) => self.make(call, parts),
                None => self.say_pending(parts),
            }
            (self.pending, self.searched) = (rest, 0);
        } else {
            let rest = self.pending.split_off(at);
            self.say_pending(parts);
            (self.pending, self.searched) = (rest, CALL_OPENS.len());
        }
        self.inside = !self.inside;
        true
    }

    /// An answer that begins as an object is a call, if it is one to its end.
    fn may_be_call(&self) -> bool {
        let begins = self.pending.trim_start();
        !self.said && (begins.is_empty() || begins.starts_with('{'))
    }

    /// What is pending is a call.
    fn make(&mut self, call: CalledFunction, parts: &mut Vec<Part>) {
        parts.push(Part::Call(call));
        self.called = true;
        self.pending.clear();
        self.space.clear();
    }

    fn say_pending(&mut self, parts: &mut Vec<Part>) {
        let said = self.pending.trim_end().len();
        if said > 0 {
            self.said = true;
            let mut text = std::mem::take(&mut self.space);
            text.push_str(&self.pending[..said]);
            parts.push(Part::Text(text));
        }
        self.space.push_str(&self.pending[said..]);
        self.pending.clear();
    }
}

/// Bytes at the end of `text` that may begin `mark`.
fn kept_back(text: &str, mark: &str) -> usize {
    let most = text.len().min(mark.len() - 1);
    let begins =
        |length: &usize| text.is_char_boundary(text.len() - length) && mark.starts_with(&text[text.len() - length..]);
    (1..=most).rev().find(begins).unwrap_or(0)
}

/// The call that an object is; its arguments as they were written.
fn call(format: ToolFormat, text: &str) -> Option<CalledFunction> {
    let members = members(text.trim())?;
    let value = |name: &str| Some(members.iter().find(|(key, _)| key == name)?.1);
    let name: String = serde_json::from_str(value("name")?).ok()?;
    let arguments = value(format.arguments_key())?;
    arguments.starts_with('{').then(|| CalledFunction {
        name,
        arguments: arguments.to_owned(),
    })
}

/// Keys of an object and the texts of their values: numbers keep all their digits.
fn members(text: &str) -> Option<Vec<(String, &str)>> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut rest = text.strip_prefix('{')?.trim_start();
    let mut members = Vec::new();
    while !rest.starts_with('}') {
        let mut keys = Deserializer::from_str(rest).into_iter::<String>();
        let key = keys.next()?.ok()?;
        rest = rest[keys.byte_offset()..].trim_start().strip_prefix(':')?.trim_start();
        let mut values = Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let (value, after) = rest.split_at(values.byte_offset());
        members.push((key, value));
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Some(members)
}

/// A call with an id for its answer.
#[must_use]
pub fn numbered(function: CalledFunction) -> ToolCall {
    ToolCall {
        id: format!("call_{}", &Uuid::new_v4().simple().to_string()[..24]),
        kind: "function".into(),
        function,
    }
}

#[cfg(test)]
mod tests;
