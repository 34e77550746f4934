use super::*;

#[test]
fn philox_matches_the_published_vectors() {
    // Known answers of the Random123 distribution, kat_vectors, philox4x32 10.
    let table = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        (
            [u32::MAX; 4],
            [u32::MAX; 2],
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
        ),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];
    for (counter, key, expected) in table {
        assert_eq!(philox4x32_10(counter, key), expected);
    }
}

fn draw_with(params: &SamplingParams, logits: &[f32], position: usize) -> Draw {
    let history = History::new(params, &[]);
    let context = Context {
        params,
        history: &history,
        suppressed: &[],
        allowed: None,
        key: Key::new(7, 0),
        position,
    };
    draw(logits, &mut DrawScratch::default(), context).expect("finite logits")
}

#[test]
fn draws_follow_the_distribution() {
    let logits = [0.0, 1.0_f32.ln(), 2.0_f32.ln(), 4.0_f32.ln()];
    let params = SamplingParams::default();
    let mut counts = [0u32; 4];
    for position in 0..8000 {
        counts[draw_with(&params, &logits, position).token as usize] += 1;
    }
    // Shares 1/8, 1/8, 2/8, 4/8; five standard deviations of 8000 draws are below 0.028.
    for (count, share) in counts.into_iter().zip([0.125, 0.125, 0.25, 0.5]) {
        assert!((f64::from(count) / 8000.0 - share).abs() < 0.028, "{counts:?}");
    }
}

#[test]
fn truncation_and_logprobs() {
    let logits = [0.0, 1.0, 2.0, 3.0];
    let p = |scaled: [f32; 4], kept: &[usize], token: usize| {
        scaled[token] - kept.iter().map(|at| scaled[*at].exp()).sum::<f32>().ln()
    };
    type Row = (&'static str, SamplingParams, Option<f32>, &'static [usize], f32);
    let default = SamplingParams::default();
    let table: [Row; 7] = [
        ("plain", default.clone(), None, &[0, 1, 2, 3], 1.0),
        (
            "temperature",
            SamplingParams {
                temperature: 0.5,
                ..default.clone()
            },
            None,
            &[0, 1, 2, 3],
            0.5,
        ),
        (
            "top-k",
            SamplingParams {
                top_k: Some(2),
                ..default.clone()
            },
            Some(2.0),
            &[2, 3],
            1.0,
        ),
        (
            "top-k of all",
            SamplingParams {
                top_k: Some(4),
                ..default.clone()
            },
            None,
            &[0, 1, 2, 3],
            1.0,
        ),
        // Probabilities are 0.032, 0.087, 0.237, 0.644.
        (
            "top-p",
            SamplingParams {
                top_p: 0.7,
                ..default.clone()
            },
            Some(2.0),
            &[2, 3],
            1.0,
        ),
        (
            "top-p of one",
            SamplingParams {
                top_p: 0.5,
                ..default.clone()
            },
            Some(3.0),
            &[3],
            1.0,
        ),
        (
            "min-p",
            SamplingParams {
                min_p: 0.2,
                ..default.clone()
            },
            Some(3.0 + 0.2_f32.ln()),
            &[2, 3],
            1.0,
        ),
    ];
    for (name, params, threshold, kept, temperature) in table {
        for position in 0..50 {
            let drawn = draw_with(&params, &logits, position);
            let token = drawn.token as usize;
            assert!(kept.contains(&token), "{name}: {token}");
            let scaled = logits.map(|logit| logit / temperature);
            assert!((drawn.logprob - p(scaled, kept, token)).abs() < 1e-6, "{name}");
            assert!(
                (drawn.raw_logprob - p(logits, &[0, 1, 2, 3], token)).abs() < 1e-6,
                "{name}"
            );
            assert_eq!(drawn.threshold, threshold, "{name}");
        }
    }
}

