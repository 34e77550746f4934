//! Taps in the step loop: which states they see, that these are what the logits came from, and what leaves the engine.

use std::sync::Arc;

use super::*;
use crate::control::{Control, Controller, Seen, Verdict};
use crate::runtime::ScoreRequest;
use crate::tap::{MAX_TAPPED, Tap, TapSource};

/// Keeps a few numbers of each state.
#[derive(Debug, Clone, Copy)]
enum Reduce {
    /// Place and first entry of each state, in order.
    Firsts,
    /// Each state as it is.
    Whole,
    Panics,
    TooMany,
}

#[derive(Debug)]
struct Kept(Reduce, Vec<f32>);

impl TapSource for Reduce {
    fn tap(&self, _choice: u32) -> Box<dyn Tap> {
        Box::new(Kept(*self, Vec::new()))
    }
}

impl Tap for Kept {
    fn on_hidden(&mut self, at: usize, state: &[f32]) {
        assert!(!matches!(self.0, Reduce::Panics), "as asked");
        if matches!(self.0, Reduce::Whole) {
            return self.1.extend_from_slice(state);
        }
        self.1.extend([at as f32, state[0], state.iter().map(|x| x * x).sum()]);
    }

    fn reduced(&self) -> Vec<f32> {
        match self.0 {
            Reduce::TooMany => vec![0.0; MAX_TAPPED + 1],
            _ => self.1.clone(),
        }
    }
}

fn tapped(reduce: Reduce, n: u32) -> GenerateRequest {
    GenerateRequest {
        n,
        tap: Some(Arc::new(reduce)),
        ..request("some prompt of a few words", 3, 20)
    }
}

fn scarce() -> EngineConfig {
    EngineConfig {
        kv_blocks: Some(9),
        max_num_batched_tokens: 7,
        ..EngineConfig::default()
    }
}

#[test]
fn a_tap_sees_each_sampled_token_once_whatever_the_load() {
    let alone = run(EngineConfig::default(), &[tapped(Reduce::Firsts, 2)]).remove(0);
    for choice in &alone.choices {
        let places: Vec<f32> = choice.tapped.iter().copied().step_by(3).collect();
        let wanted: Vec<f32> = (0..choice.tokens.len()).map(|at| at as f32).collect();
        assert_eq!(places, wanted);
    }
    assert_ne!(alone.choices[0].tapped, alone.choices[1].tapped);
    let crowd = [
        tapped(Reduce::Firsts, 2),
        request("another prompt", 5, 30),
        tapped(Reduce::Firsts, 2),
        request("and one more prompt that is longer", 6, 30),
    ];
    let crowded = run(scarce(), &crowd);
    assert_eq!([&crowded[0], &crowded[2]], [&alone, &alone], "preempted or not");
    let untapped = run(
        EngineConfig::default(),
        &[GenerateRequest {
            tap: None,
            ..tapped(Reduce::Firsts, 2)
        }],
    );
    let tokens = |done: &Completion| {
        done.choices
            .iter()
            .map(|choice| choice.logprobs.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(tokens(&untapped[0]), tokens(&alone), "looking changes nothing");
}

#[test]
fn scoring_shows_the_states_that_sampling_showed() {
    let sampled = run(EngineConfig::default(), &[tapped(Reduce::Firsts, 1)])
        .remove(0)
        .choices
        .remove(0);
    let score = ScoreRequest {
        prompt: tapped(Reduce::Firsts, 1).prompt,
        response: sampled.tokens.clone(),
        temperature: 1.0,
        tap: Some(Arc::new(Reduce::Firsts)),
        ..ScoreRequest::default()
    };
    let scored = run(scarce(), &[score.lower().expect("valid")])
        .remove(0)
        .choices
        .remove(0);
    assert_eq!(scored.tapped, sampled.tapped, "bit for bit");
}

/// Aborts as soon as it sees what the tap has seen.
#[derive(Debug)]
struct Watches;

impl Controller for Watches {
    fn verdict(&self, seen: &Seen<'_>) -> Verdict {
        match seen.tapped.len() {
            12 => Verdict::Abort(format!("{}", seen.tapped[9])),
            _ => Verdict::Continue,
        }
    }
}

#[test]
fn a_controller_sees_what_the_tap_makes_of_the_states() {
    let mut request = tapped(Reduce::Firsts, 1);
    request.control = Some(Control {
        controller: Arc::new(Watches),
        every: 2,
        forks: 0,
    });
    let choice = run(EngineConfig::default(), &[request]).remove(0).choices.remove(0);
    assert_eq!((choice.aborted.as_deref(), choice.tokens.len()), (Some("3"), 4));
}

#[test]
fn a_tap_that_fails_fails_its_own_request() {
    for (reduce, word) in [(Reduce::Panics, "panicked"), (Reduce::TooMany, "numbers")] {
        let mut engine = engine(EngineConfig::default());
        let requests = [tapped(reduce, 1), request("x", 1, 8)];
        let mut waiting = requests.each_ref().map(|request| submit(&mut engine, request));
        while engine.step() {}
        let ends = waiting.each_mut().map(|(generation, collected)| {
            let mut events = std::iter::from_fn(|| generation.try_next());
            events.try_for_each(|event| collected.push(event))
        });
        let error = ends[0].as_ref().expect_err("its tap fails").to_string();
        assert!(error.contains(word), "{error}");
        assert!(ends[1].is_ok() && engine.is_idle());
        assert_eq!(waiting[1].1.completion.choices[0].tokens.len(), 8);
    }
}

#[test]
fn the_states_are_those_that_the_logits_came_from() {
    let choice = run(EngineConfig::default(), &[tapped(Reduce::Whole, 1)])
        .remove(0)
        .choices
        .remove(0);
    let (model, params) = (model(), params(1));
    let entry = params
        .layout
        .entries
        .iter()
        .find(|entry| entry.name == "model.embed_tokens.weight");
    let entry = entry.expect("tied");
    let table = &params.values[entry.offset..][..entry.len()];
    for (state, (token, logprob)) in choice
        .tapped
        .chunks_exact(model.hidden_size)
        .zip(choice.tokens.iter().zip(&choice.raw_logprobs))
    {
        let logits = table
            .chunks_exact(model.hidden_size)
            .map(|row| row.iter().zip(state).map(|(x, y)| f64::from(x * y)).sum());
        let logits: Vec<f64> = logits.collect();
        let mass: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let wanted = logits[*token as usize] - mass.ln();
        assert!((wanted - f64::from(*logprob)).abs() < 1e-4, "{wanted} {logprob}");
    }
}
