//! Derivatives of polynomials and of quotients of them.

use num_traits::One;

use super::fraction::Fraction;
use super::poly::{Atom, Poly};
use super::rational;
use crate::budget::{Budget, Stop};

/// The derivative by `variable`; `None` where roots, powers or functions hold letters.
pub(super) fn of(value: &Fraction, variable: &Atom, budget: &mut Budget) -> Result<Option<Fraction>, Stop> {
    let (Some(top), Some(bottom)) = (
        of_poly(&value.num, variable, budget)?,
        of_poly(&value.den, variable, budget)?,
    ) else {
        return Ok(None);
    };
    let (num, den) = (Fraction::from(value.num.clone()), Fraction::from(value.den.clone()));
    let rise = top.mul(&den, budget)?.sub(&num.mul(&bottom, budget)?, budget)?;
    rise.div(&den.mul(&den, budget)?, budget).map(Some)
}

fn of_poly(poly: &Poly, variable: &Atom, budget: &mut Budget) -> Result<Option<Fraction>, Stop> {
    let mut total = Poly::zero();
    // Other letters may depend on the variable: without it nothing says that they do not.
    let atoms = || poly.terms.keys().flat_map(|monomial| monomial.keys());
    if !atoms().any(|atom| atom == variable) && atoms().any(|atom| matches!(atom, Atom::Symbol(_))) {
        return Ok(None);
    }
    for (monomial, coefficient) in &poly.terms {
        if monomial
            .keys()
            .any(|atom| matches!(atom, Atom::Root(_) | Atom::Power(_) | Atom::Function(_)))
        {
            return Ok(None);
        }
        let Some(exponent) = monomial.get(variable) else {
            continue;
        };
        let mut rest = monomial.clone();
        let lower = *exponent - num_rational::Rational64::one();
        if lower == num_rational::Rational64::from_integer(0) {
            rest.remove(variable);
        } else {
            rest.insert(variable.clone(), lower);
        }
        let factor = rational::div(
            &rational::integer(*exponent.numer()),
            &rational::integer(*exponent.denom()),
            budget,
        )?;
        let term = Poly::term(rest, rational::mul(coefficient, &factor, budget)?);
        total.add_assign(&term, budget)?;
    }
    Ok(Some(total.into()))
}
