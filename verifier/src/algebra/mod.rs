//! Exact algebra: what an expression is worth, in a normal form that decides equality.

pub(crate) mod approximate;
pub(crate) mod evaluate;
pub(crate) mod fraction;
pub(crate) mod functions;
pub(crate) mod poly;
pub(crate) mod power;
pub(crate) mod rational;
mod trigonometry;
pub(crate) mod value;
