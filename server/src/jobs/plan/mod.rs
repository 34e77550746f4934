//! A request for a job → the configuration of its run: every hyperparameter honoured, or refused by name.

mod reinforcement;
mod supervised;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

pub use reinforcement::plan as reinforcement;
use serde_json::{Map, Value, json};
pub use supervised::plan as supervised;
use svs_trainer::TrainConfig;
use svs_trainer::run::{Fault, TrainError};

use crate::error::ApiError;
use crate::files::lines::read_lines;

/// Sections in one another, of dotted keys and objects together; a configuration has three.
const MAX_DEPTH: usize = 16;
/// Of a key that is refused.
const SHOWN_CHARS: usize = 100;

/// What a request asks for, with the method as it is shown.
#[derive(Debug)]
pub struct Planned {
    /// Configuration of the run.
    pub config: TrainConfig,
    /// The method, hyperparameters resolved.
    pub method: Value,
}

/// What a job is planned on.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// Id of the job and of its run.
    pub id: &'a str,
    /// The run's folder.
    pub folder: &'a Path,
    /// The server's own configuration of runs.
    pub defaults: &'a TrainConfig,
    /// Lines of the training file.
    pub rows: usize,
    /// The step at which a fork begins, of its `fork_from`.
    pub fork_step: &'a dyn Fn(&str) -> Result<u64, TrainError>,
}

#[cfg(test)]
impl<'a> Ground<'a> {
    /// A file of so many lines, and a run `before` that has a checkpoint of step 7.
    fn of_test(defaults: &'a TrainConfig, rows: usize) -> Self {
        Self {
            id: "ftjob-1",
            folder: Path::new("/runs/x"),
            defaults,
            rows,
            fork_step: &|origin| match origin {
                "before" => Ok(7),
                other => Err(TrainError::Config {
                    field: "fork_from".into(),
                    reason: format!("`{other}` is no run"),
                }),
            },
        }
    }
}

/// Lines of a file.
///
/// # Errors
/// 500 `file_failed`: it was checked when it was uploaded.
pub fn count_rows(path: &Path) -> Result<usize, ApiError> {
    let counted = File::open(path)
        .map_err(Into::into)
        .and_then(|file| read_lines(BufReader::new(file), |_, _| Ok(())));
    counted.map_err(|error| crate::files::FileError::Disk(error.to_string()).into())
}

/// Refuses a seed beyond those of a configuration, which is TOML.
fn check_seed(seed: Option<u64>) -> Result<(), ApiError> {
    match seed {
        Some(seed) if i64::try_from(seed).is_err() => {
            Err(ApiError::value("seed", format!("allowed is 0 to {}", i64::MAX)))
        }
        _ => Ok(()),
    }
}

/// A hyperparameter that the run does not settle, as it was given.
fn auto(value: Option<&Value>) -> Value {
    value
        .filter(|value| !value.is_null())
        .cloned()
        .unwrap_or_else(|| json!("auto"))
}

