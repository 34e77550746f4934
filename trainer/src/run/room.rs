//! Memory of a run, asked for before it takes any.

use svs_engine::load::LoadedModel;
use svs_engine::train::most_kept_bytes;

use super::runner::Surroundings;
use super::{TrainConfig, TrainError};

/// Refuses a run that the machine has no memory for: master parameters and their gradient, two moments of what is trained, the
/// weights packed for the next version and for the reference, and activations kept for the backward.
///
/// # Errors
/// [`TrainError::NoRoom`] with the arithmetic.
pub(super) fn check(around: &Surroundings, config: &TrainConfig) -> Result<(), TrainError> {
    let packed = around.engine.weights().policy().bytes();
    let parts = parts(&around.model, packed, config);
    let refusal = |error: svs_engine::EngineError| TrainError::NoRoom(error.to_string());
    around.engine.room_for(&parts).map_err(refusal)
}

fn parts(model: &LoadedModel, packed: usize, config: &TrainConfig) -> [(&'static str, usize); 5] {
    let layout = &model.params.layout;
    let bytes = |parameters: usize| size_of::<f32>() * parameters;
    // What is wrong with a shape is said where the adapter is made.
    let factors = config
        .lora
        .as_ref()
        .map(|lora| lora.shape().targets(layout).map_or(0, |(_, factors)| factors.len));
    let sets = 1 + usize::from(config.algorithm.kl_loss_coef != 0.0);
    [
        ("master parameters", bytes(layout.len + factors.unwrap_or(0))),
        ("gradients", bytes(layout.len)),
        ("Adam moments", 2 * bytes(factors.unwrap_or(layout.len))),
        ("packed weights", sets * packed),
        (
            "activations",
            most_kept_bytes(&model.config, config.algorithm.ppo_max_token_len),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::tiny_model;

    #[test]
    fn a_run_asks_for_what_it_will_hold() {
        let model = tiny_model(1);
        // Embeddings 259 × 16; a layer: q and o 16 × 16, k and v 16 × 8, gate, up and down 16 × 32, two norms; a norm.
        let all = 4 * (259 * 16 + 2 * (2 * 256 + 2 * 128 + 3 * 512 + 2 * 16) + 16);
        // Factors of rank 2: in + out of each of the seven matrices, twice.
        let factors = 4 * 2 * 2 * (2 * 32 + 2 * 24 + 3 * 48);
        // A row keeps its two streams, q, k and v, attention, gate and up, in two layers.
        let row = 4 * 2 * (2 * 16 + 32 + 16 + 2 * 32);
        let table = [
            ("", [all, all, 2 * all, 77, 4096 * row]),
            (
                "[algorithm]\nkl_loss_coef = 0.1\nppo_max_token_len = 10\n",
                [all, all, 2 * all, 154, 10 * row],
            ),
            ("[lora]\nr = 2\n", [all + factors, all, 2 * factors, 77, 4096 * row]),
            (
                "[algorithm]\nppo_max_token_len = 100000000\n",
                [all, all, 2 * all, 77, 768 << 20],
            ),
        ];
        for (toml, expected) in table {
            let config = TrainConfig::from_toml(toml).expect("valid");
            assert_eq!(parts(&model, 77, &config).map(|(_, bytes)| bytes), expected, "{toml}");
        }
    }
}
