use std::fs;
use std::path::Path;

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use super::gguf_fixture::{metadata, tensors, text, texts, wide, write};
use super::ramp;
use crate::config::{Family, RopeScaling};
use crate::load::{LoadError, LoadedModel, ModelSource, load, save};

fn load_gguf(path: &Path) -> Result<LoadedModel, LoadError> {
    load(&ModelSource::Gguf(path.to_path_buf()))
}

#[test]
fn every_architecture_and_type_loads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    for (family, arch, tie) in [
        (Family::Llama, "llama", true),
        (Family::Llama, "llama", false),
        (Family::Mistral, "mistral", true),
        (Family::Qwen2, "qwen2", true),
        (Family::Qwen3, "qwen3", false),
    ] {
        let config = wide(family, tie);
        let params = ramp(&config);
        for (kind, tolerance) in [
            (GgmlDType::F32, 0.0),
            (GgmlDType::F16, 0.0),
            (GgmlDType::BF16, 0.0),
            (GgmlDType::Q8_0, 0.01),
            (GgmlDType::Q4_1, 0.15),
        ] {
            write(&path, &metadata(&config, arch), &tensors(&params, &config, kind));
            let model = load_gguf(&path).unwrap();
            assert_eq!(model.config, config);
            let worst = params
                .values
                .iter()
                .zip(&model.params.values)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst <= tolerance, "{arch} {kind:?}: off by {worst}");
            assert_eq!(model.name, "tiny");
        }
    }
}

#[test]
fn tokenizer_and_template_come_from_the_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let config = wide(Family::Llama, true);
    let params = ramp(&config);
    write(
        &path,
        &metadata(&config, "llama"),
        &tensors(&params, &config, GgmlDType::F32),
    );
    let model = load_gguf(&path).unwrap();
    let tokenizer = &model.tokenizer;
    assert_eq!(tokenizer.encode("<|im_end|>hi h", true).unwrap(), [258, 259, 32, 104]);
    assert_eq!(tokenizer.eos_ids(), [258]);
    assert_eq!(tokenizer.bos_id(), Some(257));
    let chat = [crate::text::ChatMessage::new("user", "hi")];
    assert_eq!(tokenizer.encode_chat(&chat, true).unwrap(), [259, 258]);
    // And it can be saved as a Hugging Face folder.
    let saved = folder.path().join("saved");
    save(&saved, &model, &model.params).unwrap();
    let again = load(&ModelSource::Folder(saved)).unwrap();
    assert_eq!((again.params, again.config), (model.params, model.config));
    assert_eq!(again.tokenizer.files(), tokenizer.files());
}

#[test]
fn llama3_divisors_become_its_scaling() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let mut config = wide(Family::Llama, true);
    config.rope.theta = 500_000.0;
    config.head_dim = 64;
    let params = ramp(&config);
    // Llama 3.2's divisors at head width 64, computed apart from the loader: wavelengths 2 pi theta^(2i/64).
    let divisor = |pair: i32| {
        let wavelength = 2.0 * std::f64::consts::PI * 500_000f64.powf(f64::from(pair) / 32.0);
        let smooth = ((8192.0 / wavelength - 1.0) / 3.0).clamp(0.0, 1.0);
        (1.0 / ((1.0 - smooth) / 32.0 + smooth)) as f32
    };
    for (bend, expected) in [(1.0, true), (1.5, false)] {
        let mut divisors: Vec<f32> = (0..32).map(divisor).collect();
        divisors[16] *= bend;
        let mut tensors = tensors(&params, &config, GgmlDType::F32);
        let freqs = Tensor::from_vec(divisors, 32, &Device::Cpu).unwrap();
        tensors.push((
            "rope_freqs.weight".into(),
            QTensor::quantize(&freqs, GgmlDType::F32).unwrap(),
        ));
        write(&path, &metadata(&config, "llama"), &tensors);
        match load_gguf(&path) {
            Ok(model) => {
                let scaling = RopeScaling::Llama3 {
                    factor: 32.0,
                    low_freq_factor: 1.0,
                    high_freq_factor: 4.0,
                    original_max_position_embeddings: 8192,
                };
                assert!(expected && model.config.rope.scaling == Some(scaling));
            }
            Err(error) => assert!(!expected && matches!(error, LoadError::Unsupported(_)), "{error}"),
        }
    }
}

