//! Wordings by shape: those to train on and those held out.
//!
//! Slots: `{a}` to `{d}` numbers, `{N}` and `{M}` names, `{x}` a thing, `{u}` and `{U}` a container and its plural. `[one|two]` draws one of the alternatives. The
//! last sentence asks. Held-out wordings use no word that no training wording has, so that they test reading and not
//! vocabulary. A template's id is its shape, `t` or `h`, and its place in the list; add new ones at the end.

mod one_step;
mod three_steps;
mod two_steps;

/// The wordings of one shape.
#[derive(Debug)]
pub struct Wordings {
    /// Name of the shape.
    pub shape: &'static str,
    /// Wordings to train on.
    pub train: &'static [&'static str],
    /// Wordings never trained on.
    pub held_out: &'static [&'static str],
}

/// All wordings, shapes in the order of [`super::shape::SHAPES`].
pub fn all() -> impl Iterator<Item = &'static Wordings> {
    [one_step::WORDINGS, two_steps::WORDINGS, three_steps::WORDINGS]
        .into_iter()
        .flatten()
}
