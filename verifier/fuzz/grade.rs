//! Grades a gold (the first line of the input) against a response (the rest): total, bounded, deterministic, reflexive.

#![no_main]

use libfuzzer_sys::fuzz_target;
use svs_verifier::{MathOptions, Verdict, extract_answer, grade_math};

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let (gold, response) = text.split_once('\n').unwrap_or((&text, ""));
    let options = MathOptions::default();
    let boxed = format!("\\boxed{{{response}}}");
    for prediction in [response, boxed.as_str()] {
        let grade = grade_math(prediction, gold, &options);
        assert!(grade.steps <= options.max_steps);
        assert_eq!(grade, grade_math(prediction, gold, &options));
    }
    let own = format!("\\boxed{{{gold}}}");
    if extract_answer(&own).is_some_and(|found| found.answer == gold.trim()) {
        let grade = grade_math(&own, &own, &options);
        assert!(grade.verdict != Verdict::Wrong || grade.rule != "different", "{gold:?}: {grade:?}");
    }
});
