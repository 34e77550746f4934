//! Numbers and expressions: by value, with what a percent sign, a unit or cut digits leave open.

use num_rational::BigRational;
use num_traits::{One, Pow, Signed};

use crate::algebra::approximate;
use crate::algebra::fraction::Fraction;
use crate::algebra::numeric;
use crate::algebra::poly::Atom;
use crate::algebra::rational;
use crate::algebra::value::Scalar;
use crate::budget::{Budget, Stop};
use crate::text::units::Unit;

/// Significant digits from which a decimal may stand for an exact value that it approximates.
const MIN_DIGITS: u32 = 6;
/// Significant digits from which a decimal may be a floating-point number as programs print it.
const FLOAT_DIGITS: u32 = 16;
/// Most significant digits that are printed of a floating-point number.
const MAX_FLOAT_DIGITS: u32 = 17;
/// Digits, after the point and significant, from which a decimal with dots may stand for a value that it starts.
const MIN_UNFINISHED: u32 = 3;

pub(super) fn same_scalar(gold: &Scalar, prediction: &Scalar, budget: &mut Budget) -> Result<bool, Stop> {
    if let (Some(g), Some(p)) = (&gold.word, &prediction.word) {
        return Ok(g == p);
    }
    if let (Some(g), Some(p)) = (&gold.unit, &prediction.unit)
        && g != p
    {
        return in_other_unit(gold, g, prediction, p, budget);
    }
    if same_number(gold, prediction, budget)? || same_angle(gold, prediction, budget)? {
        return Ok(true);
    }
    match (as_measured(gold, prediction), as_measured(prediction, gold)) {
        (Some(gold), None) => same_scalar(&gold, prediction, budget),
        (None, Some(prediction)) => same_scalar(gold, &prediction, budget),
        _ => Ok(false),
    }
}

/// Numbers in two units: after conversion, where the units measure the same.
fn in_other_unit(gold: &Scalar, g: &Unit, prediction: &Scalar, p: &Unit, budget: &mut Budget) -> Result<bool, Stop> {
    let Some(factor) = p.factor_to(g) else {
        return Ok(false);
    };
    if factor.is_one() {
        return same_number(gold, prediction, budget);
    }
    let converted = prediction.value.mul(&factor.into(), budget)?;
    Ok(!gold.unfinished && !prediction.unfinished && gold.value.equals(&converted, budget)?)
}

/// An angle in degrees against the same one in radians, which is a multiple of π.
fn same_angle(gold: &Scalar, prediction: &Scalar, budget: &mut Budget) -> Result<bool, Stop> {
    let (degrees, radians) = match (&gold.unit, &prediction.unit) {
        (Some(unit), None) if unit.is_degree() => (gold, prediction),
        (None, Some(unit)) if unit.is_degree() => (prediction, gold),
        _ => return Ok(false),
    };
    let half_turn = Fraction::from(Atom::Pi);
    if degrees.unfinished || radians.value.div(&half_turn, budget)?.as_rational().is_none() {
        return Ok(false);
    }
    let converted = degrees
        .value
        .mul(&half_turn, budget)?
        .div(&Fraction::from(180), budget)?;
    converted.equals(&radians.value, budget)
}

/// `5 m` with m read as a unit, where the other side is a number.
fn as_measured(scalar: &Scalar, other: &Scalar) -> Option<Scalar> {
    let (value, unit) = scalar.measured.as_deref()?;
    approximate::real(&other.value).is_some().then(|| Scalar {
        unit: Some(unit.clone()),
        ..value.clone().into()
    })
}

fn same_number(gold: &Scalar, prediction: &Scalar, budget: &mut Budget) -> Result<bool, Stop> {
    if same_written(gold, prediction, budget)? {
        return Ok(true);
    }
    let exact = |scalar: &Scalar| !scalar.unfinished && scalar.word.is_none();
    let equal = exact(gold)
        && exact(prediction)
        && gold.percent == prediction.percent
        && numeric::same_value(&gold.value, &prediction.value, budget)?;
    if equal {
        budget.note_numeric();
    }
    Ok(equal)
}

