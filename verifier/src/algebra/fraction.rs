//! Quotients of polynomials. Two are equal when the cross products are: no common divisor is searched.

use num_rational::{BigRational, Rational64};
use num_traits::{CheckedMul, One, Signed, Zero};

use super::poly::{Atom, Monomial, Poly};
use super::rational;
use crate::budget::{Budget, Stop};

/// A quotient whose denominator is never zero and is 1 where it can be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fraction {
    pub(crate) num: Poly,
    pub(crate) den: Poly,
}

impl From<Poly> for Fraction {
    fn from(num: Poly) -> Self {
        Self {
            num,
            den: Poly::constant(BigRational::one()),
        }
    }
}

impl From<BigRational> for Fraction {
    fn from(value: BigRational) -> Self {
        Poly::constant(value).into()
    }
}

impl From<i64> for Fraction {
    fn from(value: i64) -> Self {
        rational::integer(value).into()
    }
}

impl From<Atom> for Fraction {
    fn from(atom: Atom) -> Self {
        Poly::atom(atom, Rational64::one()).into()
    }
}

impl Fraction {
    pub(crate) fn weight(&self) -> u64 {
        self.num.weight() + self.den.weight()
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.num.is_zero()
    }

    fn has_unit_denominator(&self) -> bool {
        self.den.as_constant().is_some_and(|d| d.is_one())
    }

    /// The value, if this is a rational number.
    pub(crate) fn as_rational(&self) -> Option<BigRational> {
        if self.has_unit_denominator() {
            self.num.as_constant()
        } else {
            None
        }
    }

    /// The value, if this is an integer that fits.
    /// The atom, if this is one and nothing else.
    pub(crate) fn as_atom(&self) -> Option<&Atom> {
        let (monomial, coefficient) = self.num.single()?;
        let (atom, exponent) = monomial.iter().next().filter(|_| monomial.len() == 1)?;
        let alone = coefficient.is_one() && exponent.is_one() && self.has_unit_denominator();
        alone.then_some(atom)
    }

    pub(crate) fn as_i64(&self) -> Option<i64> {
        let value = self.as_rational()?;
        if value.is_integer() {
            i64::try_from(value.numer()).ok()
        } else {
            None
        }
    }

    /// A quotient with a monomial denominator folded into the numerator and any other made monic.
    fn reduced(num: Poly, den: Poly, budget: &mut Budget) -> Result<Self, Stop> {
        if den.is_zero() {
            return Err(Stop::Undefined);
        }
        if num.is_zero() {
            return Ok(Poly::zero().into());
        }
        if den.single().is_some() {
            let inverse = invert_monomial(&den, budget)?;
            let num = num.mul(&inverse.num, budget)?;
            return Ok(Self { num, den: inverse.den });
        }
        let leading = rational::div(&BigRational::one(), &den.leading(), budget)?;
        Ok(Self {
            num: num.scale(&leading, budget)?,
            den: den.scale(&leading, budget)?,
        })
    }

    pub(crate) fn neg(&self, budget: &mut Budget) -> Result<Self, Stop> {
        Ok(Self {
            num: self.num.scale(&rational::integer(-1), budget)?,
            den: self.den.clone(),
        })
    }

    pub(crate) fn add(&self, other: &Self, budget: &mut Budget) -> Result<Self, Stop> {
        if self.den == other.den {
            let num = self.num.add(&other.num, budget)?;
            if self.has_unit_denominator() {
                return Ok(num.into());
            }
            return Self::reduced(num, self.den.clone(), budget);
        }
        let left = self.num.mul(&other.den, budget)?;
        let right = other.num.mul(&self.den, budget)?;
        Self::reduced(left.add(&right, budget)?, self.den.mul(&other.den, budget)?, budget)
    }

    pub(crate) fn sub(&self, other: &Self, budget: &mut Budget) -> Result<Self, Stop> {
        self.add(&other.neg(budget)?, budget)
    }

    pub(crate) fn mul(&self, other: &Self, budget: &mut Budget) -> Result<Self, Stop> {
        let num = self.num.mul(&other.num, budget)?;
        if self.has_unit_denominator() && other.has_unit_denominator() {
            return Ok(num.into());
        }
        Self::reduced(num, self.den.mul(&other.den, budget)?, budget)
    }

    pub(crate) fn inverse(&self, budget: &mut Budget) -> Result<Self, Stop> {
        Self::reduced(self.den.clone(), self.num.clone(), budget)
    }

    pub(crate) fn div(&self, other: &Self, budget: &mut Budget) -> Result<Self, Stop> {
        self.mul(&other.inverse(budget)?, budget)
    }

    /// Whether both have the same value wherever both are defined.
    pub(crate) fn equals(&self, other: &Self, budget: &mut Budget) -> Result<bool, Stop> {
        budget.charge(1 + self.weight() + other.weight())?;
        if self == other {
            return Ok(true);
        }
        if let (Some(a), Some(b)) = (self.as_rational(), other.as_rational()) {
            return Ok(a == b);
        }
        Ok(self.num.mul(&other.den, budget)? == other.num.mul(&self.den, budget)?)
    }
}

/// 1 / (one term): exponents change sign, roots are moved to the numerator.
fn invert_monomial(poly: &Poly, budget: &mut Budget) -> Result<Fraction, Stop> {
    let (monomial, coefficient) = poly.single().ok_or(Stop::Undefined)?;
    let mut coefficient = rational::div(&BigRational::one(), coefficient, budget)?;
    let mut inverse = Monomial::new();
    let mut denominator = Poly::constant(BigRational::one());
    for (atom, exponent) in monomial {
        let one = Rational64::one();
        match atom {
            Atom::Imaginary => {
                coefficient = -coefficient;
                inverse.insert(Atom::Imaginary, one);
            }
            Atom::Prime(prime) => {
                coefficient = rational::div(&coefficient, &BigRational::from_integer(prime.clone()), budget)?;
                inverse.insert(atom.clone(), one - exponent);
            }
            Atom::Root(base) => {
                denominator = denominator.mul(base, budget)?;
                inverse.insert(atom.clone(), one - exponent);
            }
            _ => {
                inverse.insert(atom.clone(), -*exponent);
            }
        }
    }
    Ok(Fraction {
        num: Poly::term(inverse, coefficient),
        den: denominator,
    })
}

/// `monomial ^ exponent` for a monomial of positive real atoms whose power can be taken atom by atom.
pub(super) fn monomial_root(monomial: &Monomial, exponent: Rational64) -> Result<Option<Monomial>, Stop> {
    let mut powered = Monomial::new();
    for (atom, own) in monomial {
        let total = own.checked_mul(&exponent).ok_or(Stop::OverBudget)?;
        let splits = match atom {
            Atom::Euler | Atom::Pi => true,
            // √(x²) is |x|: an even power under an even root stays whole.
            Atom::Symbol(_) => !(own.numer() % 2 == 0 && exponent.denom() % 2 == 0),
            _ => false,
        };
        if !splits {
            return Ok(None);
        }
        powered.insert(atom.clone(), total);
    }
    Ok(Some(powered))
}

/// The positive content of a polynomial: the rational that makes its last coefficient 1 in magnitude.
pub(super) fn content(poly: &Poly) -> BigRational {
    let leading = poly.leading();
    if leading.is_zero() {
        BigRational::one()
    } else {
        leading.abs()
    }
}
