//! The backward against finite differences in every tensor, invariances, and parity with what serving records.

use std::sync::Arc;

use super::*;
use crate::config::{Family, ModelConfig, Precision, Rope};
use crate::ops::Team;
use crate::params::ParamLayout;
use crate::sampler::philox4x32_10;

pub(super) mod cuts;

pub(super) fn config(family: Family) -> ModelConfig {
    ModelConfig {
        family,
        vocab_size: 50,
        hidden_size: 24,
        intermediate_size: 40,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 8,
        max_position_embeddings: 128,
        rms_norm_eps: 1e-5,
        rope: Rope {
            theta: 10_000.0,
            scaling: None,
        },
        tie_word_embeddings: family != Family::Qwen3,
        qkv_bias: family == Family::Qwen2,
        qk_norm: family == Family::Qwen3,
        sliding_window: (family == Family::Mistral).then_some(6),
    }
}

pub(super) fn uniform(index: usize, stream: u32) -> f32 {
    let [word, ..] = philox4x32_10([index as u32, stream, 0, 0], [3, 4]);
    (f64::from(word) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
}

pub(super) fn params(config: &ModelConfig) -> Params {
    let mut params = Params::zeros(Arc::new(ParamLayout::of(config)));
    for entry in params.layout.clone().entries.iter() {
        let norm = entry.name.ends_with("norm.weight");
        for at in entry.offset..entry.offset + entry.len() {
            params.values[at] = if norm {
                1.0 + 0.2 * uniform(at, 1)
            } else {
                0.3 * uniform(at, 1)
            };
        }
    }
    params
}

pub(super) fn sequences() -> Vec<TrainSequence> {
    let make = |len: usize, from: u32, temperature: f32| TrainSequence {
        tokens: (0..len)
            .map(|at| ((uniform(at, from + 9) + 1.0) * 24.9) as u32)
            .collect(),
        scored: (from..len as u32).collect(),
        temperature,
    };
    let trunk = make(40, 18, 1.0);
    // Begins as the trunk does, for so many tokens; what is scored may lie in the part that is shared.
    let branch = |common: usize, len: usize, from: u32| {
        let mut branch = make(len, from, 0.9);
        branch.tokens[..common].copy_from_slice(&trunk.tokens[..common]);
        branch
    };
    let mut sequences = vec![make(21, 5, 1.0), make(9, 1, 0.7), trunk.clone()];
    sequences.extend([
        branch(33, 45, 30),
        branch(20, 29, 16),
        branch(40, 40, 8),
        branch(16, 18, 16),
    ]);
    sequences.push(make(37, 30, 1.3));
    // Another family whose first block is that of the last one, as behind a chat template.
    let mut other = make(50, 40, 1.0);
    let opening = sequences[sequences.len() - 1].tokens[..16].to_vec();
    other.tokens[..16].copy_from_slice(&opening);
    let mut sibling = other.clone();
    sibling.tokens[48] = (sibling.tokens[48] + 1) % 50;
    sequences.extend([other, sibling]);
    sequences
}

#[test]
fn what_sequences_begin_with_in_common_has_rows_once() {
    let packed = Packed::new(&sequences(), 50).expect("valid");
    let shared: Vec<usize> = packed.spans.iter().map(|span| span.shared).collect();
    assert_eq!(shared, [0, 0, 0, 33, 20, 38, 16, 0, 0, 48]);
    let own: usize = sequences().iter().map(TrainSequence::rows).sum::<usize>() - 155;
    assert_eq!((packed.tokens.len(), packed.positions.len()), (own, own));
    let first = |index: usize| {
        sequences()[..index]
            .iter()
            .map(|sequence| sequence.scored.len())
            .sum::<usize>()
    };
    let trunk = packed.spans[2].first;
    assert_eq!(packed.targets[first(3)].row, trunk + 29, "a shared row, scored by two");
    assert_eq!(packed.targets[first(2) + 12].row, trunk + 29);
    assert_eq!(
        packed.targets[first(6)].row,
        trunk + 15,
        "the row before the first own token"
    );
}

pub(super) fn coefficients(sequences: &[TrainSequence]) -> Vec<Vec<TokenGrad>> {
    let grad = |at: u32| TokenGrad {
        dlogprob: uniform(at as usize, 5),
        dentropy: 0.3 * uniform(at as usize, 6),
    };
    sequences
        .iter()
        .map(|sequence| sequence.scored.iter().map(|at| grad(*at)).collect())
        .collect()
}

pub(super) fn train<'a>(config: &ModelConfig, params: &'a Params) -> TrainWeights<'a> {
    TrainWeights::new(Arc::new(WeightSet::pack(config, params, 1, "test")), params)
}

