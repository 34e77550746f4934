//! The expression tree that the parser builds: meaning as written, nothing evaluated.

use num_bigint::BigInt;
use num_rational::BigRational;

use super::units::Unit;

/// How two sides of a relation compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Relate {
    /// `=`
    Equal,
    /// `≠`
    NotEqual,
    /// `<`
    Less,
    /// `≤`
    LessEqual,
    /// `>`
    Greater,
    /// `≥`
    GreaterEqual,
    /// `∈`
    In,
    /// `≡`, which the parser keeps as `Equal`.
    Congruent,
}

/// The sign of a summand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `±`: read once with `+` and once with `-`.
    Both,
    /// `∓`
    BothSwapped,
}

/// An answer as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    /// A literal; `decimals` counts the digits after the point.
    Number { value: BigRational, decimals: Option<u32> },
    /// A literal with a base as subscript, such as `40_9`.
    Based { value: BigInt, base: u32 },
    /// A decimal with dots after its last digit.
    Unfinished { value: BigRational, decimals: u32 },
    /// A variable, with its subscript.
    Symbol(String),
    /// Letters directly side by side that are a whole operand: a word, or a product of variables.
    Run(String),
    /// `π`
    Pi,
    /// Euler's number.
    Euler,
    /// The imaginary unit.
    Imaginary,
    /// `∞`
    Infinity,
    /// Signed summands.
    Sum(Vec<(Sign, Expr)>),
    /// Factors; `true` divides.
    Product(Vec<(bool, Expr)>),
    /// Base and exponent.
    Power(Box<Expr>, Box<Expr>),
    /// A named function.
    Call(String, Vec<Expr>),
    /// A value in percent.
    Percent(Box<Expr>),
    /// An angle in degrees.
    Degrees(Box<Expr>),
    /// A value with a unit.
    Measured(Box<Expr>, Unit),
    /// A product that ends in a letter such as `m`, and what stands before it if that is a unit.
    UnitOrVariable {
        product: Box<Expr>,
        value: Box<Expr>,
        unit: Unit,
    },
    /// Words.
    Words(String),
    /// Bracketed items: tuple or interval by `(`/`[`, set by `{`.
    Bracket { open: char, close: char, items: Vec<Expr> },
    /// Items without brackets.
    List(Vec<Expr>),
    /// A ratio such as `3:4`.
    Ratio(Vec<Expr>),
    /// Sets joined by `∪`.
    Union(Vec<Expr>),
    /// A chain of relations.
    Relation(Box<Expr>, Vec<(Relate, Expr)>),
    /// Sets joined by `∩` or `∖`.
    SetOperation(char, Box<Expr>, Box<Expr>),
    /// The remainder of a division.
    Remainder(Box<Expr>, Box<Expr>),
    /// The numbers that leave the same remainder: value and modulus.
    Residue(Box<Expr>, Box<Expr>),
    /// A sum, product, integral or limit with its bound variable.
    Bound(Box<Bound>),
    /// Rows of a matrix; `true` for a determinant.
    Matrix { determinant: bool, rows: Vec<Vec<Expr>> },
}

/// Which operator binds a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Binder {
    /// `\sum`
    Sum,
    /// `\prod`
    Product,
    /// `\int`
    Integral,
    /// `\lim`
    Limit,
    /// `\frac{d}{dx}`
    Derivative,
}

/// An operator that binds a variable in its body. A limit has the point that is approached as `from`;
/// where it is approached from below, `to` says so.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bound {
    pub(crate) binder: Binder,
    pub(crate) variable: String,
    pub(crate) from: Option<Expr>,
    pub(crate) to: Option<Expr>,
    pub(crate) body: Expr,
}
