//! The plain formulas against differences of themselves, the kernels against them, and cuts into micro-batches.

use super::super::tests::cuts::{alone, drawn, wrong_divisor};
use super::super::tests::{FAMILIES, coefficients, config, params, sequences, train};
use super::super::{Scratch, TrainSequence, accumulate as fast};
use super::*;

/// Everything at once.
fn whole(config: &ModelConfig, params: &Wide) -> (f64, Wide) {
    let sequences = sequences();
    accumulate(config, params, &sequences, &widened(&coefficients(&sequences)))
}

#[test]
fn the_plain_gradient_is_that_of_the_plain_sum() {
    for family in FAMILIES {
        let config = config(family);
        let params = Wide::of(&params(&config));
        let (_, grads) = whole(&config, &params);
        for entry in &params.layout.entries {
            let range = entry.offset..entry.offset + entry.len();
            let gradient = &grads.values[range.clone()];
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            let step = 1e-5 / norm;
            let shifted = |sign: f64| {
                let mut params = params.clone();
                let values = params.values[range.clone()].iter_mut();
                values.zip(gradient).for_each(|(value, g)| *value += sign * step * g);
                whole(&config, &params).0
            };
            let measured = (shifted(1.0) - shifted(-1.0)) / (2.0 * step);
            let error = (measured / (norm * norm) - 1.0).abs();
            assert!(error < 1e-6, "{family:?} {}: {error:e}", entry.name);
        }
    }
}

#[test]
fn the_kernels_agree_with_the_plain_formulas_in_every_tensor() {
    for family in FAMILIES {
        let config = config(family);
        let params = params(&config);
        let (_, plain) = whole(&config, &Wide::of(&params));
        let mut grads = Params::zeros(params.layout.clone());
        let sequences = sequences();
        fast(
            &train(&config, &params),
            &sequences,
            &coefficients(&sequences),
            &mut grads,
            &mut Scratch::default(),
        )
        .expect("finite");
        let kernels = Wide::of(&grads);
        for entry in &params.layout.entries {
            let tensor = |of: &Wide| Wide {
                layout: of.layout.clone(),
                values: of.get(&entry.name).to_vec(),
            };
            let distance = tensor(&kernels).distance(&tensor(&plain));
            assert!(distance < 1e-5, "{family:?} {}: {distance:e}", entry.name);
        }
    }
}

/// The sum of the gradients of micro-batches, each multiplied by `factor` of its number of scored tokens.
fn in_parts(config: &ModelConfig, params: &Wide, parts: &[Vec<usize>], factor: impl Fn(usize) -> f64) -> Wide {
    let sequences = sequences();
    let coefficients = widened(&coefficients(&sequences));
    let mut sum = Wide::zeros(&params.layout);
    for part in parts {
        let chosen: Vec<TrainSequence> = part.iter().map(|at| sequences[*at].clone()).collect();
        let pairs: Coefficients = part.iter().map(|at| coefficients[*at].clone()).collect();
        let factor = factor(pairs.iter().map(Vec::len).sum());
        let (_, grads) = accumulate(config, params, &chosen, &pairs);
        sum.values
            .iter_mut()
            .zip(grads.values)
            .for_each(|(sum, grad)| *sum += factor * grad);
    }
    sum
}

#[test]
fn no_cut_order_or_sharing_moves_the_gradient_by_more_than_rounding_and_a_wrong_divisor_does() {
    for family in FAMILIES {
        let config = config(family);
        let params = Wide::of(&params(&config));
        let (_, whole) = whole(&config, &params);
        for parts in (0..12).map(drawn).chain([alone()]) {
            let distance = in_parts(&config, &params, &parts, |_| 1.0).distance(&whole);
            assert!(distance < 1e-12, "{family:?} {parts:?}: {distance:e}");
            let own = |count| wrong_divisor(count, parts.len());
            let distance = in_parts(&config, &params, &parts, own).distance(&whole);
            assert!(
                parts.len() == 1 || distance > 1e-3,
                "{family:?} {parts:?}: {distance:e}"
            );
        }
    }
}