/// The function whose gradient `accumulate` returns, from scores alone.
fn objective(config: &ModelConfig, params: &Params) -> f64 {
    let sequences = sequences();
    let scores = score(&WeightSet::pack(config, params, 1, "test"), &sequences).expect("finite");
    let terms = scores
        .iter()
        .flatten()
        .zip(coefficients(&sequences).concat())
        .map(|(score, grad)| {
            f64::from(grad.dlogprob) * f64::from(score.logprob) + f64::from(grad.dentropy) * f64::from(score.entropy)
        });
    terms.sum()
}

pub(super) const FAMILIES: [Family; 4] = [Family::Llama, Family::Mistral, Family::Qwen2, Family::Qwen3];

#[test]
fn gradients_match_finite_differences_in_every_tensor() {
    for family in FAMILIES {
        let config = config(family);
        let base = params(&config);
        let sequences = sequences();
        let mut grads = Params::zeros(base.layout.clone());
        accumulate(
            &train(&config, &base),
            &sequences,
            &coefficients(&sequences),
            &mut grads,
            &mut Scratch::default(),
        )
        .expect("finite");
        for entry in &base.layout.entries {
            let range = entry.offset..entry.offset + entry.len();
            let gradient = &grads.values[range.clone()];
            assert!(gradient.iter().all(|g| g.is_finite()), "{family:?} {}", entry.name);
            // Along the gradient itself the difference is largest, so rounding matters least.
            let norm = gradient
                .iter()
                .map(|g| f64::from(*g) * f64::from(*g))
                .sum::<f64>()
                .sqrt();
            assert!(norm > 1e-4, "{family:?} {}: no gradient", entry.name);
            let step = 2e-3 / norm;
            let shifted = |sign: f64| {
                let mut params = base.clone();
                for (value, g) in params.values[range.clone()].iter_mut().zip(gradient) {
                    *value += (sign * step * f64::from(*g)) as f32;
                }
                objective(&config, &params)
            };
            let measured = (shifted(1.0) - shifted(-1.0)) / (2.0 * step);
            let expected = norm * norm;
            let error = (measured - expected).abs() / expected;
            assert!(
                error < 2e-2,
                "{family:?} {}: {measured} measured, {expected} computed",
                entry.name
            );
        }
    }
}

/// ‖a − b‖ / ‖b‖.
fn distance(a: &Params, b: &Params) -> f64 {
    let pairs = a.values.iter().zip(&b.values);
    let difference: f64 = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let norm: f64 = b.values.iter().map(|b| f64::from(*b).powi(2)).sum();
    (difference / norm).sqrt()
}

