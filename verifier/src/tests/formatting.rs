//! Random expressions in two writings: equal both ways, and unequal both ways to the expression plus one.

use proptest::prelude::*;

use super::grade_boxed;
use crate::Verdict;

/// An expression that is written in several ways.
#[derive(Debug, Clone)]
enum Tree {
    Integer(i64),
    Variable(char),
    Root(u32),
    Sum(Box<Tree>, Box<Tree>),
    Product(Box<Tree>, Box<Tree>),
    Quotient(Box<Tree>, Box<Tree>),
    Square(Box<Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (-20i64..100).prop_map(Tree::Integer),
        prop::sample::select(vec!['x', 'y', 'n', 't']).prop_map(Tree::Variable),
        (2u32..30).prop_map(Tree::Root),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let pair = || (inner.clone(), inner.clone()).prop_map(|(a, b)| (Box::new(a), Box::new(b)));
        prop_oneof![
            pair().prop_map(|(a, b)| Tree::Sum(a, b)),
            pair().prop_map(|(a, b)| Tree::Product(a, b)),
            pair().prop_map(|(a, b)| Tree::Quotient(a, b)),
            inner.clone().prop_map(|a| Tree::Square(Box::new(a))),
        ]
    })
}

impl Tree {
    /// As a textbook sets it.
    fn textbook(&self) -> String {
        match self {
            Self::Integer(n) if *n < 0 => format!("({n})"),
            Self::Integer(n) => n.to_string(),
            Self::Variable(name) => name.to_string(),
            Self::Root(n) => format!("\\sqrt{{{n}}}"),
            Self::Sum(a, b) => format!("\\left({} + {}\\right)", a.textbook(), b.textbook()),
            Self::Product(a, b) => format!("{} \\cdot {}", a.textbook(), b.textbook()),
            Self::Quotient(a, b) => format!("\\frac{{{}}}{{{}}}", a.textbook(), b.textbook()),
            Self::Square(a) => format!("\\left({}\\right)^{{2}}", a.textbook()),
        }
    }

    /// Typed by hand, with the operands of sums and products turned.
    fn typed(&self) -> String {
        match self {
            Self::Integer(n) if *n < 0 => format!("(\u{2212}{})", n.unsigned_abs()),
            Self::Integer(n) => n.to_string(),
            Self::Variable(name) => name.to_string(),
            Self::Root(n) => format!("{n}^(1/2)"),
            Self::Sum(a, b) => format!("({}+{})", b.typed(), a.typed()),
            Self::Product(a, b) => format!("({})*({})", b.typed(), a.typed()),
            Self::Quotient(a, b) => format!("(({})/({}))", a.typed(), b.typed()),
            Self::Square(a) => format!("(({})*({}))", a.typed(), a.typed()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn writing_does_not_matter_and_one_more_does(tree in tree()) {
        let (textbook, typed) = (tree.textbook(), tree.typed());
        let forward = grade_boxed(&typed, &textbook);
        // A division by zero or a bound that is reached has no value to compare.
        prop_assume!(forward.verdict != Verdict::Infrastructure && forward.verdict != Verdict::OverBudget);
        prop_assume!(forward.rule != "undefined");
        prop_assert_eq!(forward.verdict, Verdict::Correct, "{} / {}: {:?}", typed, textbook, forward);
        let backward = grade_boxed(&textbook, &typed);
        prop_assert_eq!(backward.verdict, Verdict::Correct, "{} / {}: {:?}", textbook, typed, backward);
        let more = format!("{typed} + 1");
        for (answer, gold) in [(&more, &textbook), (&textbook, &more)] {
            let grade = grade_boxed(answer, gold);
            prop_assert_eq!(grade.verdict, Verdict::Wrong, "{} / {}: {:?}", answer, gold, grade);
        }
    }

    #[test]
    fn blanks_and_dollars_do_not_matter(tree in tree()) {
        let plain = tree.textbook();
        let first = grade_boxed(&plain, &plain);
        prop_assume!(first.verdict != Verdict::Infrastructure && first.rule != "undefined");
        prop_assert_eq!(first.verdict, Verdict::Correct);
        for dressed in [format!("$ {plain} $"), format!("\\displaystyle {plain}"), plain.replace(' ', "\\; "), plain.replace("\\frac", "\\dfrac")] {
            let grade = grade_boxed(&dressed, &plain);
            prop_assert_eq!(grade.verdict, Verdict::Correct, "{} / {}: {:?}", dressed, plain, grade);
        }
    }
}