/// Equal in normal form, or to the digits shown.
fn same_written(gold: &Scalar, prediction: &Scalar, budget: &mut Budget) -> Result<bool, Stop> {
    if gold.unfinished && prediction.unfinished {
        return Ok(gold.decimals == prediction.decimals && gold.value == prediction.value);
    }
    let unfinished = gold.unfinished || prediction.unfinished;
    if !unfinished && gold.value.equals(&prediction.value, budget)? {
        return Ok(true);
    }
    match (gold.percent, prediction.percent) {
        (true, false) => approximately(&hundredth(gold, budget)?, prediction, budget),
        (false, true) => approximately(gold, &hundredth(prediction, budget)?, budget),
        _ => approximately(gold, prediction, budget),
    }
}

/// A number in percent without its sign.
fn hundredth(percent: &Scalar, budget: &mut Budget) -> Result<Scalar, Stop> {
    Ok(Scalar {
        value: percent.value.div(&Fraction::from(100), budget)?,
        decimals: percent.decimals.map(|d| d.saturating_add(2)),
        percent: false,
        ..percent.clone()
    })
}

fn approximately(gold: &Scalar, prediction: &Scalar, budget: &mut Budget) -> Result<bool, Stop> {
    if gold.unfinished {
        return approximates(gold, prediction, budget);
    }
    if prediction.unfinished {
        return approximates(prediction, gold, budget);
    }
    if gold.value.equals(&prediction.value, budget)? {
        return Ok(true);
    }
    match (gold.decimals, prediction.decimals) {
        (None, Some(_)) => approximates(prediction, gold, budget),
        (Some(_), None) => approximates(gold, prediction, budget),
        _ => Ok(false),
    }
}

/// Whether a decimal with enough digits is the other value, cut or rounded at its last digit. With dots after it, only
/// cut, and not exact unless it ends in 0.
fn approximates(decimal: &Scalar, exact: &Scalar, budget: &mut Budget) -> Result<bool, Stop> {
    let (Some(decimals @ 1..=40), Some(shown)) = (decimal.decimals, decimal.value.as_rational()) else {
        return Ok(false);
    };
    budget.charge(8)?;
    let unit = Pow::pow(rational::integer(10), decimals);
    let digits = rational::mul(&shown.abs(), &unit, budget)?;
    let needed = if decimal.unfinished { MIN_UNFINISHED } else { MIN_DIGITS };
    if digits < Pow::pow(rational::integer(10), needed - 1) || (decimal.unfinished && decimals < MIN_UNFINISHED) {
        return Ok(false);
    }
    let ends_in_zero = rational::div(&digits, &rational::integer(10), budget)?.is_integer();
    if decimal.unfinished && exact.value.as_rational().as_ref() == Some(&shown) && !ends_in_zero {
        return Ok(false);
    }
    let Some((left_out, error)) = left_out(&shown, decimals, &exact.value, budget)? else {
        return Ok(false);
    };
    let digits_of_a_float =
        Pow::pow(rational::integer(10), FLOAT_DIGITS - 1)..Pow::pow(rational::integer(10), MAX_FLOAT_DIGITS);
    let error = if digits_of_a_float.contains(&digits) {
        // What programs print of a floating-point number is off by up to its last bit.
        let last_bit = rational::div(&digits, &Pow::pow(rational::integer(2), 52u32), budget)?;
        rational::add(&error, &last_bit, budget)?
    } else {
        error
    };
    let one = rational::integer(1);
    let half = rational::div(&one, &rational::integer(2), budget)?;
    let cut = left_out >= -error.clone() && left_out < &one + &error;
    let rounded = left_out.abs() <= half + error;
    Ok(cut || (rounded && !decimal.unfinished))
}

/// What a decimal leaves out of the exact value, away from 0 and in units of its last digit, and how exactly that is
/// known.
fn left_out(
    shown: &BigRational,
    decimals: u32,
    exact: &Fraction,
    budget: &mut Budget,
) -> Result<Option<(BigRational, BigRational)>, Stop> {
    let (value, error) = match exact.as_rational() {
        Some(exact) => (exact, rational::integer(0)),
        None => match numeric::real(exact, budget)? {
            Some(known) => known,
            None => return Ok(None),
        },
    };
    let unit = Pow::pow(rational::integer(10), decimals);
    let rest = rational::mul(&rational::add(&value, &-shown.clone(), budget)?, &unit, budget)?;
    let error = rational::mul(&error, &unit, budget)?;
    Ok(Some((if shown.is_negative() { -rest } else { rest }, error)))
}
