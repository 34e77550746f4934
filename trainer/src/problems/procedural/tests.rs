use std::collections::HashSet;

use super::render::{expansions, fill};
use super::shape::{SHAPES, shape};
use super::skeleton::skeleton;
use super::*;

fn words_of(split: Split) -> HashSet<String> {
    let texts = templates().iter().filter(|template| template.id.split == split);
    let texts = texts.flat_map(|template| expansions(template.text));
    let plain = texts.map(|text| fill(&text, |_| String::new()));
    let words = plain.flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .collect()
}

#[test]
fn every_shape_has_wordings_in_both_splits_and_every_wording_uses_its_numbers() {
    for shape in SHAPES {
        for (split, least) in [(Split::Train, 3), (Split::HeldOut, 2)] {
            let of_shape = templates().iter().filter(|t| t.shape == shape && t.id.split == split);
            assert!(of_shape.count() >= least, "{} {split:?}", shape.name);
        }
    }
    for template in templates() {
        for text in expansions(template.text) {
            for (index, slot) in ["{a}", "{b}", "{c}", "{d}"].iter().enumerate() {
                let expected = usize::from(index < template.shape.ranges.len());
                assert_eq!(text.matches(slot).count(), expected, "{} {slot}: {text}", template.id);
            }
            assert!(text.ends_with('?') && !text.contains('['), "{text}");
        }
    }
    assert!(templates().len() >= 90);
}

#[test]
fn held_out_wordings_are_new_but_use_only_known_words() {
    let known = words_of(Split::Train);
    let unknown: Vec<_> = words_of(Split::HeldOut)
        .into_iter()
        .filter(|word| !known.contains(word))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let mut seen = HashSet::new();
    for template in templates() {
        for text in expansions(template.text) {
            let filled = fill(&text, |slot| {
                if slot.chars().all(|c| c.is_lowercase() && c != 'x') {
                    "1".into()
                } else {
                    String::new()
                }
            });
            assert!(seen.insert(filled), "twice: {text}");
        }
    }
}

#[test]
fn numbers_are_split_and_steps_are_bounded() {
    let mut tuples = [HashSet::new(), HashSet::new()];
    for split in [Split::Train, Split::HeldOut] {
        for generated in Generator::new(7, split).take(3000) {
            let computation = &generated.computation;
            assert_eq!(split_of(computation), split);
            assert_eq!(generated.template.split, split);
            assert!(
                computation.results.iter().all(|result| (2..=120).contains(result)),
                "{computation:?}"
            );
            assert!(!computation.operands.contains(&computation.answer()), "{computation:?}");
            assert_eq!(generated.problem.answer, computation.answer().to_string());
            tuples[split as usize].insert((computation.shape.name, computation.operands.clone()));
        }
    }
    assert!(tuples[0].is_disjoint(&tuples[1]));
    assert!(tuples[1].len() > 2000);
}

#[test]
fn the_same_seed_writes_the_same_problems() {
    let first = problems(Split::HeldOut, 3, 200);
    assert_eq!(first, problems(Split::HeldOut, 3, 200));
    assert_ne!(first, problems(Split::HeldOut, 4, 200));
    let questions: HashSet<_> = first.iter().map(|problem| &problem.question).collect();
    assert_eq!((first.len(), questions.len()), (200, 200));
}

#[test]
fn solutions_and_expressions() {
    let cases: &[(&str, &[i64], &str, &str)] = &[
        ("a+b", &[12, 7], "12+7=19\n\\boxed{19}", "12+7"),
        ("a-b-c", &[30, 4, 5], "30-4=26\n26-5=21\n\\boxed{21}", "30-4-5"),
        ("a-b*c", &[50, 4, 5], "4*5=20\n50-20=30\n\\boxed{30}", "50-4*5"),
        ("(a+b)*c", &[3, 4, 5], "3+4=7\n7*5=35\n\\boxed{35}", "(3+4)*5"),
        ("a/b+c", &[12, 4, 5], "12/4=3\n3+5=8\n\\boxed{8}", "12/4+5"),
        (
            "a*b+c*d",
            &[2, 3, 4, 5],
            "2*3=6\n4*5=20\n6+20=26\n\\boxed{26}",
            "2*3+4*5",
        ),
        (
            "(a+b)*c-d",
            &[2, 3, 4, 5],
            "2+3=5\n5*4=20\n20-5=15\n\\boxed{15}",
            "(2+3)*4-5",
        ),
    ];
    for (name, operands, solution, expression) in cases {
        let computation = Computation::new(shape(name).expect("known"), operands.to_vec()).expect("whole");
        assert_eq!(
            (
                computation.worked_solution().as_str(),
                computation.expression().as_str()
            ),
            (*solution, *expression)
        );
    }
    assert_eq!(Computation::new(shape("a/b").expect("known"), vec![7, 2]), None);
    assert_eq!(Computation::new(shape("a/b").expect("known"), vec![7]), None);
}

#[test]
fn the_classifier_finds_the_template_of_every_problem_and_sees_through_its_filling() {
    for split in [Split::Train, Split::HeldOut] {
        for generated in Generator::new(11, split).take(400) {
            let found = nearest_template(&generated.problem.question);
            assert_eq!(
                (found.template, found.similarity),
                (generated.template, 1.0),
                "{}",
                generated.problem.question
            );
        }
    }
    let pairs = [
        (
            "Ann has 3 apples. Ann buys 4 more.",
            "Tom has 30 pens. Tom buys 5 more.",
            true,
        ),
        ("Ann has 3 boxes.", "It is a sunny day. Ann has 3 jars.", true),
        (
            "Ann has 3 apples. Ann buys 4 more.",
            "Ann has 3 apples. Ann loses 4.",
            false,
        ),
    ];
    for (left, right, same) in pairs {
        assert_eq!(skeleton(left) == skeleton(right), same, "{left} | {right}");
    }
    assert!(nearest_template("What is the capital of France?").similarity < 0.5);
}

#[test]
fn difficulty_is_obeyed_and_impossible_bounds_end_the_stream() {
    let easy = Difficulty {
        steps: [1.0, 0.0, 0.0],
        largest: 40,
        remarks: 0.0,
    };
    for generated in Generator::with_difficulty(1, Split::Train, easy).take(300) {
        assert_eq!(generated.computation.results.len(), 1);
        assert!(generated.computation.answer() <= 40);
    }
    let impossible = Difficulty { largest: 1, ..easy };
    assert!(Generator::with_difficulty(1, Split::Train, impossible).next().is_none());
}