/// Cut at every kind of place, and with bytes of the header changed: an error or a model, never a panic.
#[test]
fn corrupt_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let config = wide(Family::Qwen2, false);
    write(
        &path,
        &metadata(&config, "qwen2"),
        &tensors(&ramp(&config), &config, GgmlDType::Q8_0),
    );
    let whole = fs::read(&path).unwrap();
    let header = whole.len().min(9000);
    for length in (0..300).chain((300..whole.len()).step_by(1997)) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(load_gguf(&path).is_err(), "cut to {length}");
    }
    for (at, change) in (0..header).step_by(23).zip([0xFFu8, 0x80, 0x01].into_iter().cycle()) {
        let mut bytes = whole.clone();
        bytes[at] ^= change;
        fs::write(&path, bytes).unwrap();
        let _ = load_gguf(&path);
    }
}

#[test]
fn wrong_metadata_and_tensors_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let config = wide(Family::Llama, true);
    let params = ramp(&config);
    let per_layer = Value::Array(vec![Value::U32(2), Value::U32(4)]);
    for (key, value, named) in [
        ("general.architecture", Some(text("falcon")), "falcon"),
        ("llama.block_count", None, "llama.block_count"),
        ("llama.block_count", Some(text("two")), "llama.block_count"),
        ("llama.block_count", Some(Value::U32(1)), "blk.1."),
        ("llama.block_count", Some(Value::U32(3)), "blk.2."),
        ("llama.embedding_length", Some(Value::U32(16)), "token_embd.weight"),
        (
            "llama.attention.head_count_kv",
            Some(per_layer),
            "differs between layers",
        ),
        ("llama.attention.head_count", Some(Value::U32(0)), "num_attention_heads"),
        (
            "llama.rope.dimension_count",
            Some(Value::U32(4)),
            "rope.dimension_count",
        ),
        ("llama.rope.scaling.type", Some(text("yarn")), "yarn"),
        ("llama.rope.freq_base", Some(Value::F32(0.0)), "freq_base"),
        ("llama.expert_count", Some(Value::U32(8)), "experts"),
        ("general.alignment", Some(Value::U32(0)), "general.alignment"),
        ("split.count", Some(Value::U16(2)), "split"),
        ("tokenizer.ggml.model", Some(text("rwkv")), "rwkv"),
        ("tokenizer.ggml.pre", Some(text("unheard")), "unheard"),
        ("tokenizer.ggml.tokens", None, "tokenizer.ggml.tokens"),
        ("tokenizer.ggml.tokens", Some(texts(["a", "a"])), "twice"),
        ("tokenizer.ggml.merges", Some(texts(["ab"])), "merges"),
        ("tokenizer.chat_template", Some(text("{% if %}")), "template"),
    ] {
        let mut metadata = metadata(&config, "llama");
        metadata.retain(|(known, _)| known != key);
        metadata.extend(value.clone().map(|value| (key.to_owned(), value)));
        write(&path, &metadata, &tensors(&params, &config, GgmlDType::F32));
        let error = load_gguf(&path).unwrap_err();
        assert!(error.to_string().contains(named), "{key} = {value:?}: {error}");
    }
    let mut missing = tensors(&params, &config, GgmlDType::F32);
    missing.retain(|(name, _)| name != "blk.1.ffn_up.weight");
    write(&path, &metadata(&config, "llama"), &missing);
    assert!(matches!(load_gguf(&path), Err(LoadError::Tensor { name, .. }) if name == "blk.1.ffn_up.weight"));
}
