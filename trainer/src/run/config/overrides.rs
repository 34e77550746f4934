//! Keys laid over a configuration: one by one, as `rollout.n=4` on the command line, or as a document, as in a request.

use toml::{Table, Value};

use super::{Fault, FaultKind, TrainConfig, TrainError};

impl TrainConfig {
    /// Reads TOML with `overrides` laid over it, later ones over earlier ones, and checks the whole. An override is
    /// `dotted.key=value`; the value is TOML, or else the text itself, so that strings need no quotes.
    ///
    /// # Errors
    /// As [`Self::from_toml`], or [`TrainError::Config`] naming the override that is none.
    pub fn from_toml_with(text: &str, overrides: &[String]) -> Result<Self, TrainError> {
        let mut table: Table = toml::from_str(text).map_err(|error| TrainError::Config {
            field: "config".into(),
            reason: error.to_string().trim().to_owned(),
        })?;
        let mut faults = Vec::new();
        for one in overrides {
            if let Err((field, reason)) = lay_one(&mut table, one) {
                faults.push(Fault {
                    field,
                    reason,
                    kind: FaultKind::Value,
                });
            }
        }
        let read = Self::from_table(table);
        if !faults.is_empty() {
            faults.extend(read.err().unwrap_or_default());
            return Err(faults.into());
        }
        read.map_err(TrainError::from)
    }

    /// This configuration with the keys of a JSON document laid over it, section by section, and checked. A null takes a key
    /// back to its own default.
    ///
    /// # Errors
    /// Everything that is wrong with what comes out.
    pub fn overlaid(&self, wanted: &serde_json::Map<String, serde_json::Value>) -> Result<Self, Vec<Fault>> {
        let fault = |field: String, reason| {
            vec![Fault {
                field,
                reason,
                kind: FaultKind::Type,
            }]
        };
        let mut table = Table::try_from(self).map_err(|error| fault("config".into(), error.to_string()))?;
        let mut absent = Vec::new();
        lay_json(&mut table, wanted, &[], &mut absent);
        let mut unknown: Vec<Fault> = absent.iter().filter_map(|path| unknown(path)).collect();
        match Self::from_table(table) {
            Ok(config) if unknown.is_empty() => Ok(config),
            read => {
                unknown.extend(read.err().unwrap_or_default());
                Err(unknown)
            }
        }
    }
}

/// Lays one `KEY=VALUE` over `table`.
///
/// # Errors
/// The key, or the whole where there is none, and what is wrong.
fn lay_one(table: &mut Table, one: &str) -> Result<(), (String, String)> {
    let (key, value) = one
        .split_once('=')
        .map(|(key, value)| (key.trim(), value.trim()))
        .filter(|(key, value)| is_key(key) && !value.contains(char::is_control))
        .ok_or_else(|| (one.to_owned(), "must be KEY=VALUE with a key as `rollout.n`".to_owned()))?;
    let path: Vec<&str> = key.split('.').collect();
    lay(table, &path, parse(value)).map_err(|part| (key.to_owned(), format!("`{part}` is not a section")))
}

/// Lays `wanted` over `table`, which is at `path`. Keys that are null and were not there are noted in `absent`.
fn lay_json(
    table: &mut Table,
    wanted: &serde_json::Map<String, serde_json::Value>,
    path: &[&str],
    absent: &mut Vec<Vec<String>>,
) {
    for (key, value) in wanted {
        let path = [path, &[key]].concat();
        match (value, table.get_mut(key)) {
            (serde_json::Value::Null, Some(_)) => {
                table.remove(key);
            }
            (serde_json::Value::Null, None) => absent.push(path.iter().map(|&part| part.to_owned()).collect()),
            (serde_json::Value::Object(over), Some(Value::Table(under))) => lay_json(under, over, &path, absent),
            (serde_json::Value::Object(over), _) => {
                let mut under = Table::new();
                lay_json(&mut under, over, &path, absent);
                table.insert(key.clone(), Value::Table(under));
            }
            _ => {
                table.insert(key.clone(), from_json(value));
            }
        }
    }
}

/// The key at `path`, if there is none such in a configuration.
fn unknown(path: &[String]) -> Option<Fault> {
    let leaf = Value::Table(Table::new());
    let nested = path.iter().rev().fold(leaf, |inner, key| {
        let mut table = Table::new();
        table.insert(key.clone(), inner);
        Value::Table(table)
    });
    let Value::Table(alone) = nested else { return None };
    let faults = TrainConfig::from_table(alone).err()?;
    let field = path.join(".");
    faults
        .into_iter()
        .find(|fault| fault.kind == FaultKind::Unknown && fault.field == field)
}

/// The same value in TOML. A null inside an array becomes an empty table, and whole numbers beyond 64 bits with a sign become
/// reals: no key takes either, so both are refused by name where they are read.
fn from_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Table(Table::new()),
        serde_json::Value::Bool(truth) => Value::Boolean(*truth),
        serde_json::Value::String(text) => Value::String(text.clone()),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::Array(items) => Value::Array(items.iter().map(from_json).collect()),
        serde_json::Value::Object(entries) => {
            let filled = entries.iter().filter(|(_, value)| !value.is_null());
            Value::Table(filled.map(|(key, value)| (key.clone(), from_json(value))).collect())
        }
    }
}

