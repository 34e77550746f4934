//! From the expression tree to values in normal form.

use num_rational::BigRational;

use super::fraction::Fraction;
use super::poly::Atom;
use super::value::{Scalar, Value};
use super::{bound, functions, infinite, matrix, power, sets};
use crate::budget::{Budget, Stop};
use crate::text::syntax::{Expr, Sign};
use crate::text::units::Unit;

/// How names and signs are read in this pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    /// Whether `±` is `-`.
    pub(super) minus: bool,
    /// Whether this is the argument of a trigonometric function: degrees become radians.
    pub(super) angle: bool,
    /// Values of bound variables, innermost last.
    pub(super) bound: &'a [(String, Fraction)],
}

/// The value of an answer. An element with `±` becomes the list of its two values.
pub(crate) fn evaluate(expr: &Expr, budget: &mut Budget) -> Result<Value, Stop> {
    if let Expr::List(items) = expr {
        let mut values = Vec::new();
        for item in items {
            element(item, budget, &mut values)?;
        }
        return Ok(Value::List(values));
    }
    let mut values = Vec::new();
    element(expr, budget, &mut values)?;
    Ok(if values.len() == 1 {
        values.remove(0)
    } else {
        Value::List(values)
    })
}

fn element(expr: &Expr, budget: &mut Budget, values: &mut Vec<Value>) -> Result<(), Stop> {
    values.push(value(
        expr,
        Reading {
            minus: false,
            angle: false,
            bound: &[],
        },
        budget,
    )?);
    if has_both_signs(expr) {
        values.push(value(
            expr,
            Reading {
                minus: true,
                angle: false,
                bound: &[],
            },
            budget,
        )?);
    }
    Ok(())
}

/// Whether `±` stands in the expression (outside brackets of several items, where it would not multiply answers).
fn has_both_signs(expr: &Expr) -> bool {
    match expr {
        Expr::Sum(parts) => parts
            .iter()
            .any(|(s, e)| matches!(s, Sign::Both | Sign::BothSwapped) || has_both_signs(e)),
        Expr::Product(parts) => parts.iter().any(|(_, e)| has_both_signs(e)),
        Expr::Power(base, exponent) => has_both_signs(base) || has_both_signs(exponent),
        Expr::Call(_, items) | Expr::Bracket { items, .. } => items.iter().any(has_both_signs),
        Expr::Percent(e) | Expr::Degrees(e) | Expr::Measured(e, _) => has_both_signs(e),
        Expr::UnitOrVariable { product, .. } => has_both_signs(product),
        Expr::Relation(first, rest) => has_both_signs(first) || rest.iter().any(|(_, e)| has_both_signs(e)),
        _ => false,
    }
}

pub(super) fn values(items: &[Expr], reading: Reading<'_>, budget: &mut Budget) -> Result<Vec<Value>, Stop> {
    items.iter().map(|item| value(item, reading, budget)).collect()
}

