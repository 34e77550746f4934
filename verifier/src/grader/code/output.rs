//! Whether a program wrote what is expected.

use crate::spec::code::Compare;

/// Whether `said` is `wanted`. What is no UTF-8 is no text that could be wanted.
pub(crate) fn same(said: &[u8], wanted: &str, compare: Compare, tolerance: Option<f64>) -> bool {
    if compare == Compare::Exact {
        return said == wanted.as_bytes();
    }
    let Ok(said) = std::str::from_utf8(said) else {
        return false;
    };
    match compare {
        Compare::Tokens => {
            let (mut said, mut wanted) = (said.split_whitespace(), wanted.split_whitespace());
            loop {
                match (said.next(), wanted.next()) {
                    (None, None) => return true,
                    (Some(said), Some(wanted)) if said == wanted || near(said, wanted, tolerance) => {}
                    _ => return false,
                }
            }
        }
        Compare::Exact | Compare::Lines => lines(said).eq(lines(wanted)),
    }
}

/// Lines without whitespace at their ends, and without empty ones at the end.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.trim_end().split('\n').map(str::trim_end)
}

/// Whether two words are numbers that differ by no more than is tolerated.
fn near(said: &str, wanted: &str, tolerance: Option<f64>) -> bool {
    let (Some(tolerance), Ok(said), Ok(wanted)) = (tolerance, said.parse::<f64>(), wanted.parse::<f64>()) else {
        return false;
    };
    // Not a number is near nothing, and infinity only itself, which was found by its name.
    (said - wanted).abs() <= tolerance * wanted.abs().max(1.0) && wanted.is_finite()
}
