//! `run.json`: what made a run beside its configuration, and every start of it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use svs_engine::{ModelConfig, Precision, Storage};

use super::claim::replace;
use super::open::file_error;
use super::{TrainConfig, TrainError};
use crate::clock::unix_s;
use crate::svs::Prompts;

/// The file in the run's folder.
const FILE: &str = "run.json";

/// The version that is written down.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What made a run, as its last start found it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Provenance<'a> {
    /// Version of svs.
    pub(super) svs_version: &'static str,
    pub(super) run_id: &'a str,
    pub(super) seed: u64,
    pub(super) model: Model<'a>,
    /// Storage of the serving weights, and of keys and values.
    pub(super) weights: Precision,
    pub(super) kv: Precision,
    /// Longest prompt and response, tokens.
    pub(super) max_prompt_length: usize,
    pub(super) max_response_length: u32,
    /// Divisor of the aggregation `seq-mean-token-sum-norm`.
    pub(super) loss_scale_factor: f64,
    /// The templates in use.
    pub(super) prompts: &'a Prompts,
    /// Problems to train on and held-out ones.
    pub(super) problems: usize,
    pub(super) held_out: usize,
}

/// The model that was loaded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Model<'a> {
    pub(super) name: &'a str,
    /// Its shape.
    pub(super) architecture: &'a ModelConfig,
    /// Numbers that are trained.
    pub(super) trained_parameters: usize,
    /// Identifies names, shapes and order of what is trained; a checkpoint has the same.
    pub(super) layout_sha256: String,
    /// Identifies the weights below the adapter that is trained; `None` without one: they are not hashed.
    pub(super) base_sha256: Option<&'a str>,
}

/// A start of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Start {
    /// Seconds since 1970.
    at: f64,
    /// False for the first.
    resumed: bool,
    /// Steps done then: the checkpoint that it goes on from.
    step: u64,
    /// Their weight version; the engine may serve the same weights under a later one.
    weight_version: u64,
    /// Version of svs.
    svs_version: String,
}

#[derive(Debug, Default, Deserialize)]
struct Before {
    starts: Vec<Start>,
}

#[derive(Serialize)]
struct File<'a> {
    #[serde(flatten)]
    made: &'a Provenance<'a>,
    /// Oldest first.
    starts: Vec<Start>,
}

