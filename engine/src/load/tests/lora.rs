use std::fs;
use std::path::Path;

use safetensors::tensor::Dtype;
use serde_json::{Value, json};

use super::{Tensors, encode, ramp, safetensors_bytes, tiny};
use crate::config::Family;
use crate::load::AllowedFolder;
use crate::load::LoadError;
use crate::load::lora::Lora;

const Q: &str = "model.layers.1.self_attn.q_proj";
const DOWN: &str = "model.layers.1.mlp.down_proj";

/// Rank 2 on two matrices of layer 1 (`[8, 16]` and `[8, 12]` of width 8, so that every product is exact in each format.
fn config() -> Value {
    json!({
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 4, "bias": "none", "lora_dropout": 0.05,
        "target_modules": ["q_proj", "mlp.down_proj"], "layers_to_transform": [1], "use_dora": false,
        "modules_to_save": null, "init_lora_weights": true, "base_model_name_or_path": "tiny", "megatron_core": "megatron.core",
    })
}

fn factor(tensors: &mut Tensors, module: &str, letter: char, shape: [usize; 2], dtype: Dtype) {
    let values: Vec<f32> = (0..shape[0] * shape[1])
        .map(|at| ((at * 5 % 7) as f32 - 3.0) / 4.0)
        .collect();
    let name = format!("base_model.model.{module}.lora_{letter}.weight");
    tensors.insert(name, (dtype, shape.to_vec(), encode(&values, dtype)));
}

fn tensors(dtype: Dtype) -> Tensors {
    let mut tensors = Tensors::new();
    for (module, out, width) in [(Q, 16, 8), (DOWN, 8, 12)] {
        factor(&mut tensors, module, 'A', [2, width], dtype);
        factor(&mut tensors, module, 'B', [out, 2], dtype);
    }
    tensors
}

fn write(folder: &Path, config: &Value, tensors: &Tensors) {
    fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    fs::write(
        folder.join("adapter_model.safetensors"),
        safetensors_bytes(tensors.iter()),
    )
    .unwrap();
}

fn load(folder: &Path) -> Result<Lora, LoadError> {
    let layout = ramp(&tiny(Family::Llama, true)).layout;
    Lora::load(&AllowedFolder::anywhere(folder)?, &layout)
}

#[test]
fn a_merge_by_hand() {
    let base = ramp(&tiny(Family::Llama, true));
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &config(), &tensors(dtype));
        let merged = load(folder.path()).unwrap().merge(&base).unwrap();
        for entry in &base.layout.entries {
            let (before, after) = (base.get(&entry.name).unwrap(), merged.get(&entry.name).unwrap());
            if ![Q, DOWN].contains(&entry.name.trim_end_matches(".weight")) {
                assert_eq!(before, after, "{}", entry.name);
                continue;
            }
            let (width, value) = (entry.shape[1], |at: usize| ((at * 5 % 7) as f32 - 3.0) / 4.0);
            for (at, (before, after)) in before.iter().zip(after).enumerate() {
                let (row, column) = (at / width, at % width);
                let change = value(2 * row) * value(column) + value(2 * row + 1) * value(width + column);
                assert_eq!(*after, before + 2.0 * change, "{dtype:?} {} {row} {column}", entry.name);
            }
        }
        // B = [-3/4 2/4 | …], A = [-3/4 … | (8·5 mod 7 = 5) 2/4 …]: 2 · (9/16 + 4/16) = 13/8.
        let q = |params: &crate::Params| params.get(&format!("{Q}.weight")).unwrap()[0];
        assert_eq!(q(&merged), q(&base) + 1.625);
    }
}

#[test]
fn the_scale_is_alpha_over_the_rank_or_its_root() {
    // (changes, scale of q_proj, scale of down_proj)
    let cases = [
        (json!({}), 2.0, 2.0),
        (json!({"use_rslora": true}), 4.0 / 2f64.sqrt(), 4.0 / 2f64.sqrt()),
        (json!({"lora_alpha": 1.5}), 0.75, 0.75),
        (json!({"alpha_pattern": {"q_proj": 8}}), 4.0, 2.0),
        (
            json!({"alpha_pattern": {"model.layers.1.mlp.down_proj": 1, "proj": 9}}),
            2.0,
            0.5,
        ),
        (
            json!({"r": 4, "rank_pattern": {"q_proj": 2, "layers.1.mlp.down_proj": 2}, "alpha_pattern": {}}),
            2.0,
            2.0,
        ),
        (
            json!({"r": 4, "rank_pattern": {"self_attn.q_proj": 2, "down_proj": 2}, "use_rslora": true}),
            8f64.sqrt(),
            8f64.sqrt(),
        ),
    ];
    for (changes, q, down) in cases {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &over(config(), &changes), &tensors(Dtype::F32));
        let lora = load(folder.path()).unwrap();
        let scales: Vec<f32> = lora.factors.iter().map(|factors| factors.scale).collect();
        assert_eq!(scales, [q as f32, down as f32], "{changes}");
    }
}

