//! Eigenvalues of a symmetric matrix. Here because all that is needed of linear algebra is this, and the libraries that
//! have it are larger than the trainer.

/// Rounds of the iteration for one eigenvalue; a few are usual.
const MOST_ROUNDS: usize = 64;

/// Eigenvalues, in no order, of the symmetric `[n, n]` matrix `a`, which is used up.
///
/// # Source
/// Golub and Van Loan, Matrix Computations, sections 8.3.1 (Householder tridiagonalization) and 8.3.5 (implicit shifts).
pub(super) fn eigenvalues(a: &mut [f64], n: usize) -> Vec<f64> {
    assert_eq!(a.len(), n * n, "a square matrix");
    let (mut diagonal, mut beside) = tridiagonal(a, n);
    for first in 0..n {
        for _ in 0..MOST_ROUNDS {
            let small = |at: &usize| {
                let scale = diagonal[*at].abs() + diagonal[at + 1].abs();
                beside[*at].abs() <= f64::EPSILON * scale
            };
            let last = (first..n - 1).find(small).unwrap_or(n - 1);
            if last == first {
                break;
            }
            chase(&mut diagonal, &mut beside, first, last);
        }
    }
    diagonal
}

/// The diagonal and what is beside it, `[n]` each, of a tridiagonal matrix with the eigenvalues of `a`.
fn tridiagonal(a: &mut [f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut beside = vec![0.0; n];
    let (mut v, mut w) = (vec![0.0; n], vec![0.0; n]);
    for k in 0..n.saturating_sub(1) {
        let below = k + 1..n;
        let norm = below.clone().map(|i| a[i * n + k].powi(2)).sum::<f64>().sqrt();
        let alpha = -norm.copysign(a[(k + 1) * n + k]);
        beside[k] = alpha;
        below.clone().for_each(|i| v[i] = a[i * n + k]);
        v[k + 1] -= alpha;
        let square: f64 = below.clone().map(|i| v[i] * v[i]).sum();
        if square == 0.0 {
            continue;
        }
        // The reflection I − 2vvᵀ/v², from both sides, on what is below and right of k.
        for i in below.clone() {
            let row = &a[i * n..][..n];
            w[i] = 2.0 / square * below.clone().map(|j| row[j] * v[j]).sum::<f64>();
        }
        let along = below.clone().map(|i| v[i] * w[i]).sum::<f64>() / square;
        below.clone().for_each(|i| w[i] -= along * v[i]);
        for i in below.clone() {
            let (vi, wi, row) = (v[i], w[i], &mut a[i * n..][..n]);
            below.clone().for_each(|j| row[j] -= vi * w[j] + wi * v[j]);
        }
    }
    ((0..n).map(|i| a[i * n + i]).collect(), beside)
}

/// One implicitly shifted round on the unreduced block from `first` to `last`.
fn chase(diagonal: &mut [f64], beside: &mut [f64], first: usize, last: usize) {
    let half = (diagonal[first + 1] - diagonal[first]) / (2.0 * beside[first]);
    let shift = half + half.hypot(1.0).copysign(half);
    let mut g = diagonal[last] - diagonal[first] + beside[first] / shift;
    let (mut sine, mut cosine, mut carry) = (1.0, 1.0, 0.0);
    for i in (first..last).rev() {
        let (f, b) = (sine * beside[i], cosine * beside[i]);
        let r = f.hypot(g);
        beside[i + 1] = r;
        if r == 0.0 {
            diagonal[i + 1] -= carry;
            beside[last] = 0.0;
            return;
        }
        (sine, cosine) = (f / r, g / r);
        g = diagonal[i + 1] - carry;
        let turned = (diagonal[i] - g) * sine + 2.0 * cosine * b;
        carry = sine * turned;
        diagonal[i + 1] = g + carry;
        g = cosine * turned - b;
    }
    diagonal[first] -= carry;
    beside[first] = g;
    beside[last] = 0.0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::SplitMix;

    fn sorted(mut a: Vec<f64>, n: usize) -> Vec<f64> {
        let mut values = eigenvalues(&mut a, n);
        values.sort_by(f64::total_cmp);
        values
    }

    #[test]
    fn known_matrices() {
        let pi = std::f64::consts::PI;
        // 2 on the diagonal and -1 beside it: 2 - 2 cos(kπ/(n+1)).
        let n = 9;
        let mut chain = vec![0.0; n * n];
        for i in 0..n {
            chain[i * n + i] = 2.0;
            if i + 1 < n {
                chain[i * n + i + 1] = -1.0;
                chain[(i + 1) * n + i] = -1.0;
            }
        }
        let of_chain: Vec<f64> = (1..=n)
            .map(|k| 2.0 - 2.0 * (k as f64 * pi / (n + 1) as f64).cos())
            .collect();
        let cases = [
            (vec![], 0, vec![]),
            (vec![3.0], 1, vec![3.0]),
            (vec![2.0, 1.0, 1.0, 2.0], 2, vec![1.0, 3.0]),
            (vec![1.0; 16], 4, vec![0.0, 0.0, 0.0, 4.0]),
            (vec![0.0; 9], 3, vec![0.0; 3]),
            (chain, n, of_chain),
        ];
        for (matrix, n, wanted) in cases {
            for (found, wanted) in sorted(matrix, n).into_iter().zip(wanted) {
                assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}");
            }
        }
    }

    #[test]
    fn sums_of_powers_are_traces_of_powers() {
        let mut random = SplitMix::new(1);
        for n in [2, 3, 7, 40] {
            let mut a = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..=i {
                    let value = random.below(2001) as f64 / 1000.0 - 1.0;
                    (a[i * n + j], a[j * n + i]) = (value, value);
                }
            }
            let trace: f64 = (0..n).map(|i| a[i * n + i]).sum();
            let squares: f64 = a.iter().map(|value| value * value).sum();
            let row = |i: usize| &a[i * n..][..n];
            let product = |i: usize, j: usize| row(i).iter().zip(row(j)).map(|(x, y)| x * y).sum::<f64>();
            let cubes: f64 = (0..n)
                .flat_map(|i| (0..n).map(move |j| (i, j)))
                .map(|(i, j)| product(i, j) * a[j * n + i])
                .sum();
            let values = sorted(a.clone(), n);
            for (power, wanted) in [(1, trace), (2, squares), (3, cubes)] {
                let found: f64 = values.iter().map(|value| value.powi(power)).sum();
                assert!(
                    (found - wanted).abs() < 1e-9 * (1.0 + squares),
                    "{n} {power}: {found} is not {wanted}"
                );
            }
        }
    }
}
