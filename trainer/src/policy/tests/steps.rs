//! Ten steps of the embedded policy, from logprobs to moved parameters, against steps.py: PyTorch in float64.

use std::collections::BTreeMap;

use serde::Deserialize;
use svs_engine::load::{ModelSource, load};

use super::*;

/// Another order of sums may round so many times as unluckily as PyTorch's float32 did.
const LUCK: f64 = 5.0;

/// Figures of a step by their names in the fixture and in the report.
const FIGURES: [(&str, &str); 6] = [
    ("pg_loss", "actor/pg_loss"),
    ("kl_loss", "actor/kl_loss"),
    ("entropy", "actor/entropy"),
    ("clipped", "actor/pg_clipfrac"),
    ("grad_norm", "actor/grad_norm"),
    ("lr", "actor/lr"),
];

#[derive(Deserialize)]
struct Fixture {
    rows: Vec<FixedRow>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct FixedRow {
    group: usize,
    prompt: Vec<u32>,
    response: Vec<u32>,
    temperature: f32,
    reward: f64,
    weight: f64,
    logprobs: Vec<f32>,
}

#[derive(Deserialize)]
struct Case {
    objective: ObjectiveConfig,
    optim: OptimConfig,
    steps: Vec<BTreeMap<String, f64>>,
    /// How far float32 is off, for the figures that it can be off in.
    rounding: BTreeMap<String, f64>,
    /// By the number of steps before.
    after: BTreeMap<usize, Vec<Moved>>,
}

/// What a tensor has moved by.
#[derive(Deserialize)]
struct Moved {
    name: String,
    /// Euclidean.
    distance: f64,
    /// Elements of which `change` tells.
    at: Vec<usize>,
    change: Vec<f64>,
    rounding: Rounding,
}

/// How far float32 is off: the norm over the tensor, and the largest of its elements.
#[derive(Deserialize)]
struct Rounding {
    distance: f64,
    change: f64,
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/golden/steps.json");
    let text = std::fs::read_to_string(path).expect("steps.py has written it");
    serde_json::from_str(&text).expect("the fixture parses")
}

fn embedded() -> Policy {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/tiny-policy");
    Policy::new(load(&ModelSource::Folder(folder)).expect("it loads"), 0)
}

/// Its logprobs are near what the trainer computes and not its bits, as of what was sampled in the mode `fast`.
fn member(id: &str, row: &FixedRow) -> Trajectory {
    let mut member = unscored(id, &row.response, 0, row.temperature);
    member.segments[0].tokens.clone_from(&row.prompt);
    member.logprobs.clone_from(&row.logprobs);
    member.weight = row.weight;
    member.approximate = true;
    member
}

fn groups(rows: &[FixedRow]) -> Vec<UpdateGroup> {
    let count = rows.iter().map(|row| row.group + 1).max().unwrap_or(0);
    let mut groups: Vec<UpdateGroup> = (0..count)
        .map(|number| UpdateGroup {
            group: Group {
                id: number.to_string(),
                members: Vec::new(),
            },
            rewards: Vec::new(),
            advantages: None,
        })
        .collect();
    for (at, row) in rows.iter().enumerate() {
        let group = &mut groups[row.group];
        group.group.members.push(member(&at.to_string(), row));
        group.rewards.push(Some(row.reward));
    }
    groups
}

impl Case {
    fn config(&self, micro_batch_tokens: usize) -> UpdateConfig {
        UpdateConfig {
            objective: self.objective.clone(),
            optim: self.optim.clone(),
            micro_batch_tokens,
            // Every step is on what the first weights sampled.
            max_staleness: self.steps.len() as u64,
            ..UpdateConfig::default()
        }
    }

    fn check_figures(&self, done: usize, wanted: &BTreeMap<String, f64>, report: &UpdateReport) {
        for (name, reported) in FIGURES {
            let (found, wanted) = (report.metrics[reported], wanted[name]);
            let rounding = self.rounding.get(name).copied().unwrap_or(0.0);
            let allowed = LUCK * rounding + 1e-6 * wanted.abs() + 1e-9;
            assert!(
                (found - wanted).abs() <= allowed,
                "step {done}: {name} is {found}, not {wanted} (± {allowed:e})"
            );
        }
    }
}

/// What is not where PyTorch has moved it, if anything.
fn check_moved(tensors: &[Moved], start: &Params, now: &Params) -> Result<(), String> {
    assert_eq!(tensors.len(), start.layout.entries.len(), "every tensor is compared");
    for tensor in tensors {
        let of = |params: &Params| params.get(&tensor.name).expect("a tensor of the model").to_vec();
        let pairs = of(start).into_iter().zip(of(now));
        let change: Vec<f64> = pairs.map(|(then, now)| f64::from(now) - f64::from(then)).collect();
        let distance = change.iter().map(|change| change * change).sum::<f64>().sqrt();
        let near = |what: &str, found: f64, wanted: f64, rounding: f64| {
            if (found - wanted).abs() <= LUCK * rounding {
                return Ok(());
            }
            let name = &tensor.name;
            Err(format!(
                "{name}: {what} is {found:e}, not {wanted:e} (± {LUCK} · {rounding:e})"
            ))
        };
        near("distance", distance, tensor.distance, tensor.rounding.distance)?;
        for (at, wanted) in tensor.at.iter().zip(&tensor.change) {
            near("a change", change[*at], *wanted, tensor.rounding.change)?;
        }
    }
    Ok(())
}

#[test]
fn ten_steps_move_every_tensor_as_in_pytorch() {
    let Fixture { rows, cases } = fixture();
    for (number, case) in cases.iter().enumerate() {
        // The whole batch at once, and in many micro-batches.
        for micro_batch_tokens in [4096, 48] {
            let (mut policy, config) = (embedded(), case.config(micro_batch_tokens));
            let start = policy.params().clone();
            let batch = UpdateBatch {
                groups: groups(&rows),
                reference: Some(policy.weight_set("reference")),
            };
            for (done, wanted) in (1..).zip(&case.steps) {
                let report = policy.update(&batch, &config).expect("updates");
                assert_eq!((report.steps, report.rows), (1, rows.len() as u64));
                case.check_figures(done, wanted, &report);
                if let Some(tensors) = case.after.get(&done) {
                    let checked = check_moved(tensors, &start, policy.params());
                    assert_eq!(
                        checked,
                        Ok(()),
                        "case {number}, step {done}, {micro_batch_tokens} tokens"
                    );
                }
            }
        }
    }
}

#[test]
fn a_twentieth_more_of_a_step_is_seen() {
    let Fixture { rows, cases } = fixture();
    for case in &cases {
        let (mut policy, mut config) = (embedded(), case.config(4096));
        config.optim.lr *= 1.05;
        let start = policy.params().clone();
        let batch = UpdateBatch {
            groups: groups(&rows),
            reference: Some(policy.weight_set("reference")),
        };
        policy.update(&batch, &config).expect("updates");
        assert!(check_moved(&case.after[&1], &start, policy.params()).is_err());
    }
}
