//! Makes the embedded policy from nothing: a tokenizer and a small decoder, trained by our own supervised stage on
//! generated arithmetic word problems. Deterministic: the same instruction set gives the same bits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use svs_engine::config::{Family, ModelConfig, Rope};
use svs_engine::load::{LoadedModel, save};
use svs_engine::sampler::philox4x32_10;
use svs_engine::text::{ChatMessage, Tokenizer};
use svs_engine::{EngineConfig, EngineHandle, ParamLayout, Params, WeightSet};
use svs_trainer::Policy;
use svs_trainer::eval::{EvalConfig, evaluate};
use svs_trainer::optim::{Decay, OptimConfig};
use svs_trainer::problems::procedural::{Generator, Split, problems};
use svs_trainer::sft::{Example, SftConfig, train};
use svs_trainer::svs::Prompts;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, TokenizerBuilder};

/// Control tokens; the first ends a generation.
const CONTROL: [&str; 3] = ["<|end|>", "<|user|>", "<|assistant|>"];
/// One user turn and the opening of the assistant's.
const TEMPLATE: &str = "{% for message in messages %}{% if message['role'] == 'assistant' %}{{ '<|assistant|>' + message['content'] + '<|end|>' }}{% else %}{{ '<|user|>' + message['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/// Options of `cargo xtask tiny-policy`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Folder to write.
    #[arg(long, default_value = "assets/tiny-policy")]
    output: PathBuf,
    /// Seed of weights, corpus and order.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Examples of the corpus, seen once.
    #[arg(long, default_value_t = 130_000)]
    examples: usize,
    /// Share of examples that ask for a problem instead of a solution.
    #[arg(long, default_value_t = 0.3)]
    synthesis: f64,
    /// Peak learning rate.
    #[arg(long, default_value_t = 3e-3)]
    lr: f64,
    /// Tokens of an optimizer step.
    #[arg(long, default_value_t = 6144)]
    batch_tokens: usize,
    /// Width of the residual stream.
    #[arg(long, default_value_t = 128)]
    hidden: usize,
    /// Layers.
    #[arg(long, default_value_t = 3)]
    layers: usize,
    /// Stop after so many optimizer steps, for trials.
    #[arg(long)]
    max_steps: Option<u64>,
}

/// Trains, measures and writes the policy.
///
/// # Errors
/// Anything that stopped it.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let began = Instant::now();
    let prompts = Prompts {
        solve: "{question}".into(),
        synthesize: "Write a problem for:\n{response}".into(),
    };
    let corpus = corpus(options);
    let tokenizer = tokenizer(&corpus)?;
    let config = model_config(options, tokenizer.vocab_size());
    let params = initial(&config, options.seed);
    println!(
        "{} parameters, {} tokens in the vocabulary",
        params.values.len(),
        config.vocab_size
    );
    let wording = serde_json::json!({"prompts": prompts}).to_string().into_bytes();
    let extras = vec![("svs.json".to_owned(), wording)];
    let model = LoadedModel {
        config,
        params,
        tokenizer,
        name: "svs-tiny".into(),
        extras,
    };
    let examples = encode(&corpus, &prompts, &model.tokenizer)?;
    let mut policy = Policy::new(model, 0);
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(
        "{elapsed_precise} [{bar:40}] {pos}/{len} steps, {msg}",
    )?);
    let report = train(&mut policy, examples, &sft_config(options), |step| {
        bar.set_length(step.steps);
        bar.set_position(step.step);
        bar.set_message(format!("loss {:.4}", step.loss));
        if step.step % 100 == 0 {
            bar.suspend(|| {
                println!(
                    "step {} loss {:.4} {:.0} s",
                    step.step,
                    step.loss,
                    began.elapsed().as_secs_f64()
                )
            });
        }
        svs_trainer::sft::Progress::Continue
    })?;
    bar.finish_and_clear();
    println!("{report:?}\ntrained in {:.0} s", began.elapsed().as_secs_f64());
    save(&options.output, policy.model(), policy.params())?;
    println!("sha256 {}", checksum(&options.output.join("model.safetensors"))?);
    measure(&policy, &prompts)
}

/// A chat turn and what is to be answered.
struct Line {
    synthesis: bool,
    given: String,
    answer: String,
}

fn corpus(options: &Options) -> Vec<Line> {
    let mut generator = Generator::new(options.seed, Split::Train);
    let mut lines = Vec::with_capacity(options.examples);
    while lines.len() < options.examples {
        let Some(generated) = generator.next() else { break };
        let [word, ..] = philox4x32_10([lines.len() as u32, 0, 0, 0], [options.seed as u32, 17]);
        let synthesis = f64::from(word) < options.synthesis * f64::from(u32::MAX);
        let solution = generated.solution();
        lines.push(if synthesis {
            let (question, _) = generator.reword(&generated.computation);
            Line {
                synthesis,
                given: solution,
                answer: format!("```text\n{question}\n```"),
            }
        } else {
            Line {
                synthesis,
                given: generated.problem.question,
                answer: solution,
            }
        });
    }
    lines
}

