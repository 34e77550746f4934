//! The whole iteration against a scripted engine.

use super::testing::{Script, plan, problems};
use super::*;
use crate::trajectory::{Group, Kind};

fn run(script: &mut Script, ids: &[&str], svs: &SvsConfig) -> Iteration {
    let Ok(iteration) = iterate(&mut |_| problems(ids), plan(Some(svs)), script);
    iteration
}

fn ids(iteration: &Iteration) -> Vec<&str> {
    iteration.groups.iter().map(|group| group.id.as_str()).collect()
}

fn fenced(problem: &str) -> String {
    format!("```text\n{problem}\n```")
}

#[test]
fn bands_choose_seeds_and_mixed_groups_are_kept_whole() {
    let names = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"];
    let mut script = Script::new();
    for (correct, name) in names.iter().enumerate() {
        script = script.solved(name, correct);
    }
    let iteration = run(&mut script, &names, &SvsConfig::default());
    assert_eq!(ids(&iteration), ["p1", "p2", "p3", "p4", "p5", "p6", "p7"]);
    assert!(iteration.groups.iter().all(|group| group.members.len() == 8));
    let funnel = &iteration.funnel;
    assert_eq!((funnel.seed_prompts, funnel.contexts), (4, 1 + 2 + 3 + 4));
    assert_eq!(
        funnel.solve.score,
        band::Score {
            correct: 36,
            graded: 72
        }
    );
    // Every context is a correct solution of its problem, and is what the synthesis prompt shows.
    let asks: Vec<&Ask> = script.asked.iter().filter(|ask| ask.kind == Kind::Synthesize).collect();
    assert_eq!(
        asks.iter().map(|ask| ask.key.as_str()).collect::<Vec<_>>()[..3],
        ["p1/c0", "p2/c0", "p2/c1"]
    );
    assert_eq!(asks[2].parent.as_deref(), Some("p2#1"));
    assert!(asks[2].messages[0].content.contains("solution 1 of p2"));
    assert!(asks.iter().all(|ask| ask.task.is_none()));
}

/// One seed with one context whose outputs hit every reason, and whose valid problems are solved 0, 1, 5, 6 and 8 times.
fn busy() -> Script {
    let long = fenced(&"word ".repeat(300));
    let outputs = [
        fenced("Solved never?"),
        fenced("Solved once?"),
        fenced("Solved five times?"),
        fenced("Solved six times?"),
        fenced("solved ONCE"),
        long,
        fenced("It is \\boxed{5}, is it not?"),
        fenced("What is the answer of p?"),
    ];
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let script = Script {
        longest: 1400,
        ..Script::new()
    }
    .solved("p", 1)
    .wrote("p/c0", &outputs);
    script
        .solved("p/c0/s0", 0)
        .solved("p/c0/s1", 1)
        .solved("p/c0/s2", 5)
        .solved("p/c0/s3", 6)
}

#[test]
fn each_output_is_rewarded_or_rejected_for_its_own_reason() {
    let mut script = busy();
    let iteration = run(&mut script, &["p"], &SvsConfig::default());
    // Solved six times earns its writer nothing but is trained on; solved never is not.
    assert_eq!(ids(&iteration), ["p", "p/c0", "p/c0/s1", "p/c0/s2", "p/c0/s3"]);
    let written = &iteration.groups[1];
    let rewards: Vec<Option<f64>> = written.members.iter().map(|member| member.verdicts[0].reward).collect();
    assert_eq!(rewards, [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0].map(Some));
    let graders: Vec<&str> = written
        .members
        .iter()
        .map(|member| member.verdicts[0].grader.as_str())
        .collect();
    let band = "svs/band";
    assert_eq!(
        graders,
        [
            band,
            band,
            band,
            band,
            "svs/duplicate",
            "svs/too_long",
            "svs/leak",
            "svs/copy"
        ]
    );
    // Synthetic solutions are graded against the original answer and descend from the output that posed them.
    let ask = script.asked.iter().find(|ask| ask.key == "p/c0/s2").expect("asked");
    let gold = ask.task.as_ref().and_then(|task| task.reference.as_deref());
    assert_eq!((gold, ask.parent.as_deref(), ask.n), (Some("5"), Some("p/c0#2"), 8));
    assert!(ask.messages[0].content.starts_with("Solved five times?"));
    let metrics = iteration.funnel.metrics();
    let expected = [
        ("svs/synthesized", 8.0),
        ("svs/extracted", 8.0),
        ("svs/valid", 4.0),
        ("svs/rewarded", 2.0),
        ("svs/rewarded_rate", 0.5),
        ("svs/rejected/no_marker", 0.0),
        ("svs/rejected/duplicate", 1.0),
        ("svs/rejected/too_long", 1.0),
        ("svs/rejected/leak", 1.0),
        ("svs/rejected/copy", 1.0),
        ("svs/solve_synthetic/rows", 32.0),
        ("svs/solve_synthetic/kept_rows", 24.0),
        ("svs/solve_synthetic/acc_mean", 12.0 / 32.0),
        ("svs/synthesize/kept_groups", 1.0),
    ];
    for (name, value) in expected {
        assert_eq!(metrics.get(name), Some(&value), "{name}");
    }
}

