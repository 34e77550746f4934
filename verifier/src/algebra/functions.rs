//! Named functions: evaluated where the value is exact, kept whole elsewhere.

use std::sync::Arc;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed};

use super::fraction::Fraction;
use super::poly::{Atom, Monomial, Poly};
use super::{approximate, divisor, power, rational, trigonometry};
use crate::budget::{Budget, Stop};

/// Largest argument whose factorial or binomial coefficient is computed.
const MAX_FACTORIAL: i64 = 3_000;

/// Magnitude from which the sign of a constant in floating point is certain: the terms of its sum are bounded too.
const SURE_SIGN: f64 = 1e-4;

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
        ("gcd" | "lcm", [_, ..]) => divisor::fold(name, arguments, budget),
        ("max" | "min", [_, ..]) => extreme(name, arguments, budget),
        ("sin" | "cos" | "tan" | "cot" | "sec" | "csc", [x]) => trigonometry::direct(name, x, budget),
        ("arcsin" | "arccos" | "arctan", [x]) => match trigonometry::angle(name, x, budget)? {
            Some(angle) => Ok(angle),
            None => Ok(whole(name, arguments)),
        },
        ("arccsc", [x]) => call("arcsin", vec![x.inverse(budget)?], budget),
        ("arcsec", [x]) => call("arccos", vec![x.inverse(budget)?], budget),
        ("arccot", [x]) if x.as_rational().is_some_and(|x| x.is_positive()) => {
            call("arctan", vec![x.inverse(budget)?], budget)
        }
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
    if let Some(value) = approximate::real(x).filter(|value| value.abs() > SURE_SIGN) {
        return if value < 0.0 { x.neg(budget) } else { Ok(x.clone()) };
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

/// `value` mod `modulus`, with the sign of the modulus.
pub(super) fn remainder(value: &Fraction, modulus: &Fraction, budget: &mut Budget) -> Result<Fraction, Stop> {
    let (Some(x), Some(n)) = (value.as_rational(), modulus.as_rational()) else {
        return Ok(whole("mod", vec![value.clone(), modulus.clone()]));
    };
    let quotient = rational::div(&x, &n, budget)?.floor();
    let multiple = rational::mul(&quotient, &n, budget)?;
    Ok(rational::add(&x, &-multiple, budget)?.into())
}

/// The largest or smallest of real numbers.
fn extreme(name: &str, arguments: Vec<Fraction>, budget: &mut Budget) -> Result<Fraction, Stop> {
    budget.charge(arguments.iter().map(Fraction::weight).sum())?;
    let mut best: Option<(usize, f64)> = None;
    for (index, argument) in arguments.iter().enumerate() {
        let Some(value) = approximate::real(argument) else {
            return Ok(whole(name, arguments));
        };
        let better = match best {
            None => true,
            Some((at, other)) => match argument.as_rational().zip(arguments[at].as_rational()) {
                Some((a, b)) => (name == "max") == (a > b),
                None => (name == "max") == (value > other),
            },
        };
        if better {
            best = Some((index, value));
        }
    }
    best.map(|(at, _)| arguments[at].clone()).ok_or(Stop::Malformed)
}
