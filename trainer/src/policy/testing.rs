//! A model small enough for unit tests, with random parameters and a byte tokenizer.

use std::sync::Arc;

use svs_engine::config::{Family, Rope};
use svs_engine::load::LoadedModel;
use svs_engine::text::Tokenizer;
use svs_engine::train::{TrainSequence, score};
use svs_engine::{FinishReason, ModelConfig, ParamLayout, Params, SamplingParams, VersionSpan};

use super::Policy;
use crate::optim::OptimConfig;
use crate::seeds::SplitMix;
use crate::trajectory::{Kind, Segment, SegmentRole, Trajectory};

/// A Llama of two layers and width 16 over bytes.
pub(crate) fn tiny_model(seed: u64) -> LoadedModel {
    let tokenizer = Tokenizer::bytes_only().expect("builds");
    let config = ModelConfig {
        family: Family::Llama,
        vocab_size: tokenizer.vocab_size(),
        hidden_size: 16,
        intermediate_size: 32,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 4,
        max_position_embeddings: 256,
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
    let layout = Arc::new(ParamLayout::of(&config));
    let mut params = Params::zeros(Arc::clone(&layout));
    let mut random = SplitMix::new(seed);
    for entry in &layout.entries {
        let values = &mut params.values[entry.offset..entry.offset + entry.len()];
        for value in values {
            let unit = (random.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
            *value = if entry.decays() {
                (unit - 0.5) * 0.4
            } else {
                1.0 + (unit - 0.5) * 0.1
            };
        }
    }
    LoadedModel {
        config,
        params,
        tokenizer,
        name: "tiny".into(),
        extras: Vec::new(),
    }
}

/// The [`tiny_model`] with queries and keys so large that attention overflows once [`breaking`] has stepped.
pub(crate) fn brittle_model(seed: u64) -> LoadedModel {
    let mut model = tiny_model(seed);
    let layout = Arc::clone(&model.params.layout);
    for entry in &layout.entries {
        if entry.name.contains("q_proj") || entry.name.contains("k_proj") {
            let values = &mut model.params.values[entry.offset..entry.offset + entry.len()];
            values.iter_mut().for_each(|value| *value *= 1e18);
        }
    }
    model
}

/// Optimizer settings within their ranges whose every step multiplies the matrices by −99.
pub(crate) fn breaking() -> OptimConfig {
    OptimConfig {
        lr: 10.0,
        weight_decay: 10.0,
        ..OptimConfig::default()
    }
}

/// A trajectory of four prompt tokens and `sampled` ones, drawn by nobody: its logprobs are still missing.
pub(crate) fn unscored(id: &str, sampled: &[u32], version: u64, temperature: f32) -> Trajectory {
    let n = sampled.len();
    Trajectory {
        id: id.into(),
        group_id: "g".into(),
        group_size: 4,
        problem_id: None,
        parent: None,
        kind: Kind::Solve,
        segments: vec![
            Segment {
                role: SegmentRole::Prompt,
                tokens: vec![65, 66, 67, 10],
                trainable: false,
            },
            Segment {
                role: SegmentRole::Sampled,
                tokens: sampled.to_vec(),
                trainable: true,
            },
        ],
        logprobs: vec![-1.0; n],
        raw_logprobs: vec![-1.0; n],
        thresholds: vec![None; n],
        spans: vec![VersionSpan {
            version,
            start: 0,
            end: u32::try_from(n).expect("short"),
        }],
        trained_prompt: None,
        adapter: None,
        session: None,
        awaits_reward: false,
        mixed_kv: false,
        approximate: false,
        hidden: None,
        sampling: SamplingParams {
            temperature,
            ..SamplingParams::default()
        },
        choice: 0,
        finish_reason: FinishReason::Stop,
        weight: 1.0,
        reference: None,
        verdicts: Vec::new(),
        text: String::new(),
        metadata: serde_json::Value::Null,
        created_at: 0.0,
    }
}

/// Logprobs of the scored tokens under the current weights, as a sampler would record them.
pub(crate) fn logprobs(policy: &Policy, trajectory: &Trajectory) -> Vec<f32> {
    let sequence = TrainSequence {
        tokens: trajectory.tokens(),
        scored: trajectory.scored(),
        temperature: trajectory.sampling.temperature,
    };
    let scores = score(&policy.weight_set("scoring"), &[sequence]).expect("scores");
    scores[0].iter().map(|token| token.logprob).collect()
}
