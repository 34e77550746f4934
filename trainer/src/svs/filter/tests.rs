use super::*;

#[test]
fn normalisation_keeps_what_changes_the_problem() {
    let cases = [
        ("What is  3.5 + 1,000?\n", "what is 3.5 + 1000"),
        ("Tom's dog. It eats 3 - 1 bones", "tom s dog it eats 3 - 1 bones"),
        ("Ends with 3.", "ends with 3"),
        ("...", ""),
        ("2*-3=-6", "2 * - 3 = - 6"),
        ("1,2, 3.", "12 3"),
        ("ÄPFEL", "äpfel"),
    ];
    for (text, expected) in cases {
        assert_eq!(normalise(text), expected, "{text:?}");
    }
    assert_ne!(normalise("3.5 apples"), normalise("35 apples"));
    assert_ne!(normalise("3 + 5"), normalise("3 - 5"));
}

#[test]
fn each_filter_has_its_reason_and_its_switch() {
    use RejectReason::{Copy, Duplicate, Leak};
    let all = SvsConfig::default();
    let cases = [
        ("Tom has 2 apples and buys 3. How many?", Ok(())),
        ("  tom HAS 2 apples, and buys 3; how many", Err(Duplicate)),
        ("Ann has 4 pens and loses 1. How many?", Ok(())),
        ("What is 2 + 3?", Err(Copy)),
        ("what is 2+3", Err(Copy)),
        ("what is 2-3", Ok(())),
        ("What is 2 + 3? It is \\boxed{5}.", Err(Leak)),
        ("Is it \\boxed{7} or \\boxed{ 5 } or \\boxed{9}?", Err(Leak)),
        ("Is it \\boxed{7}?", Ok(())),
    ];
    let mut filter = ProblemFilter::new(&all);
    for (problem, expected) in cases {
        assert_eq!(filter.check(problem, "What is 2 + 3?", "5"), expected, "{problem}");
    }
    let none = SvsConfig {
        reject_leaks: false,
        reject_copies: false,
        reject_duplicates: false,
        ..SvsConfig::default()
    };
    let mut filter = ProblemFilter::new(&none);
    for (problem, _) in cases {
        assert_eq!(filter.check(problem, "What is 2 + 3?", "5"), Ok(()), "{problem}");
    }
}
