use std::cell::RefCell;

use super::*;
use crate::contestants::Weights;

/// Contestants that note when they ran.
fn heat<'a>(names: [Contestant; 2], notes: &'a RefCell<Vec<(String, usize)>>) -> Heat<'a> {
    let contestants = names.map(|contestant| {
        let name = contestant.to_string();
        let run: Run<'a> = Box::new(move |number| {
            notes.borrow_mut().push((name.clone(), number));
            Ok(vec![(Row::Decode1, Figures::of_peer(number as f64))])
        });
        (contestant, run)
    });
    Heat {
        contestants: contestants.into(),
        servers: Vec::new(),
    }
}

fn calm(limit: f64, retries: usize) -> Calm {
    Calm {
        limit,
        patience: Duration::ZERO,
        retries,
    }
}

#[test]
fn the_order_turns_around_and_every_alternation_is_told() {
    let (a, b) = (Contestant::Svs(Weights::Bf16), Contestant::LlamaCpp(Weights::F16, true));
    let notes = RefCell::new(Vec::new());
    let mut told = Vec::new();
    let samples = alternate(&[heat([a.clone(), b.clone()], &notes)], 3, calm(1.0, 2), |samples| {
        told.push(samples.len());
        Ok(())
    });
    let order: Vec<String> = notes.borrow().iter().map(|(name, _)| name.clone()).collect();
    let (a, b) = (a.to_string(), b.to_string());
    assert_eq!(order, [&a, &b, &b, &a, &a, &b].map(String::as_str));
    assert_eq!(told, [2, 4, 6]);
    let alternations: Vec<usize> = samples.unwrap().iter().map(|sample| sample.alternation).collect();
    assert_eq!(alternations, [0, 0, 1, 1, 2, 2]);
}

#[test]
fn what_is_disturbed_runs_again_with_another_number() {
    let names = [Contestant::Svs(Weights::F32), Contestant::LlamaCpp(Weights::F32, false)];
    let notes = RefCell::new(Vec::new());
    // Nothing is calm enough for a share below zero.
    let samples = alternate(&[heat(names, &notes)], 2, calm(-1.0, 2), |_| Ok(())).unwrap();
    let numbers: Vec<usize> = notes.borrow().iter().map(|(_, number)| *number).collect();
    let expected = if samples[0].foreign_share.is_some() {
        vec![0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]
    } else {
        vec![0, 0, 3, 3]
    };
    assert_eq!((numbers, samples.len()), (expected, 4));
}

#[test]
fn a_failing_contestant_is_named() {
    let run: Run = Box::new(|_| anyhow::bail!("no such file"));
    let heat = Heat {
        contestants: vec![(Contestant::Url("http://there".into()), run)],
        servers: Vec::new(),
    };
    let error = alternate(&[heat], 1, calm(1.0, 0), |_| Ok(())).unwrap_err();
    assert_eq!(format!("{error:#}"), "http://there: no such file");
}
