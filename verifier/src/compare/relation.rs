//! Relations and names: equations, inequalities, `name = value`.

use num_rational::Rational64;
use num_traits::{One, Signed};

use super::same;
use crate::algebra::poly::{Atom, Poly};
use crate::algebra::rational;
use crate::algebra::value::Value;
use crate::budget::{Budget, Stop};
use crate::text::syntax::Relate;

/// Equations up to a factor, inequalities up to a positive one, and `name = value` against a plain value.
pub(super) fn same_relation(gold: &Value, prediction: &Value, budget: &mut Budget) -> Result<bool, Stop> {
    if let (Value::Relation(g_first, g_rest), Value::Relation(p_first, p_rest)) = (gold, prediction) {
        let gold = normal_relations(g_first, g_rest, budget)?;
        if gold.is_some() && gold == normal_relations(p_first, p_rest, budget)? {
            return Ok(true);
        }
        // f(x) may stand for y, but not for g(x).
        if matches!((name(g_first), name(p_first)), (Some(a), Some(b)) if a != b && a.len() == b.len()) {
            return Ok(false);
        }
    }
    let gold_value = named_value(gold, budget)?;
    let prediction_value = match last_of_chain(prediction) {
        Some(last) => Some(last),
        None => named_value(prediction, budget)?,
    };
    match (gold_value, prediction_value) {
        (Some(g), Some(p)) if !matches!(g, Value::Relation(..)) && !matches!(p, Value::Relation(..)) => {
            same(g, p, budget)
        }
        _ => Ok(false),
    }
}

/// The last side of `name = … = value`: what a derivation comes to, whatever it passed through.
fn last_of_chain(value: &Value) -> Option<&Value> {
    match value {
        Value::Relation(first, rest) if is_name(first) && rest.iter().all(|(r, _)| *r == Relate::Equal) => {
            rest.last().map(|(_, last)| last)
        }
        _ => None,
    }
}

/// The value of `name = value` or `name ∈ set`, or the value itself if it is no relation. Further sides of a chain of
/// equations must agree.
fn named_value<'a>(value: &'a Value, budget: &mut Budget) -> Result<Option<&'a Value>, Stop> {
    let Value::Relation(first, rest) = value else {
        return Ok(Some(value));
    };
    let mut sides: Vec<&Value> = rest.iter().map(|(_, side)| side).collect();
    if let ([(Relate::In, side)], true) = (rest.as_slice(), is_name(first)) {
        return Ok(Some(side));
    }
    if rest.iter().any(|(relate, _)| *relate != Relate::Equal) {
        return Ok(None);
    }
    if !is_name(first) {
        sides.push(first);
    }
    let last = &rest[rest.len() - 1].1;
    for side in sides {
        if !matches!(side, Value::Scalar(_)) && side != last || !same(last, side, budget)? {
            return Ok(None);
        }
    }
    Ok(Some(last))
}

fn is_name(value: &Value) -> bool {
    name(value).is_some()
}

/// The parts of a name: of a variable or words one, of `f(x)` two, of a tuple of variables those of each.
pub(super) fn name(value: &Value) -> Option<Vec<String>> {
    let scalar = match value {
        Value::Words(words) => return Some(vec![words.clone()]),
        Value::Tuple { items, .. } | Value::Ratio(items) => {
            let parts: Option<Vec<Vec<String>>> = items.iter().map(name).collect();
            return parts.map(|parts| parts.concat());
        }
        Value::Scalar(scalar) => scalar,
        _ => return None,
    };
    scalar.value.den.as_constant()?;
    let (monomial, coefficient) = scalar.value.num.single()?;
    if *coefficient != rational::integer(1) || !(1..=2).contains(&monomial.len()) {
        return None;
    }
    let parts: Option<Vec<Vec<String>>> = monomial.iter().map(|(atom, power)| letters(atom, *power)).collect();
    Some(parts?.concat())
}

/// The letter that a factor is, or the ends of a segment `|AB|`; capital letters may divide: `\frac{AB}{CD}`.
fn letters(atom: &Atom, power: Rational64) -> Option<Vec<String>> {
    let name = match atom {
        Atom::Symbol(name) => name.as_ref(),
        Atom::Euler => "e",
        Atom::Imaginary => "i",
        Atom::Function(call) if call.0 == "abs" => {
            let [inner] = call.1.as_slice() else { return None };
            let (ends, _) = inner.num.single()?;
            let point = |(end, power): (&Atom, &Rational64)| match end {
                Atom::Symbol(end) if is_point(end) && power.is_one() => Some(end.to_lowercase()),
                _ => None,
            };
            return ends
                .iter()
                .map(point)
                .collect::<Option<_>>()
                .filter(|e: &Vec<_>| e.len() == 2);
        }
        _ => return None,
    };
    let named = power.is_one() || (power == -Rational64::one() && is_point(name));
    named.then(|| vec![name.to_lowercase()])
}

/// Whether a name is one of a point: a capital letter.
fn is_point(name: &str) -> bool {
    matches!(name.as_bytes(), [b'A'..=b'Z'])
}

/// A relation between neighbours of a chain: kind and the polynomial that is compared with zero.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Normal {
    Zero(Poly),
    NotZero(Poly),
    Positive(Poly),
    NotNegative(Poly),
}

/// Each neighbouring pair of a chain as a polynomial against zero, scaled to a last coefficient of ±1; `None` where a
/// side is no plain expression or the relation says nothing.
fn normal_relations(first: &Value, rest: &[(Relate, Value)], budget: &mut Budget) -> Result<Option<Vec<Normal>>, Stop> {
    let mut left = first;
    let mut normal = Vec::new();
    for (relate, right) in rest {
        let (Value::Scalar(a), Value::Scalar(b)) = (left, right) else {
            return Ok(None);
        };
        let difference = b.value.sub(&a.value, budget)?;
        if difference.is_zero() || (difference.den.as_constant().is_none() && *relate != Relate::Equal) {
            return Ok(None);
        }
        let leading = difference.num.leading();
        let scale = rational::div(&rational::integer(1), &leading, budget)?;
        let monic = difference.num.scale(&scale, budget)?;
        let upward = difference.num.scale(&scale.abs(), budget)?;
        let downward = upward.scale(&rational::integer(-1), budget)?;
        normal.push(match relate {
            Relate::Equal => Normal::Zero(monic),
            Relate::NotEqual => Normal::NotZero(monic),
            Relate::Less => Normal::Positive(upward),
            Relate::LessEqual => Normal::NotNegative(upward),
            Relate::Greater => Normal::Positive(downward),
            Relate::GreaterEqual => Normal::NotNegative(downward),
            Relate::In | Relate::Congruent => return Ok(None),
        });
        left = right;
    }
    normal.sort();
    Ok(Some(normal))
}
