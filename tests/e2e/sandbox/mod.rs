//! The sandbox against hostile programs: each contained, this machine unharmed.

mod hostile;
mod unnamespaced;
