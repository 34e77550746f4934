//! Everything that is wrong with a configuration, found in one reading.

use std::fmt;

use toml::{Table, Value};

use super::{TrainConfig, TrainError};

/// Most faults that one reading looks for.
const MAX_FAULTS: usize = 32;

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Dotted name of the key.
    pub field: String,
    /// What is wrong and what is allowed.
    pub reason: String,
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
        let (field, reason) = (field.into(), reason.into());
        self.0.push(Fault { field, reason });
    }

    /// Notes the fault of a check that names its field.
    pub(super) fn note<F: Into<String>>(&mut self, checked: Result<(), (F, String)>) {
        if let Err((field, reason)) = checked {
            self.add(field, reason);
        }
    }

    /// Takes over those of `later` whose section had none yet: a key that could not be read makes others look wrong.
    fn add_new_sections(&mut self, later: Self) {
        let section = |field: &str| field.split('.').next().unwrap_or_default().to_owned();
        let known: Vec<String> = self.0.iter().map(|fault| section(&fault.field)).collect();
        self.0.extend(
            later
                .0
                .into_iter()
                .filter(|fault| !known.contains(&section(&fault.field))),
        );
    }

    /// # Errors
    /// [`TrainError::Config`] for one fault, [`TrainError::Faults`] for more.
    pub(super) fn into_result(mut self) -> Result<(), TrainError> {
        match self.0.len() {
            0 => Ok(()),
            1 => {
                let Fault { field, reason } = self.0.remove(0);
                Err(TrainError::Config { field, reason })
            }
            _ => Err(TrainError::Faults(self.0)),
        }
    }
}

impl TrainConfig {
    /// Reads a TOML table and checks it.
    ///
    /// # Errors
    /// Every unknown key, wrong type and value out of range, as [`TrainError::Config`] or [`TrainError::Faults`].
    pub(super) fn from_table(mut table: Table) -> Result<Self, TrainError> {
        let mut faults = Faults::default();
        while faults.0.len() < MAX_FAULTS {
            let error = match serde_path_to_error::deserialize::<_, Self>(Value::Table(table.clone())) {
                Ok(config) => {
                    faults.add_new_sections(config.faults());
                    return faults.into_result().map(|()| config);
                }
                Err(error) => error,
            };
            let reason = error.inner().message().to_owned();
            let mut path: Vec<String> = error.path().to_string().split('.').map(str::to_owned).collect();
            path.retain(|part| part != "." && !part.is_empty());
            // Inside an enum the path ends above the key.
            path.extend(unknown_key(&reason).filter(|key| path.last() != Some(key)));
            // Without what could not be read, the next reading finds the next fault.
            let gone = remove(&mut table, &path);
            faults.add(path.join("."), reason);
            if !gone {
                break;
            }
        }
        let found = faults.into_result();
        found.and(Err(TrainError::Run("the configuration could not be read".into())))
    }
}

/// The key of serde's "unknown field `x`, expected …".
fn unknown_key(reason: &str) -> Option<String> {
    let rest = reason.strip_prefix("unknown field `")?;
    Some(rest.split_once('`')?.0.to_owned())
}

/// Removes what is at `path`, or the deepest table entry on the way to it; false if there is none.
fn remove(table: &mut Table, path: &[String]) -> bool {
    let Some((key, rest)) = path.split_first() else {
        return false;
    };
    let inner = table.get_mut(key).and_then(Value::as_table_mut);
    inner.is_some_and(|inner| remove(inner, rest)) || table.remove(key).is_some()
}