pub(super) fn value(expr: &Expr, reading: Reading<'_>, budget: &mut Budget) -> Result<Value, Stop> {
    budget.charge(1)?;
    Ok(match expr {
        Expr::Words(words) => Value::Words(words.clone()),
        Expr::Run(letters) if repeats(letters) => Value::Words(letters.to_lowercase()),
        Expr::Based { value, base } => Value::Based {
            value: BigRational::from_integer(value.clone()),
            base: *base,
        },
        Expr::Bracket { open: '{', items, .. } => Value::Set(values(items, reading, budget)?),
        Expr::Bracket { open, close, items } => Value::Tuple {
            open: *open,
            close: *close,
            items: values(items, reading, budget)?,
        },
        Expr::List(items) => Value::List(values(items, reading, budget)?),
        Expr::Ratio(items) => Value::Ratio(values(items, reading, budget)?),
        Expr::Union(items) => sets::union(values(items, reading, budget)?, budget)?,
        Expr::SetOperation(operator, left, right) => {
            let (left, right) = (value(left, reading, budget)?, value(right, reading, budget)?);
            sets::operation(*operator, left, right, budget)?
        }
        Expr::Residue(inner, modulus) => Value::Residue {
            value: fraction(inner, reading, budget)?,
            modulus: fraction(modulus, reading, budget)?,
        }
        .reduced(budget)?,
        _ if matrix::holds_matrix(expr) => matrix::evaluate(expr, reading, budget)?,
        _ if infinite::holds_infinity(expr) => infinite::evaluate(expr, reading, budget)?,
        Expr::Relation(first, rest) => {
            let first = value(first, reading, budget)?;
            let rest = rest
                .iter()
                .map(|(r, e)| Ok((*r, value(e, reading, budget)?)))
                .collect::<Result<_, Stop>>()?;
            Value::Relation(Box::new(first), rest)
        }
        Expr::Matrix { determinant, rows } => match matrix::determinant(*determinant, rows, reading, budget)? {
            Some(number) => Value::from(number),
            None => Value::Matrix {
                determinant: *determinant,
                rows: rows
                    .iter()
                    .map(|row| values(row, reading, budget))
                    .collect::<Result<_, Stop>>()?,
            },
        },
        _ => Value::Scalar(scalar(expr, reading, budget)?),
    })
}

/// Whether a letter occurs twice: nobody writes x² as xx.
fn repeats(letters: &str) -> bool {
    letters
        .char_indices()
        .any(|(i, c)| letters[i + c.len_utf8()..].contains(c))
}

pub(super) fn negative(sign: Sign, reading: Reading<'_>) -> bool {
    match sign {
        Sign::Plus => false,
        Sign::Minus => true,
        Sign::Both => reading.minus,
        Sign::BothSwapped => !reading.minus,
    }
}

/// A scalar with its percent sign, unit and decimals kept at the outside; inside a sum they only scale.
fn scalar(expr: &Expr, reading: Reading<'_>, budget: &mut Budget) -> Result<Scalar, Stop> {
    Ok(match expr {
        Expr::Percent(inner) => Scalar {
            percent: true,
            ..scalar(inner, reading, budget)?
        },
        Expr::Measured(inner, unit) => Scalar {
            unit: Some(unit.clone()),
            ..scalar(inner, reading, budget)?
        },
        Expr::Degrees(inner) => Scalar {
            unit: Some(Unit::named("degree", 1)),
            ..scalar(inner, reading, budget)?
        },
        Expr::Number { decimals, .. } => Scalar {
            decimals: *decimals,
            ..fraction(expr, reading, budget)?.into()
        },
        Expr::Unfinished { value, decimals } => Scalar {
            decimals: Some(*decimals),
            unfinished: true,
            ..Fraction::from(value.clone()).into()
        },
        Expr::Run(letters) => Scalar {
            word: Some(letters.clone()),
            ..fraction(expr, reading, budget)?.into()
        },
        Expr::UnitOrVariable { value, unit, .. } => Scalar {
            measured: Some(Box::new((fraction(value, reading, budget)?, unit.clone()))),
            ..fraction(expr, reading, budget)?.into()
        },
        Expr::Sum(parts) if parts.len() == 1 => {
            let inner = scalar(&parts[0].1, reading, budget)?;
            let value = if negative(parts[0].0, reading) {
                inner.value.neg(budget)?
            } else {
                inner.value.clone()
            };
            let measured = match inner.measured {
                Some(measured) if negative(parts[0].0, reading) => {
                    Some(Box::new((measured.0.neg(budget)?, measured.1)))
                }
                other => other,
            };
            Scalar {
                value,
                measured,
                word: None,
                ..inner
            }
        }
        _ => fraction(expr, reading, budget)?.into(),
    })
}

