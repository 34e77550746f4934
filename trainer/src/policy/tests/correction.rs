//! Factors of rows that other weights sampled, against those that objective.py computes by itself.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::policy::RolloutCorrection;
use crate::policy::correction::Tally;

#[derive(Deserialize)]
struct Fixture {
    corrected: Corrected,
}

#[derive(Deserialize)]
struct Corrected {
    rows: Vec<CorrectedRow>,
    cases: Vec<CorrectedCase>,
}

#[derive(Deserialize)]
struct CorrectedRow {
    behaviour: Vec<f32>,
    start: Vec<f32>,
    exact: bool,
}

#[derive(Deserialize)]
struct CorrectedCase {
    correction: RolloutCorrection,
    kept: Vec<Kept>,
    figures: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Kept {
    row: usize,
    factors: Option<Vec<f64>>,
}

fn close(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() <= 1e-12 * wanted.abs().max(1e-3)
}

#[test]
fn factors_and_what_is_reported_of_them_equal_those_of_python() {
    let text = include_str!("../../../../tests/data/golden/objective.json");
    let Corrected { rows, cases } = serde_json::from_str::<Fixture>(text)
        .expect("the fixture parses")
        .corrected;
    for case in &cases {
        let correction = &case.correction;
        assert_eq!(correction.faults(), [], "{correction:?}");
        let mut tally = Tally::default();
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| !row.exact) {
            let found = correction.factors(&row.start, &row.behaviour, &mut tally);
            let kept = case.kept.iter().find(|kept| kept.row == at);
            let wanted = kept.and_then(|kept| kept.factors.as_ref());
            let alike = match (&found, wanted) {
                (Some(found), Some(wanted)) => {
                    found.len() == wanted.len() && found.iter().zip(wanted).all(|pair| close(*pair.0, *pair.1))
                }
                (None, None) => true,
                _ => false,
            };
            assert!(alike, "{correction:?}, row {at}: {found:?} is not {wanted:?}");
        }
        let mut metrics = BTreeMap::new();
        tally.metrics(&mut metrics);
        assert_eq!(metrics.len(), case.figures.len());
        for (name, wanted) in &case.figures {
            let found = metrics[&format!("rollout_corr/{name}")];
            assert!(close(found, *wanted), "{correction:?}, {name}: {found} is not {wanted}");
        }
    }
}
