//! Arithmetic with infinity: signs decide, and what is not determined has no value.

use super::approximate;
use super::evaluate::{Reading, fraction, negative};
use super::value::Value;
use crate::budget::{Budget, Stop};
use crate::text::syntax::Expr;

/// Whether infinity is an operand outside of functions and brackets of several items.
pub(super) fn holds_infinity(expr: &Expr) -> bool {
    match expr {
        Expr::Infinity => true,
        Expr::Sum(parts) => parts.iter().any(|(_, e)| holds_infinity(e)),
        Expr::Product(parts) => parts.iter().any(|(_, e)| holds_infinity(e)),
        Expr::Percent(inner) | Expr::Measured(inner, _) => holds_infinity(inner),
        _ => false,
    }
}

/// The infinite value of an expression that holds infinity.
pub(super) fn evaluate(expr: &Expr, reading: Reading<'_>, budget: &mut Budget) -> Result<Value, Stop> {
    match sign(expr, reading, budget)? {
        Extent::Infinite(sign) => Ok(Value::Infinity { negative: sign < 0.0 }),
        Extent::Finite(_) => Ok(Value::Scalar(super::fraction::Fraction::from(0).into())),
    }
}

/// A value as far as arithmetic with infinity needs it.
enum Extent {
    /// Infinite, with a sign of ±1.
    Infinite(f64),
    /// A real number.
    Finite(f64),
}

fn sign(expr: &Expr, reading: Reading<'_>, budget: &mut Budget) -> Result<Extent, Stop> {
    budget.charge(1)?;
    match expr {
        Expr::Infinity => Ok(Extent::Infinite(1.0)),
        Expr::Percent(inner) | Expr::Measured(inner, _) if holds_infinity(inner) => sign(inner, reading, budget),
        Expr::Sum(parts) if holds_infinity(expr) => {
            let mut total = None;
            for (minus, part) in parts {
                let turn = if negative(*minus, reading) { -1.0 } else { 1.0 };
                match (sign(part, reading, budget)?, total) {
                    (Extent::Infinite(s), Some(other)) if s * turn != other => return Err(Stop::Undefined),
                    (Extent::Infinite(s), _) => total = Some(s * turn),
                    (Extent::Finite(_), _) => {}
                }
            }
            total.map(Extent::Infinite).ok_or(Stop::Undefined)
        }
        Expr::Product(parts) if holds_infinity(expr) => {
            let (mut turn, mut infinite, mut vanishing) = (1.0, false, false);
            for (inverse, part) in parts {
                match sign(part, reading, budget)? {
                    Extent::Infinite(s) => {
                        turn *= s;
                        infinite |= !inverse;
                        vanishing |= *inverse;
                    }
                    Extent::Finite(value) if value != 0.0 => turn *= value.signum(),
                    Extent::Finite(_) => return Err(Stop::Undefined),
                }
            }
            match (infinite, vanishing) {
                (true, false) => Ok(Extent::Infinite(turn)),
                (false, true) => Ok(Extent::Finite(0.0)),
                _ => Err(Stop::Undefined),
            }
        }
        _ => {
            let value = fraction(expr, reading, budget)?;
            approximate::real(&value).map(Extent::Finite).ok_or(Stop::Undefined)
        }
    }
}
