//! Powers and roots: exact where the rules hold for every value, kept whole elsewhere.

use std::sync::Arc;

use num_rational::{BigRational, Rational64};
use num_traits::{CheckedMul, One, Signed, ToPrimitive, Zero};

use super::fraction::{Fraction, content, monomial_root};
use super::poly::{Atom, Monomial, Poly};
use super::{rational, trigonometry};
use crate::budget::{Budget, Stop};

/// A power of a polynomial with several terms is multiplied out up to this exponent and kept whole above.
const MAX_EXPANDED: u64 = 12;

/// `base ^ exponent`.
pub(crate) fn power(base: &Fraction, exponent: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    budget.charge(1 + base.weight() + exponent.weight())?;
    if let Some(value) = exponent.as_rational() {
        let (numer, denom) = (value.numer().to_i64(), value.denom().to_i64());
        let (Some(numer), Some(denom)) = (numer, denom) else {
            return match base.as_rational() {
                Some(b) if b.is_one() => Ok(1.into()),
                _ => Err(Stop::OverBudget),
            };
        };
        if denom == 1 {
            return integer_power(base, numer, budget);
        }
        if denom > 1000 || numer.unsigned_abs() > 1_000_000 {
            return Err(Stop::OverBudget);
        }
        return rational_power(base, Rational64::new(numer, denom), budget);
    }
    if *base == Fraction::from(Atom::Euler)
        && let Some(value) = trigonometry::on_unit_circle(exponent, budget)?
    {
        return Ok(value);
    }
    symbolic_power(base, exponent, budget)
}

/// The `index`-th root.
pub(crate) fn root(base: &Fraction, index: i64, budget: &mut Budget) -> Result<Fraction, Stop> {
    if !(1..=1000).contains(&index) {
        return Err(Stop::Undefined);
    }
    rational_power(base, Rational64::new(1, index), budget)
}

fn integer_power(base: &Fraction, exponent: i64, budget: &mut Budget) -> Result<Fraction, Stop> {
    if exponent == 0 {
        return if base.is_zero() {
            Err(Stop::Undefined)
        } else {
            Ok(1.into())
        };
    }
    if let Some(value) = base.as_rational() {
        return Ok(rational::pow(&value, exponent, budget)?.into());
    }
    let magnitude = exponent.unsigned_abs();
    let several = base.num.terms.len() > 1 || base.den.terms.len() > 1;
    if several && magnitude > MAX_EXPANDED {
        let whole = Atom::Power(Arc::new((base.clone(), Fraction::from(1))));
        return Ok(Poly::atom(whole, Rational64::from_integer(exponent)).into());
    }
    let magnitude = u32::try_from(magnitude).map_err(|_| Stop::OverBudget)?;
    let powered = Fraction::from(base.num.pow(magnitude, budget)?)
        .div(&Fraction::from(base.den.pow(magnitude, budget)?), budget)?;
    if exponent < 0 {
        powered.inverse(budget)
    } else {
        Ok(powered)
    }
}

fn rational_power(base: &Fraction, exponent: Rational64, budget: &mut Budget) -> Result<Fraction, Stop> {
    let whole = exponent.floor().to_integer();
    let part = exponent - whole;
    let rooted = poly_root(&base.num, part, budget)?.div(&poly_root(&base.den, part, budget)?, budget)?;
    if whole == 0 {
        return Ok(rooted);
    }
    integer_power(base, whole, budget)?.mul(&rooted, budget)
}

/// `poly ^ exponent` for an exponent in [0, 1).
fn poly_root(poly: &Poly, exponent: Rational64, budget: &mut Budget) -> Result<Fraction, Stop> {
    if poly.is_zero() || exponent.is_zero() {
        return Ok(if poly.is_zero() { Poly::zero().into() } else { 1.into() });
    }
    if let Some(value) = poly.as_constant() {
        return number_root(&value, exponent, budget);
    }
    let content = content(poly);
    let primitive = poly.scale(&rational::div(&BigRational::one(), &content, budget)?, budget)?;
    let outside = number_root(&content, exponent, budget)?;
    let inside = match primitive.single() {
        Some((monomial, coefficient)) if coefficient.is_one() => match monomial_root(monomial, exponent)? {
            Some(powered) => Poly::term(powered, BigRational::one()),
            None => Poly::atom(Atom::Root(Arc::new(primitive)), exponent),
        },
        _ => Poly::atom(Atom::Root(Arc::new(primitive)), exponent),
    };
    outside.mul(&Fraction::from(inside), budget)
}

