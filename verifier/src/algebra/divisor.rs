//! Greatest common divisors and least common multiples: of rationals, and of polynomials in the letters they hold.

use num_bigint::BigInt;
use num_rational::{BigRational, Rational64};
use num_traits::{One, Signed, Zero};

use super::fraction::Fraction;
use super::functions::whole;
use super::poly::{Monomial, Poly};
use super::rational;
use crate::budget::{Budget, Stop};

/// Bits that a number may have here.
const MAX_BITS: u64 = 4096;

/// The divisor or multiple of all arguments, kept whole where it is not known.
pub(super) fn fold(name: &str, arguments: Vec<Fraction>, budget: &mut Budget) -> Result<Fraction, Stop> {
    let Some(mut result) = arguments.first().and_then(plain) else {
        return Ok(whole(name, arguments));
    };
    for argument in &arguments[1..] {
        budget.charge(64 + argument.weight())?;
        let divisor = match plain(argument) {
            Some(other) => divide_out(&result, &other, budget)?.map(|divisor| (divisor, other)),
            None => None,
        };
        let Some((divisor, other)) = divisor.filter(|(divisor, _)| !divisor.is_zero()) else {
            return Ok(whole(name, arguments));
        };
        result = if name == "gcd" {
            divisor
        } else {
            let product = Fraction::from(result.mul(&other, budget)?);
            match plain(&product.div(&divisor.into(), budget)?) {
                Some(multiple) => multiple,
                None => return Ok(whole(name, arguments)),
            }
        };
    }
    Ok(match result.as_constant() {
        Some(value) => value.abs().into(),
        None => result.into(),
    })
}

/// The polynomial, if there is no denominator and the numbers are small.
fn plain(value: &Fraction) -> Option<Poly> {
    value.den.as_constant().filter(One::is_one)?;
    let small = |c: &BigRational| c.numer().bits() <= MAX_BITS && c.denom().bits() <= MAX_BITS;
    value.num.terms.values().all(small).then(|| value.num.clone())
}

/// A common divisor: of single terms, and of polynomials that share no letter. `None` where it takes more.
fn divide_out(a: &Poly, b: &Poly, budget: &mut Budget) -> Result<Option<Poly>, Stop> {
    budget.charge(a.weight() + b.weight())?;
    if a == b {
        return Ok(Some(a.clone()));
    }
    let common = a
        .terms
        .keys()
        .chain(b.terms.keys())
        .fold(None, |common: Option<Monomial>, monomial| {
            Some(match common {
                None => monomial.clone(),
                Some(common) => shared(&common, monomial),
            })
        });
    let single = a.single().is_some() || b.single().is_some();
    Ok(common.filter(|_| single).map(|monomial| {
        let coefficients = a.terms.values().chain(b.terms.values());
        let number = coefficients.fold(BigRational::zero(), |divisor, c| gcd(&divisor, c));
        Poly::term(monomial, number)
    }))
}

/// The atoms of both with the smaller exponents.
fn shared(a: &Monomial, b: &Monomial) -> Monomial {
    a.iter()
        .filter_map(|(atom, own)| {
            let exponent = (*b.get(atom)?).min(*own);
            (exponent > Rational64::zero()).then(|| (atom.clone(), exponent))
        })
        .collect()
}

/// The largest rational of which both are integer multiples.
fn gcd(a: &BigRational, b: &BigRational) -> BigRational {
    let numer = integer_gcd(a.numer() * b.denom(), b.numer() * a.denom());
    rational::reduced(numer, a.denom() * b.denom())
}

fn integer_gcd(mut a: BigInt, mut b: BigInt) -> BigInt {
    while !b.is_zero() {
        (a, b) = (b.clone(), a % b);
    }
    a.abs()
}
