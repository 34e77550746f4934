//! svs
