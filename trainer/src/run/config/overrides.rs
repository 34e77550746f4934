//! Single keys laid over a configuration, as `rollout.n=4` on the command line.

use toml::{Table, Value};

use super::{TrainConfig, TrainError};

impl TrainConfig {
    /// Reads TOML with `overrides` laid over it, later ones over earlier ones, and checks the whole. An override is
    /// `dotted.key=value`; the value is TOML, or else the text itself, so that strings need no quotes.
    ///
    /// # Errors
    /// As [`Self::from_toml`], or [`TrainError::Config`] naming the override that is none.
    pub fn from_toml_with(text: &str, overrides: &[String]) -> Result<Self, TrainError> {
        let refuse = |field: &str, reason: String| TrainError::Config {
            field: field.into(),
            reason,
        };
        let mut table: Table =
            toml::from_str(text).map_err(|error| refuse("config", error.to_string().trim().to_owned()))?;
        for one in overrides {
            let (key, value) = one
                .split_once('=')
                .map(|(key, value)| (key.trim(), value.trim()))
                .filter(|(key, value)| is_key(key) && !value.contains(char::is_control))
                .ok_or_else(|| refuse(one, "must be KEY=VALUE with a key as `rollout.n`".into()))?;
            let path: Vec<&str> = key.split('.').collect();
            lay(&mut table, &path, parse(value)).map_err(|part| refuse(key, format!("`{part}` is not a section")))?;
        }
        Self::from_table(table)
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
