//! Real numbers with an error bound: every operation widens the bound by what it rounds away.

use num_bigint::{BigInt, Sign};
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

/// Bits that a midpoint keeps.
pub(super) const BITS: u64 = 192;
/// Fractional bits of the fixed-point series.
pub(super) const FIXED: u64 = 256;
/// Magnitude of the exponent beyond which a number is given up.
const MAX_EXPONENT: i64 = 1 << 24;

/// The numbers from `(mid - radius)·2^exponent` to `(mid + radius)·2^exponent`.
#[derive(Debug, Clone)]
pub(super) struct Ball {
    mid: BigInt,
    radius: BigInt,
    exponent: i64,
}

impl Ball {
    pub(super) fn zero() -> Self {
        Self::new(BigInt::zero(), BigInt::zero(), 0)
    }

    pub(super) fn one() -> Self {
        Self::integer(1)
    }

    pub(super) fn integer(value: i64) -> Self {
        Self::new(BigInt::from(value), BigInt::zero(), 0)
    }

    /// A ball with its midpoint cut to the bits that are kept; a radius that dwarfs them is cut likewise.
    fn new(mid: BigInt, radius: BigInt, exponent: i64) -> Self {
        let excess = mid.bits().max(radius.bits()).saturating_sub(BITS);
        if excess == 0 {
            return Self { mid, radius, exponent };
        }
        Self {
            mid: mid >> excess,
            radius: (radius >> excess) + 2,
            exponent: exponent.saturating_add(excess as i64),
        }
    }

    /// `mid ± radius` in units of `2^-FIXED`, times `2^exponent`.
    pub(super) fn fixed(mid: BigInt, radius: BigInt, exponent: i64) -> Self {
        Self::new(mid, radius, exponent - FIXED as i64)
    }

    pub(super) fn ratio(value: &BigRational) -> Self {
        let (numer, denom) = (value.numer(), value.denom());
        if denom.is_one() {
            return Self::new(numer.clone(), BigInt::zero(), 0);
        }
        let shift = (BITS + denom.bits()).saturating_sub(numer.bits()) + 2;
        Self::new((numer << shift) / denom, BigInt::one(), -(shift as i64))
    }

    /// Midpoint and radius as rationals, if the exponent is moderate.
    pub(super) fn to_ratios(&self) -> Option<(BigRational, BigRational)> {
        if self.exponent.unsigned_abs() > 4 * BITS {
            return None;
        }
        let power = BigInt::one() << self.exponent.unsigned_abs();
        let scaled = |value: &BigInt| {
            if self.exponent < 0 {
                BigRational::new(value.clone(), power.clone())
            } else {
                BigRational::from_integer(value * &power)
            }
        };
        Some((scaled(&self.mid), scaled(&self.radius)))
    }

    /// Whether the number is exactly 0.
    pub(super) fn is_zero(&self) -> bool {
        self.mid.is_zero() && self.radius.is_zero()
    }

    /// Whether 0 is not excluded.
    pub(super) fn may_be_zero(&self) -> bool {
        self.mid.magnitude() <= self.radius.magnitude()
    }

    /// The sign, if it is certain.
    pub(super) fn sign(&self) -> Option<Sign> {
        if self.is_zero() {
            Some(Sign::NoSign)
        } else {
            (!self.may_be_zero()).then(|| self.mid.sign())
        }
    }

    /// The binary exponent of the largest magnitude in the ball, if it is not 0.
    pub(super) fn log2(&self) -> Option<i64> {
        let bits = (self.mid.abs() + &self.radius).bits();
        (bits > 0).then(|| bits as i64 + self.exponent)
    }

    pub(super) fn neg(&self) -> Self {
        Self {
            mid: -&self.mid,
            ..self.clone()
        }
    }

    pub(super) fn abs(&self) -> Self {
        Self {
            mid: self.mid.abs(),
            ..self.clone()
        }
    }

    /// Times a power of two.
    pub(super) fn shifted(&self, by: i64) -> Self {
        Self {
            exponent: self.exponent.saturating_add(by),
            ..self.clone()
        }
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        if self.is_zero() || other.is_zero() {
            return if self.is_zero() { other } else { self }.clone();
        }
        let (high, low) = if self.exponent >= other.exponent {
            (self, other)
        } else {
            (other, self)
        };
        let gap = (high.exponent - low.exponent) as u64;
        if gap > 4 * BITS {
            // What lies so far below moves the other by less than its last bit.
            return Self::new(
                &high.mid << (2 * BITS),
                (&high.radius << (2 * BITS)) + 1,
                high.exponent - 2 * BITS as i64,
            );
        }
        Self::new(
            (&high.mid << gap) + &low.mid,
            (&high.radius << gap) + &low.radius,
            low.exponent,
        )
    }

    pub(super) fn sub(&self, other: &Self) -> Self {
        self.add(&other.neg())
    }

    pub(super) fn mul(&self, other: &Self) -> Self {
        let radius = self.mid.abs() * &other.radius + other.mid.abs() * &self.radius + &self.radius * &other.radius;
        Self::new(
            &self.mid * &other.mid,
            radius,
            self.exponent.saturating_add(other.exponent),
        )
    }

    /// The quotient, unless the divisor may be 0.
    pub(super) fn div(&self, other: &Self) -> Option<Self> {
        if other.may_be_zero() {
            return None;
        }
        let (divisor, least) = (other.mid.abs(), other.mid.abs() - &other.radius);
        let shift = (BITS + divisor.bits()).saturating_sub(self.mid.bits()) + 2;
        let spread = &self.radius * &divisor + &other.radius * self.mid.abs();
        Some(Self::new(
            (&self.mid << shift) / &other.mid,
            (spread << shift) / (divisor * least) + 2,
            self.exponent.saturating_sub(other.exponent) - shift as i64,
        ))
    }

    /// The square root of a number that is certainly not negative.
    pub(super) fn sqrt(&self) -> Option<Self> {
        match self.sign()? {
            Sign::NoSign => return Some(Self::zero()),
            Sign::Minus => return None,
            Sign::Plus => {}
        }
        let mut shift = (2 * BITS).saturating_sub(self.mid.bits());
        if (self.exponent - shift as i64) % 2 != 0 {
            shift += 1;
        }
        let root = (&self.mid << shift).sqrt();
        let least = ((&self.mid - &self.radius) << shift).sqrt() + 1;
        Some(Self::new(
            root,
            (&self.radius << shift) / least + 2,
            (self.exponent - shift as i64) / 2,
        ))
    }

    /// Midpoint and radius in units of `2^-FIXED`, if the number is below `2^24`.
    pub(super) fn to_fixed(&self) -> Option<(BigInt, BigInt)> {
        if self.log2().is_some_and(|bits| bits > 24) || self.exponent.abs() > MAX_EXPONENT {
            return None;
        }
        let shift = self.exponent + FIXED as i64;
        Some(if shift >= 0 {
            (&self.mid << shift, &self.radius << shift)
        } else {
            (&self.mid >> -shift, (&self.radius >> -shift) + 2)
        })
    }

    /// Mantissa with `FIXED` fractional bits in [1/2, 1), its radius, and the exponent, of a positive number.
    pub(super) fn mantissa(&self) -> Option<(BigInt, BigInt, i64)> {
        if self.sign() != Some(Sign::Plus) || self.exponent.abs() > MAX_EXPONENT {
            return None;
        }
        let bits = self.mid.bits();
        let shift = FIXED - bits.min(FIXED);
        Some((&self.mid << shift, &self.radius << shift, self.exponent + bits as i64))
    }
}
