use super::argmax;

#[test]
fn the_first_of_the_best_wins() {
    for (logits, expected) in [(&[0.0][..], 0), (&[-1.0, 2.0, 2.0], 1), (&[f32::MIN, -3.0, -2.0], 2)] {
        assert_eq!(argmax(logits), expected, "{logits:?}");
    }
}
