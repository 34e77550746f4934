//! Supervised training of a tiny model, its plan, and the reader.

use super::*;
use crate::optim::Decay;
use crate::policy::Policy;
use crate::policy::testing::{breaking, brittle_model, logprobs, tiny_model, unscored};

fn examples() -> Vec<Example> {
    ["one", "two!", "three", "4", "five..", "six"]
        .iter()
        .map(|word| Example {
            prompt: vec![65, 66, 67, 10],
            target: word.bytes().map(u32::from).chain([256]).collect(),
        })
        .collect()
}

fn config() -> SftConfig {
    SftConfig {
        optim: OptimConfig {
            lr: 0.02,
            weight_decay: 0.0,
            warmup_steps: 2,
            decay: Decay::Cosine,
            ..OptimConfig::default()
        },
        batch_tokens: 30,
        micro_batch_tokens: 16,
        epochs: 20,
        ..SftConfig::default()
    }
}

#[test]
fn the_first_loss_is_the_mean_cross_entropy_and_it_falls() {
    let mut policy = Policy::new(tiny_model(3), 5);
    let whole = SftConfig {
        batch_tokens: 1000,
        epochs: 40,
        ..config()
    };
    let scored: Vec<f32> = examples()
        .iter()
        .flat_map(|example| logprobs(&policy, &unscored("x", &example.target, 0, 1.0)))
        .collect();
    let wanted = -f64::from(scored.iter().sum::<f32>()) / scored.len() as f64;
    let mut seen = Vec::new();
    let report = train(&mut policy, examples(), &whole, |step| {
        seen.push((step.step, step.steps));
        Progress::Continue
    })
    .expect("trains");
    assert!(
        (report.first_loss - wanted).abs() < 1e-4,
        "{} is not {wanted}",
        report.first_loss
    );
    assert!(report.last_loss < 0.6 * report.first_loss, "{report:?}");
    assert_eq!(seen, (1..=40).map(|step| (step, 40)).collect::<Vec<_>>());
    assert_eq!((report.steps, report.examples, report.too_long), (40, 240, 0));
    assert_eq!(report.target_tokens, 40 * scored.len() as u64);
    assert_eq!((policy.version(), policy.optimizer_steps()), (6, 0));
}

#[test]
fn the_same_input_gives_the_same_bits_and_another_seed_does_not() {
    let run = |seed| {
        let mut policy = Policy::new(tiny_model(3), 0);
        let _ = train(
            &mut policy,
            examples(),
            &SftConfig {
                seed,
                epochs: 3,
                ..config()
            },
            |_| Progress::Continue,
        )
        .expect("trains");
        policy.params().values.clone()
    };
    assert!(run(1) == run(1));
    assert!(run(1) != run(2));
}

#[test]
fn training_stops_when_told_and_after_max_steps() {
    let mut policy = Policy::new(tiny_model(3), 0);
    let stop = |step: &SftStep| {
        if step.step == 2 {
            Progress::Stop
        } else {
            Progress::Continue
        }
    };
    assert_eq!(
        train(&mut policy, examples(), &config(), stop).expect("trains").steps,
        2
    );
    let few = SftConfig {
        max_steps: Some(3),
        ..config()
    };
    assert_eq!(
        train(&mut policy, examples(), &few, |_| Progress::Continue)
            .expect("trains")
            .steps,
        3
    );
}

