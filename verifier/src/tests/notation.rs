//! Operators with bound variables, matrices, sets, remainders, brackets, and commands as models spell them.

use super::golden::{C, I, U, W, check};
use super::grade_boxed;

#[test]
fn operators_are_computed_or_compared_as_written() {
    let cases = [
        (r"\sum_{k=1}^{3} k^2", "14", C),
        (r"\sum^3_{k = 1} c", "3c", C),
        (r"\sum_{k=1}^{n} k", r"\sum_{j=1}^{n} j", C),
        (r"\sum_{i=0}^{4} 2^i", "31", C),
        ("14", r"\sum_{k=1}^{n} k", I),
        (r"\prod_{k=1}^{4} k", "24", C),
        (r"\prod_{a = b}^c x", r"\prod_{a=b}^{c} x", C),
        (r"\int_0^1 x^2 dx", r"\frac13", C),
        (r"\log_7 6", r"\frac{1}{3}\log_7 216", C),
        (r"\log_7 216", r"\log_{7}{216}", C),
        ("5^{20}", "5**20", C),
        ("x^2+1", "x**2 + 1", C),
        ("2^{-3}", "2**-3", C),
        ("25", "**25**", C),
        (r"\int_{0}^{2} (3x^2+1)\, dx", "10", C),
        (r"\int_{0}^{2} (3x^2+1)\, dx", "9", W),
        (r"\int x\,dx", r"\int^{ }_{ } x dx", C),
        (r"\int \frac{3 dz}{z}", r"\int \frac{3}{z}\, dz", C),
        (r"\int da", r"\int 1\, da", C),
        (r"\int x dx", r"\int y dy", I),
        (r"\int_0^1 f(x) dx", r"\int_0^1 f(t) dt", C),
        (r"\lim_{x \to \infty} \frac{1}{x}", r"\lim_{t\to\infty} \frac1t", C),
        (r"\lim_{x \to 0} \frac{1}{x}", r"\lim_{t\to\infty} \frac1t", I),
        (r"17 \bmod 5", "2", C),
        (r"-7 \mod 5", "3", C),
        (r"2^{100} \mod 7", "2", C),
        (r"x \equiv 10 \pmod 7", r"x \equiv 3 \pmod{7}", C),
        (r"3 \pmod{7}", r"x \equiv 3 \pmod{7}", C),
        (r"x \equiv 3 \mod 7", r"x \equiv 3 \pmod{7}", C),
        (r"4 \pmod{7}", r"3 \pmod{7}", W),
        (r"3 \pmod{8}", r"3 \pmod{7}", W),
        (r"\gcd(12, 18)", "6", C),
        (r"\gcd(2.4, 3.6)", "6/5", C),
        (r"\operatorname{lcm}(3, 1/2)", "3", C),
        (r"\gcd(x^2y, xy^3)", "xy", C),
        (r"\operatorname{lcm}(x, y)", "xy", C),
        (r"\min(\sqrt3, 0, 1)", "0", C),
        (r"\max(\sqrt3, \pi)", r"\pi", C),
        (r"\max(\sqrt3, \pi)", r"\sqrt3", W),
    ];
    check(&cases, grade_boxed);
}

#[test]
fn arithmetic_reaches_matrices_sets_and_infinity() {
    let m = r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}";
    let twice = r"\begin{pmatrix}2 & 4 \\ 6 & 8\end{pmatrix}";
    let squared = r"\begin{pmatrix}7 & 10 \\ 15 & 22\end{pmatrix}";
    let turned = r"\begin{pmatrix}1 & 3 \\ 2 & 4\end{pmatrix}";
    let cases = [
        (format!("{m} + {m}"), twice, C),
        (format!("2{m}"), twice, C),
        (format!("{m}{m}"), squared, C),
        (format!("{m}^2"), squared, C),
        (format!("{m}^T"), turned, C),
        (format!("{m} - {m}"), twice, W),
        (r"{1,2} ∩ {2,3}".into(), r"\{2\}", C),
        (r"\{1,2\} \cup \{2,3\}".into(), r"\{1,2,3\}", C),
        (r"(\{1,2\} \cup \{3,4\}) \cap \{2,3\}".into(), r"\{2,3\}", C),
        (r"\{1,2\} \setminus \{2\}".into(), r"\{1\}", C),
        (r"\{1,2\} \setminus \{2\}".into(), r"\{2\}", W),
        (r"[0,1] \setminus {0.5}".into(), r"[0,1] \setminus \{\frac12\}", C),
        (r"-2\infty".into(), r"-\infty", C),
        (r"\infty + 5".into(), r"\infty", C),
        (r"-\infty\%".into(), r"-\infty", C),
        (r"\infty - \infty".into(), "0", W),
        (r"0 \cdot \infty".into(), "0", W),
    ];
    let cases: Vec<_> = cases
        .iter()
        .map(|(a, gold, verdict)| (a.as_str(), *gold, *verdict))
        .collect();
    check(&cases, grade_boxed);
}

