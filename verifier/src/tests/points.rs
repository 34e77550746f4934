//! Identities that no normal form shows: decided by value at points.

use super::golden::{C, W, check};
use super::{grade, grade_boxed};

#[test]
fn identities_hold_and_near_misses_do_not() {
    let cases = [
        (r"\sqrt{3+2\sqrt{2}}", r"1+\sqrt{2}", C),
        (r"\sqrt{3+2\sqrt{2}}", r"1+\sqrt{3}", W),
        (r"\sqrt{5+2\sqrt6}", r"\sqrt2+\sqrt3", C),
        (r"\sqrt[3]{2+\sqrt5}+\sqrt[3]{2-\sqrt5}", "1", C),
        (r"\sin^2 x + \cos^2 x", "1", C),
        (r"\cos 2x", r"2\cos^2 x - 1", C),
        (r"\cos 2x", r"1 - 2\sin^2 x", C),
        (r"\sin 2x", r"2\sin x\cos x", C),
        (r"\sin 2x", r"2\sin x", W),
        (r"\tan x", r"\frac{\sin x}{\cos x}", C),
        (r"1+\tan^2 x", r"\sec^2 x", C),
        (r"\cos(36^\circ)", r"\frac{1+\sqrt5}{4}", C),
        (r"\sin 15^\circ", r"\frac{\sqrt6-\sqrt2}{4}", C),
        (r"\sin 15^\circ", r"\frac{\sqrt6+\sqrt2}{4}", W),
        (r"\arctan 2 + \arctan 3", r"\frac{3\pi}{4}", C),
        (r"\ln(x^2+2x+1)", r"2\ln|x+1|", C),
        (r"\ln 6", r"\ln 2 + \ln 3", C),
        (r"\ln\sqrt2", r"\frac{\ln 2}{2}", C),
        (r"e^{\ln 5}", "5", C),
        (r"e^{2\ln x}", "x^2", C),
        (r"2^{\log_2 x}", "x", C),
        (r"\sqrt{x^2}", "|x|", C),
        (r"\sqrt{x^2}", "x", W),
        (r"\sqrt{(x^2+1)^2}", "x^2+1", C),
        (r"\frac{e^x+e^{-x}}{2}", r"\cosh x", C),
        (r"e^{i\theta}", r"\cos\theta + i\sin\theta", C),
        (r"e^{i\theta}", r"\cos\theta - i\sin\theta", W),
        (r"e^{\pi\sqrt{163}}", "262537412640768744", W),
        (r"|1-\sqrt2|", r"\sqrt2-1", C),
        (r"|\sqrt2-1|", r"1-\sqrt2", W),
        (r"e^{-1000}", "0", W),
        (r"\sqrt{2}+\sqrt{3}", "3.14626436994198", W),
        (r"\frac{\sqrt{x+1}-1}{x}", r"\frac{1}{\sqrt{x+1}+1}", C),
        (r"(x+1)^{20}", r"(x^2+2x+1)^{10}", C),
        (r"(x+1)^{20}", r"(x^2+2x+1)^{9}", W),
    ];
    check(&cases, grade_boxed);
    let rule = grade(r"\boxed{\sqrt{3+2\sqrt{2}}}", r"1+\sqrt{2}").rule;
    assert_eq!(rule, "equal_at_points");
}
