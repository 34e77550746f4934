//! The few fields of TensorFlow's `Event` message that scalars need, in protobuf's wire format.
//!
//! `Event { wall_time: 1, step: 2, file_version: 3, summary: 5 { value: 1 { tag: 1, simple_value: 2 } }, session_log: 7 {
//! status: 1 } }`.

use std::collections::BTreeMap;

/// Version 2 files may begin with a session start that takes back later steps.
const FILE_VERSION: &str = "brain.Event:2";
/// `SessionLog.START`.
const START: u64 = 1;

/// An event without its time.
#[derive(Debug)]
pub(super) struct Event {
    step: u64,
    /// The field that says what it is.
    what: Vec<u8>,
}

impl Event {
    /// What a file begins with.
    pub(super) fn version() -> Self {
        Self {
            step: 0,
            what: bytes(3, FILE_VERSION.as_bytes()),
        }
    }

    /// Takes back what was said of `step` and later ones.
    pub(super) fn session_start(step: u64) -> Self {
        Self {
            step,
            what: bytes(7, &number(1, START)),
        }
    }

    /// Values of a step by tag.
    pub(super) fn scalars(step: u64, metrics: &BTreeMap<String, f64>) -> Self {
        let value = |(tag, value): (&String, &f64)| {
            let simple = [vec![key(2, 5)], (*value as f32).to_le_bytes().to_vec()].concat();
            bytes(1, &[bytes(1, tag.as_bytes()), simple].concat())
        };
        Self {
            step,
            what: bytes(5, &metrics.iter().flat_map(value).collect::<Vec<u8>>()),
        }
    }

    /// The message, of `seconds` since the epoch.
    pub(super) fn encode(&self, seconds: f64) -> Vec<u8> {
        [
            vec![key(1, 1)],
            seconds.to_le_bytes().to_vec(),
            number(2, self.step),
            self.what.clone(),
        ]
        .concat()
    }
}

/// Field number and wire type: 0 a varint, 1 eight bytes, 2 bytes with their length, 5 four bytes.
fn key(field: u8, wire: u8) -> u8 {
    field << 3 | wire
}

fn number(field: u8, value: u64) -> Vec<u8> {
    [vec![key(field, 0)], varint(value)].concat()
}

fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    [&[key(field, 2)], varint(content.len() as u64).as_slice(), content].concat()
}

/// Seven bits a byte, the lowest first.
fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}
