//! Equality of expressions by value: at several points, with numbers that know their error.
//!
//! The difference of both sides is evaluated with 192 bits. Where it certainly is not 0 the sides differ; they are taken as
//! equal if at every point it may be 0 and is below 2^-120 of its largest term. Points are drawn from a fixed sequence, so a
//! verdict never changes.

mod ball;
mod complex;
mod sample;
mod series;

use std::collections::BTreeMap;
use std::sync::Arc;

use num_rational::BigRational;

use super::fraction::Fraction;
use super::poly::{Atom, Poly};
use crate::budget::{Budget, Stop};
use sample::Sampler;

/// Points at which expressions with variables are compared, and how many of them must be in the domain of both.
const POINTS: u32 = 6;
const NEEDED: u32 = 4;
/// Steps that evaluating one atom or term costs.
const STEPS: u64 = 40;
/// Terms and atoms of the largest difference that is evaluated.
const MAX_WEIGHT: u64 = 400;
/// Bits below the largest term at which a difference counts as 0.
const AGREEMENT: i64 = 120;

/// Whether both sides have the same value. `false` also where that is not known.
pub(crate) fn same_value(a: &Fraction, b: &Fraction, budget: &mut Budget) -> Result<bool, Stop> {
    let weight = a.weight() + b.weight();
    if weight > MAX_WEIGHT || !(can_hide(a) || can_hide(b)) {
        return Ok(false);
    }
    let difference = a.sub(b, budget)?;
    if difference.num.single().is_some() {
        // A product is 0 only where a factor is, and single functions are evaluated where they are exact.
        return Ok(false);
    }
    let mut symbols = BTreeMap::new();
    collect(&a.num, &mut symbols);
    collect(&a.den, &mut symbols);
    collect(&b.num, &mut symbols);
    collect(&b.den, &mut symbols);
    let points = if symbols.is_empty() { 1 } else { POINTS };
    let mut agreed = 0;
    for point in 0..points {
        budget.charge(STEPS * (weight + difference.weight()))?;
        let mut sampler = Sampler::new(point, &symbols);
        match sampler.is_zero(&difference, AGREEMENT) {
            Some(false) => return Ok(false),
            Some(true) => agreed += 1,
            None => {}
        }
    }
    Ok(agreed >= if symbols.is_empty() { 1 } else { NEEDED })
}

/// A real constant and how far off it may be; `None` with variables, complex numbers or functions that are not known.
pub(crate) fn real(value: &Fraction, budget: &mut Budget) -> Result<Option<(BigRational, BigRational)>, Stop> {
    if value.weight() > MAX_WEIGHT {
        return Ok(None);
    }
    budget.charge(STEPS * value.weight())?;
    let number = Sampler::new(0, &BTreeMap::new()).fraction(value);
    Ok(number
        .filter(complex::Complex::is_real)
        .and_then(|number| number.re.to_ratios()))
}

/// Whether an expression holds atoms that may be equal to others without looking like them.
fn can_hide(value: &Fraction) -> bool {
    let atoms = || {
        value
            .num
            .terms
            .keys()
            .chain(value.den.terms.keys())
            .flat_map(|m| m.keys())
    };
    atoms().any(|atom| matches!(atom, Atom::Root(_) | Atom::Power(_) | Atom::Function(_)))
}

/// The variables of a polynomial, at any depth.
fn collect(poly: &Poly, symbols: &mut BTreeMap<Arc<str>, ()>) {
    for atom in poly.terms.keys().flat_map(|m| m.keys()) {
        match atom {
            Atom::Symbol(name) => {
                symbols.insert(name.clone(), ());
            }
            Atom::Root(inner) => collect(inner, symbols),
            Atom::Power(parts) => {
                for part in [&parts.0, &parts.1] {
                    collect(&part.num, symbols);
                    collect(&part.den, symbols);
                }
            }
            Atom::Function(parts) => {
                for part in &parts.1 {
                    collect(&part.num, symbols);
                    collect(&part.den, symbols);
                }
            }
            _ => {}
        }
    }
}
