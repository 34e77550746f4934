//! What the lexer makes and the parser reads.

use num_rational::BigRational;

use crate::text::syntax::{Relate, Sign};

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A literal; `digits` as written without separators.
    Number {
        value: BigRational,
        decimals: Option<u32>,
        digits: String,
    },
    /// A variable or constant letter; `spaced` unless it directly follows what stands before it.
    Letter { name: String, spaced: bool },
    /// A known or unknown command or function, without its backslash.
    Command(String),
    /// Words.
    Words(String),
    /// `+ * / ^ _ ( ) [ ] { } | ! & : , ; ∩ ∖`, `∪` as 'U' and `!!` as '‼'.
    Symbol(char),
    /// `+`, `-`, `±`, `∓`
    Sign(Sign),
    /// `\{` or `\}`
    SetBrace(char),
    /// `= < ≤ …`
    Relate(Relate),
    /// `or`, `and`
    Separator,
    /// `\\`
    RowEnd,
    /// `\begin{name}`
    Begin(String),
    /// `\end{name}`
    End(String),
    /// `…` after a decimal: digits are left out.
    Ellipsis,
    /// A sign of currency, as the name of its unit.
    Currency(&'static str),
    /// A percent sign or word.
    Percent,
    /// A degree sign or command.
    Degree,
}

impl Token {
    /// Whether both are the same but for blanks before them.
    pub(crate) fn same_text(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Letter { name, .. }, Self::Letter { name: n, .. }) => name == n,
            _ => self == other,
        }
    }
}
