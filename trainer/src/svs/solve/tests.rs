//! Waves, what is given back, and hints, against the scripted engine.

use super::super::testing::{Script, plan, problems};
use super::super::{Iteration, iterate};
use super::*;

/// Problems `p0`, `p1`, … of which these many of 8 solutions are right, drawn in that order.
fn run(correct: &[usize], plan: Plan<'_>) -> (Iteration, Vec<usize>) {
    let names: Vec<String> = (0..correct.len()).map(|at| format!("p{at}")).collect();
    let mut script = Script::new();
    for (name, correct) in names.iter().zip(correct) {
        script = script.solved(name, *correct);
    }
    let (mut at, mut waves) = (0, Vec::new());
    let mut draw = |count: usize| {
        waves.push(count);
        let drawn: Vec<&str> = names[at..at + count].iter().map(String::as_str).collect();
        at += count;
        problems(&drawn)
    };
    let Ok(iteration) = iterate(&mut draw, plan, &mut script);
    (iteration, waves)
}

#[test]
fn waves_refill_what_the_filter_drops() {
    let refill = |batch, max_batches| Plan {
        batch,
        max_batches,
        ..plan(None)
    };
    let narrow = GroupFilter {
        band: Band {
            lower: 0.125,
            upper: 0.5,
        },
    };
    let banded = Plan {
        filter: Some(narrow),
        ..refill(2, 3)
    };
    // Accuracies in eighths; waves; groups kept, problems used, given back.
    type Case<'a> = (&'a [usize], Plan<'a>, &'a [usize], [usize; 3]);
    let cases: [Case<'_>; 7] = [
        (&[1, 2, 3, 8], refill(3, 4), &[3], [3, 3, 0]),
        // One of four passed: three are missing, which takes twelve at that rate, but a wave has at most a batch.
        (&[8, 8, 8, 1, 1, 1, 1, 1], refill(4, 4), &[4, 4], [4, 7, 1]),
        (&[8, 0, 1, 2, 1], refill(2, 4), &[2, 2], [2, 4, 0]),
        (&[8, 0, 8, 0, 8, 0], refill(2, 3), &[2, 2, 2], [0, 6, 0]),
        // Two of three passed: one is missing, and one in two thirds lets expect two.
        (&[1, 1, 8, 1, 1], refill(3, 2), &[3, 2], [3, 4, 1]),
        (&[1, 5, 7, 4], banded, &[2, 2], [2, 4, 0]),
        (&[1, 5], refill(2, 1), &[2], [2, 2, 0]),
    ];
    for (correct, plan, waves, [kept, used, given_back]) in cases {
        let (iteration, found) = run(correct, plan);
        let funnel = &iteration.funnel;
        assert_eq!(found, waves, "{correct:?}");
        assert_eq!(
            (iteration.groups.len(), iteration.scores.len(), funnel.given_back),
            (kept, used, given_back),
            "{correct:?}"
        );
        assert_eq!(funnel.gen_batches, waves.len());
        let ids: Vec<String> = (0..used).map(|at| format!("p{at}")).collect();
        assert!(
            iteration.scores.iter().map(|(id, _)| id).eq(&ids),
            "a prefix of what was drawn"
        );
    }
}

#[test]
fn only_problems_that_all_attempts_failed_get_their_hint_and_the_loss_does_not_see_it() {
    let mut script = Script::new()
        .solved("a", 0)
        .solved("b", 1)
        .solved("c", 0)
        .solved("a/h", 2);
    let mut drawn = problems(&["a", "b", "c"]);
    drawn[0].hint = Some("Begin with {question}.".into());
    drawn[1].hint = Some("Never shown.".into());
    let hinting = Plan {
        n_hinted: Some(4),
        ..plan(None)
    };
    let Ok(iteration) = iterate(&mut |_| drawn.clone(), hinting, &mut script);
    let hinted: Vec<&Ask> = script
        .asked
        .iter()
        .filter(|ask| ask.kind == Kind::SolveHinted)
        .collect();
    assert_eq!(hinted.len(), 1);
    assert_eq!((hinted[0].key.as_str(), hinted[0].n), ("a/h", 4));
    let shown = &hinted[0].messages[0].content;
    assert!(
        shown.starts_with("What is the answer of a?") && shown.contains("Hint: Begin with {question}."),
        "{shown}"
    );
    let plain = &script.asked.iter().find(|ask| ask.key == "a").expect("asked").messages;
    assert_eq!(hinted[0].trained_as.as_ref(), Some(plain));
    // 8 failures and 4 attempts with the hint, 2 of them right, are one group; accuracies are those without hints.
    assert_eq!(iteration.groups.len(), 2);
    assert_eq!(iteration.groups[0].members.len(), 12);
    assert_eq!(Score::of(&iteration.groups[0]).correct, 2);
    assert_eq!(iteration.scores[0].1, Score { correct: 0, graded: 8 });
    assert_eq!(iteration.funnel.hinted_groups, 1);
    let mut without = Script::new().solved("a", 0);
    let Ok(iteration) = iterate(&mut |_| drawn[..1].to_vec(), plan(None), &mut without);
    assert!(iteration.groups.is_empty() && without.asked.len() == 1);
}