fn over(mut config: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

#[test]
fn what_would_change_the_sum_is_refused_by_name() {
    let cases = [
        (json!({"r": 0}), "`r` is 0"),
        (json!({"r": 5000}), "`r` is 5000"),
        (json!({"r": null}), "`r` is null"),
        (
            json!({"r": 3}),
            "lora_A.weight`: shape [2, 8], but base and rank ask for [3, 8]",
        ),
        (json!({"lora_alpha": "x"}), "`lora_alpha` is \"x\""),
        (json!({"use_rslora": 1}), "`use_rslora` is 1"),
        (json!({"peft_type": "IA3"}), "`peft_type` is \"IA3\""),
        (json!({"task_type": "SEQ_CLS"}), "`task_type` is \"SEQ_CLS\""),
        (json!({"bias": "all"}), "`bias` is \"all\""),
        (json!({"modules_to_save": ["lm_head"]}), "`modules_to_save` is"),
        (json!({"use_dora": true}), "`use_dora` is true"),
        (json!({"fan_in_fan_out": true}), "`fan_in_fan_out` is true"),
        (json!({"lora_bias": true}), "`lora_bias` is true"),
        (json!({"alora_invocation_tokens": [1]}), "`alora_invocation_tokens`"),
        (json!({"some_later_feature": {"x": 1}}), "`some_later_feature`"),
        (
            json!({"init_lora_weights": "pissa"}),
            "`init_lora_weights` is \"pissa\"",
        ),
        (json!({"layers_pattern": "blocks"}), "`layers_pattern` is \"blocks\""),
        (json!({"target_modules": ".*_proj"}), "`target_modules` is \".*_proj\""),
        (json!({"target_modules": []}), "`target_modules` is []"),
        (json!({"target_modules": ["q_proj", "wq"]}), "`wq` is no linear layer"),
        (
            json!({"target_modules": ["embed_tokens"]}),
            "`embed_tokens` is no linear layer",
        ),
        (json!({"target_modules": ["lm_head"]}), "`lm_head` is no linear layer"),
        (
            json!({"target_modules": ["q_proj"]}),
            "down_proj.lora_A.weight`: is not lora_A or lora_B",
        ),
        (
            json!({"target_modules": "all-linear"}),
            "k_proj.lora_A.weight`: missing",
        ),
        (
            json!({"layers_to_transform": null}),
            "layers.0.self_attn.q_proj.lora_A.weight`: missing",
        ),
        (json!({"layers_to_transform": [2]}), "no layer 2"),
        (
            json!({"layers_to_transform": "all"}),
            "`layers_to_transform` is \"all\"",
        ),
        (json!({"rank_pattern": {"^q.*": 2}}), "`rank_pattern` is"),
        (json!({"rank_pattern": {"q_proj": 0}}), "`rank_pattern` is"),
        (
            json!({"alpha_pattern": {"q_proj": 1, "self_attn.q_proj": 2}}),
            "both `q_proj` and `self_attn.q_proj`",
        ),
    ];
    for (changes, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &over(config(), &changes), &tensors(Dtype::F32));
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{changes}: {error}");
    }
}

/// Makes a good adapter's folder a bad one.
type Spoil<'a> = &'a dyn Fn(&Path);

