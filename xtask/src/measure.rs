//! What is computed of measured figures.

/// The slope of the least-squares line through points `(x, y)`.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let together: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let alone: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    together / alone
}

/// The value below which a `share` of sorted values lies; NaN where there are none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 - 1.0).max(0.0) * share;
    sorted.get(at as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_and_quantiles_of_known_points() {
        let line: Vec<(f64, f64)> = (0..60).map(|at| (f64::from(at), 1e8 + 5e4 * f64::from(at))).collect();
        assert!((slope(&line) - 5e4).abs() < 1e-3);
        let hundred: Vec<f64> = (0..=100).map(f64::from).collect();
        for (share, wanted) in [(0.0, 0.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            assert_eq!(quantile(&hundred, share), wanted);
        }
        assert!(quantile(&[], 0.5).is_nan());
    }
}
