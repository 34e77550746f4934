//! An expression tree as text, for people who ask why a verdict fell: operators before their operands, in brackets.

use super::syntax::{Binder, Bound, Expr, Sign};

/// The tree as one line: `(+ x (* 2 y))`.
pub(crate) fn show(expr: &Expr) -> String {
    match expr {
        Expr::Number { value, .. } => value.to_string(),
        Expr::Based { value, base } => format!("(base {base} {value})"),
        Expr::Unfinished { value, .. } => format!("(begins {value})"),
        Expr::Symbol(name) | Expr::Run(name) => name.clone(),
        Expr::Words(words) => format!("{words:?}"),
        Expr::Pi => "pi".into(),
        Expr::Euler => "e".into(),
        Expr::Imaginary => "i".into(),
        Expr::Infinity => "infinity".into(),
        Expr::Sum(parts) => list("+", parts.iter().map(|(sign, part)| signed(*sign, part))),
        Expr::Product(parts) => list("*", parts.iter().map(|(inverse, part)| factor(*inverse, part))),
        Expr::Power(base, exponent) => list("^", [base, exponent].map(|e| show(e))),
        Expr::Call(name, arguments) => list(name, arguments.iter().map(show)),
        Expr::Percent(inner) => list("percent", [show(inner)]),
        Expr::Degrees(inner) => list("degrees", [show(inner)]),
        Expr::Measured(inner, unit) => list("measured", [show(inner), unit.to_string()]),
        Expr::UnitOrVariable { product, unit, .. } => list("unit-or-variable", [show(product), unit.to_string()]),
        Expr::Bracket { open: '{', items, .. } => list("set", items.iter().map(show)),
        Expr::Bracket { open, close, items } => list(&format!("tuple {open}{close}"), items.iter().map(show)),
        Expr::List(items) => list("list", items.iter().map(show)),
        Expr::Ratio(items) => list("ratio", items.iter().map(show)),
        Expr::Union(items) => list("union", items.iter().map(show)),
        Expr::SetOperation(operator, a, b) => list(&operator.to_string(), [show(a), show(b)]),
        Expr::Remainder(a, n) => list("mod", [show(a), show(n)]),
        Expr::Residue(a, n) => list("residue", [show(a), show(n)]),
        Expr::Bound(bound) => show_bound(bound),
        Expr::Relation(first, rest) => {
            let sides = rest.iter().map(|(relate, side)| format!("{relate:?} {}", show(side)));
            list("relation", std::iter::once(show(first)).chain(sides))
        }
        Expr::Matrix { determinant, rows } => {
            let rows = rows.iter().map(|row| list("row", row.iter().map(show)));
            list(if *determinant { "determinant" } else { "matrix" }, rows)
        }
    }
}

fn list(head: &str, items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    if items.is_empty() {
        format!("({head})")
    } else {
        format!("({head} {})", items.join(" "))
    }
}

fn signed(sign: Sign, part: &Expr) -> String {
    let head = match sign {
        Sign::Plus => return show(part),
        Sign::Minus => "-",
        Sign::Both => "±",
        Sign::BothSwapped => "∓",
    };
    list(head, [show(part)])
}

fn factor(inverse: bool, part: &Expr) -> String {
    if inverse { list("/", [show(part)]) } else { show(part) }
}

fn show_bound(bound: &Bound) -> String {
    let head = match bound.binder {
        Binder::Sum => "sum",
        Binder::Product => "product",
        Binder::Integral => "integral",
        Binder::Limit => "limit",
        Binder::Derivative => "derivative",
    };
    let edges = [&bound.from, &bound.to].into_iter().flatten().map(show);
    list(
        head,
        std::iter::once(bound.variable.clone())
            .chain(edges)
            .chain([show(&bound.body)]),
    )
}
