use std::fs;
use std::path::Path;

use safetensors::tensor::Dtype;
use serde_json::{Value, json};

use super::{ROWS, Tensors, ramp, tensors_of, tiny, write_model, write_texts, write_weights};
use crate::config::Family;
use crate::load::{LoadError, LoadedModel, ModelSource, load};

fn load_folder(folder: &Path) -> Result<LoadedModel, LoadError> {
    load(&ModelSource::Folder(folder.to_path_buf()))
}

#[test]
fn every_family_type_and_sharding_loads() {
    for family in [Family::Llama, Family::Mistral, Family::Qwen2, Family::Qwen3] {
        for (dtype, shards, tie) in [(Dtype::F32, 1, true), (Dtype::BF16, 3, false), (Dtype::F16, 2, true)] {
            let folder = tempfile::tempdir().unwrap();
            let config = tiny(family, tie);
            let expected = write_model(folder.path(), &config, dtype, shards);
            let model = load_folder(folder.path()).unwrap();
            assert_eq!(model.config, config);
            assert_eq!(model.params, expected, "{family:?} {dtype:?}");
            assert_eq!(model.tokenizer.eos_ids(), [256, 10, 258]);
            assert_eq!(model.tokenizer.vocab_size(), ROWS);
            // A row that only pads the embedding can be sampled and has no text.
            assert_eq!(model.tokenizer.decode(&[72, 263, 105], true).unwrap(), "Hi");
            assert_eq!(model.name, folder.path().file_name().unwrap().to_str().unwrap());
            assert_eq!(model.extra("svs.json").unwrap(), br#"{"solve": "Q: {question}\nA:"}"#);
        }
    }
}

#[test]
fn an_embedded_folder_loads() {
    let folder = tempfile::tempdir().unwrap();
    let expected = write_model(folder.path(), &tiny(Family::Llama, true), Dtype::BF16, 1);
    let mut files: Vec<(&'static str, &'static [u8])> = Vec::new();
    for name in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ] {
        files.push((name, fs::read(folder.path().join(name)).unwrap().leak()));
    }
    assert_eq!(load(&ModelSource::Embedded(files.clone())).unwrap().params, expected);
    files.remove(0);
    let error = load(&ModelSource::Embedded(files)).unwrap_err();
    assert_eq!(error.to_string(), "embedded config.json: no such file");
}

/// Each change to a good model's tensors and what the error must name.
#[test]
fn wrong_tensors_are_named() {
    type Change = fn(&mut Tensors);
    let change = |name: &'static str, change: Change, word: &'static str| (name, change, word);
    let q = "model.layers.1.self_attn.q_proj.weight";
    for (name, change, word) in [
        change(
            q,
            |t| drop(t.remove("model.layers.1.self_attn.q_proj.weight")),
            "missing",
        ),
        change(
            q,
            |t| t.get_mut("model.layers.1.self_attn.q_proj.weight").unwrap().1.reverse(),
            "shape [8, 16]",
        ),
        change(
            q,
            |t| t.get_mut("model.layers.1.self_attn.q_proj.weight").unwrap().0 = Dtype::I32,
            "I32",
        ),
        change(
            "model.norm.weight",
            |t| t.get_mut("model.norm.weight").unwrap().2[4..8].copy_from_slice(&f32::NAN.to_le_bytes()),
            "element 1 is NaN",
        ),
        change(
            "model.layers.2.mlp.up_proj.weight",
            |t| {
                let copy = t["model.layers.1.mlp.up_proj.weight"].clone();
                t.insert("model.layers.2.mlp.up_proj.weight".into(), copy);
            },
            "not part",
        ),
    ] {
        for shards in [1, 3] {
            let folder = tempfile::tempdir().unwrap();
            let config = tiny(Family::Llama, false);
            write_texts(folder.path(), &config);
            let mut tensors = tensors_of(&ramp(&config), Dtype::F32);
            change(&mut tensors);
            write_weights(folder.path(), &tensors, shards);
            let error = load_folder(folder.path()).unwrap_err();
            assert!(
                matches!(&error, LoadError::Tensor { name: found, reason } if found == name && reason.contains(word)),
                "{error}"
            );
        }
    }
}

#[test]
fn redundant_tensors_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let config = tiny(Family::Llama, true);
    write_texts(folder.path(), &config);
    let mut tensors = tensors_of(&ramp(&config), Dtype::F32);
    tensors.insert(
        "model.layers.0.self_attn.rotary_emb.inv_freq".into(),
        (Dtype::F32, vec![2], vec![0; 8]),
    );
    let embedding = tensors["model.embed_tokens.weight"].clone();
    tensors.insert("lm_head.weight".into(), embedding);
    write_weights(folder.path(), &tensors, 1);
    load_folder(folder.path()).unwrap();
}

