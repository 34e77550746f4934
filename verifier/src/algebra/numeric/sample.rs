//! The value of an expression at one point.

use std::collections::BTreeMap;
use std::sync::Arc;

use num_bigint::{BigInt, Sign};
use num_rational::{BigRational, Rational64};

use super::ball::Ball;
use super::complex::Complex;
use super::series;
use crate::algebra::fraction::Fraction;
use crate::algebra::poly::{Atom, Monomial, Poly};

/// Largest exponent of a power that is multiplied out.
const MAX_POWER: i64 = 4096;

/// Values of the variables at one point.
pub(super) struct Sampler {
    values: BTreeMap<Arc<str>, Complex>,
    /// The largest binary exponent among the terms of the sum evaluated last.
    largest: Option<i64>,
}

impl Sampler {
    /// Point number `point`: odd ones have negative values too.
    pub(super) fn new(point: u32, symbols: &BTreeMap<Arc<str>, ()>) -> Self {
        let value = |(index, name): (usize, &Arc<str>)| {
            let drawn = draw(u64::from(point) << 32 | index as u64);
            let numer = BigInt::from(drawn % 3_999_971 + 100_003);
            let magnitude = BigRational::new(numer, BigInt::from(1_000_003));
            let negative = point % 2 == 1 && (drawn >> 40).is_multiple_of(2);
            let ball = Ball::ratio(&magnitude);
            (name.clone(), Complex::from(if negative { ball.neg() } else { ball }))
        };
        Self {
            values: symbols.keys().enumerate().map(value).collect(),
            largest: None,
        }
    }

    /// Whether a difference is 0 at this point: `None` outside of the domain or where it is not certain.
    pub(super) fn is_zero(&mut self, difference: &Fraction, agreement: i64) -> Option<bool> {
        let divisor = self.poly(&difference.den)?;
        if divisor.may_be_zero() {
            return None;
        }
        let value = self.poly(&difference.num)?;
        if !value.may_be_zero() {
            return Some(false);
        }
        match (value.log2(), self.largest) {
            (None, _) => Some(true),
            (Some(size), Some(largest)) => (size <= largest - agreement).then_some(true),
            _ => None,
        }
    }

    pub(super) fn fraction(&mut self, value: &Fraction) -> Option<Complex> {
        let (num, den) = (self.poly(&value.num)?, self.poly(&value.den)?);
        num.div(&den)
    }

    fn poly(&mut self, poly: &Poly) -> Option<Complex> {
        let (mut sum, mut largest) = (Complex::from(Ball::zero()), None);
        for (monomial, coefficient) in &poly.terms {
            let term = self.monomial(monomial)?.mul(&Ball::ratio(coefficient).into());
            largest = largest.max(term.log2());
            sum = sum.add(&term);
        }
        self.largest = largest;
        Some(sum)
    }

    fn monomial(&mut self, monomial: &Monomial) -> Option<Complex> {
        let mut product = Complex::from(Ball::one());
        for (atom, exponent) in monomial {
            product = product.mul(&power(&self.atom(atom)?, *exponent)?);
        }
        Some(product)
    }

    fn atom(&mut self, atom: &Atom) -> Option<Complex> {
        match atom {
            Atom::Imaginary => Some(Complex::imaginary_unit()),
            Atom::Euler => series::exp(&Ball::one()).map(Complex::from),
            Atom::Pi => Some(series::pi_ball().into()),
            Atom::Prime(prime) => Some(Ball::ratio(&BigRational::from_integer(prime.clone())).into()),
            Atom::Symbol(name) => self.values.get(name).cloned(),
            Atom::Root(base) => self.poly(base),
            Atom::Power(parts) => {
                let (base, exponent) = (self.fraction(&parts.0)?, self.fraction(&parts.1)?);
                base.power(&exponent)
            }
            Atom::Function(parts) => {
                let [argument] = parts.1.as_slice() else { return None };
                self.fraction(argument)?.function(&parts.0)
            }
        }
    }
}

/// A rational power; an odd root of a negative real number is the real one.
fn power(base: &Complex, exponent: Rational64) -> Option<Complex> {
    let (numer, denom) = (*exponent.numer(), *exponent.denom());
    if numer.abs() > MAX_POWER {
        return None;
    }
    let root = match denom {
        1 => base.clone(),
        2 => base.sqrt()?,
        _ if denom % 2 == 1 && base.is_real() && base.re.sign()? == Sign::Minus => {
            let positive = Complex::from(base.re.neg());
            positive
                .power(&Ball::ratio(&BigRational::new(1.into(), denom.into())).into())?
                .neg()
        }
        _ => base.power(&Ball::ratio(&BigRational::new(1.into(), denom.into())).into())?,
    };
    root.integer_power(numer)
}

/// A fixed sequence of numbers without a pattern.
fn draw(index: u64) -> u64 {
    let mut x = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