/// Byte-level BPE with single digits, trained on the corpus.
fn tokenizer(corpus: &[Line]) -> anyhow::Result<Tokenizer> {
    let fail = |error: tokenizers::Error| anyhow!("tokenizer: {error}");
    let bytes = ByteLevel::new(false, true, true);
    let mut raw = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None::<tokenizers::NormalizerWrapper>)
        .with_pre_tokenizer(Some(Sequence::new(vec![Digits::new(true).into(), bytes.into()])))
        .with_post_processor(None::<tokenizers::PostProcessorWrapper>)
        .with_decoder(Some(bytes))
        .build()
        .map_err(fail)?;
    let mut trainer = BpeTrainerBuilder::new()
        .vocab_size(640)
        .show_progress(false)
        .special_tokens(CONTROL.map(|token| AddedToken::from(token, true)).to_vec())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let lines = corpus
        .iter()
        .take(8000)
        .flat_map(|line| [line.given.clone(), line.answer.clone()]);
    raw.train(&mut trainer, lines).map_err(fail)?;
    let json = raw.to_string(true).map_err(fail)?;
    let config = serde_json::json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": CONTROL[0],
        "pad_token": CONTROL[0],
        "chat_template": TEMPLATE,
    });
    let config = serde_json::to_vec_pretty(&config)?;
    Ok(Tokenizer::from_json(json.as_bytes(), Some(&config), &[])?)
}

fn model_config(options: &Options, vocab_size: usize) -> ModelConfig {
    ModelConfig {
        family: Family::Qwen3,
        vocab_size,
        hidden_size: options.hidden,
        intermediate_size: 3 * options.hidden,
        layers: options.layers,
        heads: options.hidden / 32,
        kv_heads: (options.hidden / 64).max(1),
        head_dim: 32,
        max_position_embeddings: 512,
        rms_norm_eps: 1e-6,
        rope: Rope {
            theta: 10_000.0,
            scaling: None,
        },
        tie_word_embeddings: true,
        qkv_bias: false,
        qk_norm: true,
        sliding_window: None,
    }
}

/// Normal weights of deviation 0.02 (sums of uniforms, so that no library's logarithm enters), norms at 1.
fn initial(config: &ModelConfig, seed: u64) -> Params {
    let mut params = Params::zeros(Arc::new(ParamLayout::of(config)));
    let layout = Arc::clone(&params.layout);
    for entry in &layout.entries {
        for at in entry.offset..entry.offset + entry.len() {
            params.values[at] = if entry.decays() {
                let words = [0, 1, 2].map(|part| philox4x32_10([at as u32, part, 0, 0], [seed as u32, 23]));
                let sum: f64 = words
                    .as_flattened()
                    .iter()
                    .map(|word| f64::from(*word) / f64::from(u32::MAX))
                    .sum();
                // Twelve uniforms have variance 1.
                ((sum - 6.0) * 0.02) as f32
            } else {
                1.0
            };
        }
    }
    params
}

fn encode(corpus: &[Line], prompts: &Prompts, tokenizer: &Tokenizer) -> anyhow::Result<Vec<Example>> {
    let end = *tokenizer.eos_ids().first().context("the tokenizer has no end token")?;
    let one = |line: &Line| -> anyhow::Result<Example> {
        let messages: Vec<ChatMessage> = if line.synthesis {
            prompts.synthesis_messages(&line.given)
        } else {
            prompts.solve_messages(&line.given)
        };
        let mut target = tokenizer.encode(&line.answer, false)?;
        target.push(end);
        Ok(Example {
            prompt: tokenizer.encode_chat(&messages, true)?,
            target,
        })
    };
    corpus.iter().map(one).collect()
}

fn sft_config(options: &Options) -> SftConfig {
    SftConfig {
        optim: OptimConfig {
            lr: options.lr,
            beta2: 0.98,
            weight_decay: 0.01,
            warmup_steps: 50,
            decay: Decay::Linear,
            min_lr_ratio: 0.05,
            ..OptimConfig::default()
        },
        batch_tokens: options.batch_tokens,
        micro_batch_tokens: options.batch_tokens,
        max_steps: options.max_steps,
        seed: options.seed,
        ..SftConfig::default()
    }
}

fn checksum(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Held-out accuracy through our own engine.
fn measure(policy: &Policy, prompts: &Prompts) -> anyhow::Result<()> {
    let config = EngineConfig {
        max_num_seqs: 256,
        max_num_batched_tokens: 2048,
        ..EngineConfig::default()
    };
    let weights: Arc<WeightSet> = policy.weight_set("tiny");
    let engine = EngineHandle::start(weights, policy.model().tokenizer.clone(), config)?;
    let eval = EvalConfig {
        max_tokens: 96,
        ..EvalConfig::default()
    };
    for split in [Split::HeldOut, Split::Train] {
        let began = Instant::now();
        let report = evaluate(&engine, &problems(split, 1000, 200), prompts, &eval, |_, _| {})?;
        let seconds = began.elapsed().as_secs_f64();
        println!("{split:?}: {report}\n{:.0} tokens/s", report.tokens as f64 / seconds);
    }
    Ok(())
}