#[test]
fn any_split_recomputation_or_thread_count_gives_the_same_gradient() {
    let config = config(Family::Qwen3);
    let params = params(&config);
    let weights = train(&config, &params);
    let sequences = sequences();
    let coefficients = coefficients(&sequences);
    let run = |kept_bytes: usize| {
        let mut grads = Params::zeros(params.layout.clone());
        let scratch = &mut Scratch::default();
        let scores = accumulate_within(&weights, &sequences, &coefficients, &mut grads, scratch, kept_bytes);
        let scores = scores.expect("finite");
        (grads, scores)
    };
    let (whole, scores) = run(usize::MAX);
    assert_eq!(run(0), (whole.clone(), scores.clone()), "recomputed layers");
    assert_eq!(score(&weights.set, &sequences).expect("finite"), scores);
    for threads in [1, 3] {
        let team = Team::new(Some(threads)).expect("threads");
        assert_eq!(
            team.install(|| run(usize::MAX)),
            (whole.clone(), scores.clone()),
            "{threads} threads"
        );
    }
    let mut split = Params::zeros(params.layout.clone());
    let mut scratch = Scratch::default();
    for (sequence, coefficients) in sequences.iter().zip(&coefficients) {
        let (sequence, coefficients) = (std::slice::from_ref(sequence), std::slice::from_ref(coefficients));
        accumulate(&weights, sequence, coefficients, &mut split, &mut scratch).expect("finite");
    }
    for kept_bytes in [usize::MAX, 0, usize::MAX] {
        let mut again = Params::zeros(params.layout.clone());
        let used = accumulate_within(
            &weights,
            &sequences,
            &coefficients,
            &mut again,
            &mut scratch,
            kept_bytes,
        );
        assert_eq!(
            (again, used.expect("finite")),
            (whole.clone(), scores.clone()),
            "memory used before"
        );
    }
    assert!(distance(&split, &whole) < 1e-5, "{}", distance(&split, &whole));
    // Sharing changes the order of sums over rows, no score.
    for (sequence, scores) in sequences.iter().zip(&scores) {
        let alone = score(&weights.set, std::slice::from_ref(sequence)).expect("finite");
        assert_eq!(&alone[0], scores);
    }
}

#[test]
fn gradients_in_bf16_are_those_in_f32_at_the_rounded_weights() {
    let sequences = sequences();
    for family in FAMILIES {
        let config = config(family);
        let masters = params(&config);
        let mut rounded = masters.clone();
        for entry in &masters.layout.entries {
            // What stays f32: vectors, and an embedding that is not the output projection.
            let table = entry.name.contains("embed_tokens") && !config.tie_word_embeddings;
            if entry.shape.len() == 2 && !table {
                let values = &mut rounded.values[entry.offset..entry.offset + entry.len()];
                values
                    .iter_mut()
                    .for_each(|value| *value = half::bf16::from_f32(*value).to_f32());
            }
        }
        let gradients = |precision, params: &Params| {
            let set = Arc::new(WeightSet::pack_as(precision, &config, params, 1, "test"));
            let weights = TrainWeights::new(set, params);
            let mut grads = Params::zeros(params.layout.clone());
            let scratch = &mut Scratch::default();
            let scores = accumulate(&weights, &sequences, &coefficients(&sequences), &mut grads, scratch);
            let scores = scores.expect("finite");
            (scores, grads.values)
        };
        let straight_through = gradients(Precision::Bf16, &masters);
        assert_eq!(straight_through, gradients(Precision::F32, &rounded), "{family:?}");
        assert_ne!(straight_through.1, gradients(Precision::F32, &masters).1, "{family:?}");
    }
}

#[test]
fn refuses_what_cannot_be_scored() {
    let config = config(Family::Llama);
    let set = WeightSet::pack(&config, &params(&config), 1, "test");
    let good = TrainSequence {
        tokens: vec![1, 2, 3],
        scored: vec![1, 2],
        temperature: 1.0,
    };
    type Row = (&'static str, fn(&mut TrainSequence));
    let table: [Row; 6] = [
        ("tokens", |s| s.tokens.clear()),
        ("tokens", |s| s.tokens[0] = 50),
        ("scored", |s| s.scored = vec![0]),
        ("scored", |s| s.scored = vec![3]),
        ("scored", |s| s.scored = vec![2, 1]),
        ("temperature", |s| s.temperature = 0.0),
    ];
    assert!(score(&set, std::slice::from_ref(&good)).is_ok());
    for (name, change) in table {
        let mut bad = good.clone();
        change(&mut bad);
        match score(&set, &[good.clone(), bad]) {
            Err(EngineError::InvalidParameter { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}
