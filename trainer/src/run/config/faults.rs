//! Everything that is wrong with a configuration, found in one reading.

use std::fmt;

use serde_path_to_error::{Path, Segment};
use toml::{Table, Value};

use super::{TrainConfig, TrainError};
use crate::svs::Prompts;

/// A reading that has found so many keys that cannot be read ends there.
const MAX_UNREAD: usize = 32;

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Dotted name of the key.
    pub field: String,
    /// What is wrong and what is allowed.
    pub reason: String,
    /// Of which kind it is.
    pub kind: FaultKind,
}

/// What may be wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// There is no such key.
    Unknown,
    /// It holds another type.
    Type,
    /// Its value is out of range, or does not go with others.
    Value,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.add_kind(FaultKind::Value, field.into(), reason.into());
    }

    fn add_kind(&mut self, kind: FaultKind, field: String, reason: String) {
        self.0.push(Fault { field, reason, kind });
    }

    /// Notes the faults of checks that name their fields.
    pub(super) fn note<F: Into<String>>(&mut self, found: impl IntoIterator<Item = (F, String)>) {
        for (field, reason) in found {
            self.add(field, reason);
        }
    }

    /// The first parts of the names of what is wrong.
    pub(super) fn sections(&self) -> Vec<String> {
        let section = |fault: &Fault| fault.field.split(['.', '[']).next().unwrap_or_default().to_owned();
        self.0.iter().map(section).collect()
    }

    /// # Errors
    /// [`TrainError::Config`] for one fault, [`TrainError::Faults`] for more.
    pub(super) fn into_result(self) -> Result<(), TrainError> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0.into()) }
    }

    /// Notes every array and plain value that stands where `shape` has a section, and takes it out: serde would read an array
    /// as the section's keys in the order of their declaration.
    fn take_out_non_sections(&mut self, table: &mut Table, shape: &Table, above: &str) {
        for (key, section) in shape {
            let (Value::Table(section), Some(value)) = (section, table.get_mut(key)) else {
                continue;
            };
            let field = format!("{above}{key}");
            if let Value::Table(inner) = value {
                self.take_out_non_sections(inner, section, &format!("{field}."));
                continue;
            }
            let reason = format!("invalid type: {}, expected a section `[{field}]`", value.type_str());
            self.add_kind(FaultKind::Type, field, reason);
            table.remove(key);
        }
    }

    /// Notes why `table` cannot be read and takes out the key, so that the next reading finds the next fault; false if there
    /// is none to take out.
    fn take_out(&mut self, table: &mut Table, error: &serde_path_to_error::Error<toml::de::Error>) -> bool {
        let reason = in_words(error.inner().message());
        let unknown = unknown_key(&reason);
        let mut keys = keys(error.path());
        let mut field = error.path().to_string();
        // Inside an enum the path ends above the key.
        if let Some(key) = unknown.filter(|key| keys.last() != Some(key)) {
            field = if keys.is_empty() {
                key.clone()
            } else {
                format!("{field}.{key}")
            };
            keys.push(key);
        }
        let kind = match unknown_key(&reason) {
            Some(_) => FaultKind::Unknown,
            None if reason.starts_with("invalid type") => FaultKind::Type,
            None => FaultKind::Value,
        };
        self.add_kind(kind, field, reason);
        remove(table, &keys)
    }
}

/// Said behind the number of faults where the reading ended early.
pub(in crate::run) fn or_more(faults: &[Fault]) -> &'static str {
    let unread = faults.iter().filter(|fault| fault.kind != FaultKind::Value).count();
    if unread >= MAX_UNREAD { " or more" } else { "" }
}

impl From<Vec<Fault>> for TrainError {
    fn from(mut faults: Vec<Fault>) -> Self {
        match (faults.pop(), faults.is_empty()) {
            (Some(Fault { field, reason, .. }), true) => Self::Config { field, reason },
            (last, _) => {
                faults.extend(last);
                Self::Faults(faults)
            }
        }
    }
}

impl TrainConfig {
    /// Reads a TOML table and checks it.
    ///
    /// # Errors
    /// Every unknown key, wrong type and value out of range. How keys fit together is only looked at in sections that could be
    /// read.
    pub fn from_table(mut table: Table) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        faults.take_out_non_sections(&mut table, &Self::shape(), "");
        let config = loop {
            match serde_path_to_error::deserialize::<_, Self>(Value::Table(table.clone())) {
                Ok(config) => break config,
                Err(error) => {
                    if !faults.take_out(&mut table, &error) || faults.0.len() >= MAX_UNREAD {
                        return Err(faults.0);
                    }
                }
            }
        };
        let unread = faults.sections();
        config.check_values(&mut faults);
        let mut relations = Faults::default();
        config.check_relations(&mut relations);
        let readable = |section: &String| !unread.contains(section);
        let sections = relations.sections();
        faults.0.extend(
            relations
                .0
                .into_iter()
                .zip(sections)
                .filter_map(|(fault, section)| readable(&section).then_some(fault)),
        );
        if faults.0.is_empty() { Ok(config) } else { Err(faults.0) }
    }

    /// A document with every section.
    fn shape() -> Table {
        let whole = Self {
            prompts: Some(Prompts::default()),
            ..Self::default()
        };
        let mut shape = Table::try_from(whole).expect("the defaults are plain values");
        shape.insert("lora".into(), Value::Table(Table::new()));
        shape
    }
}

/// What serde says of a value, with the numbers that its integer types allow; TOML's own integers end at 64 bits with a sign.
fn in_words(reason: &str) -> String {
    let types = [
        ("u32", u64::from(u32::MAX)),
        ("u64", i64::MAX as u64),
        ("usize", i64::MAX as u64),
    ];
    let named = types.iter().find_map(|(name, most)| {
        let said = reason.strip_suffix(name)?.strip_suffix("expected ")?;
        Some(format!("{said}expected a whole number from 0 to {most}"))
    });
    named.unwrap_or_else(|| reason.to_owned())
}

/// The key of serde's "unknown field `x`, expected …".
fn unknown_key(reason: &str) -> Option<String> {
    let rest = reason.strip_prefix("unknown field `")?;
    Some(rest.split_once('`')?.0.to_owned())
}

/// The keys of tables on the way to what `path` names; what is inside an array is its array.
fn keys(path: &Path) -> Vec<String> {
    let inside_tables = path
        .iter()
        .take_while(|segment| !matches!(segment, Segment::Seq { .. }));
    let key = |segment: &Segment| match segment {
        Segment::Map { key } => Some(key.clone()),
        _ => None,
    };
    inside_tables.filter_map(key).collect()
}

/// Removes what is at `path`, or the deepest table entry on the way to it; false if there is none.
fn remove(table: &mut Table, path: &[String]) -> bool {
    let Some((key, rest)) = path.split_first() else {
        return false;
    };
    let inner = table.get_mut(key).and_then(Value::as_table_mut);
    inner.is_some_and(|inner| remove(inner, rest)) || table.remove(key).is_some()
}
