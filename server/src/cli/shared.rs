//! What several commands share: the model and the bounds of its engine.

use std::path::{Path, PathBuf};

use anyhow::Context;
use svs_engine::{CudaMode, Device, EngineConfig, Precision};

use svs_trainer::reward::EndpointConfigs;
use svs_verifier::sandbox::{CodeMode, SandboxConfig};
use svs_verifier::spec::GraderSpec;

use crate::config::ServeConfig;

/// The model and the bounds of its engine.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// A Hugging Face folder, a .gguf file or a hub id; the embedded policy if absent.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    #[command(flatten)]
    bounds: EngineArgs,
}

/// Bounds of an engine, where its model is kept and computed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Engine bounds")]
pub struct EngineArgs {
    /// Sequences that run at once.
    #[arg(long, value_name = "N")]
    pub max_num_seqs: Option<usize>,
    /// Rows (tokens) of one step.
    #[arg(long, value_name = "N")]
    pub max_num_batched_tokens: Option<usize>,
    /// Bytes of the KV cache.
    #[arg(long, value_name = "BYTES")]
    pub kv_cache_bytes: Option<usize>,
    /// Longest sequence, prompt and completion together.
    #[arg(long, value_name = "TOKENS")]
    pub max_model_len: Option<usize>,
    /// Threads of the compute pool [default: cores].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Storage of the weight matrices: `f32`, or `bf16`, which takes half the memory and time to read.
    #[arg(long, value_name = "PRECISION", value_parser = parse_precision)]
    pub weights: Option<Precision>,
    /// Storage of keys and values: `f32`, or `bf16`, which lets twice as many tokens into the cache.
    #[arg(long, value_name = "PRECISION", value_parser = parse_precision)]
    pub kv: Option<Precision>,
    /// Where the decoder runs: `cpu`, `cuda` or `cuda:<n>` [default: cpu].
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<Device>,
    /// How a CUDA device computes: `exact`, in the CPU's order of sums, or `fast` [default: exact].
    #[arg(long, value_name = "MODE")]
    pub cuda_mode: Option<CudaMode>,
}

impl EngineArgs {
    /// Lays the flags that were given over `config`.
    pub fn over(&self, config: &mut EngineConfig) {
        fn over<T: Copy>(slot: &mut T, flag: Option<T>) {
            *slot = flag.unwrap_or(*slot);
        }
        over(&mut config.max_num_seqs, self.max_num_seqs);
        over(&mut config.max_num_batched_tokens, self.max_num_batched_tokens);
        if let Some(bytes) = self.kv_cache_bytes {
            (config.kv_cache_bytes, config.kv_blocks) = (bytes, None);
        }
        config.max_model_len = self.max_model_len.or(config.max_model_len);
        config.threads = self.threads.or(config.threads);
        over(&mut config.weights, self.weights);
        over(&mut config.kv, self.kv);
        over(&mut config.device, self.device);
        over(&mut config.cuda_mode, self.cuda_mode);
        config.guide_trial = Some(this_program());
    }
}

/// The grader that `--grader` specifies: JSON, or a file of it.
///
/// # Errors
/// The file cannot be read, or what is specified is no grader; the reason names the field.
pub(super) fn grader_spec(given: &str) -> anyhow::Result<GraderSpec> {
    let text = if given.trim_start().starts_with('{') {
        given.to_owned()
    } else {
        std::fs::read_to_string(given).with_context(|| format!("--grader: cannot read {given}"))?
    };
    let spec: GraderSpec = serde_json::from_str(&text).context("--grader is no grader's specification")?;
    spec.check().context("--grader cannot be used")?;
    Ok(spec)
}

/// The endpoints that `--endpoints` declares.
///
/// # Errors
/// The file cannot be read, or declares none; the reason names the field.
pub(super) fn endpoints(path: &Path) -> anyhow::Result<EndpointConfigs> {
    let text = std::fs::read_to_string(path).with_context(|| format!("--endpoints: cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("--endpoints: {}", path.display()))
}

/// Whether programs of responses may run.
#[derive(Debug, clap::Args)]
pub struct CodeArgs {
    /// Run programs for graders of type `code`: `strict`, with every protection or not at all, or `permissive`, with those
    /// that this machine has.
    #[arg(long, value_name = "MODE", value_parser = parse_mode)]
    pub run_code: Option<CodeMode>,
    /// The Python that runs them.
    #[arg(long, value_name = "PYTHON", requires = "run_code")]
    pub python: Option<String>,
}

impl CodeArgs {
    /// The grader that `--grader` specifies, if programs may run where it runs any.
    ///
    /// # Errors
    /// As [`grader_spec`]; and a grader of programs without `--run-code`.
    pub(super) fn grader(&self, given: Option<&str>) -> anyhow::Result<Option<GraderSpec>> {
        let spec = given.map(grader_spec).transpose()?;
        let runs_code = spec.as_ref().is_some_and(GraderSpec::runs_code);
        anyhow::ensure!(
            !runs_code || self.run_code.is_some(),
            "--grader runs programs of responses; give --run-code strict if it may"
        );
        Ok(spec)
    }

    /// The sandbox's configuration: its defaults, but off without the flag.
    #[must_use]
    pub fn sandbox(&self) -> SandboxConfig {
        let default = SandboxConfig::default();
        SandboxConfig {
            mode: self.run_code.unwrap_or_default(),
            python: self.python.clone().unwrap_or(default.python),
            ..default
        }
    }
}

fn parse_mode(text: &str) -> Result<CodeMode, String> {
    match text {
        "strict" => Ok(CodeMode::Strict),
        "permissive" => Ok(CodeMode::Permissive),
        _ => Err("must be `strict` or `permissive`".into()),
    }
}

/// Reads the name of a precision.
pub(super) fn parse_precision(text: &str) -> Result<Precision, String> {
    [Precision::F32, Precision::Bf16]
        .into_iter()
        .find(|precision| precision.name() == text)
        .ok_or_else(|| "must be `f32` or `bf16`".into())
}

/// The program that runs, to be started again for work that the kernel must bound.
pub(crate) fn this_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        // Holds when the file has been replaced meanwhile.
        return "/proc/self/exe".into();
    }
    std::env::current_exe().unwrap_or_else(|_| "svs".into())
}

impl ModelArgs {
    /// The bounds, with defaults where no flag was given.
    #[must_use]
    pub fn engine(&self) -> EngineConfig {
        let mut config = EngineConfig::default();
        self.bounds.over(&mut config);
        config
    }

    /// A configuration for [`crate::stack::Stack`] that keeps its files in `runs`.
    #[must_use]
    pub fn stack(&self, runs: Option<PathBuf>) -> ServeConfig {
        ServeConfig {
            model: self.model.clone(),
            runs,
            engine: self.engine(),
            ..ServeConfig::default()
        }
    }
}
