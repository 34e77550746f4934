//! AdamW over the flat arena. Elements are independent and norms are summed in fixed chunks, so the result has the same
//! bits at any thread count.

use svs_engine::Params;
use svs_engine::ops::{for_each, map, zeros};

use super::{OptimConfig, learning_rate};

/// Elements of one unit of work; fixed, because the sum of squares is grouped by it.
const CHUNK: usize = 1 << 16;

/// What one optimizer step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Learning rate used.
    pub lr: f64,
    /// False if something was not finite: nothing was changed.
    pub applied: bool,
}

/// First and second moments and the number of steps behind them.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    /// First moments, `[parameters]` f32.
    pub first: Vec<f32>,
    /// Second moments, `[parameters]` f32.
    pub second: Vec<f32>,
    /// Steps applied.
    pub steps: u64,
    /// Steps skipped because something of them was not finite.
    pub skipped: u64,
}

impl AdamW {
    /// Zero moments for an arena of `len` parameters.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self {
            first: zeros(len),
            second: zeros(len),
            steps: 0,
            skipped: 0,
        }
    }

    /// Clips `grads` by global norm and moves `params`. A norm that is not finite changes nothing and is counted.
    ///
    /// Decay is decoupled and applies to matrices only: norms and biases (one dimension) do not decay.
    ///
    /// # Source
    /// Decoupled weight decay, arXiv 1711.05101, algorithm 2; clipping as `torch.nn.utils.clip_grad_norm_`.
    ///
    /// # Panics
    /// If the arenas differ in length.
    pub fn step(&mut self, params: &mut Params, grads: &Params, config: &OptimConfig) -> StepReport {
        let len = params.values.len();
        assert!(
            grads.values.len() == len && self.first.len() == len,
            "one gradient and moment per parameter"
        );
        let lr = learning_rate(config, self.steps);
        let grad_norm = global_norm(&grads.values);
        if !grad_norm.is_finite() {
            self.skipped += 1;
            return StepReport {
                grad_norm,
                lr,
                applied: false,
            };
        }
        self.steps += 1;
        let update = Update::new(config, lr, self.steps, (config.grad_clip / (grad_norm + 1e-6)).min(1.0));
        for_each(self.chunks(params, grads), |chunk| update.apply(chunk));
        StepReport {
            grad_norm,
            lr,
            applied: true,
        }
    }

    /// Counts a step that is not taken because there is no gradient for it.
    pub(crate) fn skip(&mut self, config: &OptimConfig) -> StepReport {
        self.skipped += 1;
        StepReport {
            grad_norm: f64::NAN,
            lr: learning_rate(config, self.steps),
            applied: false,
        }
    }

    fn chunks<'a>(&'a mut self, params: &'a mut Params, grads: &'a Params) -> Vec<Chunk<'a>> {
        let mut chunks = Vec::new();
        let (mut values, mut first, mut second) = (&mut params.values[..], &mut self.first[..], &mut self.second[..]);
        for entry in &params.layout.entries {
            let mut offset = entry.offset;
            let end = entry.offset + entry.len();
            while offset < end {
                let len = CHUNK.min(end - offset);
                chunks.push(Chunk {
                    values: take(&mut values, len),
                    first: take(&mut first, len),
                    second: take(&mut second, len),
                    grads: &grads.values[offset..offset + len],
                    decays: entry.decays(),
                });
                offset += len;
            }
        }
        chunks
    }
}

/// Splits `len` elements off the front of `rest`.
fn take<'a>(rest: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    rest.split_off_mut(..len).expect("the layout covers the arena in order")
}

/// Euclidean norm in f64 over chunks of fixed size, summed in order.
#[must_use]
pub fn global_norm(values: &[f32]) -> f64 {
    let squares = map(values.len().div_ceil(CHUNK), |i| {
        let chunk = &values[i * CHUNK..values.len().min((i + 1) * CHUNK)];
        chunk
            .iter()
            .map(|value| f64::from(*value) * f64::from(*value))
            .sum::<f64>()
    });
    squares.iter().sum::<f64>().sqrt()
}

struct Chunk<'a> {
    values: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    grads: &'a [f32],
    decays: bool,
}

/// The constants of one step.
struct Update {
    grad_scale: f32,
    beta1: f32,
    beta2: f32,
    keep: f32,
    step_size: f32,
    root_correction: f32,
    eps: f32,
}

impl Update {
    fn new(config: &OptimConfig, lr: f64, step: u64, grad_scale: f64) -> Self {
        // Past i32::MAX steps both corrections are 1 to the last bit.
        let exponent = i32::try_from(step).unwrap_or(i32::MAX);
        Self {
            grad_scale: grad_scale as f32,
            beta1: config.beta1 as f32,
            beta2: config.beta2 as f32,
            keep: (1.0 - lr * config.weight_decay) as f32,
            step_size: (lr / (1.0 - config.beta1.powi(exponent))) as f32,
            root_correction: (1.0 - config.beta2.powi(exponent)).sqrt() as f32,
            eps: config.eps as f32,
        }
    }

    fn apply(&self, chunk: Chunk<'_>) {
        let keep = if chunk.decays { self.keep } else { 1.0 };
        let moments = chunk.first.iter_mut().zip(chunk.second.iter_mut());
        for ((value, grad), (first, second)) in chunk.values.iter_mut().zip(chunk.grads).zip(moments) {
            let grad = grad * self.grad_scale;
            *first += (1.0 - self.beta1) * (grad - *first);
            *second = self.beta2 * *second + (1.0 - self.beta2) * grad * grad;
            let root = second.sqrt() / self.root_correction + self.eps;
            *value = *value * keep - self.step_size * *first / root;
        }
    }
}