#[test]
fn unmarked_outputs_are_counted_and_the_update_still_happens() {
    let mut script = Script::new()
        .solved("p", 2)
        .wrote("p/c0", &["```text\ncut off", "``````", "none"])
        .wrote("p/c1", &[]);
    let iteration = run(&mut script, &["p"], &SvsConfig::default());
    assert_eq!(
        ids(&iteration),
        ["p"],
        "nothing valid was written, the original group is still trained on"
    );
    let rejected = &iteration.funnel.rejected;
    assert_eq!(rejected[&RejectReason::Unclosed], 1);
    assert_eq!(rejected[&RejectReason::Empty], 1);
    assert_eq!(rejected[&RejectReason::NoMarker], 14);
    // Nothing selected at all: still an iteration, with an empty update.
    let iteration = run(&mut Script::new().solved("q", 8), &["q"], &SvsConfig::default());
    assert_eq!(
        (
            iteration.groups.len(),
            iteration.funnel.seed_prompts,
            iteration.scores[0].1.correct
        ),
        (0, 0, 8)
    );
}

#[test]
fn synthesis_groups_need_a_reward_and_some_contrast() {
    let outputs: Vec<String> = (0..8).map(|sample| fenced(&format!("Variant {sample}?"))).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let script = |correct: usize| {
        let mut script = Script::new().solved("p", 1).wrote("p/c0", &outputs);
        for sample in 0..8 {
            script = script.solved(&format!("p/c0/s{sample}"), correct);
        }
        script
    };
    let all_rewarded = run(&mut script(3), &["p"], &SvsConfig::default());
    assert!(!ids(&all_rewarded).contains(&"p/c0"));
    let keep_all = SvsConfig {
        drop_all_rewarded: false,
        ..SvsConfig::default()
    };
    assert!(ids(&run(&mut script(3), &["p"], &keep_all)).contains(&"p/c0"));
    assert_eq!(
        ids(&run(&mut script(8), &["p"], &keep_all)),
        ["p"],
        "too easy: no reward, no contrast"
    );
    assert_eq!(ids(&run(&mut script(0), &["p"], &keep_all)), ["p"]);
}

#[test]
fn caps_bound_every_fan_out_and_choose_by_seed() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let script = || {
        let mut script = Script::new();
        for name in names {
            script = script.solved(name, 4);
            for context in 0..4 {
                let outputs: Vec<String> = (0..8).map(|s| fenced(&format!("{name} {context} {s}?"))).collect();
                let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
                script = script.wrote(&format!("{name}/c{context}"), &outputs);
            }
        }
        script
    };
    let capped = SvsConfig {
        max_seed_prompts: 3,
        max_contexts_per_prompt: 2,
        max_synthetic_problems: 10,
        n_synthesis: Some(4),
        n_solve: Some(2),
        ..SvsConfig::default()
    };
    let mut first = script();
    let iteration = run(&mut first, &names, &capped);
    let funnel = &iteration.funnel;
    assert_eq!((funnel.seed_prompts, funnel.seed_prompts_capped), (3, 3));
    assert_eq!((funnel.contexts, funnel.contexts_capped), (6, 6));
    assert_eq!(
        (funnel.synthesize.rows, funnel.extracted, funnel.problems),
        (24, 24, 10)
    );
    assert_eq!(
        (funnel.rejected[&RejectReason::Capped], funnel.solve_synthetic.rows),
        (14, 20)
    );
    assert_eq!(
        funnel.synthesize.score.graded, 10,
        "capped outputs have no reward and do not count"
    );
    let mut again = script();
    assert_eq!(run(&mut again, &names, &capped), iteration);
    assert_eq!(first.asked, again.asked);
    let other = Plan {
        seed: 2,
        ..plan(Some(&capped))
    };
    let mut third = script();
    let Ok(_) = iterate(&mut |_| problems(&names), other, &mut third);
    assert_ne!(first.asked, third.asked);
}

