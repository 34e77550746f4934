//! What an answer means.

use num_rational::BigRational;

use super::fraction::Fraction;
use super::poly::Atom;
use super::{bound, functions};
use crate::budget::{Budget, Stop};
use crate::text::syntax::Relate;
use crate::text::units::Unit;

/// A number or symbolic expression with what was written around it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scalar {
    pub(crate) value: Fraction,
    /// Written with a percent sign; `value` is the number before it.
    pub(crate) percent: bool,
    /// Digits after the point, if the answer is one decimal literal.
    pub(crate) decimals: Option<u32>,
    /// Dots follow the decimals: the digits go on.
    pub(crate) unfinished: bool,
    /// The unit.
    pub(crate) unit: Option<Unit>,
    /// The value and the unit, where the last letter of the product `value` may be one.
    pub(crate) measured: Option<Box<(Fraction, Unit)>>,
    /// The letters, where `value` is a product written as bare letters side by side.
    pub(crate) word: Option<String>,
}

impl From<Fraction> for Scalar {
    fn from(value: Fraction) -> Self {
        Self {
            value,
            percent: false,
            decimals: None,
            unfinished: false,
            unit: None,
            measured: None,
            word: None,
        }
    }
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    /// A number or expression.
    Scalar(Scalar),
    /// `∞`, or `-∞` if negative.
    Infinity { negative: bool },
    /// A literal in a written base.
    Based { value: BigRational, base: u32 },
    /// Words.
    Words(String),
    /// Ordered items in round or square brackets.
    Tuple { open: char, close: char, items: Vec<Value> },
    /// Unordered items in braces.
    Set(Vec<Value>),
    /// Items without brackets.
    List(Vec<Value>),
    /// Parts of a ratio.
    Ratio(Vec<Value>),
    /// Unordered parts of a union.
    Union(Vec<Value>),
    /// Two sets joined by `∩` or `∖`, where the result is not known.
    SetOperation(char, Box<Value>, Box<Value>),
    /// The numbers that leave the same remainder as `value` by `modulus`.
    Residue { value: Fraction, modulus: Fraction },
    /// First side and the further sides with their relations.
    Relation(Box<Value>, Vec<(Relate, Value)>),
    /// Cells of a matrix by row.
    Matrix { determinant: bool, rows: Vec<Vec<Value>> },
}

impl From<Fraction> for Value {
    fn from(value: Fraction) -> Self {
        Self::Scalar(value.into())
    }
}

impl Value {
    /// A residue by an integer as its least member that is not negative.
    pub(super) fn reduced(self, budget: &mut Budget) -> Result<Self, Stop> {
        let Self::Residue { value, modulus } = self else {
            return Ok(self);
        };
        let value = match (value.as_rational(), modulus.as_rational()) {
            (Some(_), Some(_)) => functions::remainder(&value, &modulus, budget)?,
            _ => value,
        };
        Ok(Self::Residue { value, modulus })
    }

    /// The value with the units of its numbers left out, at the top and in collections.
    pub(crate) fn without_units(self) -> Self {
        let bare = |items: Vec<Self>| items.into_iter().map(Self::without_units).collect();
        match self {
            Self::Scalar(scalar) => Self::Scalar(Scalar { unit: None, ..scalar }),
            Self::Tuple { open, close, items } => Self::Tuple {
                open,
                close,
                items: bare(items),
            },
            Self::Set(items) => Self::Set(bare(items)),
            Self::List(items) => Self::List(bare(items)),
            other => other,
        }
    }

    /// Whether a number holds a sum, product, integral or limit that is kept whole: what it is worth is not known.
    pub(crate) fn is_unevaluated(&self) -> bool {
        let whole = |atom: &Atom| matches!(atom, Atom::Function(parts) if bound::NAMES.contains(&parts.0.as_str()));
        match self {
            Self::Scalar(scalar) => {
                let terms = scalar.value.num.terms.keys().chain(scalar.value.den.terms.keys());
                terms.flat_map(|monomial| monomial.keys()).any(whole)
            }
            Self::Relation(_, rest) => rest.iter().any(|(_, side)| side.is_unevaluated()),
            Self::Tuple { items, .. } | Self::Set(items) | Self::List(items) => items.iter().any(Self::is_unevaluated),
            _ => false,
        }
    }
}
