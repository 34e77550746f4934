//! The pieces of a layer, row by row.

/// x · Wᵀ for rows of x, `weight` being `[outputs, inputs]`.
pub(super) fn project(x: &[f64], weight: &[f64], outputs: usize) -> Vec<f64> {
    let inputs = weight.len() / outputs;
    let row = |x: &[f64]| weight.chunks_exact(inputs).map(|w| dot(w, x)).collect::<Vec<_>>();
    x.chunks_exact(inputs).flat_map(row).collect()
}

/// Adds dYᵀ · X to `dw` and returns dY · W, for so many rows.
pub(super) fn project_backward(rows: usize, dy: &[f64], x: &[f64], weight: &[f64], dw: &mut [f64]) -> Vec<f64> {
    let (outputs, inputs) = (dy.len() / rows, x.len() / rows);
    let mut dx = vec![0.0; x.len()];
    for ((dy, x), dx) in dy
        .chunks_exact(outputs)
        .zip(x.chunks_exact(inputs))
        .zip(dx.chunks_exact_mut(inputs))
    {
        for ((dy, w), dw) in dy
            .iter()
            .zip(weight.chunks_exact(inputs))
            .zip(dw.chunks_exact_mut(inputs))
        {
            for (((dx, w), dw), x) in dx.iter_mut().zip(w).zip(dw).zip(x) {
                *dx += dy * w;
                *dw += dy * x;
            }
        }
    }
    dx
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn inverse(x: &[f64], eps: f64) -> f64 {
    1.0 / (dot(x, x) / x.len() as f64 + eps).sqrt()
}

/// Rows as long as `weight`, each divided by its root mean square.
pub(super) fn rms_norm(x: &[f64], weight: &[f64], eps: f64) -> Vec<f64> {
    let row = |x: &[f64]| {
        let inverse = inverse(x, eps);
        x.iter().zip(weight).map(|(x, w)| x * inverse * w).collect::<Vec<_>>()
    };
    x.chunks_exact(weight.len()).flat_map(row).collect()
}

/// Adds to `dw` and returns dX.
pub(super) fn rms_norm_backward(dy: &[f64], x: &[f64], weight: &[f64], eps: f64, dw: &mut [f64]) -> Vec<f64> {
    let width = weight.len();
    let mut dx = Vec::with_capacity(x.len());
    for (dy, x) in dy.chunks_exact(width).zip(x.chunks_exact(width)) {
        let inverse = inverse(x, eps);
        let scaled: Vec<f64> = dy.iter().zip(weight).map(|(dy, w)| dy * w).collect();
        let shared = dot(&scaled, x) * inverse.powi(3) / width as f64;
        dx.extend(scaled.iter().zip(x).map(|(d, x)| d * inverse - x * shared));
        for ((dw, dy), x) in dw.iter_mut().zip(dy).zip(x) {
            *dw += dy * x * inverse;
        }
    }
    dx
}

/// Turns the pairs (i, i + half) of a head by position · θ^(-2i/width), backwards for a sign of -1.
pub(super) fn rotate(head: &mut [f64], position: u32, theta: f64, sign: f64) {
    let half = head.len() / 2;
    for i in 0..half {
        let angle = f64::from(position) * theta.powf(-2.0 * i as f64 / head.len() as f64);
        let (sin, cos) = (sign * angle.sin(), angle.cos());
        let (a, b) = (head[i], head[i + half]);
        (head[i], head[i + half]) = (a * cos - b * sin, b * cos + a * sin);
    }
}

pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
