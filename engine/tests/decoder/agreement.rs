//! How near a device's logprobs must come to the CPU's where they need not be its bits: the mode `fast`.

use std::sync::Arc;

use svs_engine::model::{BLOCK_TOKENS, SequenceRows, StepBatch};
use svs_engine::ops::logsumexp;
use svs_engine::text::Tokenizer;
use svs_engine::train::{TrainSequence, score};
use svs_engine::{
    Completion, EngineConfig, EngineHandle, GenerateRequest, InFlight, ModelConfig, Params, Precision, SamplingParams,
    Storage, WeightSet,
};

use crate::fixture::params;
use crate::parity::{models, run, tokens};
use crate::place::Place;
use crate::trained::{policy, widened};

/// Least share of rows with the same most likely token.
const TOP: f64 = 0.98;
/// Largest mean |difference| of a sampled token's logprob, nats.
const MEAN_DIFFERENCE: f64 = 0.02;
/// Largest difference of logits where all is f32, relative to the largest.
const F32_DIFFERENCE: f32 = 1e-3;

/// Texts of each prompt.
const SAMPLES: usize = 40;

const BF16: Storage = Storage {
    weights: Precision::Bf16,
    kv: Precision::Bf16,
};

/// The trained policy, with its texts.
pub(crate) struct Texts {
    pub(crate) config: ModelConfig,
    pub(crate) params: Params,
    tokenizer: Tokenizer,
    /// Prompt and response tokens, and where the response begins.
    sampled: Vec<(Vec<u32>, usize)>,
}

/// Logits of two decoders, compared.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    tokens: f64,
    same_top: f64,
    difference: f64,
}

impl Texts {
    /// Solutions that the policy samples on the CPU.
    pub(crate) fn sample() -> Self {
        let model = policy();
        let (config, params) = widened(&model.config, &model.params);
        let tokenizer = model.tokenizer;
        let prompts = [
            "Tom has 3 apples and buys 4 more. How many apples does Tom have?\nSolve:",
            "Anna has 12 books and gives away 5. How many books are left?\nSolve:",
            "A box holds 6 cups. How many cups are in 7 boxes?\nSolve:",
        ];
        let prompts: Vec<Vec<u32>> = prompts
            .iter()
            .map(|prompt| tokenizer.encode(prompt, false).expect("it encodes"))
            .collect();
        let weights = Arc::new(WeightSet::pack_as(BF16, &config, &params, 1, "texts"));
        let engine = start(Place::CPU, weights, tokenizer.clone(), EngineConfig::default());
        let done = collect(&engine, &prompts, SAMPLES as u32, 1);
        let sampled = prompts.iter().zip(&done).flat_map(|(prompt, done)| texts(prompt, done));
        Self {
            sampled: sampled.collect(),
            config,
            params,
            tokenizer,
        }
    }

    fn weights(&self, version: u64) -> Arc<WeightSet> {
        Arc::new(WeightSet::pack_as(BF16, &self.config, &self.params, version, "texts"))
    }

    /// Logits of every text, in chunks of 1 to 64 rows.
    pub(crate) fn logits(&self, place: Place, weights: &Arc<WeightSet>) -> Vec<Vec<f32>> {
        let sequences: Vec<_> = self.sampled.iter().map(|(tokens, _)| tokens.clone()).collect();
        let chunks: Vec<_> = (0..sequences.len()).map(|i| [64, 7, 1, 16, 33][i % 5]).collect();
        run(place, weights, &sequences, &chunks)
    }

    /// Compares logits of every response token.
    pub(crate) fn compare(&self, got: &[Vec<f32>], want: &[Vec<f32>]) -> Agreement {
        let mut agreement = Agreement::default();
        for (((tokens, prompt), got), want) in self.sampled.iter().zip(got).zip(want) {
            for position in *prompt..tokens.len() {
                let row = |logits: &[f32]| {
                    let vocab = self.config.vocab_size;
                    logits[(position - 1) * vocab..position * vocab].to_vec()
                };
                agreement.add(&row(got), &row(want), tokens[position]);
            }
        }
        agreement
    }
}

