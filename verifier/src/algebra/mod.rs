//! Exact algebra: what an expression is worth, in a normal form that decides equality.

pub(crate) mod approximate;
mod bound;
mod combinations;
mod derivative;
mod divisor;
pub(crate) mod evaluate;
pub(crate) mod fraction;
pub(crate) mod functions;
mod infinite;
mod matrix;
pub(crate) mod numeric;
pub(crate) mod poly;
pub(crate) mod power;
pub(crate) mod rational;
mod sets;
mod trigonometry;
pub(crate) mod value;