#[test]
fn steps_without_finite_logits_are_skipped_and_too_many_end_the_training() {
    let exploding = |max_skipped_steps| {
        let mut policy = Policy::new(brittle_model(3), 5);
        let mut losses = Vec::new();
        let config = SftConfig {
            optim: breaking(),
            batch_tokens: 1000,
            epochs: 5,
            max_skipped_steps,
            ..config()
        };
        let outcome = train(&mut policy, examples(), &config, |step| {
            losses.push(step.loss);
            Progress::Continue
        });
        (outcome, losses, policy.params().values.clone())
    };
    let (allowed, losses, broken) = exploding(4);
    let report = allowed.expect("within the bound");
    assert_eq!((report.steps, report.skipped_steps), (1, 4));
    assert!(
        losses[0].is_finite() && losses[1..].iter().all(|loss| loss.is_nan()),
        "{losses:?}"
    );
    let (stopped, losses, left) = exploding(2);
    let error = stopped.expect_err("one too many").to_string();
    for said in ["3 optimizer steps", "logits at position", "max_skipped_steps = 2"] {
        assert!(error.contains(said), "{error}");
    }
    assert_eq!(losses.len(), 3);
    assert!(left == broken, "a skipped step moved something");
}

#[test]
fn unusable_examples_are_counted_or_refused() {
    let mut policy = Policy::new(tiny_model(3), 0);
    let mut with = |examples: Vec<Example>, max_tokens| {
        let config = SftConfig {
            max_tokens,
            epochs: 1,
            ..config()
        };
        train(&mut policy, examples, &config, |_| Progress::Continue)
    };
    assert_eq!(with(examples(), 8).expect("trains").too_long, 3);
    for (examples, wanted) in [
        (vec![], "no example"),
        (
            vec![Example {
                prompt: vec![],
                target: vec![1],
            }],
            "example 0",
        ),
        (
            vec![Example {
                prompt: vec![1],
                target: vec![],
            }],
            "at least one token",
        ),
        (
            vec![Example {
                prompt: vec![1],
                target: vec![9999],
            }],
            "token id 9999",
        ),
        (
            vec![Example {
                prompt: vec![1; 300],
                target: vec![1],
            }],
            "1 longer than 256",
        ),
    ] {
        let error = with(examples, 2000).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error}");
    }
    for (config, wanted) in [
        (
            SftConfig {
                batch_tokens: 0,
                ..config()
            },
            "batch_tokens",
        ),
        (
            SftConfig {
                micro_batch_tokens: 0,
                ..config()
            },
            "micro_batch_tokens",
        ),
        (SftConfig { epochs: 0, ..config() }, "epochs"),
        (
            SftConfig {
                max_tokens: 0,
                ..config()
            },
            "max_tokens",
        ),
        (
            SftConfig {
                optim: OptimConfig {
                    eps: 0.0,
                    ..OptimConfig::default()
                },
                ..config()
            },
            "optim.eps",
        ),
    ] {
        let mut policy = Policy::new(tiny_model(3), 0);
        let error = train(&mut policy, examples(), &config, |_| Progress::Continue).expect_err(wanted);
        assert!(
            matches!(&error, PolicyError::Config { field, .. } if *field == wanted),
            "{error}"
        );
    }
}

#[test]
fn jsonl_gives_prompt_and_target() {
    let tokenizer = tiny_model(1).tokenizer;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("examples.jsonl");
    let read = |text: &str| {
        std::fs::write(&path, text).expect("writes");
        read_jsonl(&path, &tokenizer)
    };
    let examples = read(concat!(
        "{\"prompt\": \"1+1=\", \"completion\": \"2\", \"id\": 7}\n\n",
        "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", \"content\": \"1+1?\"}, ",
        "{\"role\": \"assistant\", \"content\": \"2\"}]}\n",
    ))
    .expect("reads");
    let text = |tokens: &[u32]| tokenizer.decode(tokens, false).expect("decodes");
    let shown: Vec<(String, String)> = examples.iter().map(|e| (text(&e.prompt), text(&e.target))).collect();
    let eos = text(&tokenizer.eos_ids()[..1]);
    let chat = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(
        shown,
        [("1+1=".into(), format!("2{eos}")), (chat.into(), "2<|im_end|>".into())]
    );
    for (text, wanted) in [
        ("{\"prompt\": \"a\", \"completion\": \"b\"}\n{", "line 2: not JSON"),
        ("{\"prompt\": \"a\"}", "line 1: expected"),
        ("{\"prompt\": 1, \"completion\": \"b\"}", "line 1: expected"),
        ("{\"prompt\": \"a\", \"completion\": \"\"}", "must not be empty"),
        ("{\"messages\": []}", "messages is empty"),
        (
            "{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\"}]}",
            "at least one other",
        ),
        (
            "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"user\", \"content\": \"x\"}]}",
            "assistant",
        ),
    ] {
        let error = read(text).expect_err(wanted).to_string();
        assert!(error.contains(wanted) && error.contains("examples.jsonl"), "{error}");
    }
    assert!(
        read_jsonl(&folder.path().join("none"), &tokenizer)
            .expect_err("missing")
            .to_string()
            .contains("none")
    );
}

