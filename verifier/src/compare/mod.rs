//! When two values are the same answer. The gold answer decides which freedoms a prediction has.

mod named;
mod real_set;
mod relation;
mod scalar;

use crate::algebra::approximate;
use crate::algebra::fraction::Fraction;
use crate::algebra::poly::Atom;
use crate::algebra::value::{Scalar, Value};
use crate::budget::{Budget, Stop};
use named::same_named;
use real_set::same_set;
use relation::same_relation;
use scalar::same_scalar;

/// Items up to which unordered collections are matched pair by pair when sorting does not align them.
const MAX_PAIRED: usize = 64;

/// Whether `prediction` is the answer `gold`.
pub(crate) fn same(gold: &Value, prediction: &Value, budget: &mut Budget) -> Result<bool, Stop> {
    budget.charge(1)?;
    if same_by_kind(gold, prediction, budget)? {
        return Ok(true);
    }
    Ok(same_set(gold, prediction, budget)?.unwrap_or(false))
}

fn same_by_kind(gold: &Value, prediction: &Value, budget: &mut Budget) -> Result<bool, Stop> {
    if let Some(decided) = same_named(gold, prediction, budget)? {
        return Ok(decided);
    }
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
        (Value::Ratio(a), Value::Ratio(b)) => Ok(same_in_order(a, b, budget)? || same_ratio(a, b, budget)?),
        (Value::Set(a) | Value::List(a), Value::Set(b) | Value::List(b)) | (Value::Union(a), Value::Union(b)) => {
            same_unordered(a, b, budget)
        }
        (Value::SetOperation(operator, a, b), Value::SetOperation(other, c, d)) => {
            Ok(operator == other && same(a, c, budget)? && same(b, d, budget)?)
        }
        (Value::Residue { value: a, modulus: m }, Value::Residue { value: b, modulus: n }) => {
            Ok(a.equals(b, budget)? && m.equals(n, budget)?)
        }
        (Value::Set(items), other) | (other, Value::Set(items)) if items.len() == 1 => same(&items[0], other, budget),
        (
            Value::Matrix { determinant, rows },
            Value::Matrix {
                determinant: d,
                rows: other,
            },
        ) => Ok(determinant == d && same_rows(rows, other, budget)?),
        (
            Value::Matrix {
                determinant: false,
                rows,
            },
            Value::Tuple { open, close, items },
        )
        | (
            Value::Tuple { open, close, items },
            Value::Matrix {
                determinant: false,
                rows,
            },
        ) if matches!((open, close), ('(', ')') | ('[', ']')) => same_listed(rows, items, budget),
        _ if is_empty(gold) && is_empty(prediction) => Ok(true),
        _ => Ok(match (as_words(gold), as_words(prediction)) {
            (Some(g), Some(p)) => g == p,
            _ => false,
        }),
    }
}

/// Whether a matrix is what a tuple lists: the cells of a vector, or the rows, each a tuple of its own.
fn same_listed(rows: &[Vec<Value>], items: &[Value], budget: &mut Budget) -> Result<bool, Stop> {
    if let Some(cells) = as_vector(rows) {
        return same_in_order(&cells, items, budget);
    }
    if rows.len() != items.len() {
        return Ok(false);
    }
    for (row, item) in rows.iter().zip(items) {
        match item {
            Value::Tuple { items, .. } if same_in_order(row, items, budget)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The cells of a matrix with one row or one column.
fn as_vector(rows: &[Vec<Value>]) -> Option<Vec<Value>> {
    match rows {
        [row] => Some(row.clone()),
        _ => rows
            .iter()
            .map(|row| {
                if let [cell] = row.as_slice() {
                    Some(cell.clone())
                } else {
                    None
                }
            })
            .collect(),
    }
}

/// Whether a value is the empty set, or words that say so.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Set(items) => items.is_empty(),
        Value::Words(words) => matches!(
            words.as_str(),
            "no solution" | "no solutions" | "no real solution" | "no real solutions" | "empty set" | "the empty set"
        ),
        _ => false,
    }
}

/// Whether a gold has a unit and the answer none.
pub(crate) fn lacks_unit(gold: &Value, prediction: &Value) -> bool {
    let unit = |value: &Value| match value {
        Value::Scalar(scalar) => scalar.unit.is_some() || scalar.measured.is_some() || scalar.percent,
        Value::Relation(_, rest) => {
            matches!(rest.last(), Some((_, Value::Scalar(last))) if last.unit.is_some() || last.percent)
        }
        _ => false,
    };
    unit(gold) && !unit(prediction)
}

/// Whether two real numbers differ by no more than so many millionths of the gold.
pub(crate) fn within(gold: &Value, prediction: &Value, tolerance_ppm: u32) -> bool {
    let real = |value: &Value| match value {
        Value::Scalar(scalar) => approximate::real(&scalar.value),
        _ => None,
    };
    match (gold, prediction) {
        _ if tolerance_ppm == 0 => false,
        (Value::Tuple { items, .. } | Value::List(items), Value::Tuple { items: other, .. } | Value::List(other)) => {
            items.len() == other.len() && items.iter().zip(other).all(|(g, p)| within(g, p, tolerance_ppm))
        }
        _ => real(gold)
            .zip(real(prediction))
            .is_some_and(|(g, p)| (g - p).abs() <= g.abs() * f64::from(tolerance_ppm) / 1e6),
    }
}

/// Words, or the name of a lone variable, in lower case.
pub(crate) fn as_words(value: &Value) -> Option<String> {
    match value {
        Value::Words(words) => Some(words.clone()),
        Value::Scalar(Scalar { word: Some(word), .. }) => Some(word.to_lowercase()),
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
    match value.as_atom()? {
        Atom::Symbol(name) => Some(name),
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

fn same_rows(a: &[Vec<Value>], b: &[Vec<Value>], budget: &mut Budget) -> Result<bool, Stop> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (x, y) in a.iter().zip(b) {
        if !same_in_order(x, y, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the parts of one ratio are a common multiple of the other's. Two times of day are not.
fn same_ratio(a: &[Value], b: &[Value], budget: &mut Budget) -> Result<bool, Stop> {
    let (Some(a), Some(b)) = (plain_parts(a), plain_parts(b)) else {
        return Ok(false);
    };
    let pivot = a.iter().zip(&b).position(|(x, y)| !x.is_zero() && !y.is_zero());
    let Some(pivot) = pivot.filter(|_| a.len() == b.len() && !(is_time(&a) && is_time(&b))) else {
        return Ok(false);
    };
    for (x, y) in a.iter().zip(&b) {
        if !x.mul(b[pivot], budget)?.equals(&y.mul(a[pivot], budget)?, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The values of the parts, if none has a percent sign, a unit or digits left out, or is a word.
fn plain_parts(parts: &[Value]) -> Option<Vec<&Fraction>> {
    let plain = |part| match part {
        &Value::Scalar(Scalar {
            ref value,
            percent: false,
            unfinished: false,
            unit: None,
            word: None,
            ..
        }) => Some(value),
        _ => None,
    };
    parts.iter().map(plain).collect()
}

/// Whether `h:m` may be a time of day: minutes of two digits, or none, as in `12:00`.
fn is_time(parts: &[&Fraction]) -> bool {
    matches!(parts, [h, m] if h.as_i64().is_some_and(|h| (0..=24).contains(&h))
        && m.as_i64().is_some_and(|m| m == 0 || (10..=59).contains(&m)))
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