/// Every file cut at every kind of place: an error that names the file, never a panic.
#[test]
fn truncated_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    for shards in [1, 2] {
        let _ = fs::remove_file(folder.path().join("model.safetensors"));
        write_model(folder.path(), &tiny(Family::Qwen2, false), Dtype::F32, shards);
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.retain(|name| name != "svs.json");
        for name in names {
            let path = folder.path().join(&name);
            let whole = fs::read(&path).unwrap();
            let places = [0, 1, 7, 8, 9, 100, whole.len() / 3, whole.len() / 2, whole.len() - 1];
            for length in places.into_iter().filter(|&length| length < whole.len()) {
                fs::write(&path, &whole[..length]).unwrap();
                let error = load_folder(folder.path()).unwrap_err();
                let name = name.to_str().unwrap();
                // The config of a tokenizer is reported under the tokenizer's name.
                let named = if name == "tokenizer_config.json" {
                    "tokenizer"
                } else {
                    name
                };
                assert!(
                    matches!(error, LoadError::Corrupt { .. }),
                    "{name} cut to {length}: {error}"
                );
                assert!(error.to_string().contains(named), "{name} cut to {length}: {error}");
            }
            fs::write(&path, &whole).unwrap();
        }
        load_folder(folder.path()).unwrap();
    }
}

#[test]
fn corrupt_headers_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    write_model(folder.path(), &tiny(Family::Llama, true), Dtype::F32, 1);
    let path = folder.path().join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    let header = usize::try_from(u64::from_le_bytes(whole[..8].try_into().unwrap())).unwrap();
    let with_header = |text: &str| {
        [
            &(text.len() as u64).to_le_bytes()[..],
            text.as_bytes(),
            &whole[8 + header..],
        ]
        .concat()
    };
    let text = std::str::from_utf8(&whole[8..8 + header]).unwrap();
    for bytes in [
        [&u64::MAX.to_le_bytes()[..], &whole[8..]].concat(),
        [&0u64.to_le_bytes()[..], &whole[8..]].concat(),
        with_header("{}"),
        with_header("[1]"),
        with_header(&text.replacen("\"F32\"", "\"F99\"", 1)),
        with_header(&text.replacen("[0,", "[4,", 1)),
        with_header(&text.replacen("\"shape\":[", "\"shape\":[18446744073709551615,", 1)),
        [&whole[..], b"more"].concat(),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = load_folder(folder.path()).unwrap_err();
        assert!(matches!(error, LoadError::Corrupt { .. }), "{error}");
    }
}

#[test]
fn an_index_cannot_leave_its_folder() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("model");
    fs::create_dir(&folder).unwrap();
    write_model(&folder, &tiny(Family::Llama, true), Dtype::F32, 1);
    fs::rename(folder.join("model.safetensors"), outside.path().join("x.safetensors")).unwrap();
    let absolute = outside.path().join("x.safetensors").display().to_string();
    for name in [
        json!("../x.safetensors"),
        json!(absolute),
        json!(".."),
        json!(""),
        json!("a/../../x"),
        json!(7),
        Value::Null,
    ] {
        let index = json!({"weight_map": {"model.norm.weight": name}});
        fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
        let error = load_folder(&folder).unwrap_err();
        assert!(
            matches!(&error, LoadError::Corrupt { reason, .. } if reason.contains("beside it")),
            "{name}: {error}"
        );
    }
    let missing = json!({"weight_map": {"model.norm.weight": "shard.safetensors"}});
    fs::write(folder.join("model.safetensors.index.json"), missing.to_string()).unwrap();
    assert!(matches!(load_folder(&folder), Err(LoadError::File { path, .. }) if path.ends_with("shard.safetensors")));
    fs::remove_file(folder.join("model.safetensors.index.json")).unwrap();
    assert!(matches!(load_folder(&folder), Err(LoadError::File { path, .. }) if path.ends_with("model.safetensors")));
    fs::write(folder.join("pytorch_model.bin"), "x").unwrap();
    assert!(matches!(load_folder(&folder), Err(LoadError::Unsupported(_))));
}

#[test]
fn tokenizer_and_model_must_fit() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny(Family::Llama, true);
    config.vocab_size = 258;
    write_model(folder.path(), &config, Dtype::F32, 1);
    let error = load_folder(folder.path()).unwrap_err();
    assert!(error.to_string().contains("258 embedding rows"), "{error}");
    config.vocab_size = ROWS;
    write_model(folder.path(), &config, Dtype::F32, 1);
    fs::write(folder.path().join("generation_config.json"), r#"{"eos_token_id": 264}"#).unwrap();
    let error = load_folder(folder.path()).unwrap_err();
    assert!(error.to_string().contains("`eos_token_id` 264"), "{error}");
}
