//! Sums, products, integrals and limits: computed where they are finite and exact, else kept whole.

use std::sync::Arc;

use num_traits::{One, Zero};

use super::evaluate::{Reading, fraction};
use super::fraction::Fraction;
use super::functions::whole;
use super::poly::{Atom, Poly};
use super::{derivative, rational};
use crate::budget::{Budget, Stop};
use crate::text::syntax::{Binder, Bound, Expr};

/// Terms of a sum and factors of a product that are computed one by one.
const MAX_TERMS: i64 = 1000;

/// Names of the operators that are kept whole.
pub(super) const NAMES: &[&str] = &["sum", "product", "integral", "limit", "derivative"];

/// The value of an operator with a bound variable.
pub(super) fn evaluate(bound: &Bound, reading: Reading<'_>, budget: &mut Budget) -> Result<Fraction, Stop> {
    let limit = |side: &Option<Expr>, budget: &mut Budget| match side {
        Some(expr) => edge(expr, reading, budget).map(Some),
        None => Ok(None),
    };
    let (from, to) = (limit(&bound.from, budget)?, limit(&bound.to, budget)?);
    if matches!(bound.binder, Binder::Sum | Binder::Product)
        && let (Some(first), Some(last)) = (integer(&from), integer(&to))
        && last - first < MAX_TERMS
    {
        return terms(bound, first, last, reading, budget);
    }
    if bound.binder == Binder::Integral && from.is_none() {
        // Without limits the variable stays free: the integral is a function of it.
        let body = fraction(&bound.body, reading, budget)?;
        let variable = Fraction::from(Atom::Symbol(bound.variable.as_str().into()));
        return Ok(whole("integral", vec![body, variable]));
    }
    if bound.binder == Binder::Derivative {
        let body = fraction(&bound.body, reading, budget)?;
        let variable = Atom::Symbol(bound.variable.as_str().into());
        let known = derivative::of(&body, &variable, budget)?;
        return Ok(known.unwrap_or_else(|| whole("derivative", vec![body, variable.into()])));
    }
    let depth = reading.bound.len();
    // Named by depth, so that the letter that was written makes no difference.
    let canonical: Arc<str> = format!("bound {depth}").into();
    let body = body_at(bound, Atom::Symbol(canonical.clone()).into(), reading, budget)?;
    if bound.binder == Binder::Integral
        && let (Some(from), Some(to)) = (&from, &to)
        && let Some(area) = polynomial_area(&body, &Atom::Symbol(canonical), from, to, budget)?
    {
        return Ok(area);
    }
    let name = match bound.binder {
        Binder::Sum => "sum",
        Binder::Product => "product",
        Binder::Integral => "integral",
        Binder::Limit | Binder::Derivative => "limit",
    };
    Ok(whole(name, std::iter::once(body).chain(from).chain(to).collect()))
}

/// A limit of the variable; infinity is a name here.
fn edge(expr: &Expr, reading: Reading<'_>, budget: &mut Budget) -> Result<Fraction, Stop> {
    let infinity = || Fraction::from(Atom::Symbol("infinity".into()));
    match expr {
        Expr::Infinity => Ok(infinity()),
        Expr::Sum(parts) if matches!(parts.as_slice(), [(_, Expr::Infinity)]) => {
            if super::evaluate::negative(parts[0].0, reading) {
                infinity().neg(budget)
            } else {
                Ok(infinity())
            }
        }
        _ => fraction(expr, reading, budget),
    }
}

fn integer(edge: &Option<Fraction>) -> Option<i64> {
    edge.as_ref()?.as_i64().filter(|n| n.abs() < i64::MAX / 4)
}

/// The body with the variable replaced.
fn body_at(bound: &Bound, value: Fraction, reading: Reading<'_>, budget: &mut Budget) -> Result<Fraction, Stop> {
    let mut names = reading.bound.to_vec();
    names.push((bound.variable.clone(), value));
    let reading = Reading {
        bound: &names,
        ..reading
    };
    fraction(&bound.body, reading, budget)
}

fn terms(bound: &Bound, first: i64, last: i64, reading: Reading<'_>, budget: &mut Budget) -> Result<Fraction, Stop> {
    let sum = bound.binder == Binder::Sum;
    let mut total = Fraction::from(i64::from(!sum));
    for index in first..=last {
        let term = body_at(bound, Fraction::from(index), reading, budget)?;
        total = if sum {
            total.add(&term, budget)?
        } else {
            total.mul(&term, budget)?
        };
    }
    Ok(total)
}

/// The definite integral of a polynomial in `variable` with exponents that are not negative.
fn polynomial_area(
    body: &Fraction,
    variable: &Atom,
    from: &Fraction,
    to: &Fraction,
    budget: &mut Budget,
) -> Result<Option<Fraction>, Stop> {
    let finite = |edge: &Fraction| edge.as_rational().is_some();
    if !body.den.as_constant().is_some_and(|d| d.is_one()) || !finite(from) || !finite(to) {
        return Ok(None);
    }
    let mut area = Fraction::from(0);
    for (monomial, coefficient) in &body.num.terms {
        let mut rest = monomial.clone();
        let exponent = rest.remove(variable).unwrap_or_else(Zero::zero);
        let whole_exponent = exponent.is_integer() && *exponent.numer() >= 0 && *exponent.numer() < 100;
        let elsewhere = |atom: &Atom| !matches!(atom, Atom::Symbol(_) | Atom::Prime(_) | Atom::Euler | Atom::Pi);
        if !whole_exponent || rest.keys().any(elsewhere) {
            return Ok(None);
        }
        let next = exponent.to_integer() + 1;
        let exponent = Fraction::from(next);
        let rise =
            super::power::power(to, &exponent, budget)?.sub(&super::power::power(from, &exponent, budget)?, budget)?;
        let coefficient = rational::div(coefficient, &rational::integer(next), budget)?;
        let term = Fraction::from(Poly::term(rest, coefficient)).mul(&rise, budget)?;
        area = area.add(&term, budget)?;
    }
    Ok(Some(area))
}