#[test]
fn conversations_give_every_turn_of_the_assistant_with_what_came_before() {
    let tokenizer = tiny_model(1).tokenizer;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("examples.jsonl");
    let read = |line: &str| {
        std::fs::write(&path, format!("{line}\n\n")).expect("writes");
        let mut found = Vec::new();
        visit_conversations(&path, &tokenizer, 200, &mut |conversation| {
            found.push(conversation);
            Ok(())
        })
        .map(|()| found)
    };
    let text = |tokens: &[u32]| tokenizer.decode(tokens, false).expect("decodes");
    let user = r#"{"role": "user", "content": "Q"}"#;
    let turn = |weight: &str| format!(r#"{{"role": "assistant", "content": "A"{weight}}}"#);
    let asked = "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n";
    let line = |weight: &str| format!(r#"{{"messages": [{user}, {}, {user}, {}]}}"#, turn(weight), turn(""));
    for (weight, learned) in [("", 2), (r#", "weight": 1"#, 2), (r#", "weight": 0"#, 1)] {
        let found = read(&line(weight)).expect("reads").remove(0);
        assert_eq!(found.len(), learned, "{weight}");
        let last = found.last().expect("one");
        let whole = format!("{asked}A<|im_end|>\n{asked}");
        assert_eq!((text(&last.prompt), text(&last.target)), (whole, "A<|im_end|>".into()));
        if learned == 2 {
            assert_eq!(
                (text(&found[0].prompt), text(&found[0].target)),
                (asked.into(), "A<|im_end|>".into())
            );
        }
    }
    let pair = read(r#"{"prompt": "1+1=", "completion": "2", "tools": []}"#).expect("reads");
    assert_eq!(text(&pair[0][0].prompt), "1+1=");
    for (line, wanted) in [
        ("", "has no example"),
        ("{", "line 1: not JSON"),
        (r#"{"messages": []}"#, "must end with a message of the assistant"),
        (r#"{"prompt": "", "completion": "2"}"#, "line 1: expected"),
        (r#"{"messages": [3]}"#, "`messages[0].role`: must be one of"),
        (
            r#"{"messages": [{"role": "tool", "content": "x"}]}"#,
            "`messages[0].role`",
        ),
        (
            r#"{"messages": [{"role": "user", "content": ["x"]}]}"#,
            "`messages[0].content`",
        ),
        (
            r#"{"messages": [{"role": "user", "content": "x", "name": "y"}]}"#,
            "`messages[0].name`",
        ),
        (
            line(r#", "weight": 0.5"#).as_str(),
            "`messages[1].weight`: must be 0 or 1",
        ),
        (
            r#"{"prompt": "x", "completion": "y", "functions": [{}]}"#,
            "`functions` is not supported",
        ),
    ] {
        let error = read(line).expect_err(wanted).to_string();
        assert!(error.contains(wanted) && error.contains("examples.jsonl"), "{error}");
    }
    let long = format!(r#"{{"prompt": "{}", "completion": "y"}}"#, "x".repeat(199));
    let error = read(&long).expect_err("too long").to_string();
    assert!(error.contains("line 1: has 201 tokens"), "{error}");
}
