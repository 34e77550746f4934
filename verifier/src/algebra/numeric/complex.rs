//! Complex numbers with an error bound, and functions on their principal branches.

use num_bigint::Sign;

use super::ball::Ball;
use super::series;

/// A complex number; `im` is exactly 0 for a real one.
#[derive(Debug, Clone)]
pub(super) struct Complex {
    pub(super) re: Ball,
    pub(super) im: Ball,
}

impl From<Ball> for Complex {
    fn from(re: Ball) -> Self {
        Self { re, im: Ball::zero() }
    }
}

impl Complex {
    pub(super) fn imaginary_unit() -> Self {
        Self {
            re: Ball::zero(),
            im: Ball::one(),
        }
    }

    pub(super) fn is_real(&self) -> bool {
        self.im.is_zero()
    }

    pub(super) fn is_zero(&self) -> bool {
        self.re.is_zero() && self.im.is_zero()
    }

    /// Whether 0 is not excluded.
    pub(super) fn may_be_zero(&self) -> bool {
        self.re.may_be_zero() && self.im.may_be_zero()
    }

    /// The binary exponent of the largest part, if the number is not 0.
    pub(super) fn log2(&self) -> Option<i64> {
        self.re.log2().max(self.im.log2())
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        Self {
            re: self.re.add(&other.re),
            im: self.im.add(&other.im),
        }
    }

    pub(super) fn neg(&self) -> Self {
        Self {
            re: self.re.neg(),
            im: self.im.neg(),
        }
    }

    pub(super) fn mul(&self, other: &Self) -> Self {
        if self.is_real() && other.is_real() {
            return self.re.mul(&other.re).into();
        }
        Self {
            re: self.re.mul(&other.re).sub(&self.im.mul(&other.im)),
            im: self.re.mul(&other.im).add(&self.im.mul(&other.re)),
        }
    }

    pub(super) fn div(&self, other: &Self) -> Option<Self> {
        if other.is_real() {
            return Some(Self {
                re: self.re.div(&other.re)?,
                im: if self.im.is_zero() {
                    Ball::zero()
                } else {
                    self.im.div(&other.re)?
                },
            });
        }
        let square = other.re.mul(&other.re).add(&other.im.mul(&other.im));
        let conjugate = Self {
            re: other.re.clone(),
            im: other.im.neg(),
        };
        let product = self.mul(&conjugate);
        Some(Self {
            re: product.re.div(&square)?,
            im: product.im.div(&square)?,
        })
    }

    pub(super) fn exp(&self) -> Option<Self> {
        let size = series::exp(&self.re)?;
        if self.is_real() {
            return Some(size.into());
        }
        let (sin, cos) = series::sin_cos(&self.im)?;
        Some(Self {
            re: size.mul(&cos),
            im: size.mul(&sin),
        })
    }

    /// The principal logarithm of a number that is certainly not 0.
    pub(super) fn ln(&self) -> Option<Self> {
        if self.is_real() && self.re.sign()? == Sign::Plus {
            return Some(series::ln(&self.re)?.into());
        }
        let square = self.re.mul(&self.re).add(&self.im.mul(&self.im));
        Some(Self {
            re: series::ln(&square)?.shifted(-1),
            im: self.argument()?,
        })
    }

    /// The angle in (-π, π].
    fn argument(&self) -> Option<Ball> {
        let pi = series::pi_ball();
        match (self.re.sign(), self.im.sign()) {
            (Some(Sign::Plus), Some(Sign::NoSign)) => Some(Ball::zero()),
            (Some(Sign::Minus), Some(Sign::NoSign)) => Some(pi),
            (Some(Sign::Plus), _) => series::atan(&self.im.div(&self.re)?),
            (_, Some(Sign::Plus)) => Some(pi.shifted(-1).sub(&series::atan(&self.re.div(&self.im)?)?)),
            (_, Some(Sign::Minus)) => Some(pi.shifted(-1).neg().sub(&series::atan(&self.re.div(&self.im)?)?)),
            _ => None,
        }
    }

    /// `self ^ exponent` on the principal branch.
    pub(super) fn power(&self, exponent: &Self) -> Option<Self> {
        if self.is_zero() {
            return (exponent.is_real() && exponent.re.sign()? == Sign::Plus).then(|| self.clone());
        }
        self.ln()?.mul(exponent).exp()
    }

    /// A whole power by repeated multiplication.
    pub(super) fn integer_power(&self, exponent: i64) -> Option<Self> {
        let (mut result, mut square, mut left) = (Self::from(Ball::one()), self.clone(), exponent.unsigned_abs());
        while left > 0 {
            if left % 2 == 1 {
                result = result.mul(&square);
            }
            left /= 2;
            if left > 0 {
                square = square.mul(&square);
            }
        }
        if exponent < 0 {
            Self::from(Ball::one()).div(&result)
        } else {
            Some(result)
        }
    }

    pub(super) fn sqrt(&self) -> Option<Self> {
        if self.is_real() {
            return match self.re.sign()? {
                Sign::Minus => Some(Self {
                    re: Ball::zero(),
                    im: self.re.neg().sqrt()?,
                }),
                _ => Some(self.re.sqrt()?.into()),
            };
        }
        let half = Self::from(Ball::one().shifted(-1));
        self.power(&half)
    }

    /// A named function, where it is known and its value certain.
    pub(super) fn function(&self, name: &str) -> Option<Self> {
        match name {
            "exp" => self.exp(),
            "ln" => self.ln(),
            "log" | "lg" => self.ln()?.div(&Self::from(series::ln(&Ball::integer(10))?)),
            "sinh" | "cosh" | "tanh" => {
                let (up, down) = (self.exp()?, self.neg().exp()?);
                let half = Self::from(Ball::one().shifted(-1));
                match name {
                    "sinh" => Some(up.add(&down.neg()).mul(&half)),
                    "cosh" => Some(up.add(&down).mul(&half)),
                    _ => up.add(&down.neg()).div(&up.add(&down)),
                }
            }
            "abs" => {
                let square = self.re.mul(&self.re).add(&self.im.mul(&self.im));
                Some(if self.is_real() { self.re.abs() } else { square.sqrt()? }.into())
            }
            _ if self.is_real() => real_function(&self.re, name).map(Self::from),
            _ => None,
        }
    }
}

fn real_function(x: &Ball, name: &str) -> Option<Ball> {
    match name {
        "sin" => series::sin_cos(x).map(|(sin, _)| sin),
        "cos" => series::sin_cos(x).map(|(_, cos)| cos),
        "arctan" => series::atan(x),
        "arcsin" => {
            let cosine = Ball::one().sub(&x.mul(x)).sqrt()?;
            series::atan(&x.div(&cosine)?)
        }
        "arccos" => Some(series::pi_ball().shifted(-1).sub(&real_function(x, "arcsin")?)),
        _ => None,
    }
}