#[test]
fn greedy_reports_temperature_one() {
    let drawn = draw_with(
        &SamplingParams {
            temperature: 0.0,
            top_logprobs: 2,
            ..Default::default()
        },
        &[1.0, 3.0, 3.0],
        0,
    );
    assert_eq!((drawn.token, drawn.threshold), (1, None));
    assert_eq!(drawn.logprob, drawn.raw_logprob);
    assert_eq!(drawn.top.iter().map(|top| top.token).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn penalties_bias_and_suppression() {
    let greedy = SamplingParams {
        temperature: 0.0,
        ..Default::default()
    };
    type Row = (
        &'static str,
        SamplingParams,
        &'static [u32],
        &'static [u32],
        &'static [u32],
        u32,
    );
    let table: [Row; 6] = [
        ("none", greedy.clone(), &[], &[], &[], 2),
        (
            "bias",
            SamplingParams {
                logit_bias: vec![(0, 5.0)],
                ..greedy.clone()
            },
            &[],
            &[],
            &[],
            0,
        ),
        (
            "presence",
            SamplingParams {
                presence_penalty: 1.5,
                ..greedy.clone()
            },
            &[],
            &[2],
            &[],
            1,
        ),
        (
            "presence spares the prompt",
            SamplingParams {
                presence_penalty: 1.5,
                ..greedy.clone()
            },
            &[2],
            &[],
            &[],
            2,
        ),
        (
            "repetition reaches the prompt",
            SamplingParams {
                repetition_penalty: 4.0,
                ..greedy.clone()
            },
            &[2],
            &[],
            &[],
            1,
        ),
        ("suppressed", greedy, &[], &[], &[2, 1], 0),
    ];
    for (name, params, prompt, sampled, suppressed, expected) in table {
        let mut history = History::new(&params, prompt);
        sampled.iter().for_each(|token| history.push(*token));
        let context = Context {
            params: &params,
            history: &history,
            suppressed,
            allowed: None,
            key: Key::new(0, 0),
            position: 3,
        };
        let drawn = draw(&[0.5, 2.0, 3.0], &mut DrawScratch::default(), context).expect("finite logits");
        assert_eq!(drawn.token, expected, "{name}");
    }
}

#[test]
fn keys_and_positions_give_other_draws() {
    let key = Key::new(1, 0);
    assert_eq!(key.uniform(5), Key::new(1, 0).uniform(5));
    let others = [Key::new(1, 1).uniform(5), Key::new(2, 0).uniform(5), key.uniform(6)];
    assert!(others.iter().all(|other| *other != key.uniform(5)));
    assert!((0..1000).all(|position| (0.0..1.0).contains(&key.uniform(position))));
}

#[test]
fn refuses_non_finite_rows() {
    let params = SamplingParams::default();
    let history = History::default();
    for row in [[f32::NAN, 0.0], [f32::INFINITY, 0.0], [f32::NEG_INFINITY; 2]] {
        let context = Context {
            params: &params,
            history: &history,
            suppressed: &[],
            allowed: None,
            key: Key::new(0, 0),
            position: 0,
        };
        assert_eq!(draw(&row, &mut DrawScratch::default(), context), Err(NonFinite));
    }
}

#[test]
fn a_long_row_is_drawn_from_as_one_running_sum_would() {
    // Lengths around blocks; some tokens without any probability, the last ones too.
    for len in [1usize, 255, 256, 257, 1000, 4096] {
        let row: Vec<f32> = (0..len)
            .map(|at| match at % 7 {
                3 => f32::NEG_INFINITY,
                _ => (at as f32 * 0.731).sin() * 4.0,
            })
            .collect();
        let max = maximum(&row);
        let total: f64 = row.iter().map(|x| f64::from(crate::ops::exp(*x - max))).sum();
        for step in 0..200 {
            let uniform = f64::from(step) / 200.0 + 1e-4;
            let mut sum = 0.0;
            let expected = row.iter().position(|x| {
                sum += f64::from(crate::ops::exp(*x - max));
                sum > uniform * total
            });
            let drawn = inverse_cdf(&row, max, uniform, &mut Vec::new());
            assert_eq!(Some(drawn), expected, "{uniform} of {len}");
        }
        let last = inverse_cdf(&row, max, 1.0, &mut Vec::new());
        assert!(row[last] > f32::NEG_INFINITY);
    }
}
