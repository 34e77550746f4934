//! Named functions: evaluated where the value is exact, kept whole elsewhere.

use std::sync::Arc;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::fraction::Fraction;
use super::poly::{Atom, Monomial, Poly};
use super::{power, rational, trigonometry};
use crate::budget::{Budget, Stop};

/// Largest argument whose factorial or binomial coefficient is computed.
const MAX_FACTORIAL: i64 = 3_000;

/// The value of `name(arguments)`.
pub(crate) fn call(name: &str, arguments: Vec<Fraction>, budget: &mut Budget) -> Result<Fraction, Stop> {
    budget.charge(1 + arguments.iter().map(Fraction::weight).sum::<u64>())?;
    match (name, arguments.as_slice()) {
        ("root", [radicand, index]) => match index.as_i64() {
            Some(index) => power::root(radicand, index, budget),
            None => power::power(radicand, &index.inverse(budget)?, budget),
        },
        ("exp", [x]) => power::power(&Fraction::from(Atom::Euler), x, budget),
        ("log" | "ln" | "lg", _) => logarithm(name, &arguments, budget),
        ("abs", [x]) => absolute(x, budget),
        ("factorial", [n]) => factorial(n, budget),
        ("binom", [n, k]) => binomial(n, k, budget),
        ("floor" | "ceil", [x]) => Ok(match x.as_rational() {
            Some(value) if name == "floor" => value.floor().into(),
            Some(value) => value.ceil().into(),
            None => whole(name, arguments),
        }),
        ("gcd" | "lcm" | "max" | "min", [_, ..]) => fold(name, arguments, budget),
        ("sin" | "cos" | "tan" | "cot" | "sec" | "csc", [x]) => trigonometry::direct(name, x, budget),
        ("arcsin" | "arccos" | "arctan", [x]) => match trigonometry::angle(name, x, budget)? {
            Some(angle) => Ok(angle),
            None => Ok(whole(name, arguments)),
        },
        (_, [_, ..]) => Ok(whole(name, arguments)),
        _ => Err(Stop::Malformed),
    }
}

pub(super) fn whole(name: &str, arguments: Vec<Fraction>) -> Fraction {
    Atom::Function(Arc::new((name.to_owned(), arguments))).into()
}

fn absolute(x: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    if let Some(value) = x.as_rational() {
        return Ok(value.abs().into());
    }
    if let Some((real, imaginary)) = complex_parts(x) {
        let square = real
            .mul(&real, budget)?
            .add(&imaginary.mul(&imaginary, budget)?, budget)?;
        return power::root(&square.into(), 2, budget);
    }
    // |x| = |-x|: the sign of the last coefficient is dropped.
    let kept = if x.num.leading().is_negative() {
        x.neg(budget)?
    } else {
        x.clone()
    };
    Ok(whole("abs", vec![kept]))
}

/// Real and imaginary part of a number that is not real, if both are rationals and roots.
fn complex_parts(x: &Fraction) -> Option<(Poly, Poly)> {
    x.den.as_constant().filter(One::is_one)?;
    let (mut real, mut imaginary) = (Poly::zero(), Poly::zero());
    for (monomial, coefficient) in &x.num.terms {
        let mut monomial = monomial.clone();
        let part = match monomial.remove(&Atom::Imaginary) {
            Some(_) => &mut imaginary,
            None => &mut real,
        };
        if !monomial.keys().all(|atom| matches!(atom, Atom::Prime(_))) {
            return None;
        }
        part.terms.insert(monomial, coefficient.clone());
    }
    (!imaginary.is_zero()).then_some((real, imaginary))
}

/// ln of a positive rational by its primes, of e as 1, of anything else kept whole; a base divides.
fn logarithm(name: &str, arguments: &[Fraction], budget: &mut Budget) -> Result<Fraction, Stop> {
    match arguments {
        [x, base] => {
            let bottom = plain_logarithm("ln", base, budget)?;
            if bottom.is_zero() {
                return Err(Stop::Undefined);
            }
            plain_logarithm("ln", x, budget)?.div(&bottom, budget)
        }
        [x] => plain_logarithm(name, x, budget),
        _ => Err(Stop::Malformed),
    }
}

fn plain_logarithm(name: &str, x: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    if x.is_zero() {
        return Err(Stop::Undefined);
    }
    if name == "ln" && *x == Fraction::from(Atom::Euler) {
        return Ok(1.into());
    }
    let Some(value) = x.as_rational().filter(Signed::is_positive) else {
        return Ok(whole(name, vec![x.clone()]));
    };
    let mut sum = Poly::zero();
    for (part, sign) in [(value.numer(), 1), (value.denom(), -1)] {
        for (prime, count) in rational::factor(part, budget)? {
            let atom = Atom::Function(Arc::new((
                name.to_owned(),
                vec![BigRational::from_integer(prime).into()],
            )));
            let term = Poly::term(Monomial::from([(atom, One::one())]), rational::integer(sign * count));
            sum.add_assign(&term, budget)?;
        }
    }
    Ok(sum.into())
}

fn factorial(n: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    match n.as_rational() {
        None => Ok(whole("factorial", vec![n.clone()])),
        Some(value) if value.is_negative() || !value.is_integer() => Err(Stop::Undefined),
        Some(_) => {
            let n = n.as_i64().filter(|n| *n <= MAX_FACTORIAL).ok_or(Stop::OverBudget)?;
            Ok(BigRational::from_integer(product(1, n, budget)?).into())
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

fn binomial(n: &Fraction, k: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    let (Some(top), Some(bottom)) = (n.as_rational(), k.as_rational()) else {
        return Ok(whole("binom", vec![n.clone(), k.clone()]));
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

fn fold(name: &str, arguments: Vec<Fraction>, budget: &mut Budget) -> Result<Fraction, Stop> {
    let values: Option<Vec<BigRational>> = arguments.iter().map(Fraction::as_rational).collect();
    let Some(values) = values else {
        return Ok(whole(name, arguments));
    };
    let integers = matches!(name, "gcd" | "lcm");
    if integers
        && values
            .iter()
            .any(|v| !v.is_integer() || v.is_zero() || v.numer().bits() > 512)
    {
        return Ok(whole(name, arguments));
    }
    let mut values = values.into_iter();
    let mut result = values.next().ok_or(Stop::Malformed)?;
    for value in values {
        budget.charge(64)?;
        result = match name {
            "max" => result.max(value),
            "min" => result.min(value),
            _ => {
                let (a, b) = (result.numer().abs(), value.numer().abs());
                let divisor = gcd(a.clone(), b.clone());
                BigRational::from_integer(if name == "gcd" { divisor } else { a * b / divisor })
            }
        };
    }
    Ok(result.into())
}

fn gcd(mut a: BigInt, mut b: BigInt) -> BigInt {
    while !b.is_zero() {
        (a, b) = (b.clone(), a % b);
    }
    a
}