impl Agreement {
    fn add(&mut self, got: &[f32], want: &[f32], token: u32) {
        let top = |logits: &[f32]| (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
        let logprob = |logits: &[f32]| f64::from(logits[token as usize] - logsumexp(logits));
        self.tokens += 1.0;
        self.same_top += f64::from(u8::from(top(got) == top(want)));
        self.difference += (logprob(got) - logprob(want)).abs();
    }

    /// Within both bars; NaN is not.
    pub(crate) fn holds(&self) -> bool {
        self.tokens > 0.0 && self.same_top / self.tokens >= TOP && self.difference / self.tokens <= MEAN_DIFFERENCE
    }

    fn assert(&self, what: &str) {
        let (top, difference) = (self.same_top / self.tokens, self.difference / self.tokens);
        eprintln!(
            "    {what}: {} tokens, same top {top:.4}, mean |dlogprob| {difference:.5}",
            self.tokens
        );
        assert!(self.holds(), "{what}: {self:?}");
    }
}

fn start(place: Place, weights: Arc<WeightSet>, tokenizer: Tokenizer, config: EngineConfig) -> EngineHandle {
    let config = EngineConfig {
        device: place.device,
        cuda_mode: place.mode,
        ..config
    };
    EngineHandle::start(weights, tokenizer, config).expect("the device is there")
}

fn request(prompt: &[u32], n: u32, seed: u64) -> GenerateRequest {
    GenerateRequest {
        prompt: prompt.to_vec(),
        n,
        sampling: SamplingParams {
            seed: Some(seed),
            max_tokens: 48,
            ..SamplingParams::default()
        },
        ..GenerateRequest::default()
    }
}

fn collect(engine: &EngineHandle, prompts: &[Vec<u32>], n: u32, seed: u64) -> Vec<Completion> {
    let running: Vec<_> = (seed..)
        .zip(prompts)
        .map(|(seed, prompt)| engine.submit(request(prompt, n, seed)).expect("it fits"))
        .collect();
    running
        .into_iter()
        .map(|run| run.collect_blocking().expect("no request fails"))
        .collect()
}

fn texts(prompt: &[u32], done: &Completion) -> Vec<(Vec<u32>, usize)> {
    let choices = done.choices.iter();
    choices
        .map(|choice| ([prompt, &choice.tokens].concat(), prompt.len()))
        .collect()
}

/// Models of every family with heads of a width that `fast` takes, all in f32.
pub(crate) fn f32_logits_are_near_the_cpus(place: Place) {
    for mut config in models() {
        (config.head_dim, config.sliding_window) = (64, None);
        let weights = Arc::new(WeightSet::pack(&config, &params(&config), 1, "near"));
        let sequences: Vec<_> = (0..4).map(|i| tokens(&config, i, 9 + 17 * i)).collect();
        let got = run(place, &weights, &sequences, &[1, 16, 5, 64]);
        let want = run(Place::CPU, &weights, &sequences, &[64; 4]);
        for (got, want) in got.iter().zip(&want) {
            let scale = want.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            let near = got
                .iter()
                .zip(want)
                .all(|(a, b)| (a - b).abs() <= F32_DIFFERENCE * scale);
            assert!(got.len() == want.len() && near, "{:?}", config.family);
        }
    }
}

/// The trained policy in bf16 over its own texts.
pub(crate) fn logits_agree_with_the_cpus(place: Place) {
    let texts = Texts::sample();
    let weights = texts.weights(1);
    let (got, want) = (texts.logits(place, &weights), texts.logits(Place::CPU, &weights));
    texts.compare(&got, &want).assert("texts");
}

/// Two samples share a block and part of a second, which is copied on write.
pub(crate) fn a_copied_block_and_a_shared_prefix_agree(place: Place) {
    let texts = Texts::sample();
    let weights = texts.weights(1);
    let vocab = texts.config.vocab_size;
    let shared = BLOCK_TOKENS + 5;
    let mut agreement = [Agreement::default(), Agreement::default()];
    for (tokens, _) in texts.sampled.iter().filter(|(tokens, _)| tokens.len() > shared + 4) {
        let want = run(Place::CPU, &weights, std::slice::from_ref(tokens), &[64]).remove(0);
        let mut executor = place.executor(&weights, 8);
        let mut logits = Vec::new();
        let tables: [&[u32]; 2] = [&[4, 0, 2, 1], &[4, 5, 7, 6]];
        let mut step = |executor: &mut svs_engine::model::Executor, tokens: &[u32], parts: &[(usize, usize)]| {
            let mut first = 0;
            let sequences: Vec<SequenceRows<'_>> = parts
                .iter()
                .map(|(table, start)| {
                    let rows = tokens.len() / parts.len();
                    first += rows;
                    SequenceRows {
                        rows: first - rows..first,
                        start: *start,
                        block_table: tables[*table],
                    }
                })
                .collect();
            let logit_rows: Vec<u32> = (0..tokens.len() as u32).collect();
            let batch = StepBatch {
                tokens,
                sequences: &sequences,
                logit_rows: &logit_rows,
                state_rows: &[],
            };
            executor.forward(&weights, &batch, &mut logits).expect("the step runs");
            logits.clone()
        };
        step(&mut executor, &tokens[..shared], &[(0, 0)]);
        executor.copy_block(0, 5, shared % BLOCK_TOKENS).expect("the copy runs");
        let rest = &tokens[shared..tokens.len().min(4 * BLOCK_TOKENS)];
        let both = step(&mut executor, &[rest, rest].concat(), &[(0, shared), (1, shared)]);
        for (agreement, got) in agreement.iter_mut().zip(both.chunks_exact(rest.len() * vocab)) {
            for (at, next) in rest.iter().enumerate().skip(1) {
                let row = (shared + at - 1) * vocab;
                agreement.add(&got[(at - 1) * vocab..at * vocab], &want[row..row + vocab], *next);
            }
        }
    }
    agreement[0].assert("original");
    agreement[1].assert("copy");
}

/// A whole engine: groups, chunked prefills, too few blocks for all at once, a request given up and a publish. What it
/// records is near what the trainer computes.
pub(crate) fn completions_agree_with_the_trainer(place: Place) {
    let texts = Texts::sample();
    let config = EngineConfig {
        max_num_batched_tokens: 24,
        max_num_seqs: 8,
        kv_blocks: Some(24),
        ..EngineConfig::default()
    };
    let weights = [texts.weights(1), texts.weights(2)];
    let engine = start(place, Arc::clone(&weights[0]), texts.tokenizer.clone(), config);
    let prompts: Vec<Vec<u32>> = [0, SAMPLES, 2 * SAMPLES]
        .map(|at| texts.sampled[at].0[..texts.sampled[at].1].to_vec())
        .into();
    let (mut tokens, mut difference) = (0.0, 0.0);
    for (seed, set) in (1_u64..).zip(&weights) {
        if seed > 1 {
            engine
                .publish(Arc::clone(set), InFlight::Drain)
                .expect("the shapes agree");
        }
        let mut given_up = engine.submit(request(&prompts[0], 3, 99)).expect("it fits");
        given_up.blocking_next().expect("a first event");
        drop(given_up);
        for (prompt, done) in prompts.iter().zip(collect(&engine, &prompts, 5, 100 * seed)) {
            for choice in &done.choices {
                assert!(choice.spans.iter().all(|span| span.version == set.version));
                let sequence = TrainSequence {
                    tokens: [prompt.as_slice(), &choice.tokens].concat(),
                    scored: (prompt.len() as u32..).take(choice.tokens.len()).collect(),
                    temperature: 1.0,
                };
                let scores = score(set, &[sequence]).expect("finite").remove(0);
                for (score, recorded) in scores.iter().zip(&choice.logprobs) {
                    tokens += 1.0;
                    difference += f64::from((score.logprob - recorded).abs());
                }
            }
        }
    }
    let mean = difference / tokens;
    eprintln!("    {tokens} tokens, mean |recorded − rescored| {mean:.5}");
    assert!(tokens > 100.0 && mean <= MEAN_DIFFERENCE, "{mean} over {tokens} tokens");
}
