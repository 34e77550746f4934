//! A span as it waits to be sent: small, and bounded whatever a client writes.

use std::borrow::Cow;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::parent::Parent;

/// Most bytes of a text in a span.
const MAX_TEXT_BYTES: usize = 256;

/// Whom a span is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Work of the process itself.
    Internal,
    /// Answering a request.
    Server,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Texts(Vec<&'static str>),
    Whole(i64),
    Real(f64),
}

/// One span.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
    /// The parent is of another process.
    pub(super) remote_parent: bool,
    pub(super) trace_state: Option<String>,
    pub(super) name: Cow<'static, str>,
    pub(super) kind: Kind,
    /// Nanoseconds since the epoch.
    pub(super) start_ns: u64,
    /// Nanoseconds since the epoch; 0 while it goes on.
    pub(super) end_ns: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) failed: bool,
    began: Instant,
}

impl Span {
    /// One that begins now, in a trace of its own.
    pub(super) fn begin(name: impl Into<Cow<'static, str>>, kind: Kind) -> Self {
        Self {
            trace: *Uuid::new_v4().as_bytes(),
            id: new_id(),
            parent: None,
            remote_parent: false,
            trace_state: None,
            name: name.into(),
            kind,
            start_ns: now_ns(),
            end_ns: 0,
            attributes: Vec::new(),
            failed: false,
            began: Instant::now(),
        }
    }

    /// One of the client's trace.
    pub(super) fn below(mut self, parent: Parent) -> Self {
        (self.trace, self.parent) = (parent.trace, Some(parent.span));
        (self.remote_parent, self.trace_state) = (true, parent.state);
        self
    }

    /// One that begins now, as a part of this one.
    pub(super) fn part(&self, name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            trace: self.trace,
            parent: Some(self.id),
            ..Self::begin(name, Kind::Internal)
        }
    }

    /// Sets an attribute, in place of an earlier one of this name. A number that is none is left out.
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        let value = match value.into() {
            Value::Text(text) => Value::Text(bounded(text)),
            Value::Real(number) if !number.is_finite() => return,
            value => value,
        };
        match self.attributes.iter_mut().find(|(have, _)| *have == name) {
            Some((_, have)) => *have = value,
            None => self.attributes.push((name, value)),
        }
    }

    /// Ends it now. The clock of the day may be set meanwhile, so the length is that of the steady one.
    pub(super) fn ended(mut self) -> Self {
        let length = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.end_ns = self.start_ns.saturating_add(length);
        self
    }
}

/// Bytes of `text` that are kept: as many as may be, to the end of a character.
fn kept(text: &str) -> usize {
    if text.len() <= MAX_TEXT_BYTES {
        return text.len();
    }
    (0..=MAX_TEXT_BYTES)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

fn bounded(mut text: String) -> String {
    text.truncate(kept(&text));
    text.shrink_to_fit();
    text
}

fn new_id() -> [u8; 8] {
    let mut id = [0; 8];
    // A version 4 UUID has a fixed digit in its first half, so this is never all zeros.
    id.copy_from_slice(&Uuid::new_v4().as_bytes()[..8]);
    id
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        // Not the whole of a long text, only to cut it afterwards.
        Self::Text(text[..kept(text)].to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<f32> for Value {
    /// The shortest decimal of the narrow number: 0.7 and not 0.699999988.
    fn from(number: f32) -> Self {
        Self::Real(number.to_string().parse().unwrap_or(f64::NAN))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::from(number as u64)
    }
}

impl From<Vec<&'static str>> for Value {
    fn from(texts: Vec<&'static str>) -> Self {
        Self::Texts(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_a_character_and_numbers_are_numbers() {
        let mut span = Span::begin("x", Kind::Internal);
        span.set("long", "é".repeat(MAX_TEXT_BYTES));
        span.set("borrowed", "é".repeat(MAX_TEXT_BYTES).as_str());
        span.set("narrow", 0.7_f32);
        span.set("none", f64::NAN);
        span.set("again", 1_u64);
        span.set("again", u64::MAX);
        let cut = Value::Text("é".repeat(MAX_TEXT_BYTES / 2));
        assert_eq!(
            span.attributes,
            [
                ("long", cut.clone()),
                ("borrowed", cut),
                ("narrow", Value::Real(0.7)),
                ("again", Value::Whole(i64::MAX))
            ]
        );
    }

    #[test]
    fn ids_differ_and_a_part_is_of_its_whole() {
        let (a, b) = (Span::begin("a", Kind::Internal), Span::begin("b", Kind::Internal));
        assert!(a.trace != b.trace && a.id != b.id && a.id != [0; 8]);
        let part = a.part("c").ended();
        assert_eq!((part.trace, part.parent), (a.trace, Some(a.id)));
        assert!(part.id != a.id && part.end_ns >= part.start_ns && part.start_ns >= a.start_ns);
    }
}