fn is_key(key: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    key.split('.').all(plain)
}

fn parse(value: &str) -> Value {
    let read = toml::from_str::<Table>(&format!("value = {value}"));
    let read = read.ok().and_then(|mut table| table.remove("value"));
    read.unwrap_or_else(|| Value::String(value.to_owned()))
}

/// Puts `value` at `path`; the part of the path that is in the way is the error.
fn lay<'p>(table: &mut Table, path: &[&'p str], value: Value) -> Result<(), &'p str> {
    match path {
        [] => Ok(()),
        [key] => {
            table.insert((*key).to_owned(), value);
            Ok(())
        }
        [section, rest @ ..] => {
            let inner = table
                .entry(*section)
                .or_insert_with(|| Value::Table(Table::new()))
                .as_table_mut();
            lay(inner.ok_or(*section)?, rest, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "steps = 3\n[rollout]\nn = 4\n";

    fn with(overrides: &[&str]) -> Result<TrainConfig, TrainError> {
        TrainConfig::from_toml_with(TEXT, &overrides.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn overrides_replace_single_keys() {
        let config = with(&[
            "rollout.n=8",
            "optim.lr = 1e-5",
            "recipe=grpo",
            "rollout.n=6",
            "lora.target_modules=[\"q_proj\"]",
            "problems.files=[]",
        ])
        .expect("valid");
        assert_eq!((config.steps, config.rollout.n, config.optim.lr), (3, 6, 1e-5));
        assert_eq!(config.recipe.name(), "grpo");
        assert_eq!(
            config.lora.and_then(|lora| lora.target_modules),
            Some(vec!["q_proj".into()])
        );
        assert_eq!(with(&[]).expect("valid").rollout.n, 4);
    }

    #[test]
    fn every_bad_override_is_said() {
        let error = with(&["steps.n=4", "rollout.n=1", "rollout", "optim.x=1"]).expect_err("four");
        let said = error.to_string();
        for part in [
            "4 faults",
            "steps.n: `steps`",
            "rollout.n: 1 is",
            "rollout: must be KEY",
            "optim.x: unknown",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let late = with(&["rollout=3", "rollout.n=4"]).expect_err("no section").to_string();
        assert!(
            late.contains("`rollout` is not a section") && late.contains("expected a section `[rollout]`"),
            "{late}"
        );
    }

    #[test]
    fn a_json_document_is_laid_over_key_by_key() {
        let base = with(&["rollout.top_k=5"]).expect("valid");
        let over = |text: &str| {
            base.overlaid(
                serde_json::from_str::<serde_json::Value>(text)
                    .expect("JSON")
                    .as_object()
                    .expect("an object"),
            )
        };
        let found = over(
            r#"{"rollout": {"top_k": null, "stop": ["x"]}, "optim": {"lr": 1}, "prompts": null, "lora": {"r": 4}}"#,
        );
        let found = found.expect("valid");
        assert_eq!(
            (found.steps, found.rollout.n, found.rollout.top_k, found.optim.lr),
            (3, 4, None, 1.0)
        );
        assert_eq!(
            (found.rollout.stop, found.lora.map(|lora| lora.r)),
            (vec!["x".to_owned()], Some(4))
        );
        let wrong = over(
            r#"{"steps": 4.5, "x": 1, "rollout": [4], "seed": 18446744073709551615, "optim": {"lr": -1}, "eval": {"k": [null]},
            "y": null, "optim.lr": null, "lora": {"z": null, "target_modules": [null]}}"#,
        );
        let mut found: Vec<(String, FaultKind)> = wrong
            .expect_err("faults")
            .into_iter()
            .map(|fault| (fault.field, fault.kind))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let wanted = [
            ("eval.k[0]", FaultKind::Type),
            ("lora.target_modules[0]", FaultKind::Type),
            ("lora.z", FaultKind::Unknown),
            ("optim.lr", FaultKind::Unknown),
            ("optim.lr", FaultKind::Value),
            ("rollout", FaultKind::Type),
            ("seed", FaultKind::Type),
            ("steps", FaultKind::Type),
            ("x", FaultKind::Unknown),
            ("y", FaultKind::Unknown),
        ];
        assert_eq!(found, wanted.map(|(field, kind)| (field.to_owned(), kind)));
    }

    #[test]
    fn what_is_no_override_is_refused_by_name() {
        for (one, expected) in [
            ("rollout.n", "KEY=VALUE"),
            ("=4", "KEY=VALUE"),
            ("rollout..n=4", "KEY=VALUE"),
            ("steps=1\nseed=2", "KEY=VALUE"),
            ("steps.n=4", "`steps` is not a section"),
            ("rollout.nn=4", "nn"),
            ("rollout.n=many", "invalid type"),
            ("rollout.n=1", "rollout.n"),
        ] {
            let error = with(&[one]).expect_err(one).to_string();
            assert!(error.contains(expected), "{one}: {error}");
        }
    }
}
