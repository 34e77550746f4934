//! A tiny policy and a tiny task: answer "Say 7." with the right digit, at first by guessing.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use svs_engine::config::{Family, Rope};
use svs_engine::load::{LoadedModel, save};
use svs_engine::text::Tokenizer;
use svs_engine::{EngineConfig, EngineHandle, ModelConfig, ParamLayout, Params, Precision, Storage, WeightSet};
use svs_trainer::optim::OptimConfig;
use svs_trainer::run::config::{ProblemSource, Recipe};
use svs_trainer::seeds::SplitMix;
use svs_trainer::sft::{Example, Progress, SftConfig, train};
use svs_trainer::svs::Prompts;
use svs_trainer::{Policy, TrainConfig, TrainerHandle, TrajectoryLog};

/// Longest sequence of the toy model.
const CONTEXT: usize = 160;

pub(crate) fn prompts() -> Prompts {
    Prompts {
        solve: "{question}".into(),
        synthesize: "Ask: {response}".into(),
        ..Prompts::default()
    }
}

/// One layer of random weights over bytes.
fn untrained() -> LoadedModel {
    let config = ModelConfig {
        family: Family::Llama,
        vocab_size: 259,
        hidden_size: 32,
        intermediate_size: 64,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_dim: 16,
        max_position_embeddings: CONTEXT,
        rms_norm_eps: 1e-5,
        rope: Rope {
            theta: 10_000.0,
            scaling: None,
        },
        tie_word_embeddings: true,
        qkv_bias: false,
        qk_norm: false,
        sliding_window: None,
    };
    let mut params = Params::zeros(Arc::new(ParamLayout::of(&config)));
    let mut random = SplitMix::new(7);
    let layout = Arc::clone(&params.layout);
    for entry in &layout.entries {
        for value in &mut params.values[entry.offset..entry.offset + entry.len()] {
            let uniform = random.below(1 << 20) as f32 / (1u32 << 20) as f32 - 0.5;
            *value = if entry.decays() { 0.3 * uniform } else { 1.0 };
        }
    }
    let wording = serde_json::json!({ "prompts": prompts() });
    LoadedModel {
        config,
        params,
        tokenizer: Tokenizer::bytes_only().expect("a fixed tokenizer"),
        name: "toy".into(),
        extras: vec![("svs.json".into(), wording.to_string().into_bytes())],
    }
}

/// A question about `digit`; there are four wordings.
pub(crate) fn question(digit: usize, wording: usize) -> String {
    format!("Say {digit}{}", [".", "!", "?", ""][wording])
}

/// Every pair of a question and an answer, right or wrong, and every pair of a solution and a question for it.
fn examples(tokenizer: &Tokenizer) -> Vec<Example> {
    let end = tokenizer.eos_ids()[0];
    let example = |messages: &[_], target: String| {
        let mut target = tokenizer.encode(&target, false).expect("bytes");
        target.push(end);
        Example {
            prompt: tokenizer.encode_chat(messages, true).expect("a template"),
            target,
        }
    };
    let mut examples = Vec::new();
    for digit in 0..10 {
        for wording in 0..4 {
            for guess in 0..10 {
                let messages = prompts().solve_messages(&question(digit, wording));
                examples.push(example(&messages, format!("\\boxed{{{guess}}}")));
            }
            let messages = prompts().synthesis_messages(&format!("\\boxed{{{digit}}}"));
            let fenced = format!("```text\n{}\n```", question(digit, wording));
            // As many as there are guesses, so that both tasks weigh the same.
            examples.extend(std::iter::repeat_n(example(&messages, fenced), 4));
        }
    }
    examples
}

/// The toy policy after a supervised stage: it knows the formats and guesses digits.
pub(crate) fn model() -> LoadedModel {
    static MODEL: OnceLock<LoadedModel> = OnceLock::new();
    MODEL.get_or_init(warm).clone()
}

fn warm() -> LoadedModel {
    let mut model = untrained();
    let examples = examples(&model.tokenizer);
    let mut policy = Policy::new(model.clone(), 0);
    let config = SftConfig {
        optim: OptimConfig {
            lr: 1e-2,
            weight_decay: 0.0,
            ..OptimConfig::default()
        },
        batch_tokens: 2048,
        epochs: 8,
        ..SftConfig::default()
    };
    let report = train(&mut policy, examples, &config, |_| Progress::Continue).expect("the supervised stage");
    assert!(report.last_loss < 0.5 * report.first_loss, "{report:?}");
    model.params = policy.params().clone();
    model
}

/// Engine, log and trainer over the toy policy; files in `runs`.
pub(crate) struct Parts {
    pub(crate) engine: EngineHandle,
    pub(crate) log: TrajectoryLog,
    pub(crate) trainer: TrainerHandle,
}

impl Parts {
    pub(crate) fn open(runs: &Path) -> Self {
        Self::open_in(Precision::F32.into(), runs)
    }

    pub(crate) fn open_in(storage: Storage, runs: &Path) -> Self {
        let model = Arc::new(model());
        let weights = Arc::new(WeightSet::pack_as(storage, &model.config, &model.params, 0, "base"));
        let config = EngineConfig {
            kv_cache_bytes: 32 << 20,
            weights: storage.weights,
            kv: storage.kv,
            ..EngineConfig::default()
        };
        let engine = EngineHandle::start(weights, model.tokenizer.clone(), config).expect("the engine");
        let log = TrajectoryLog::open(&runs.join("trajectories.sqlite")).expect("the log");
        let trainer = TrainerHandle::new(engine.clone(), model, log.clone(), runs.to_path_buf());
        Self { engine, log, trainer }
    }
}

/// Problems in all wordings of `digits`, as a JSONL file in `folder`.
fn problems(folder: &Path, digits: impl IntoIterator<Item = usize>) -> std::path::PathBuf {
    let path = folder.join("problems.jsonl");
    let mut lines = String::new();
    for digit in digits {
        for wording in 0..4 {
            let line = serde_json::json!({
                "id": format!("{digit}-{wording}"), "question": question(digit, wording), "answer": digit.to_string(),
            });
            lines += &format!("{line}\n");
        }
    }
    std::fs::write(&path, lines).expect("a writable folder");
    path
}

/// A run on two digits in all wordings, quick to learn.
pub(crate) fn config(folder: &Path, recipe: Recipe, steps: u64) -> TrainConfig {
    let mut config = TrainConfig {
        recipe,
        steps,
        seed: 3,
        run_id: Some("toy".into()),
        ..TrainConfig::default()
    };
    config.problems.source = ProblemSource::Files;
    config.problems.files = vec![problems(folder, [3, 7])];
    config.problems.train_batch_size = 8;
    config.rollout.max_response_length = Some(32);
    config.rollout.max_prompt_length = Some(100);
    config.svs.max_contexts_per_prompt = 1;
    config.optim.lr = 3e-3;
    config.optim.weight_decay = 0.0;
    config.checkpoint.save_freq = 2;
    config
}

/// Writes the toy policy as a folder that the binary loads.
pub(crate) fn save_model(folder: &Path) -> std::path::PathBuf {
    let (model, path) = (model(), folder.join("toy"));
    save(&path, &model, &model.params).expect("a writable folder");
    path
}