/// Where a request says how a job trains, as `method.supervised`: refusals name what is in there.
#[derive(Debug, Clone, Copy)]
struct At(&'static str);

impl At {
    /// Refuses a hyperparameter.
    fn hyper(self, name: &str, reason: &str) -> ApiError {
        ApiError::value(&format!("{}.hyperparameters.{name}", self.0), reason)
    }

    /// Refuses a key of the configuration.
    fn key(self, key: &str, reason: &str) -> ApiError {
        ApiError::value(&format!("{}.x_svs.config.{key}", self.0), reason)
    }

    /// Names every fault in the message, the first as its parameter.
    fn refusal(self, faults: &[Fault]) -> ApiError {
        let param = match faults.first().map(|fault| fault.field.as_str()) {
            Some("reward.grader") => format!("{}.grader", self.0),
            Some(field) => format!("{}.x_svs.config.{field}", self.0),
            None => self.0.to_owned(),
        };
        let said = faults
            .iter()
            .map(|fault| format!("`{}`: {}", fault.field, fault.reason));
        ApiError::invalid(&param, "invalid_value", said.collect::<Vec<_>>().join("; "))
    }

    /// A count, or `None` for `"auto"`.
    fn whole(self, name: &str, value: Option<&Value>, most: u64) -> Result<Option<u64>, ApiError> {
        if auto(value) == "auto" {
            return Ok(None);
        }
        let number = value
            .and_then(Value::as_u64)
            .filter(|number| (1..=most).contains(number));
        let reason = format!("must be \"auto\" or a whole number from 1 to {most}");
        number.map(Some).ok_or_else(|| self.hyper(name, &reason))
    }

    /// A multiplier, or `None` for `"auto"`.
    fn factor(self, name: &str, value: Option<&Value>) -> Result<Option<f64>, ApiError> {
        if auto(value) == "auto" {
            return Ok(None);
        }
        let number = value
            .and_then(Value::as_f64)
            .filter(|number| *number > 0.0 && *number <= 1000.0);
        number
            .map(Some)
            .ok_or_else(|| self.hyper(name, "must be \"auto\" or a number above 0 and at most 1000"))
    }

    /// The keys of `x_svs.config` as a nested document, dotted ones unfolded.
    fn overlay<'a>(self, keys: impl Iterator<Item = (&'a String, &'a Value)>) -> Result<Map<String, Value>, ApiError> {
        let mut nested = Map::new();
        for (key, value) in keys {
            lay(&mut nested, key, value, MAX_DEPTH).map_err(|reason| {
                let shown: String = key.chars().take(SHOWN_CHARS).collect();
                self.key(&shown, reason)
            })?;
        }
        Ok(nested)
    }

    /// The step at which the run begins. One that is forked makes its steps behind those of its origin, unless the request
    /// itself says where it ends.
    fn begin(self, ground: &Ground<'_>, config: &mut TrainConfig, steps_given: bool) -> Result<u64, ApiError> {
        let Some(origin) = &config.fork_from else { return Ok(0) };
        let found = (ground.fork_step)(origin);
        let step = found.map_err(|error| match error {
            TrainError::Config { reason, .. } => self.key("fork_from", &reason),
            error => error.into(),
        })?;
        if !steps_given {
            config.steps = config.steps.saturating_add(step);
        }
        Ok(step)
    }

    /// Refuses the keys that are `decided` elsewhere, with where.
    fn decided(self, nested: &Map<String, Value>, decided: &[(&str, &str)]) -> Result<(), ApiError> {
        let whole = Value::Object(nested.clone());
        let found = decided
            .iter()
            .find(|(key, _)| whole.pointer(&format!("/{}", key.replace('.', "/"))).is_some());
        found.map_or(Ok(()), |(key, reason)| Err(self.key(key, reason)))
    }
}

/// Puts `value` at the dotted `key`; what is an object is laid key by key, at most `depth` of them in one another.
fn lay(into: &mut Map<String, Value>, key: &str, value: &Value, depth: usize) -> Result<(), &'static str> {
    const NO_SECTION: &str = "goes through a key that is no section";
    let depth = depth
        .checked_sub(1)
        .ok_or("has more sections in one another than a configuration")?;
    if let Some((section, rest)) = key.split_once('.') {
        let inner = into.entry(section).or_insert_with(|| json!({}));
        return lay(inner.as_object_mut().ok_or(NO_SECTION)?, rest, value, depth);
    }
    match value {
        Value::Object(entries) => {
            let inner = into.entry(key).or_insert_with(|| json!({}));
            let inner = inner.as_object_mut().ok_or(NO_SECTION)?;
            let mut entries = entries.iter();
            entries.try_for_each(|(key, value)| lay(inner, key, value, depth))
        }
        _ if into.get(key).is_some_and(Value::is_object) => Err(NO_SECTION),
        value => match into.insert(key.to_owned(), value.clone()) {
            None => Ok(()),
            Some(_) => Err("is given twice, nested and with dots"),
        },
    }
}
