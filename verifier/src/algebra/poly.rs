//! Sums of monomials over exact rationals, the normal form of expressions.
//!
//! An atom is a symbol, a constant, a prime under a root, or an expression kept whole. Monomials keep their atoms
//! reduced (i² = −1, the exponent of a prime or a root in (0, 1)), so two equal polynomials have equal terms.

use std::collections::BTreeMap;
use std::sync::Arc;

use num_bigint::BigInt;
use num_rational::{BigRational, Rational64};
use num_traits::{CheckedAdd, One, Zero};

use super::fraction::Fraction;
use super::rational;
use crate::budget::{Budget, Stop};

/// Terms that one polynomial may have.
pub(super) const MAX_TERMS: usize = 1000;

/// What a monomial multiplies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Atom {
    /// The imaginary unit, exponent 1.
    Imaginary,
    /// Euler's number.
    Euler,
    /// The circle constant.
    Pi,
    /// A positive integer under a root, exponent in (0, 1).
    Prime(BigInt),
    /// A variable.
    Symbol(Arc<str>),
    /// A polynomial of several terms under a root, exponent in (0, 1).
    Root(Arc<Poly>),
    /// A power whose exponent is not a number: base, exponent.
    Power(Arc<(Fraction, Fraction)>),
    /// A function that is not evaluated: name, arguments.
    Function(Arc<(String, Vec<Fraction>)>),
}

/// Atoms with non-zero exponents.
pub(crate) type Monomial = BTreeMap<Atom, Rational64>;

/// A sum of monomials with non-zero coefficients.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Poly {
    pub(crate) terms: BTreeMap<Monomial, BigRational>,
}

impl Atom {
    /// How much a comparison or a copy of this atom costs.
    fn weight(&self) -> u64 {
        match self {
            Self::Root(poly) => poly.weight(),
            Self::Power(parts) => parts.0.weight() + parts.1.weight(),
            Self::Function(parts) => 1 + parts.1.iter().map(Fraction::weight).sum::<u64>(),
            _ => 1,
        }
    }
}

impl Poly {
    pub(crate) fn zero() -> Self {
        Self::default()
    }

    pub(crate) fn constant(value: BigRational) -> Self {
        Self::term(Monomial::new(), value)
    }

    pub(crate) fn atom(atom: Atom, exponent: Rational64) -> Self {
        Self::term(Monomial::from([(atom, exponent)]), BigRational::one())
    }

