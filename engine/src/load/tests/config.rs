use serde_json::{Value, json};

use super::tiny;
use crate::config::{Family, ModelConfig, Rope, RopeScaling};
use crate::load::config_json::{parse, write};
use crate::load::{LoadError, rope};

fn llama(change: Value) -> Result<ModelConfig, LoadError> {
    let mut config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 49152, "hidden_size": 576,
        "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-05, "rope_theta": 100000, "tie_word_embeddings": true,
        "hidden_act": "silu", "rope_scaling": null,
    });
    for (name, value) in change.as_object().unwrap() {
        config[name] = value.clone();
    }
    parse("config.json", &config)
}

#[test]
fn what_a_file_leaves_out_has_the_family_s_default() {
    let smol = llama(json!({})).unwrap();
    assert_eq!(
        (smol.head_dim, smol.kv_heads, smol.rms_norm_eps, smol.rope.theta),
        (64, 3, 1e-5, 100_000.0)
    );
    assert!(smol.tie_word_embeddings && !smol.qkv_bias && !smol.qk_norm);
    let heads = llama(json!({"num_key_value_heads": null, "tie_word_embeddings": null})).unwrap();
    assert_eq!((heads.kv_heads, heads.tie_word_embeddings), (9, false));
    for (class, family, bias, norm, window) in [
        ("MistralForCausalLM", Family::Mistral, false, false, Some(4096)),
        ("Qwen2ForCausalLM", Family::Qwen2, true, false, None),
        ("Qwen3ForCausalLM", Family::Qwen3, false, true, None),
    ] {
        let config = llama(json!({"architectures": [class], "head_dim": 32})).unwrap();
        assert_eq!((config.family, config.qkv_bias, config.qk_norm), (family, bias, norm));
        assert_eq!((config.head_dim, config.sliding_window), (32, window), "{class}");
    }
}

