//! From the text of an answer to an expression tree.

pub(crate) mod extract;
pub(crate) mod lexer;
mod numbers;
pub(crate) mod parser;
pub(crate) mod primary;
pub(crate) mod syntax;
pub(crate) mod words;
