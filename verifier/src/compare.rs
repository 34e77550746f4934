//! When two values are the same answer. The gold answer decides which freedoms a prediction has.

use num_rational::BigRational;
use num_traits::{Pow, Signed, ToPrimitive};

use crate::algebra::approximate;
use crate::algebra::evaluate::{Scalar, Value};
use crate::algebra::fraction::Fraction;
use crate::algebra::poly::{Atom, Poly};
use crate::algebra::rational;
use crate::budget::{Budget, Stop};
use crate::text::syntax::Relate;
use crate::text::words;

/// Significant digits from which a decimal may stand for an exact value that it approximates.
const MIN_DIGITS: u32 = 6;
/// Items up to which unordered collections are matched pair by pair when sorting does not align them.
const MAX_PAIRED: usize = 64;

/// Whether `prediction` is the answer `gold`.
pub(crate) fn same(gold: &Value, prediction: &Value, budget: &mut Budget) -> Result<bool, Stop> {
    budget.charge(1)?;
    match (gold, prediction) {
        (Value::Scalar(g), Value::Scalar(p)) => same_scalar(g, p, budget),
        (Value::Infinity { negative: g }, Value::Infinity { negative: p }) => Ok(g == p),
        (Value::Based { value: g, .. }, Value::Based { value: p, .. }) => Ok(g == p),
        // A digit string in a written base counts for its value, but a gold in a base wants the base written.
        (Value::Scalar(g), Value::Based { value, .. }) => g.value.equals(&Fraction::from(value.clone()), budget),
        (Value::Relation(..), _) | (_, Value::Relation(..)) => same_relation(gold, prediction, budget),
        (
            Value::Tuple { open, close, items },
            Value::Tuple {
                open: o,
                close: c,
                items: other,
            },
        ) => Ok((open, close) == (o, c) && same_in_order(items, other, budget)?),
        (Value::Ratio(a), Value::Ratio(b)) => same_in_order(a, b, budget),
        (Value::Set(a) | Value::List(a), Value::Set(b) | Value::List(b)) | (Value::Union(a), Value::Union(b)) => {
            same_unordered(a, b, budget)
        }
        (Value::Set(items), other) | (other, Value::Set(items)) if items.len() == 1 => same(&items[0], other, budget),
        (
            Value::Matrix { determinant, rows },
            Value::Matrix {
                determinant: d,
                rows: other,
            },
        ) => {
            if determinant != d || rows.len() != other.len() {
                return Ok(false);
            }
            for (a, b) in rows.iter().zip(other) {
                if !same_in_order(a, b, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(match (as_words(gold), as_words(prediction)) {
            (Some(g), Some(p)) => g == p,
            _ => false,
        }),
    }
}

/// Words, or the name of a lone variable, in lower case.
pub(crate) fn as_words(value: &Value) -> Option<String> {
    match value {
        Value::Words(words) => Some(words.clone()),
        Value::Scalar(scalar) => symbol(&scalar.value).map(str::to_lowercase).or_else(|| {
            let constant = |atom: Atom| scalar.value == Fraction::from(atom);
            [(Atom::Imaginary, "i"), (Atom::Euler, "e")]
                .into_iter()
                .find_map(|(atom, name)| constant(atom).then(|| name.to_owned()))
        }),
        _ => None,
    }
}

/// The name, if the value is one variable.
fn symbol(value: &Fraction) -> Option<&str> {
    value.den.as_constant()?;
    let (monomial, coefficient) = value.num.single()?;
    let (atom, exponent) = monomial.iter().next().filter(|_| monomial.len() == 1)?;
    match atom {
        Atom::Symbol(name)
            if *coefficient == rational::integer(1) && *exponent.numer() == 1 && exponent.is_integer() =>
        {
            Some(name)
        }
        _ => None,
    }
}

fn same_in_order(a: &[Value], b: &[Value], budget: &mut Budget) -> Result<bool, Stop> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (x, y) in a.iter().zip(b) {
        if !same(x, y, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Equal as sets: sorted first, matched pair by pair only where the normal forms do not align.
fn same_unordered(gold: &[Value], prediction: &[Value], budget: &mut Budget) -> Result<bool, Stop> {
    let (a, b) = (sorted(gold, budget)?, sorted(prediction, budget)?);
    if a.len() != b.len() {
        return Ok(false);
    }
    if a.iter().zip(&b).all(|(x, y)| x == y) {
        return Ok(true);
    }
    if a.len() > MAX_PAIRED {
        return same_in_order(&a, &b, budget);
    }
    let mut free = vec![true; b.len()];
    for x in &a {
        let mut matched = false;
        for (i, y) in b.iter().enumerate() {
            if free[i] && same(x, y, budget)? {
                (free[i], matched) = (false, true);
                break;
            }
        }
        if !matched {
            return Ok(false);
        }
    }
    Ok(true)
}

fn sorted(items: &[Value], budget: &mut Budget) -> Result<Vec<Value>, Stop> {
    budget.charge(items.len() as u64 * (1 + u64::from(items.len().max(1).ilog2())))?;
    let mut items = items.to_vec();
    items.sort();
    items.dedup();
    Ok(items)
}

fn same_scalar(gold: &Scalar, prediction: &Scalar, budget: &mut Budget) -> Result<bool, Stop> {
    if gold
        .unit
        .as_deref()
        .zip(prediction.unit.as_deref())
        .is_some_and(|(g, p)| words::units_conflict(g, p))
    {
        return Ok(false);
    }
    if gold.value.equals(&prediction.value, budget)? {
        return Ok(true);
    }
    if gold.percent != prediction.percent {
        let (percent, plain) = if gold.percent {
            (gold, prediction)
        } else {
            (prediction, gold)
        };
        let hundredth = percent.value.div(&Fraction::from(100), budget)?;
        return hundredth.equals(&plain.value, budget);
    }
    Ok(match (gold.decimals, prediction.decimals) {
        (None, Some(_)) => approximates(prediction, gold, budget)?,
        (Some(_), None) => approximates(gold, prediction, budget)?,
        _ => false,
    })
}

/// Whether a decimal with enough digits is the other value, cut or rounded after its last digit.
fn approximates(decimal: &Scalar, exact: &Scalar, budget: &mut Budget) -> Result<bool, Stop> {
    let (Some(decimals), Some(shown)) = (decimal.decimals, decimal.value.as_rational()) else {
        return Ok(false);
    };
    if decimals == 0 || decimals > 40 {
        return Ok(false);
    }
    budget.charge(8)?;
    let unit = Pow::pow(rational::integer(10), decimals);
    let digits = rational::mul(&shown.abs(), &unit, budget)?;
    if digits < Pow::pow(rational::integer(10), MIN_DIGITS - 1) {
        return Ok(false);
    }
    if let Some(exact) = exact.value.as_rational() {
        let difference = rational::add(&exact, &-shown, budget)?.abs();
        return Ok(rational::mul(&difference, &unit, budget)? < rational::integer(1));
    }
    let (Some(shown), Some(value)) = (BigRational::to_f64(&shown), approximate::real(&exact.value)) else {
        return Ok(false);
    };
    let last_digit = 10f64.powi(-i32::try_from(decimals).unwrap_or(i32::MAX));
    Ok((shown - value).abs() < last_digit + value.abs() * 1e-14)
}

/// Equations up to a factor, inequalities up to a positive one, and `name = value` against a plain value.
fn same_relation(gold: &Value, prediction: &Value, budget: &mut Budget) -> Result<bool, Stop> {
    if let (Value::Relation(g_first, g_rest), Value::Relation(p_first, p_rest)) = (gold, prediction) {
        let gold = normal_relations(g_first, g_rest, budget)?;
        if gold.is_some() && gold == normal_relations(p_first, p_rest, budget)? {
            return Ok(true);
        }
        let names = (as_words(g_first), as_words(p_first));
        if matches!(names, (Some(a), Some(b)) if a != b) {
            return Ok(false);
        }
    }
    let gold_value = named_value(gold, budget)?;
    let prediction_value = named_value(prediction, budget)?;
    match (gold_value, prediction_value) {
        (Some(g), Some(p)) if !matches!(g, Value::Relation(..)) && !matches!(p, Value::Relation(..)) => {
            same(g, p, budget)
        }
        _ => Ok(false),
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

/// A variable, `f(x)`, a tuple of variables, or words.
fn is_name(value: &Value) -> bool {
    match value {
        Value::Words(_) => true,
        Value::Tuple { items, .. } | Value::Ratio(items) => items.iter().all(is_name),
        Value::Scalar(scalar) => {
            scalar.value.den.as_constant().is_some()
                && scalar.value.num.single().is_some_and(|(monomial, coefficient)| {
                    *coefficient == rational::integer(1)
                        && (1..=2).contains(&monomial.len())
                        && monomial.iter().all(|(a, e)| {
                            matches!(a, Atom::Symbol(_) | Atom::Euler | Atom::Imaginary)
                                && *e.numer() == 1
                                && e.is_integer()
                        })
                })
        }
        _ => false,
    }
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
            Relate::In => return Ok(None),
        });
        left = right;
    }
    normal.sort();
    Ok(Some(normal))
}
