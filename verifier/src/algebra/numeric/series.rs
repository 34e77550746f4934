//! Elementary functions of balls by series in fixed point.

use std::sync::OnceLock;

use num_bigint::{BigInt, Sign};
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::ball::{Ball, FIXED};

/// Units of `2^-FIXED` that a series may be off by.
const SERIES_ERROR: u64 = 1 << 20;

fn one() -> BigInt {
    BigInt::one() << FIXED
}

/// artanh(1/n) or, with alternating signs, arctan(1/n).
fn inverse_series(n: u32, alternate: bool) -> BigInt {
    let mut power = one() / n;
    let (mut sum, mut k) = (BigInt::zero(), 0u32);
    while !power.is_zero() {
        let term = &power / (2 * k + 1);
        if alternate && k % 2 == 1 {
            sum -= term;
        } else {
            sum += term;
        }
        power /= n * n;
        k += 1;
    }
    sum
}

/// π in units of `2^-FIXED`.
pub(super) fn pi() -> &'static BigInt {
    static PI: OnceLock<BigInt> = OnceLock::new();
    PI.get_or_init(|| inverse_series(5, true) * 16 - inverse_series(239, true) * 4)
}

/// The natural logarithm of 2 in units of `2^-FIXED`.
fn ln_2() -> &'static BigInt {
    static LN_2: OnceLock<BigInt> = OnceLock::new();
    LN_2.get_or_init(|| {
        inverse_series(26, false) * 18 - inverse_series(4801, false) * 2 + inverse_series(8749, false) * 8
    })
}

/// π as a ball.
pub(super) fn pi_ball() -> Ball {
    Ball::fixed(pi().clone(), BigInt::from(SERIES_ERROR), 0)
}

/// e to a real number below `2^24`.
pub(super) fn exp(x: &Ball) -> Option<Ball> {
    const HALVINGS: u32 = 8;
    let (mid, radius) = x.to_fixed()?;
    if radius.bits() + 8 > FIXED {
        return None;
    }
    let turns = floor_div(&mid, ln_2());
    let rest = (mid - &turns * ln_2()) >> HALVINGS;
    let (mut sum, mut term) = (one() + &rest, rest.clone());
    for k in 2u32.. {
        term = ((term * &rest) >> FIXED) / k;
        if term.is_zero() {
            break;
        }
        sum += &term;
    }
    for _ in 0..HALVINGS {
        sum = (&sum * &sum) >> FIXED;
    }
    // e^(x ± r) - e^x is below 2·r·e^x, and e^x below 2 here.
    let spread = (radius + turns.abs() * SERIES_ERROR + SERIES_ERROR) * 8;
    Some(Ball::fixed(sum, spread, turns.to_i64()?))
}

/// The natural logarithm of a positive number.
pub(super) fn ln(x: &Ball) -> Option<Ball> {
    const ROOTS: u32 = 3;
    let (mantissa, radius, exponent) = x.mantissa()?;
    let mut root = mantissa.clone();
    for _ in 0..ROOTS {
        root = (root << FIXED).sqrt();
    }
    let ratio = ((&root - one()) << FIXED) / (&root + one());
    let square = (&ratio * &ratio) >> FIXED;
    let (mut sum, mut power) = (BigInt::zero(), ratio);
    for k in 0u32.. {
        sum += &power / (2 * k + 1);
        power = (power * &square) >> FIXED;
        if power.bits() < 2 {
            break;
        }
    }
    let value = (sum << (1 + ROOTS)) + BigInt::from(exponent) * ln_2();
    let relative = (&radius << FIXED) / (&mantissa - &radius).max(BigInt::one());
    Some(Ball::fixed(
        value,
        relative + SERIES_ERROR + exponent.unsigned_abs() * SERIES_ERROR,
        0,
    ))
}

/// Sine and cosine of a real number below `2^24`.
pub(super) fn sin_cos(x: &Ball) -> Option<(Ball, Ball)> {
    let (mid, radius) = x.to_fixed()?;
    let quarter: BigInt = pi() >> 1;
    let turns = floor_div(&(&mid + (&quarter >> 1)), &quarter);
    let rest = mid - &turns * &quarter;
    let (mut sin, mut cos) = (rest.clone(), one());
    let mut term = rest.clone();
    for k in 2u32.. {
        term = ((term * &rest) >> FIXED) / k;
        if term.bits() < 2 {
            break;
        }
        let target = if k % 2 == 0 { &mut cos } else { &mut sin };
        if k % 4 < 2 {
            *target += &term;
        } else {
            *target -= &term;
        }
    }
    let spread = radius + turns.abs() * SERIES_ERROR + SERIES_ERROR;
    let phase: BigInt = (&turns % 4) + 4;
    let (sin, cos) = match phase.to_i64()? % 4 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    };
    Some((Ball::fixed(sin, spread.clone(), 0), Ball::fixed(cos, spread, 0)))
}

/// The arctangent of a real number.
pub(super) fn atan(x: &Ball) -> Option<Ball> {
    let one_ball = Ball::one();
    if x.abs().sub(&one_ball).sign() == Some(Sign::Plus) {
        let quarter = pi_ball().shifted(-1);
        let rest = atan(&one_ball.div(x)?)?;
        return Some(if x.sign() == Some(Sign::Minus) {
            quarter.neg().sub(&rest)
        } else {
            quarter.sub(&rest)
        });
    }
    const HALVINGS: u32 = 4;
    let (mut t, radius) = x.to_fixed()?;
    for _ in 0..HALVINGS {
        let hypotenuse = ((&t * &t) + (one() << FIXED)).sqrt();
        t = (t << FIXED) / (one() + hypotenuse);
    }
    let square = (&t * &t) >> FIXED;
    let (mut sum, mut power) = (BigInt::zero(), t);
    for k in 0u32.. {
        let term = &power / (2 * k + 1);
        if k % 2 == 0 {
            sum += term;
        } else {
            sum -= term;
        }
        power = (power * &square) >> FIXED;
        if power.bits() < 2 {
            break;
        }
    }
    Some(Ball::fixed(sum << HALVINGS, radius + SERIES_ERROR, 0))
}

fn floor_div(a: &BigInt, b: &BigInt) -> BigInt {
    let quotient = a / b;
    if (a % b).is_negative() != b.is_negative() && !(a % b).is_zero() {
        quotient - 1
    } else {
        quotient
    }
}
