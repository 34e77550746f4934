//! From the text of an answer to an expression tree.

mod bound;
pub(crate) mod boxes;
pub(crate) mod choice;
mod commands;
pub(crate) mod date;
pub(crate) mod extract;
pub(crate) mod lexer;
mod measure;
mod numbers;
pub(crate) mod parser;
mod primary;
mod product;
pub(crate) mod show;
pub(crate) mod syntax;
pub(crate) mod units;
pub(crate) mod words;
