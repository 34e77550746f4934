//! Named functions: evaluated where the value is exact, kept whole elsewhere.

use std::sync::Arc;

use num_rational::BigRational;
use num_traits::{One, Signed};

use super::fraction::Fraction;
use super::poly::{Atom, Monomial, Poly};
use super::{approximate, combinations, divisor, power, rational, trigonometry};
use crate::budget::{Budget, Stop};

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
        ("factorial", [n]) => combinations::factorial(n, budget),
        ("double_factorial", [n]) => combinations::double_factorial(n, budget),
        ("binom", [n, k]) => combinations::binomial(n, k, budget),
        ("sinh" | "tanh" | "arctan" | "arcsin" | "arcsinh" | "arctanh", [x]) if x.is_zero() => Ok(0.into()),
        ("cosh", [x]) if x.is_zero() => Ok(1.into()),
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
            let mut sorted = arguments;
            sorted.sort();
            return Ok(whole(name, sorted));
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
