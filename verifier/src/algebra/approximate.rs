//! Floating-point values, used only to check a decimal answer against an exact one to the digits it shows.

use num_rational::BigRational;
use num_traits::ToPrimitive;

use super::fraction::Fraction;
use super::poly::{Atom, Poly};

/// The real value of a fraction of constants; `None` with variables, complex numbers or unknown functions.
pub(crate) fn real(value: &Fraction) -> Option<f64> {
    let quotient = poly(&value.num)? / poly(&value.den)?;
    quotient.is_finite().then_some(quotient)
}

fn poly(poly: &Poly) -> Option<f64> {
    let mut sum = 0.0;
    for (monomial, coefficient) in &poly.terms {
        let mut product = rational(coefficient)?;
        for (atom, exponent) in monomial {
            product *= self::atom(atom)?.powf(exponent.to_f64()?);
        }
        sum += product;
    }
    Some(sum)
}

fn rational(value: &BigRational) -> Option<f64> {
    value.to_f64().filter(|v| v.is_finite())
}

fn atom(atom: &Atom) -> Option<f64> {
    match atom {
        Atom::Euler => Some(std::f64::consts::E),
        Atom::Pi => Some(std::f64::consts::PI),
        Atom::Prime(prime) => prime.to_f64(),
        Atom::Root(base) => poly(base),
        Atom::Power(parts) => Some(real(&parts.0)?.powf(real(&parts.1)?)),
        Atom::Imaginary | Atom::Symbol(_) => None,
        Atom::Function(parts) => match parts.1.as_slice() {
            [x] => function(&parts.0, real(x)?),
            _ => None,
        },
    }
}

fn function(name: &str, x: f64) -> Option<f64> {
    Some(match name {
        "sin" => x.sin(),
        "cos" => x.cos(),
        "tan" => x.tan(),
        "ln" => x.ln(),
        "arcsin" => x.asin(),
        "arccos" => x.acos(),
        "arctan" => x.atan(),
        "abs" => x.abs(),
        _ => return None,
    })
}
