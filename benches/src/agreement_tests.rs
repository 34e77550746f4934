use super::*;

#[test]
fn tokens_count_up_to_the_first_that_differs() {
    let choice = |ids: &[u64], logprobs: &[f64]| Choice {
        ids: Some(ids.to_vec()),
        logprobs: logprobs.to_vec(),
    };
    let mut agreement = Agreement {
        tokens: 0,
        same: 0,
        largest_difference: 0.0,
    };
    let ours = choice(&[1, 2, 3, 4], &[-0.5, -1.0, -2.0, -3.0]);
    agreement
        .add(&ours, &choice(&[1, 2, 9, 4], &[-0.5, -1.25, -7.0, -3.0]))
        .unwrap();
    assert_eq!(
        agreement,
        Agreement {
            tokens: 4,
            same: 2,
            largest_difference: 0.25
        }
    );
    let silent = Choice {
        ids: None,
        ..ours.clone()
    };
    assert!(agreement.add(&ours, &silent).is_err());
}