#[test]
fn files_that_are_wrong_are_errors() {
    let named = |module: &str, letter: char| format!("base_model.model.{module}.lora_{letter}.weight");
    let cases: [(&str, Spoil, &str); 7] = [
        (
            "no config",
            &|folder| fs::remove_file(folder.join("adapter_config.json")).unwrap(),
            "adapter_config.json: no such file",
        ),
        (
            "not JSON",
            &|folder| fs::write(folder.join("adapter_config.json"), "{").unwrap(),
            "adapter_config.json: corrupt",
        ),
        (
            "a list",
            &|folder| fs::write(folder.join("adapter_config.json"), "[]").unwrap(),
            "not a JSON object",
        ),
        (
            "a pickle",
            &|folder| {
                fs::rename(
                    folder.join("adapter_model.safetensors"),
                    folder.join("adapter_model.bin"),
                )
                .unwrap()
            },
            "convert them to adapter_model.safetensors",
        ),
        (
            "not finite",
            &|folder| {
                let mut tensors = tensors(Dtype::F32);
                tensors.get_mut(&named(Q, 'B')).unwrap().2[..4].copy_from_slice(&f32::NAN.to_le_bytes());
                write(folder, &config(), &tensors);
            },
            "q_proj.lora_B.weight`: element 0 is NaN",
        ),
        (
            "integers",
            &|folder| {
                let mut tensors = tensors(Dtype::F32);
                tensors.get_mut(&named(Q, 'B')).unwrap().0 = Dtype::I32;
                write(folder, &config(), &tensors);
            },
            "element type I32 is not supported",
        ),
        (
            "a magnitude",
            &|folder| {
                let mut tensors = tensors(Dtype::F32);
                factor(&mut tensors, &format!("{Q}.lora_magnitude"), 'A', [1, 8], Dtype::F32);
                write(folder, &config(), &tensors);
            },
            "is not lora_A or lora_B",
        ),
    ];
    for (case, spoil, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &config(), &tensors(Dtype::F32));
        spoil(folder.path());
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{case}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &config(), &tensors(Dtype::F32));
    let file = folder.path().join("adapter_model.safetensors");
    let bytes = fs::read(&file).unwrap();
    for len in 0..bytes.len() {
        fs::write(&file, &bytes[..len]).unwrap();
        assert!(load(folder.path()).is_err(), "{len} of {} bytes", bytes.len());
    }
    // More than the base could need is not even read.
    fs::File::create(&file).unwrap().set_len(1 << 30).unwrap();
    assert!(load(folder.path()).unwrap_err().to_string().contains("longer than"));
}

#[test]
fn a_sum_that_overflows_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &over(config(), &json!({"lora_alpha": 1e39})),
        &tensors(Dtype::F32),
    );
    let base = ramp(&tiny(Family::Llama, true));
    let error = load(folder.path()).unwrap().merge(&base).unwrap_err().to_string();
    assert!(error.contains("q_proj.weight`: element 0 is"), "{error}");
    let other = ramp(&tiny(Family::Qwen3, true));
    write(folder.path(), &config(), &tensors(Dtype::F32));
    let mut lora = load(folder.path()).unwrap();
    lora.factors[0].name = "model.layers.7.self_attn.q_proj.weight".into();
    assert!(
        lora.merge(&other)
            .unwrap_err()
            .to_string()
            .contains("read for another model")
    );
}

#[cfg(unix)]
#[test]
fn no_path_leads_out_of_the_allowed_folder() {
    use std::os::unix::fs::symlink;
    let place = tempfile::tempdir().unwrap();
    let (root, secret) = (place.path().join("allowed"), place.path().join("secret"));
    let layout = ramp(&tiny(Family::Llama, true)).layout;
    for folder in [&root.join("good"), &root.join("half"), &root.join("piped"), &secret] {
        fs::create_dir_all(folder).unwrap();
        write(folder, &config(), &tensors(Dtype::F32));
    }
    fs::create_dir(place.path().join("allowed-not")).unwrap();
    symlink(&secret, root.join("out")).unwrap();
    symlink(root.join("good"), root.join("within")).unwrap();
    symlink(root.join("loop"), root.join("loop")).unwrap();
    fs::remove_file(root.join("half/adapter_model.safetensors")).unwrap();
    symlink(
        secret.join("adapter_model.safetensors"),
        root.join("half/adapter_model.safetensors"),
    )
    .unwrap();
    fs::remove_file(root.join("piped/adapter_config.json")).unwrap();
    fs::create_dir(root.join("piped/adapter_config.json")).unwrap();
    let absolute = |path: &Path| path.to_str().unwrap().to_owned();
    for path in [
        "good".into(),
        "./good/".into(),
        "within".into(),
        "half/../good".into(),
        absolute(&root.join("good")),
    ] {
        let folder = AllowedFolder::inside(&root, &path).unwrap();
        assert_eq!(Lora::load(&folder, &layout).unwrap().factors.len(), 2, "{path}");
    }
    let refused = [
        "".into(),
        "missing".into(),
        "..".into(),
        "../secret".into(),
        "good/../../secret".into(),
        "out".into(),
        "loop".into(),
        "../allowed-not".into(),
        "good/adapter_config.json".into(),
        "good\0".into(),
        absolute(&secret),
        absolute(&root.join("../secret")),
        "/".into(),
        "/nowhere".into(),
    ];
    for path in refused {
        let error = AllowedFolder::inside(&root, &path).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{path}: is not a folder inside the folder that may be loaded from")
        );
    }
    for (path, expected) in [
        ("half", "safetensors: no such file"),
        ("piped", "config.json: not a regular file"),
    ] {
        let folder = AllowedFolder::inside(&root, path).unwrap();
        let error = Lora::load(&folder, &layout).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("secret"), "{path}: {error}");
    }
}