pub(super) fn fraction(expr: &Expr, reading: Reading<'_>, budget: &mut Budget) -> Result<Fraction, Stop> {
    budget.charge(1)?;
    match expr {
        Expr::Number { value, .. } => Ok(value.clone().into()),
        Expr::Symbol(name) => Ok(reading
            .bound
            .iter()
            .rev()
            .find(|(bound, _)| bound == name)
            .map_or_else(|| Atom::Symbol(name.as_str().into()).into(), |(_, value)| value.clone())),
        Expr::Pi => Ok(Atom::Pi.into()),
        Expr::Euler => Ok(Atom::Euler.into()),
        Expr::Imaginary => match reading.bound.iter().rev().find(|(bound, _)| bound == "i") {
            Some((_, value)) => Ok(value.clone()),
            None => Ok(Atom::Imaginary.into()),
        },
        Expr::Run(letters) => letters.chars().try_fold(Fraction::from(1), |product, letter| {
            let factor = match letter {
                'e' => Expr::Euler,
                'i' => Expr::Imaginary,
                _ => Expr::Symbol(letter.to_string()),
            };
            product.mul(&fraction(&factor, reading, budget)?, budget)
        }),
        Expr::UnitOrVariable { product, .. } => fraction(product, reading, budget),
        Expr::Sum(parts) => sum(parts, reading, budget),
        Expr::Product(parts) => {
            let mut product = Fraction::from(1);
            for (inverse, part) in parts {
                let factor = fraction(part, reading, budget)?;
                product = if *inverse {
                    product.div(&factor, budget)?
                } else {
                    product.mul(&factor, budget)?
                };
            }
            Ok(product)
        }
        Expr::Power(base, exponent) => {
            let (base, exponent) = (fraction(base, reading, budget)?, fraction(exponent, reading, budget)?);
            power::power(&base, &exponent, budget)
        }
        Expr::Call(name, arguments) => {
            let arguments = arguments
                .iter()
                .map(|a| argument(name, a, reading, budget))
                .collect::<Result<Vec<_>, Stop>>()?;
            functions::call(name, arguments, budget)
        }
        Expr::Percent(inner) => fraction(inner, reading, budget)?.div(&Fraction::from(100), budget),
        Expr::Degrees(inner) if reading.angle => in_radians(&fraction(inner, reading, budget)?, budget),
        Expr::Degrees(inner) | Expr::Measured(inner, _) => fraction(inner, reading, budget),
        Expr::Infinity => Err(Stop::Undefined),
        Expr::Remainder(inner, modulus) => {
            let (inner, modulus) = (fraction(inner, reading, budget)?, fraction(modulus, reading, budget)?);
            functions::remainder(&inner, &modulus, budget)
        }
        Expr::Bound(bound) => bound::evaluate(bound, reading, budget),
        // Braces as brackets of arithmetic.
        Expr::Bracket { open: '{', items, .. } if items.len() == 1 => fraction(&items[0], reading, budget),
        _ => Err(Stop::Malformed),
    }
}

/// An argument of a function.
fn argument(name: &str, expr: &Expr, reading: Reading<'_>, budget: &mut Budget) -> Result<Fraction, Stop> {
    let angle = matches!(name, "sin" | "cos" | "tan" | "cot" | "sec" | "csc");
    fraction(expr, Reading { angle, ..reading }, budget)
}

fn in_radians(degrees: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    let half_turns = degrees.div(&Fraction::from(180), budget)?;
    half_turns.mul(&Fraction::from(Atom::Pi), budget)
}

fn sum(parts: &[(Sign, Expr)], reading: Reading<'_>, budget: &mut Budget) -> Result<Fraction, Stop> {
    let mut total = Fraction::from(0);
    for (sign, part) in parts {
        let term = fraction(part, reading, budget)?;
        let term = if negative(*sign, reading) {
            term.neg(budget)?
        } else {
            term
        };
        let plain = total.den.as_constant().is_some() && term.den.as_constant().is_some();
        if plain {
            // Both denominators are 1 here: long sums are added in place.
            total.num.add_assign(&term.num, budget)?;
        } else {
            total = total.add(&term, budget)?;
        }
    }
    Ok(total)
}
