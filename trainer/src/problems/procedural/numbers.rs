//! Draws the numbers of a computation and decides which tuples of numbers are held out.

use super::Split;
use super::rng::{Rng, mix};
use super::shape::{Computation, Shape};

/// One tuple of numbers in so many is held out.
const HELD_OUT_EVERY: u64 = 5;

/// Draws after which a shape counts as impossible under its bounds; the rarest shape needs about 30.
const MAX_DRAWS: usize = 100_000;

/// The split that a shape with these numbers belongs to; a hash decides, so it never changes.
#[must_use]
pub fn split_of(computation: &Computation) -> Split {
    let name = computation
        .shape
        .name
        .bytes()
        .fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
    let hash = computation
        .operands
        .iter()
        .fold(name, |hash, operand| mix(hash ^ operand.unsigned_abs()));
    if hash.is_multiple_of(HELD_OUT_EVERY) {
        Split::HeldOut
    } else {
        Split::Train
    }
}

/// A computation of `shape` from `split` whose steps are whole, between 2 and `largest`; the answer is none of its
/// operands, so that a problem cannot give it away. `None` if the bounds leave (almost) nothing.
#[must_use]
pub fn draw(rng: &mut Rng, shape: &'static Shape, split: Split, largest: i64) -> Option<Computation> {
    for _ in 0..MAX_DRAWS {
        let operands = shape
            .ranges
            .iter()
            .map(|(low, high)| rng.between(*low, *high))
            .collect();
        let Some(computation) = Computation::new(shape, operands) else {
            continue;
        };
        let bounded = computation.results.iter().all(|result| (2..=largest).contains(result));
        let hidden = !computation.operands.contains(&computation.answer());
        if bounded && hidden && split_of(&computation) == split {
            return Some(computation);
        }
    }
    None
}
