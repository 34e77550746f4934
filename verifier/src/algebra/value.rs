//! What an answer means.

use num_rational::BigRational;

use super::fraction::Fraction;
use crate::text::syntax::Relate;

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
    /// Name of the unit.
    pub(crate) unit: Option<String>,
    /// The value and the unit, where the last letter of the product `value` may be one.
    pub(crate) measured: Option<Box<(Fraction, String)>>,
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
