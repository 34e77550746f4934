//! Factorials and binomial coefficients, of numbers and of expressions with letters.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed};

use super::fraction::Fraction;
use super::functions::whole;
use super::poly::Monomial;
use crate::budget::{Budget, Stop};

/// Largest argument whose factorial or binomial coefficient is computed.
const MAX_FACTORIAL: i64 = 3_000;
/// Largest constant that is split off the argument of a factorial with letters.
const MAX_SHIFT: i64 = 20;

pub(super) fn factorial(n: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    match n.as_rational() {
        None => shifted_factorial(n, budget),
        Some(value) if value.is_negative() || !value.is_integer() => Err(Stop::Undefined),
        Some(_) => {
            let n = n.as_i64().filter(|n| *n <= MAX_FACTORIAL).ok_or(Stop::OverBudget)?;
            Ok(BigRational::from_integer(product(1, n, budget)?).into())
        }
    }
}

/// `(n + c)!` as `n!` times or over the factors between, so that `(n+1)! = (n+1)·n!`.
fn shifted_factorial(n: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    let constant = n.num.terms.get(&Monomial::new()).cloned().map(Fraction::from);
    let shift = constant
        .as_ref()
        .and_then(Fraction::as_i64)
        .filter(|c| c.abs() <= MAX_SHIFT);
    let Some(shift) = shift.filter(|_| n.den.as_constant().is_some_and(|d| d.is_one())) else {
        return Ok(whole("factorial", vec![n.clone()]));
    };
    let base = n.sub(&shift.into(), budget)?;
    let mut result = whole("factorial", vec![base.clone()]);
    for step in 1..=shift {
        result = result.mul(&base.add(&step.into(), budget)?, budget)?;
    }
    for step in shift + 1..=0 {
        result = result.div(&base.add(&step.into(), budget)?, budget)?;
    }
    Ok(result)
}

/// n·(n - 2)·(n - 4)…
pub(super) fn double_factorial(n: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    match n.as_rational() {
        None => Ok(whole("double_factorial", vec![n.clone()])),
        Some(value) if value.is_negative() || !value.is_integer() => Err(Stop::Undefined),
        Some(_) => {
            let n = n.as_i64().filter(|n| *n <= MAX_FACTORIAL).ok_or(Stop::OverBudget)?;
            let mut result = BigInt::one();
            for factor in (1..=n).rev().step_by(2) {
                budget.charge(1 + result.bits() / 1024)?;
                result *= factor;
            }
            Ok(BigRational::from_integer(result).into())
        }
    }
}

/// first · … · last, paid by the size of the result.
fn product(first: i64, last: i64, budget: &mut Budget) -> Result<BigInt, Stop> {
    let mut result = BigInt::one();
    for factor in first..=last {
        budget.charge(1 + result.bits() / 1024)?;
        result *= factor;
    }
    Ok(result)
}

pub(super) fn binomial(n: &Fraction, k: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    let (Some(top), Some(bottom)) = (n.as_rational(), k.as_rational()) else {
        return symbolic_binomial(n, k, budget);
    };
    if top.is_negative() || bottom.is_negative() || !top.is_integer() || !bottom.is_integer() {
        return Err(Stop::Undefined);
    }
    let top = n.as_i64().filter(|n| *n <= MAX_FACTORIAL).ok_or(Stop::OverBudget)?;
    let bottom = k.as_i64().ok_or(Stop::OverBudget)?;
    if bottom > top {
        return Ok(0.into());
    }
    let bottom = bottom.min(top - bottom);
    let quotient = product(top - bottom + 1, top, budget)? / product(1, bottom, budget)?;
    Ok(BigRational::from_integer(quotient).into())
}

/// With letters: a product over k! for a small k, else by factorials.
fn symbolic_binomial(n: &Fraction, k: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    if let Some(k) = k.as_i64().filter(|k| (0..=MAX_SHIFT).contains(k)) {
        let mut result = Fraction::from(1);
        for step in 0..k {
            let factor = n.sub(&step.into(), budget)?.div(&(step + 1).into(), budget)?;
            result = result.mul(&factor, budget)?;
        }
        return Ok(result);
    }
    let below = factorial(k, budget)?.mul(&factorial(&n.sub(k, budget)?, budget)?, budget)?;
    factorial(n, budget)?.div(&below, budget)
}
