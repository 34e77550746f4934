//! The header of a GGUF file, read from untrusted bytes: every length is checked against what is left of the file.
//!
//! # Source
//! The GGUF specification of the ggml project.

use std::collections::BTreeMap;

/// Depth of nested arrays accepted.
const MAX_DEPTH: usize = 4;
const DEFAULT_ALIGNMENT: u64 = 32;

/// A metadata value; all integers and all floats in one width.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Flag(bool),
    Text(String),
    List(Vec<Value>),
}

/// Where and how a tensor is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// Row-major shape (the file lists dimensions fastest first).
    pub(super) shape: Vec<usize>,
    /// ggml's number of the element type.
    pub(super) kind: u32,
    /// First byte in the file.
    pub(super) offset: u64,
}

/// Metadata and tensor table.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) metadata: BTreeMap<String, Value>,
    pub(super) tensors: BTreeMap<String, Stored>,
}

impl Content {
    /// Parses the header at the beginning of `bytes`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.take(4)? != b"GGUF" {
            return Err("does not begin with `GGUF`".into());
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            return Err(format!("GGUF version {version} (2 and 3 are supported)"));
        }
        let (tensor_count, value_count) = (reader.u64()?, reader.u64()?);
        let mut metadata = BTreeMap::new();
        for _ in 0..value_count {
            let key = reader.text()?;
            let kind = reader.u32()?;
            let value = reader
                .value(kind, 0)
                .map_err(|reason| format!("metadata `{key}`: {reason}"))?;
            metadata.insert(key, value);
        }
        let mut tensors = BTreeMap::new();
        for _ in 0..tensor_count {
            let name = reader.text()?;
            let stored = reader.stored().map_err(|reason| format!("tensor `{name}`: {reason}"))?;
            if tensors.insert(name.clone(), stored).is_some() {
                return Err(format!("tensor `{name}` is there twice"));
            }
        }
        let alignment = match metadata.get("general.alignment") {
            None => DEFAULT_ALIGNMENT,
            Some(Value::Unsigned(alignment)) if alignment.is_power_of_two() && *alignment <= 1 << 20 => *alignment,
            Some(other) => return Err(format!("`general.alignment` is {other:?}")),
        };
        let start = (reader.at as u64).next_multiple_of(alignment);
        for (name, stored) in &mut tensors {
            let offset = stored
                .offset
                .checked_add(start)
                .filter(|&offset| offset <= bytes.len() as u64);
            stored.offset = offset.ok_or_else(|| format!("tensor `{name}` begins after the end of the file"))?;
        }
        Ok(Self { metadata, tensors })
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn unsigned(&self, key: &str) -> Option<u64> {
        self.metadata.get(key)?.unsigned()
    }

    pub(super) fn float(&self, key: &str) -> Option<f64> {
        match self.metadata.get(key)? {
            Value::Float(value) => Some(*value),
            other => other.unsigned().map(|value| value as f64),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.metadata.get(key)? {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(super) fn list(&self, key: &str) -> Option<&[Value]> {
        match self.metadata.get(key)? {
            Value::List(values) => Some(values),
            _ => None,
        }
    }
}

impl Value {
    pub(super) fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(*value),
            Self::Signed(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        if length > rest.len() {
            return Err(format!(
                "{length} bytes announced at byte {}, but only {} are left",
                self.at,
                rest.len()
            ));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    fn length(&mut self) -> Result<usize, String> {
        let length = self.u64()?;
        usize::try_from(length).map_err(|_| format!("length {length}"))
    }

    fn text(&mut self) -> Result<String, String> {
        let length = self.length()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value, String> {
        Ok(match kind {
            0 => Value::Unsigned(self.array::<1>()?[0].into()),
            1 => Value::Signed(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Flag(self.array::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 => {
                let (kind, length) = (self.u32()?, self.length()?);
                if depth == MAX_DEPTH || (kind == 9 && depth + 1 == MAX_DEPTH) {
                    return Err("arrays nested too deeply".into());
                }
                // Every element takes at least one byte, so a false length fails before memory is taken for it.
                let mut list = Vec::with_capacity(length.min(self.bytes.len() - self.at));
                for _ in 0..length {
                    list.push(self.value(kind, depth + 1)?);
                }
                Value::List(list)
            }
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(format!("unknown value type {other}")),
        })
    }

    fn stored(&mut self) -> Result<Stored, String> {
        let rank = self.u32()?;
        if rank > 4 {
            return Err(format!("{rank} dimensions"));
        }
        let mut shape = Vec::new();
        for _ in 0..rank {
            shape.push(self.length()?);
        }
        shape.reverse();
        let (kind, offset) = (self.u32()?, self.u64()?);
        Ok(Stored { shape, kind, offset })
    }
}
