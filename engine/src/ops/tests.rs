use super::*;

#[test]
fn exp_is_within_two_ulp_and_total() {
    let mut worst = 0_i64;
    let mut x = -87.3_f32;
    while x < 88.3 {
        let (ours, exact) = (exp(x), f64::from(x).exp() as f32);
        worst = worst.max((i64::from(ours.to_bits()) - i64::from(exact.to_bits())).abs());
        x += 0.000_37;
    }
    assert!(worst <= 2, "{worst} ulp");
    for (x, want) in [
        (0.0, 1.0),
        (-0.0, 1.0),
        (-88.0, 0.0),
        (f32::NEG_INFINITY, 0.0),
        (89.0, f32::INFINITY),
        (f32::INFINITY, f32::INFINITY),
    ] {
        assert_eq!(exp(x), want, "exp({x})");
    }
    assert!(exp(f32::NAN).is_nan());
}

#[test]
fn logsumexp_matches_double_precision() {
    for n in [1_usize, 2, 15, 16, 17, 300, 4099] {
        let row: Vec<f32> = (0..n).map(|i| ((i * 7919 % 1009) as f32) * 0.02 - 9.0).collect();
        let exact = row.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
        assert!(
            (f64::from(logsumexp(&row)) - exact).abs() < 4e-6,
            "{n}: {} {exact}",
            logsumexp(&row)
        );
    }
    assert_eq!(logsumexp(&[]), f32::NEG_INFINITY);
    assert_eq!(logsumexp(&[f32::NEG_INFINITY; 20]), f32::NEG_INFINITY);
    assert!(logsumexp(&[0.0, f32::NAN]).is_nan());
    assert!(logsumexp(&[f32::NAN]).is_nan());
    assert!(!logsumexp(&[0.0, f32::INFINITY]).is_finite());
    assert_eq!(logsumexp(&[1000.0, f32::NEG_INFINITY]), 1000.0);
}