    pub(crate) fn term(monomial: Monomial, coefficient: BigRational) -> Self {
        let mut terms = BTreeMap::new();
        if !coefficient.is_zero() {
            terms.insert(monomial, coefficient);
        }
        Self { terms }
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value, if this is a number.
    pub(crate) fn as_constant(&self) -> Option<BigRational> {
        match self.terms.len() {
            0 => Some(BigRational::zero()),
            1 => self.terms.get(&Monomial::new()).cloned(),
            _ => None,
        }
    }

    /// The only term, if there is one.
    pub(crate) fn single(&self) -> Option<(&Monomial, &BigRational)> {
        if self.terms.len() == 1 {
            self.terms.iter().next()
        } else {
            None
        }
    }

    /// The coefficient of the last monomial in the order of the map, 0 for the zero polynomial.
    pub(crate) fn leading(&self) -> BigRational {
        self.terms
            .values()
            .next_back()
            .cloned()
            .unwrap_or_else(BigRational::zero)
    }

    pub(crate) fn weight(&self) -> u64 {
        self.terms
            .keys()
            .map(|m| 1 + m.keys().map(Atom::weight).sum::<u64>())
            .sum::<u64>()
            .max(1)
    }

    fn insert(&mut self, monomial: Monomial, coefficient: BigRational, budget: &mut Budget) -> Result<(), Stop> {
        use std::collections::btree_map::Entry;
        match self.terms.entry(monomial) {
            Entry::Vacant(entry) => {
                if !coefficient.is_zero() {
                    entry.insert(coefficient);
                }
            }
            Entry::Occupied(mut entry) => {
                let sum = rational::add(entry.get(), &coefficient, budget)?;
                if sum.is_zero() {
                    entry.remove();
                } else {
                    entry.insert(sum);
                }
            }
        }
        if self.terms.len() > MAX_TERMS {
            Err(Stop::OverBudget)
        } else {
            Ok(())
        }
    }

    /// Adds `other` in place, at a cost that grows with `other` only.
    pub(crate) fn add_assign(&mut self, other: &Self, budget: &mut Budget) -> Result<(), Stop> {
        for (monomial, coefficient) in &other.terms {
            budget.charge(monomial_weight(monomial))?;
            self.insert(monomial.clone(), coefficient.clone(), budget)?;
        }
        Ok(())
    }

    pub(crate) fn add(&self, other: &Self, budget: &mut Budget) -> Result<Self, Stop> {
        budget.charge(self.terms.len() as u64)?;
        let mut sum = self.clone();
        sum.add_assign(other, budget)?;
        Ok(sum)
    }

    pub(crate) fn scale(&self, factor: &BigRational, budget: &mut Budget) -> Result<Self, Stop> {
        let mut scaled = Self::zero();
        if !factor.is_zero() {
            for (monomial, coefficient) in &self.terms {
                budget.charge(monomial_weight(monomial))?;
                scaled
                    .terms
                    .insert(monomial.clone(), rational::mul(coefficient, factor, budget)?);
            }
        }
        Ok(scaled)
    }

    pub(crate) fn mul(&self, other: &Self, budget: &mut Budget) -> Result<Self, Stop> {
        let mut product = Self::zero();
        for (left, a) in &self.terms {
            for (right, b) in &other.terms {
                let coefficient = rational::mul(a, b, budget)?;
                let (monomial, factor, expanded) = mul_monomials(left, right, budget)?;
                let coefficient = rational::mul(&coefficient, &factor, budget)?;
                match expanded {
                    None => product.insert(monomial, coefficient, budget)?,
                    Some(roots) => {
                        let part = Self::term(monomial, coefficient).mul(&roots, budget)?;
                        product.add_assign(&part, budget)?;
                    }
                }
            }
        }
        Ok(product)
    }

    /// `self ^ exponent` by repeated multiplication.
    pub(crate) fn pow(&self, exponent: u32, budget: &mut Budget) -> Result<Self, Stop> {
        if let Some(constant) = self.as_constant() {
            return Ok(Self::constant(rational::pow(&constant, i64::from(exponent), budget)?));
        }
        let (mut result, mut square, mut left) = (Self::constant(BigRational::one()), self.clone(), exponent);
        while left > 0 {
            if left % 2 == 1 {
                result = result.mul(&square, budget)?;
            }
            left /= 2;
            if left > 0 {
                square = square.mul(&square, budget)?;
            }
        }
        Ok(result)
    }
}

fn monomial_weight(monomial: &Monomial) -> u64 {
    1 + monomial.keys().map(Atom::weight).sum::<u64>()
}

/// The product of two monomials, the rational it sheds and, where a root became whole, the polynomial it turned into.
fn mul_monomials(
    left: &Monomial,
    right: &Monomial,
    budget: &mut Budget,
) -> Result<(Monomial, BigRational, Option<Poly>), Stop> {
    budget.charge(monomial_weight(left) + monomial_weight(right))?;
    let mut product = left.clone();
    let (mut factor, mut expanded) = (BigRational::one(), None);
    for (atom, exponent) in right {
        let total = match product.get(atom) {
            Some(present) => present.checked_add(exponent).ok_or(Stop::OverBudget)?,
            None => *exponent,
        };
        let whole = total.floor().to_integer();
        let kept = match atom {
            Atom::Imaginary => {
                if total.to_integer().rem_euclid(4) >= 2 {
                    factor = -factor;
                }
                Rational64::from_integer(total.to_integer().rem_euclid(2))
            }
            Atom::Prime(prime) => {
                let power = rational::pow(&BigRational::from_integer(prime.clone()), whole, budget)?;
                factor = rational::mul(&factor, &power, budget)?;
                total - whole
            }
            Atom::Root(base) if whole > 0 => {
                let power = base.pow(u32::try_from(whole).map_err(|_| Stop::OverBudget)?, budget)?;
                expanded = Some(match expanded {
                    None => power,
                    Some(other) => power.mul(&other, budget)?,
                });
                total - whole
            }
            _ => total,
        };
        if kept.is_zero() {
            product.remove(atom);
        } else {
            product.insert(atom.clone(), kept);
        }
    }
    Ok((product, factor, expanded))
}
