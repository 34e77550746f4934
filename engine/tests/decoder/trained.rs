//! The policy that `svs` has inside, with its heads made 64 wide: a trained model that the mode `fast` takes.

use std::sync::Arc;

use svs_engine::load::{LoadedModel, ModelSource, load};
use svs_engine::{ModelConfig, ParamLayout, Params};

/// Width of a head afterwards.
const WIDE: usize = 64;

/// Names a file of the policy and has its bytes in the binary, since a GPU machine may have nothing else.
macro_rules! file {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../../assets/tiny-policy/", $name)).as_slice(),
        )
    };
}

/// The policy as it is.
pub(crate) fn policy() -> LoadedModel {
    let files = vec![
        file!("config.json"),
        file!("model.safetensors"),
        file!("tokenizer.json"),
        file!("tokenizer_config.json"),
    ];
    load(&ModelSource::Embedded(files)).expect("it loads")
}

/// The same function with heads twice as wide. Dimension pairs `(j, j + half)` move to `(2j, 2j + 2·half)`, where they turn
/// by the same angles, and the others are zero. The norms over a head then divide by √(1/2) as much and scores by √2 as
/// much, which the norms' weights make up for.
pub(crate) fn widened(config: &ModelConfig, params: &Params) -> (ModelConfig, Params) {
    let narrow = config.head_dim;
    assert!(
        2 * narrow == WIDE && config.qk_norm && !config.qkv_bias,
        "as the policy is"
    );
    let mut wide_config = config.clone();
    wide_config.head_dim = WIDE;
    let mut wide = Params::zeros(Arc::new(ParamLayout::of(&wide_config)));
    let moved = |d: usize| 2 * (d % (narrow / 2)) + d / (narrow / 2) * narrow;
    // Column or row of all heads.
    let placed = |at: usize| at / narrow * WIDE + moved(at % narrow);
    let makeup = 0.5_f32.powf(0.25);
    for entry in &params.layout.entries {
        let from = &params.values[entry.offset..entry.offset + entry.len()];
        let to = wide.get_mut(&entry.name).expect("the same names");
        let in_rows = ["q_proj", "k_proj", "v_proj"]
            .iter()
            .any(|name| entry.name.contains(name));
        if in_rows {
            for (row, values) in from.chunks_exact(config.hidden_size).enumerate() {
                to[placed(row) * config.hidden_size..][..config.hidden_size].copy_from_slice(values);
            }
        } else if entry.name.contains("o_proj") {
            let rows = to.chunks_exact_mut(config.heads * WIDE);
            for (row, values) in rows.zip(from.chunks_exact(config.heads * narrow)) {
                values
                    .iter()
                    .enumerate()
                    .for_each(|(at, value)| row[placed(at)] = *value);
            }
        } else if entry.name.contains("q_norm") || entry.name.contains("k_norm") {
            from.iter()
                .enumerate()
                .for_each(|(d, value)| to[moved(d)] = value * makeup);
        } else {
            to.copy_from_slice(from);
        }
    }
    (wide_config, wide)
}
