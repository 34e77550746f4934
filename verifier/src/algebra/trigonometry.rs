//! Trigonometric functions and their inverses at the angles where they are exact.

use super::fraction::Fraction;
use super::functions::whole;
use super::poly::Atom;
use super::{approximate, power, rational};
use crate::budget::{Budget, Stop};

/// Everything by sine and cosine, which are exact at multiples of π/6 and π/4.
pub(super) fn direct(name: &str, x: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    let exact = match twelfths_of_pi(x, budget)? {
        Some(n) => sine(n, budget)?.zip(sine(n + 6, budget)?),
        None => None,
    };
    let (sin, cos) = exact.unwrap_or_else(|| (whole("sin", vec![x.clone()]), whole("cos", vec![x.clone()])));
    match name {
        "sin" => Ok(sin),
        "cos" => Ok(cos),
        "tan" => sin.div(&cos, budget),
        "cot" => cos.div(&sin, budget),
        "sec" => cos.inverse(budget),
        _ => sin.inverse(budget),
    }
}

/// The angle whose sine, cosine or tangent is one of the exact values.
pub(super) fn angle(name: &str, x: &Fraction, budget: &mut Budget) -> Result<Option<Fraction>, Stop> {
    if approximate::real(x).is_none() {
        return Ok(None);
    }
    let angles = if name == "arccos" { 0..=12 } else { -6..=6 };
    for n in angles {
        let (Some(sin), Some(cos)) = (sine(n, budget)?, sine(n + 6, budget)?) else {
            continue;
        };
        let value = match name {
            "arcsin" => sin,
            "arccos" => cos,
            _ if cos.is_zero() => continue,
            _ => sin.div(&cos, budget)?,
        };
        if value.equals(x, budget)? {
            let twelfths = rational::div(&rational::integer(n), &rational::integer(12), budget)?;
            return Fraction::from(Atom::Pi).mul(&twelfths.into(), budget).map(Some);
        }
    }
    Ok(None)
}

/// e^x for an x that is i times an angle with exact values.
pub(super) fn on_unit_circle(x: &Fraction, budget: &mut Budget) -> Result<Option<Fraction>, Stop> {
    let imaginary = match x.num.single() {
        Some((monomial, _)) => monomial.contains_key(&Atom::Imaginary),
        None => false,
    };
    if !imaginary {
        return Ok(None);
    }
    let Some(n) = twelfths_of_pi(&x.div(&Atom::Imaginary.into(), budget)?, budget)? else {
        return Ok(None);
    };
    let (Some(sin), Some(cos)) = (sine(n, budget)?, sine(n + 6, budget)?) else {
        return Ok(None);
    };
    cos.add(&sin.mul(&Atom::Imaginary.into(), budget)?, budget).map(Some)
}

/// n, if x = n·π/12.
fn twelfths_of_pi(x: &Fraction, budget: &mut Budget) -> Result<Option<i64>, Stop> {
    if x.is_zero() {
        return Ok(Some(0));
    }
    let quotient = x.div(&Fraction::from(Atom::Pi), budget)?;
    let Some(ratio) = quotient.as_rational() else {
        return Ok(None);
    };
    let twelfths = rational::mul(&ratio, &rational::integer(12), budget)?;
    Ok(Fraction::from(twelfths).as_i64().map(|n| n.rem_euclid(24)))
}

/// sin(n·π/12) at the angles where it is 0, ±1/2, ±√2/2, ±√3/2 or ±1.
fn sine(twelfths: i64, budget: &mut Budget) -> Result<Option<Fraction>, Stop> {
    let n = twelfths.rem_euclid(24);
    let (folded, negative) = if n > 12 { (24 - n, true) } else { (n, false) };
    let under_root = match folded.min(12 - folded) {
        0 => 0,
        2 => 1,
        3 => 2,
        4 => 3,
        6 => 4,
        _ => return Ok(None),
    };
    let half = Fraction::from(rational::div(
        &rational::integer(if negative { -1 } else { 1 }),
        &rational::integer(2),
        budget,
    )?);
    Ok(Some(
        power::root(&Fraction::from(under_root), 2, budget)?.mul(&half, budget)?,
    ))
}
