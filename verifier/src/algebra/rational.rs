//! Exact rational arithmetic with a bound on the size of every number.
//!
//! Integers skip the reduction by the greatest common divisor, whose cost grows with the square of the size.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Signed, Zero};

use crate::budget::{Budget, Stop};

/// Bits that one numerator or denominator may have (about 79,000 decimal digits).
pub(crate) const MAX_BITS: u64 = 1 << 18;

fn limbs(value: &BigInt) -> u64 {
    value.bits() / 64 + 1
}

fn size(value: &BigRational) -> u64 {
    limbs(value.numer()) + limbs(value.denom())
}

fn pay(a: &BigRational, b: &BigRational, budget: &mut Budget) -> Result<bool, Stop> {
    let both_integers = a.is_integer() && b.is_integer();
    let (left, right) = (size(a), size(b));
    if left + right > MAX_BITS / 32 {
        return Err(Stop::OverBudget);
    }
    budget.charge(
        1 + if both_integers {
            left * right / 64
        } else {
            // The divisor is found bit by bit; of two words each that is as quick as anything.
            (left + right).saturating_sub(4).pow(2) / 16
        },
    )?;
    Ok(both_integers)
}

pub(crate) fn integer(value: i64) -> BigRational {
    BigRational::from_integer(BigInt::from(value))
}

/// `numer / denom` in lowest terms; the denominator is not 0.
pub(crate) fn reduced(numer: BigInt, denom: BigInt) -> BigRational {
    BigRational::new(numer, denom)
}

pub(crate) fn mul(a: &BigRational, b: &BigRational, budget: &mut Budget) -> Result<BigRational, Stop> {
    if pay(a, b, budget)? {
        return Ok(BigRational::from_integer(a.numer() * b.numer()));
    }
    Ok(a * b)
}

pub(crate) fn add(a: &BigRational, b: &BigRational, budget: &mut Budget) -> Result<BigRational, Stop> {
    if pay(a, b, budget)? {
        return Ok(BigRational::from_integer(a.numer() + b.numer()));
    }
    Ok(a + b)
}

/// `a / b`; undefined for `b` = 0.
pub(crate) fn div(a: &BigRational, b: &BigRational, budget: &mut Budget) -> Result<BigRational, Stop> {
    if b.is_zero() {
        return Err(Stop::Undefined);
    }
    if b.is_one() {
        return Ok(a.clone());
    }
    pay(a, b, budget)?;
    Ok(a / b)
}

/// `base ^ exponent`; refused before it is computed if the result would be too large.
pub(crate) fn pow(base: &BigRational, exponent: i64, budget: &mut Budget) -> Result<BigRational, Stop> {
    if exponent < 0 && base.is_zero() {
        return Err(Stop::Undefined);
    }
    if exponent == 0 || base.is_one() {
        return Ok(integer(1));
    }
    if base.is_zero() {
        return Ok(integer(0));
    }
    let magnitude = exponent.unsigned_abs();
    if base.numer().abs().is_one() && base.is_integer() {
        return Ok(integer(if magnitude.is_multiple_of(2) {
            1
        } else {
            base_sign(base)
        }));
    }
    let bits = base.numer().bits().max(base.denom().bits());
    if bits.saturating_mul(magnitude) > MAX_BITS {
        return Err(Stop::OverBudget);
    }
    let result_limbs = bits * magnitude / 64 + 1;
    budget.charge(1 + result_limbs * result_limbs / 256)?;
    let power = u32::try_from(magnitude).map_err(|_| Stop::OverBudget)?;
    // Powers of coprime numbers are coprime: no reduction is needed.
    let (numer, denom) = (Pow::pow(base.numer(), power), Pow::pow(base.denom(), power));
    Ok(match exponent > 0 {
        true => BigRational::new_raw(numer, denom),
        false if numer.is_negative() => BigRational::new_raw(-denom, -numer),
        false => BigRational::new_raw(denom, numer),
    })
}

fn base_sign(base: &BigRational) -> i64 {
    if base.is_negative() { -1 } else { 1 }
}

/// Prime factors of `|n|` with their multiplicity, smallest first. A cofactor without a factor below 10,000 is kept
/// whole, after a test for perfect powers: equal radicands still give equal factors.
pub(crate) fn factor(n: &BigInt, budget: &mut Budget) -> Result<Vec<(BigInt, i64)>, Stop> {
    let mut rest = n.abs();
    let mut factors = Vec::new();
    if rest.is_zero() || rest.is_one() {
        return Ok(factors);
    }
    let mut candidate = 2u32;
    while candidate < 10_000 && BigInt::from(candidate) * candidate <= rest {
        budget.charge(limbs(&rest))?;
        let mut multiplicity = 0;
        while (&rest % candidate).is_zero() {
            budget.charge(limbs(&rest))?;
            rest /= candidate;
            multiplicity += 1;
        }
        if multiplicity > 0 {
            factors.push((BigInt::from(candidate), multiplicity));
        }
        candidate += if candidate == 2 { 1 } else { 2 };
    }
    if !rest.is_one() {
        let (root, multiplicity) = perfect_power(&rest, budget)?;
        match factors.last_mut() {
            Some((prime, count)) if *prime == root => *count += multiplicity,
            _ => factors.push((root, multiplicity)),
        }
    }
    Ok(factors)
}

/// `n` = root ^ multiplicity, with the largest multiplicity of 7, 5, 4, 3, 2 that divides; (n, 1) otherwise.
fn perfect_power(n: &BigInt, budget: &mut Budget) -> Result<(BigInt, i64), Stop> {
    if n.bits() < 27 {
        return Ok((n.clone(), 1));
    }
    for degree in [7u32, 5, 4, 3, 2] {
        budget.charge(1 + limbs(n) * limbs(n))?;
        let root = n.nth_root(degree);
        if Pow::pow(&root, degree) == *n {
            return Ok((root, i64::from(degree)));
        }
    }
    Ok((n.clone(), 1))
}
