//! The table of upstream's verdicts, hacks included, under the profile that reproduces them.

use crate::{Grade, MathOptions, Profile, Verdict, grade_math};

use super::golden::{AGREED, C, W, check};

fn grade(prediction: &str, gold: &str) -> Grade {
    let options = MathOptions {
        profile: Profile::SvsParity,
        ..MathOptions::default()
    };
    grade_math(prediction, gold, &options)
}

fn grade_boxed(answer: &str, gold: &str) -> Grade {
    grade(&format!("\\boxed{{{answer}}}"), gold)
}

#[test]
fn upstream_verdicts_are_reproduced() {
    check(&AGREED, grade_boxed);
    let cases = [
        // Bases and the unit written are dropped.
        ("40", "40_9", C),
        (r"5\text{ cm}", r"5\text{ m}", C),
        ("1,2", "2,1", C),
    ];
    check(&cases, grade_boxed);
    let long = format!("\\boxed{{34}}{}", "x".repeat(540));
    let cases = [
        (r"\boxed{33} and then \boxed{34}", "34", C),
        (r"\boxed{34} and then \boxed{33}", "34", W),
        (long.as_str(), "34", C),
        ("The result is 34", "34", C),
        ("12, 13, 34", "34", C),
        ("", "", C),
        ("<answer>34</answer>", "34", C),
        ("Answer: 34", "34", C),
    ];
    check(&cases, grade);
}

#[test]
fn the_profile_is_named_and_not_the_default() {
    assert_eq!(MathOptions::default().profile, Profile::Exact);
    let named = serde_json::from_str::<MathOptions>(r#"{"profile": "svs-parity"}"#).expect("a profile");
    assert_eq!(named.profile, Profile::SvsParity);
    assert_eq!(
        grade_math("12, 13, 34", "34", &MathOptions::default()).verdict,
        Verdict::Wrong
    );
}
