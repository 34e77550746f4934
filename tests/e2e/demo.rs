//! The demo in short form: the embedded policy, the server, the client and the files it leaves.

use std::path::Path;
use std::process::Command;

use svs::demo::{DemoConfig, run};
use svs_trainer::run::config::Recipe;

#[test]
fn the_demo_serves_trains_and_leaves_what_it_promises() {
    let folder = tempfile::tempdir().unwrap();
    let demo = DemoConfig {
        recipe: Recipe::Svs,
        seed: 5,
        steps: 12,
        problems: 40,
        port: 0,
        output: folder.path().to_path_buf(),
    };
    let outcome = run(&demo).unwrap();
    assert!(outcome.answered > 0 && outcome.failed == 0, "{outcome:?}");
    assert_eq!(outcome.curve.len(), 12);
    for point in &outcome.curve {
        assert!(
            point.accuracy > 0.1 && point.accuracy < 1.0 && point.entropy > 0.0,
            "{point:?}"
        );
    }
    let before = outcome.before.rows()[0].1.mean;
    assert!(
        (0.2..0.65).contains(&before),
        "the embedded policy solves some problems, not all: {before}"
    );
    let plot = std::fs::read_to_string(folder.path().join("learning.svg")).unwrap();
    assert!(plot.starts_with("<svg") && plot.matches("<circle").count() + plot.matches("<polyline").count() > 0);

    // The saved model measures as the table says.
    let model = folder.path().join("runs/svs-seed5/model");
    let after = eval(&model, &demo);
    assert_eq!(
        after["pass_at"]["1"]["mean"].as_f64(),
        Some(outcome.after.rows()[0].1.mean)
    );
    assert_eq!(
        after["pass_at"]["8"]["mean"].as_f64(),
        Some(outcome.after.rows().last().unwrap().1.mean)
    );
    let after = outcome.after.rows()[0].1.mean;
    assert!(after > before + 0.04, "held-out pass@1 {before} -> {after}");
}

#[test]
fn an_evaluation_without_a_graded_sample_fails_and_says_so() {
    let grader = r#"{"type": "math", "name": "g", "reference": "{{ item.nothing }}"}"#;
    let output = Command::new(env!("CARGO_BIN_EXE_svs-under-test"))
        .args([
            "eval",
            "--procedural",
            "2",
            "--samples",
            "2",
            "--max-tokens",
            "4",
            "--grader",
            grader,
        ])
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert_eq!(output.status.code(), Some(1), "{said:?}");
    assert!(said[0].contains("not graded       4 of 4 samples"), "{said:?}");
    assert!(said[1].contains("no sample could be graded"), "{said:?}");
}

fn eval(model: &Path, demo: &DemoConfig) -> serde_json::Value {
    let (problems, seed) = (demo.problems.to_string(), demo.seed.to_string());
    let output = Command::new(env!("CARGO_BIN_EXE_svs-under-test"))
        .args(["eval", "--json", "--model"])
        .arg(model)
        .args(["--procedural", &problems, "--problem-seed", &seed, "--samples", "8"])
        .args(["--max-tokens", "96", "--seed", &seed])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