/// `value ^ exponent` for an exponent in (0, 1): prime by prime; an odd root of a negative number is the real one.
fn number_root(value: &BigRational, exponent: Rational64, budget: &mut Budget) -> Result<Fraction, Stop> {
    let mut monomial = Monomial::new();
    let mut coefficient = BigRational::one();
    if value.is_negative() {
        match exponent.denom() {
            2 => {
                monomial.insert(Atom::Imaginary, Rational64::one());
            }
            odd if odd % 2 == 1 => {
                if exponent.numer() % 2 != 0 {
                    coefficient = -coefficient;
                }
            }
            _ => {
                let whole = Atom::Root(Arc::new(Poly::constant(value.clone())));
                return Ok(Poly::atom(whole, exponent).into());
            }
        }
    }
    for (part, sign) in [(value.numer(), 1), (value.denom(), -1)] {
        for (prime, multiplicity) in rational::factor(part, budget)? {
            let total = exponent
                .checked_mul(&Rational64::from_integer(sign * multiplicity))
                .ok_or(Stop::OverBudget)?;
            let whole = total.floor().to_integer();
            let power = rational::pow(&BigRational::from_integer(prime.clone()), whole, budget)?;
            coefficient = rational::mul(&coefficient, &power, budget)?;
            if !(total - whole).is_zero() {
                monomial.insert(Atom::Prime(prime), total - whole);
            }
        }
    }
    Ok(Poly::term(monomial, coefficient).into())
}

/// A power with letters in the exponent: constant parts are split off so that 2^(n+1) = 2·2^n and e^(2x) = (e^x)².
fn symbolic_power(base: &Fraction, exponent: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    if base.as_rational().is_some_and(|b| b.is_one()) {
        return Ok(1.into());
    }
    let mut exponent = exponent.clone();
    let mut split = Fraction::from(1);
    let unit_denominator = exponent.den.as_constant().is_some();
    if unit_denominator && let Some(constant) = exponent.num.terms.remove(&Monomial::new()) {
        split = power(base, &Fraction::from(constant), budget)?;
    }
    let content = content(&exponent.num);
    let signed = if exponent.num.leading().is_negative() {
        -content
    } else {
        content
    };
    let multiple = match (signed.numer().to_i64(), signed.denom().to_i64()) {
        (Some(numer), Some(denom)) => Rational64::new(numer, denom),
        _ => return Err(Stop::OverBudget),
    };
    let primitive = Fraction {
        num: exponent
            .num
            .scale(&rational::div(&BigRational::one(), &signed, budget)?, budget)?,
        den: exponent.den.clone(),
    };
    let mut result = split;
    for (root, multiplicity) in base_powers(base, budget)? {
        let total = multiple
            .checked_mul(&Rational64::from_integer(multiplicity))
            .ok_or(Stop::OverBudget)?;
        let whole = Atom::Power(Arc::new((root, primitive.clone())));
        result = result.mul(&Fraction::from(Poly::atom(whole, total)), budget)?;
    }
    Ok(result)
}

/// A positive integer as powers of its primes, so that 4^n = (2^n)²; anything else as itself.
fn base_powers(base: &Fraction, budget: &mut Budget) -> Result<Vec<(Fraction, i64)>, Stop> {
    match base.as_rational() {
        Some(value) if value.is_integer() && value.is_positive() => Ok(rational::factor(value.numer(), budget)?
            .into_iter()
            .map(|(prime, count)| (BigRational::from_integer(prime).into(), count))
            .collect()),
        _ => Ok(vec![(base.clone(), 1)]),
    }
}
