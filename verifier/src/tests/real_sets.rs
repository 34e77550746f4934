//! Intervals, inequalities and unions that describe the same numbers.

use super::golden::{C, W, check};
use super::grade_boxed;

#[test]
fn sets_of_reals_compare_by_what_they_hold() {
    let cases = [
        (r"-2 \le x \le 7", r"x \in [-2,7]", C),
        (r"x \in [-2,7]", r"-2 \le x \le 7", C),
        (r"-2 < x \le 7", r"[-2,7]", W),
        (r"-2 < x \le 7", r"(-2,7]", C),
        (r"7 \ge x > -2", r"(-2,7]", C),
        ("x > 3", r"(3, \infty)", C),
        ("3 < x", r"(3, \infty)", C),
        (r"x \ge 3", r"(3, \infty)", W),
        (r"(-\infty, 3)", "x < 3", C),
        (r"x < 1 \text{ or } x > 3", r"(-\infty,1) \cup (3,\infty)", C),
        (r"x > 1 \text{ and } x < 3", "(1,3)", C),
        (r"x \ne 2", r"(-\infty,2) \cup (2,\infty)", C),
        (r"\mathbb{R} \setminus \{2\}", r"(-\infty,2) \cup (2,\infty)", C),
        (r"\mathbb{R}", r"(-\infty,\infty)", C),
        (r"(-\infty,\infty)", r"\mathbb{R}", C),
        (r"(0,2) \cup (1,3)", "(0,3)", C),
        (r"(0,1) \cup [1,3)", "(0,3)", C),
        (r"(0,1) \cup (1,3)", "(0,3)", W),
        (r"(0,1) \cup \{1\} \cup (1,3)", "(0,3)", C),
        (r"[0,4] \cap (1,9)", "(1,4]", C),
        (r"[0,4] \setminus (1,2)", r"[0,1] \cup [2,4]", C),
        (r"[\sqrt2, 2]", r"\sqrt2 \le x \le 2", C),
        (r"y > 3", "x > 3", W),
        ("x > 3", "y > 3", W),
        ("x > 3", "3", W),
        ("3", "x > 3", W),
        ("(3,4)", "(3,4)", C),
        ("(4,3)", "(3,4)", W),
        (r"(3,4) \cup (5,6)", "(3,4)", W),
        (r"0.333333 < x", r"(\frac13,\infty)", W),
    ];
    check(&cases, grade_boxed);
}