#[test]
fn both_rope_layouts_mean_the_same() {
    let llama3 = RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    };
    let three = json!({"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192});
    let mut new_three = three.clone();
    new_three["rope_theta"] = json!(500_000.0);
    for (change, theta, scaling) in [
        (json!({}), 1e5, None),
        (json!({"rope_theta": null}), 1e4, None),
        (
            json!({"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}),
            5e5,
            None,
        ),
        (
            json!({"rope_scaling": {"type": "linear", "factor": 2}}),
            1e5,
            Some(RopeScaling::Linear { factor: 2.0 }),
        ),
        (
            json!({"rope_scaling": three, "rope_theta": 500_000.0}),
            5e5,
            Some(llama3.clone()),
        ),
        (json!({"rope_parameters": new_three}), 5e5, Some(llama3)),
    ] {
        assert_eq!(llama(change.clone()).unwrap().rope, Rope { theta, scaling }, "{change}");
    }
}

#[test]
fn sliding_windows_are_read_where_every_layer_has_one() {
    for (change, expected) in [
        (
            json!({"architectures": ["MistralForCausalLM"], "sliding_window": null}),
            None,
        ),
        (
            json!({"architectures": ["MistralForCausalLM"], "sliding_window": 128}),
            Some(128),
        ),
        // As long as the context: the same as none.
        (
            json!({"architectures": ["MistralForCausalLM"], "sliding_window": 8192}),
            None,
        ),
        (
            json!({"architectures": ["Qwen2ForCausalLM"], "sliding_window": 128}),
            None,
        ),
        (
            json!({"architectures": ["Qwen2ForCausalLM"], "sliding_window": 128, "use_sliding_window": true, "max_window_layers": 30}),
            None,
        ),
        (
            json!({"architectures": ["Qwen2ForCausalLM"], "sliding_window": 128, "use_sliding_window": true, "max_window_layers": 0}),
            Some(128),
        ),
        (
            json!({"architectures": ["Qwen3ForCausalLM"], "sliding_window": 128, "layer_types": ["full_attention", "full_attention"]}),
            None,
        ),
        (
            json!({"architectures": ["MistralForCausalLM"], "sliding_window": 128, "layer_types": ["sliding_attention"]}),
            Some(128),
        ),
    ] {
        assert_eq!(llama(change.clone()).unwrap().sliding_window, expected, "{change}");
    }
}

#[test]
fn the_unsupported_is_refused_by_name() {
    for (change, named) in [
        (json!({"architectures": ["MixtralForCausalLM"]}), "MixtralForCausalLM"),
        (json!({"architectures": null, "model_type": "gpt2"}), "gpt2"),
        (json!({"quantization_config": {"bits": 4}}), "quantization_config"),
        (json!({"num_local_experts": 8}), "num_local_experts"),
        (json!({"attention_bias": true}), "attention_bias"),
        (json!({"mlp_bias": true}), "mlp_bias"),
        (json!({"hidden_act": "gelu"}), "gelu"),
        (json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}), "yarn"),
        (
            json!({"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4}}),
            "longrope",
        ),
        (
            json!({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}),
            "differ between layers",
        ),
        (json!({"partial_rotary_factor": 0.5}), "partial_rotary_factor"),
        (
            json!({"layer_types": ["full_attention", "sliding_attention"]}),
            "some layers",
        ),
        (
            json!({"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": true, "max_window_layers": 3}),
            "some layers",
        ),
    ] {
        let error = llama(change.clone()).unwrap_err();
        assert!(
            matches!(&error, LoadError::Unsupported(reason) if reason.contains(named)),
            "{change}: {error}"
        );
    }
}

#[test]
fn bad_fields_are_named() {
    for (change, named) in [
        (json!({"hidden_size": "576"}), "hidden_size"),
        (json!({"hidden_size": null}), "hidden_size"),
        (json!({"num_attention_heads": 0}), "num_attention_heads"),
        (json!({"num_attention_heads": 9.5}), "num_attention_heads"),
        (json!({"num_key_value_heads": 2}), "num_key_value_heads"),
        (json!({"vocab_size": -1}), "vocab_size"),
        (json!({"vocab_size": 1u64 << 40}), "vocab_size"),
        (json!({"num_hidden_layers": 1_000_000}), "num_hidden_layers"),
        (
            json!({"hidden_size": 1 << 23, "intermediate_size": 1 << 23, "head_dim": 64}),
            "parameters",
        ),
        (json!({"head_dim": 63}), "head_dim"),
        (json!({"rms_norm_eps": 0}), "rms_norm_eps"),
        (json!({"rope_theta": 0}), "rope_theta"),
        (json!({"rope_scaling": {"rope_type": "linear"}}), "factor"),
        (json!({"rope_scaling": 3}), "rope_scaling"),
        (json!({"tie_word_embeddings": 1}), "tie_word_embeddings"),
        (json!({"architectures": null, "model_type": null}), "architectures"),
    ] {
        let error = llama(change.clone()).unwrap_err();
        assert!(
            matches!(&error, LoadError::Corrupt { reason, .. } if reason.contains(named)),
            "{change}: {error}"
        );
    }
    assert!(matches!(
        parse("config.json", &json!([])),
        Err(LoadError::Corrupt { .. })
    ));
}

#[test]
fn a_written_config_reads_back() {
    for family in [Family::Llama, Family::Mistral, Family::Qwen2, Family::Qwen3] {
        for (window, scaling) in [
            (None, None),
            (Some(16), Some(RopeScaling::Linear { factor: 2.5 })),
            (
                None,
                Some(RopeScaling::Llama3 {
                    factor: 8.0,
                    low_freq_factor: 1.0,
                    high_freq_factor: 4.0,
                    original_max_position_embeddings: 32,
                }),
            ),
        ] {
            let mut config = tiny(family, window.is_some());
            config.sliding_window = if family == Family::Llama { None } else { window };
            config.rope.scaling = scaling;
            let value = write(&config, &[1, 2], Some(0));
            assert_eq!(parse("config.json", &value).unwrap(), config, "{value}");
        }
    }
    assert_eq!(rope::shortest(1e-5).to_string(), "0.00001");
    assert_eq!(rope::shortest(1e6).to_string(), "1000000.0");
}
