//! The tiny policy's tokenizer: byte-level BPE with single digits, trained on the corpus; encodes any text.

use anyhow::anyhow;
use serde_json::json;
use svs_engine::text::Tokenizer;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, Model, NormalizerWrapper, PostProcessorWrapper, TokenizerBuilder};

const USER: &str = "<|user|>";
const ASSISTANT: &str = "<|assistant|>";
const SYSTEM: &str = "<|system|>";
/// Ends a turn and a generation.
const END: &str = "<|end|>";

/// One token opens a turn; the assistant's turns are closed. Roles other than `assistant` and `user` read as `system`.
const TEMPLATE: &str = "{% for message in messages %}{% if message['role'] == 'assistant' %}{{ '<|assistant|>' + message['content'] + '<|end|>' }}{% elif message['role'] == 'user' %}{{ '<|user|>' + message['content'] }}{% else %}{{ '<|system|>' + message['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/// Trains the tokenizer on `texts`.
pub(super) fn train(texts: &[String], vocab_size: usize) -> anyhow::Result<Tokenizer> {
    let failed = |error: tokenizers::Error| anyhow!("tokenizer: {error}");
    let special: Vec<AddedToken> = [END, USER, ASSISTANT, SYSTEM]
        .map(|token| AddedToken::from(token, true))
        .into();
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(special)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let bytes = ByteLevel::new(false, true, true);
    let split = Sequence::new(vec![Digits::new(true).into(), bytes.into()]);
    let mut tokenizer =
        TokenizerBuilder::<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, ByteLevel>::new()
            .with_model(BPE::default())
            .with_pre_tokenizer(Some(split.into()))
            .with_decoder(Some(bytes))
            .build()
            .map_err(failed)?;
    tokenizer.train(&mut trainer, texts.iter()).map_err(failed)?;
    if tokenizer.get_model().get_vocab_size() > vocab_size {
        return Err(anyhow!("the alphabet alone has more than {vocab_size} entries"));
    }
    let json = tokenizer.to_string(true).map_err(failed)?;
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": END,
        "clean_up_tokenization_spaces": false,
        "chat_template": TEMPLATE,
    });
    let config = format!("{config:#}\n");
    Ok(Tokenizer::from_json(json.as_bytes(), Some(config.as_bytes()), &[])?)
}