impl<'a> Provenance<'a> {
    /// Of a run with `config`, prompts and problems as resolved.
    pub(super) fn of(
        config: &'a TrainConfig,
        (model, storage): (Model<'a>, Storage),
        limits: (usize, u32),
        prompts: &'a Prompts,
        (problems, held_out): (usize, usize),
    ) -> Self {
        Self {
            svs_version: VERSION,
            run_id: config.run_id.as_deref().unwrap_or_default(),
            seed: config.seed,
            model,
            weights: storage.weights,
            kv: storage.kv,
            max_prompt_length: limits.0,
            max_response_length: limits.1,
            loss_scale_factor: config.update(0).objective.loss_scale_factor,
            prompts,
            problems,
            held_out,
        }
    }

    /// Writes the file in `folder`, with a start after `step` steps; a resumed run keeps those that it has.
    ///
    /// # Errors
    /// [`TrainError::Run`] naming the file if it cannot be read or written.
    pub(super) fn write(
        &self,
        folder: &Path,
        (step, weight_version): (u64, u64),
        resumed: bool,
    ) -> Result<(), TrainError> {
        let mut starts = if resumed { starts(folder)? } else { Vec::new() };
        starts.push(Start {
            at: unix_s(),
            resumed,
            step,
            weight_version,
            svs_version: VERSION.into(),
        });
        let file = File { made: self, starts };
        let text = serde_json::to_string_pretty(&file).map_err(|error| TrainError::Run(format!("{FILE}: {error}")))?;
        replace(folder, FILE, &(text + "\n"))
    }
}

/// The starts that the file in `folder` has; none without one, or with one that somebody else has written over.
fn starts(folder: &Path) -> Result<Vec<Start>, TrainError> {
    let path = folder.join(FILE);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file_error(&path, &error)),
    };
    let before = serde_json::from_slice(&text).unwrap_or_else(|error| {
        // Nothing of the run depends on it.
        tracing::warn!("{}: {error}; its list of starts begins anew", path.display());
        Before::default()
    });
    Ok(before.starts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::tiny_model;

    fn write(folder: &Path, config: &TrainConfig, start: (u64, u64), resumed: bool) -> serde_json::Value {
        let (loaded, prompts) = (tiny_model(1), Prompts::default());
        let layout = &loaded.params.layout;
        let model = Model {
            name: &loaded.name,
            architecture: &loaded.config,
            trained_parameters: layout.len,
            layout_sha256: crate::checkpoint::layout_sha256(layout),
            base_sha256: None,
        };
        let storage = Storage {
            weights: Precision::Bf16,
            kv: Precision::F32,
        };
        let made = Provenance::of(config, (model, storage), (100, 32), &prompts, (8, 2));
        made.write(folder, start, resumed).expect("written");
        let text = std::fs::read(folder.join(FILE)).expect("there");
        assert!(!folder.join("run.json.part").exists());
        serde_json::from_slice(&text).expect("whole")
    }

    #[test]
    fn it_says_what_the_configuration_leaves_open_and_every_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = TrainConfig {
            run_id: Some("a".into()),
            seed: 7,
            ..TrainConfig::default()
        };
        let file = write(folder.path(), &config, (0, 0), false);
        for (path, value) in [
            ("/svs_version", serde_json::json!(VERSION)),
            ("/run_id", "a".into()),
            ("/seed", 7.into()),
            ("/model/name", tiny_model(1).name.into()),
            ("/model/base_sha256", serde_json::Value::Null),
            ("/weights", "bf16".into()),
            ("/kv", "f32".into()),
            ("/max_prompt_length", 100.into()),
            ("/max_response_length", 32.into()),
            ("/loss_scale_factor", 1024.0.into()),
            ("/prompts/solve", Prompts::default().solve.into()),
            ("/problems", 8.into()),
            ("/held_out", 2.into()),
            ("/starts/0/resumed", false.into()),
        ] {
            assert_eq!(file.pointer(path), Some(&value), "{path}");
        }
        assert_eq!(file["model"]["layout_sha256"].as_str().map(str::len), Some(64));
        assert_eq!(
            file["model"]["architecture"]["hidden_size"],
            tiny_model(1).config.hidden_size
        );
        // The configured one, where there is one.
        config.algorithm.loss_scale_factor = Some(64.0);
        let first = file["starts"][0].clone();
        let file = write(folder.path(), &config, (6, 9), true);
        assert_eq!(file["loss_scale_factor"], 64.0);
        assert_eq!(
            (&file["starts"][0], file["starts"].as_array().map(Vec::len)),
            (&first, Some(2))
        );
        let second = &file["starts"][1];
        assert_eq!(
            (&second["step"], &second["weight_version"], &second["resumed"]),
            (&6.into(), &9.into(), &true.into())
        );
        assert!(second["at"].as_f64() >= first["at"].as_f64(), "{file}");
        // What somebody else left there is no reason not to train.
        std::fs::write(folder.path().join(FILE), "{").expect("written");
        let file = write(folder.path(), &config, (8, 11), true);
        assert_eq!(file["starts"].as_array().map(Vec::len), Some(1));
        // A fresh run of that folder, whose first start never wrote its configuration, has one start.
        let file = write(folder.path(), &config, (0, 0), false);
        assert_eq!(file["starts"].as_array().map(Vec::len), Some(1));
        // A file that cannot be read is named.
        std::fs::remove_file(folder.path().join(FILE)).expect("removed");
        std::fs::create_dir(folder.path().join(FILE)).expect("a folder in its place");
        assert!(starts(folder.path()).is_err_and(|error| error.to_string().contains(FILE)));
    }
}
