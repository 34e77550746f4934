//! The chain rule against f64, and a policy whose adapter is trained, saved, loaded and checkpointed.

use svs_engine::load::AllowedFolder;
use svs_engine::load::lora::Lora;

use super::*;
use crate::checkpoint::{CheckpointError, CheckpointStore};
use crate::policy::Policy;
use crate::policy::testing::tiny_model;

fn shape(target_modules: Option<&[&str]>) -> LoraShape {
    LoraShape {
        r: 3,
        lora_alpha: 2.0,
        target_modules: target_modules.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
    }
}

fn policy(target_modules: Option<&[&str]>) -> Policy {
    Policy::of_adapter(Arc::new(tiny_model(3)), shape(target_modules), 7).expect("fits")
}

/// Values in ±1 that differ from one another.
fn some(len: usize, salt: u64) -> Vec<f32> {
    let mut random = SplitMix::new(salt);
    (0..len).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect()
}

/// Steps with made-up gradients.
fn step(policy: &mut Policy, steps: u64) {
    let config = OptimConfig {
        lr: 0.01,
        ..OptimConfig::default()
    };
    for salt in 0..steps {
        let mut grads = policy.params().clone();
        grads.values = some(grads.values.len(), salt);
        assert!(policy.step(&grads, &config).applied);
        policy.moved();
    }
}

#[test]
fn gradients_are_those_of_the_product() {
    let base = Arc::new(tiny_model(3));
    let mut adapter = Adapter::new(Arc::clone(&base), shape(None), 7).expect("fits");
    let len = adapter.factors.values.len();
    adapter.factors.values = some(len, 1);
    let mut grads = base.params.clone();
    grads.values = some(grads.values.len(), 2);
    let found = adapter.gradients(&grads);
    for target in &adapter.targets {
        let (rank, width, out) = (target.a.shape[0], target.a.shape[1], target.b.shape[0]);
        assert_eq!(target.scale, 2.0 / 3.0);
        let change = |o: usize, i: usize| f64::from(grads.values[target.entry.offset + o * width + i]);
        let a = |r: usize, i: usize| f64::from(adapter.factors.values[target.a.offset + r * width + i]);
        let b = |o: usize, r: usize| f64::from(adapter.factors.values[target.b.offset + o * rank + r]);
        let scale = f64::from(target.scale);
        for r in 0..rank {
            for i in 0..width {
                let wanted = scale * (0..out).map(|o| b(o, r) * change(o, i)).sum::<f64>();
                let found = f64::from(found.values[target.a.offset + r * width + i]);
                assert!((found - wanted).abs() < 1e-4, "{}: {found} for {wanted}", target.a.name);
            }
            for o in 0..out {
                let wanted = scale * (0..width).map(|i| change(o, i) * a(r, i)).sum::<f64>();
                let found = f64::from(found.values[target.b.offset + o * rank + r]);
                assert!((found - wanted).abs() < 1e-4, "{}: {found} for {wanted}", target.b.name);
            }
        }
    }
}

#[test]
fn only_the_targets_move_and_what_is_saved_merges_to_the_same_bits() {
    for (targets, expected) in [
        (None, 14),
        (Some(&["q_proj"][..]), 2),
        (Some(&["mlp.down_proj", "layers.1.self_attn.v_proj"]), 3),
    ] {
        let mut policy = policy(targets);
        let base = tiny_model(3);
        assert!(
            policy.params().values == base.params.values,
            "a new adapter changes nothing"
        );
        step(&mut policy, 2);
        let moved = |entry: &&svs_engine::params::ParamEntry| {
            let range = entry.offset..entry.offset + entry.len();
            policy.params().values[range.clone()] != base.params.values[range]
        };
        assert_eq!(base.params.layout.entries.iter().filter(moved).count(), expected);
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("adapter");
        assert!(policy.save_adapter(&folder).expect("saves"));
        let folder = AllowedFolder::anywhere(&folder).expect("exists");
        let loaded = Lora::load(&folder, &base.params.layout).expect("reads");
        let merged = loaded.merge(&base.params).expect("fits");
        assert!(merged.values == policy.params().values, "{targets:?}");
    }
}

#[test]
fn a_shape_that_does_not_fit_is_refused_by_field() {
    for (shape, expected) in [
        (
            shape(Some(&["nothing"])),
            "`target_modules`: `nothing` is no linear layer",
        ),
        (shape(Some(&[])), "target_modules"),
        (LoraShape { r: 0, ..shape(None) }, "`r`"),
    ] {
        let error = Policy::of_adapter(Arc::new(tiny_model(3)), shape, 7).expect_err("is noticed");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn checkpoints_hold_the_adapter_and_know_its_base() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = CheckpointStore::open(folder.path(), 2).expect("opens");
    let mut trained = policy(None);
    step(&mut trained, 2);
    store.save(&trained, 2, &serde_json::Value::Null).expect("saves");
    let mut found = policy(None);
    store.load_latest(&mut found).expect("reads").expect("exists");
    assert!(found.params() == trained.params() && found.masters() == trained.masters());
    assert!(found.optimizer() == trained.optimizer());
    step(&mut trained, 1);
    step(&mut found, 1);
    assert!(found.params() == trained.params(), "it goes on with the same bits");
    let other = |seed| Policy::of_adapter(Arc::new(tiny_model(seed)), shape(None), 7).expect("fits");
    for (mut other, expected) in [
        (other(4), "trained on other weights"),
        (Policy::new(tiny_model(3), 0), "trained parameters"),
        (policy(Some(&["q_proj"])), "trained parameters"),
    ] {
        let error = store.load_latest(&mut other).expect_err("is noticed");
        assert!(
            matches!(&error, CheckpointError::Mismatch { reason, .. } if reason.contains(expected)),
            "{error}"
        );
    }
}