#[test]
fn notation_of_models_is_read() {
    let cases = [
        (r"\left\llcorner 6.9 \right\lrcorner", "6", C),
        (r"\left\ulcorner x \right\urcorner", r"\lceil x \rceil", C),
        (r"\left\vertx\right\vert", "|x|", C),
        ("||x||y||", r"\left|{\left|{x}\right| \left|{y}\right|}\right|", C),
        ("|x||y|", "|y||x|", C),
        ("|2-|3-7||", "2", C),
        (r"\mleft\{1+2\mright\}\mleft\{3-4\mright\}", "-3", C),
        (r"\exponentialE^2", "e^2", C),
        (r"(3, \\frac{\\pi}{2})", r"(3, \frac{\pi}{2})", C),
        (r"14 {, }916", "14916", C),
        ("1,2;3,4", r"\{(1,2),(3,4)\}", C),
        ("1;2;3", "3,2,1", C),
        ("p=5,q=2;p=7,q=2", "(5,2),(7,2)", C),
        (r"x=1,y=2 \text{ or } x=2,y=1", "(2,1),(1,2)", C),
        ("2.5", "2,5", C),
        ("2,5", "2.5", C),
        ("2,5", "5/2", W),
        ("1.234", "1,234", W),
        ("1,2,3,...", "1,2,3", W),
        (r"1,2,3,\ldots", r"1, 2, 3, \dots", C),
        (r"\csc^{-1} 2", r"\frac{\pi}{6}", C),
        (r"\sec^{-1} 2", r"\frac{\pi}{3}", C),
        (r"\cot^{-1} 1", r"\frac{\pi}{4}", C),
        (r"\phantom{7}", "7", U),
    ];
    check(&cases, grade_boxed);
}

#[test]
fn further_notation_of_answers_is_read() {
    let cases = [
        (r"\frac{d}{dx} x^3", "3x^2", C),
        (r"\frac{d}{dx} x^3", "x^2", W),
        (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", "-2", C),
        (r"\det\begin{pmatrix}1&2\\3&4\end{pmatrix}", "-2", C),
        (r"\begin{vmatrix}1&2&0\\3&4&1\\1&0&2\end{vmatrix}", "-2", C),
        (r"\langle 1,2\rangle", "(1,2)", C),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", "(1,2)", C),
        (
            r"\begin{pmatrix}1\\2\end{pmatrix}",
            r"\begin{pmatrix}1&2\end{pmatrix}",
            W,
        ),
        (r"\{x \mid x > 3\}", r"(3,\infty)", C),
        (r"\{x \in \mathbb{R} : x > 3\}", r"(3,\infty)", C),
        (r"\{x : 1 < x \le 3\}", "(1,3]", C),
        (r"\{x : 1 < x \le 3\}", "[1,3]", W),
        (r"\log 100", "2", C),
        (r"\sinh 0", "0", C),
        ("(n+1)!", "(n+1) n!", C),
        ("(n-1)!", r"\frac{n!}{n}", C),
        ("(n+1)!", "n!", W),
        (r"\frac{n!}{k!(n-k)!}", r"\binom{n}{k}", C),
        (r"\binom{n}{2}", r"\frac{n(n-1)}{2}", C),
        (r"{n \choose 2}", r"\binom{n}{2}", C),
        (r"{1 \over 2}", "0.5", C),
        ("5!!", "15", C),
        ("6!!", "48", C),
        ("1.234.567", "1234567", C),
        ("1.234", "1234", W),
        (r"\max\{1,2,3\}", "3", C),
        (r"\min\{x,y\}", r"\min(y,x)", C),
        (r"\text{no solution}", r"\emptyset", C),
        (r"\emptyset", "no solution", C),
        (r"\angle ABC = 30^\circ", "30", C),
        (r"m\angle A = 30^\circ", "40", W),
        (r"\begin{cases}x=1\\y=2\end{cases}", "x=1, y=2", C),
        (r"\begin{cases}x=1\\y=2\end{cases}", "x=2, y=1", W),
        (r"\frac{d}{dt} y", r"\frac{d}{dt} x", I),
        (r"\sqrt{ab}", r"\text{ab}", W),
        (r"[-\infty, 2) \cup (3,4)", r"(-\infty, 2) \cup (3,4)", W),
        (r"\cotx", r"\cot x", C),
        (r"\sinx", r"\cos x", W),
        (r"\sinh x", r"\sin(hx)", W),
        (
            r"\begin{pmatrix}-1\0\-3\end{pmatrix}",
            r"\begin{pmatrix}-1\\0\\-3\end{pmatrix}",
            C,
        ),
        (
            r"\begin{pmatrix}-1\0\-3\end{pmatrix}",
            r"\begin{pmatrix}-1\\0\\3\end{pmatrix}",
            W,
        ),
        ("7th", "7", C),
        ("**5**", "5", C),
        ("`5`", "5", C),
    ];
    check(&cases, grade_boxed);
}