#[test]
fn a_problem_twice_in_a_batch_makes_two_groups() {
    let mut script = Script::new().solved("a", 2).solved("a~1", 3);
    let Ok(iteration) = iterate(&mut |_| problems(&["a", "a"]), plan(None), &mut script);
    assert_eq!(ids(&iteration), ["a", "a~1"]);
    assert!(script.asked.iter().all(|ask| ask.problem_id == "a"));
}

#[test]
fn an_update_is_cut_at_whole_groups() {
    let mut script = Script::new().solved("a", 1).solved("b", 2).solved("c", 3);
    let narrow = Plan {
        max_rows: 20,
        ..plan(None)
    };
    let Ok(iteration) = iterate(&mut |_| problems(&["a", "b", "c"]), narrow, &mut script);
    assert_eq!((iteration.groups.len(), iteration.funnel.rows_capped), (2, 8));
    assert!(iteration.groups.iter().all(|group| group.members.len() == 8));
}

#[test]
fn without_synthesis_it_is_plain_grpo() {
    let mut script = Script::new().solved("a", 0).solved("b", 2).solved("c", 8);
    let grpo = Plan {
        filter: None,
        ..plan(None)
    };
    let Ok(iteration) = iterate(&mut |_| problems(&["a", "b", "c"]), grpo, &mut script);
    assert_eq!(ids(&iteration), ["a", "b", "c"]);
    assert!(script.asked.iter().all(|ask| ask.kind == Kind::Solve));
}

#[test]
fn contexts_are_distinct_and_their_prompts_fit() {
    let mut script = Script::new().solved("p", 3);
    for reply in script.replies.get_mut("p").expect("scripted").iter_mut().take(2) {
        reply.0 = "the same solution".into();
    }
    let iteration = run(&mut script, &["p"], &SvsConfig::default());
    assert_eq!((iteration.funnel.contexts, iteration.funnel.contexts_repeated), (2, 1));
    let repeat = SvsConfig {
        distinct_contexts: false,
        ..SvsConfig::default()
    };
    assert_eq!(run(&mut script, &["p"], &repeat).funnel.contexts, 3);
    script.longest = Prompts::default().synthesis_messages("the same solution")[0]
        .content
        .len()
        - 10;
    let iteration = run(&mut script, &["p"], &SvsConfig::default());
    assert_eq!((iteration.funnel.contexts, iteration.funnel.contexts_too_long), (0, 2));
}

#[test]
fn the_training_ratio_thins_whole_synthesis_groups() {
    let groups: Vec<Group> = (0..10).map(|at| testing::group(&format!("g{at}"), 8, 3)).collect();
    for (ratio, kept) in [(1.0, 10), (0.5, 5), (0.39, 3), (0.3, 3)] {
        let svs = SvsConfig {
            synthesis_training_ratio: ratio,
            ..SvsConfig::default()
        };
        let found = keep::synthesis(groups.clone(), &svs, 9);
        assert_eq!(found.len(), kept, "{ratio}");
        assert_eq!(found, keep::synthesis(groups.clone(), &svs, 9));
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let ok = SvsConfig::default();
    let cases = [
        (
            SvsConfig {
                under_performing_acc_lower: 0.6,
                ..ok.clone()
            },
            "svs.under_performing_acc_lower",
        ),
        (
            SvsConfig {
                positive_synthesis_acc_upper: 1.5,
                ..ok.clone()
            },
            "svs.positive_synthesis_acc_lower",
        ),
        (
            SvsConfig {
                under_performing_acc_lower: f64::NAN,
                ..ok.clone()
            },
            "svs.under_performing_acc_lower",
        ),
        (
            SvsConfig {
                max_seed_prompts: 0,
                ..ok.clone()
            },
            "svs.max_seed_prompts",
        ),
        (
            SvsConfig {
                n_solve: Some(1),
                ..ok.clone()
            },
            "svs.n_solve",
        ),
        (
            SvsConfig {
                synthesis_training_ratio: 0.0,
                ..ok.clone()
            },
            "svs.synthesis_training_ratio",
        ),
    ];
    assert_eq!(ok.faults(), []);
    for (config, field) in cases {
        let found: Vec<&str> = config.faults().into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, [field]);
    }
}
