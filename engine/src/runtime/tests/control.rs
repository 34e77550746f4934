//! Controllers in the step loop: each verdict, and the same tokens under any load.

use std::sync::Arc;

use super::score::scored;
use super::*;
use crate::control::{Control, Controller, Seen, Verdict};
use crate::guide::{Guide, GuideCompiler, GuideLimits};

/// A controller that is a function.
#[derive(Debug)]
struct Rule(fn(&Seen<'_>) -> Verdict);

impl Controller for Rule {
    fn verdict(&self, seen: &Seen<'_>) -> Verdict {
        (self.0)(seen)
    }
}

fn controlled(seed: u64, n: u32, every: u32, forks: u32, rule: fn(&Seen<'_>) -> Verdict) -> GenerateRequest {
    let mut request = request("some prompt of a few words", seed, 30);
    request.n = n;
    request.control = Some(Control {
        controller: Arc::new(Rule(rule)),
        every,
        forks,
    });
    request
}

fn one(request: GenerateRequest) -> Completion {
    run(EngineConfig::default(), &[request]).remove(0)
}

#[test]
fn to_continue_changes_nothing_and_observes_the_models_own_distribution() {
    let watched = one(controlled(3, 2, 4, 0, |seen| {
        assert!((seen.steps.len(), seen.generated.len() % 4) == (4, 0));
        for (step, token) in seen.steps.iter().zip(&seen.generated[seen.generated.len() - 4..]) {
            assert_eq!(step.token, *token);
            assert!(
                step.margin >= 0.0 && step.entropy > 0.0 && step.entropy <= 259.0_f32.ln(),
                "{step:?}"
            );
        }
        Verdict::Continue
    }));
    let mut free = controlled(3, 2, 4, 0, |_| Verdict::Continue);
    free.control = None;
    assert_eq!(watched, one(free));
}

#[test]
fn forced_tokens_come_next_and_sampling_goes_on_after_them() {
    let rule = |seen: &Seen<'_>| match seen.generated.len() {
        5 => Verdict::Force(b"[so]".map(u32::from).to_vec()),
        _ => Verdict::Continue,
    };
    let choice = one(controlled(4, 1, 5, 0, rule)).choices.remove(0);
    assert_eq!(choice.tokens[5..9], b"[so]".map(u32::from));
    assert_eq!(choice.tokens.len(), 30, "forced tokens count towards the limit");
    let marks: Vec<usize> = choice
        .forced
        .iter()
        .enumerate()
        .filter(|(_, forced)| **forced)
        .map(|(at, _)| at)
        .collect();
    assert_eq!(marks, [5, 6, 7, 8]);
    assert_eq!(
        (&choice.logprobs[5..9], &choice.raw_logprobs[5..9]),
        (&[0.0; 4][..], &[0.0; 4][..])
    );
    let mut plain = controlled(4, 1, 5, 0, rule);
    plain.control = None;
    assert_eq!(choice.tokens[..5], one(plain.clone()).choices[0].tokens[..5]);
    plain.resume = choice.tokens[..9].to_vec();
    assert_eq!(
        choice.tokens[9..],
        one(plain).choices[0].tokens,
        "as if the text had been there from the start"
    );
    // The model's own opinion of all of them, the forced ones included, is a score away.
    let scores = scored(&choice_prompt(), &choice.tokens, 1.0);
    for at in 9..30 {
        assert_eq!(scores.logprobs[at], choice.logprobs[at], "{at}");
    }
}

fn choice_prompt() -> Vec<u32> {
    controlled(0, 1, 1, 0, |_| Verdict::Continue).prompt
}

#[test]
fn a_forced_end_ends() {
    let rule = |_: &Seen<'_>| Verdict::Force(b"ab STOP cd".map(u32::from).to_vec());
    let mut request = controlled(4, 1, 3, 0, rule);
    request.sampling.stop = vec!["STOP".into()];
    let choice = one(request).choices.remove(0);
    assert_eq!(
        (choice.finish_reason, choice.stop.as_deref()),
        (FinishReason::Stop, Some("STOP"))
    );
    assert!(choice.text.ends_with("ab ") && choice.tokens.len() == 10, "{choice:?}");
}

#[test]
fn an_aborted_choice_returns_what_it_has_and_why() {
    let done = one(controlled(5, 2, 6, 0, |seen| {
        match (seen.choice, seen.generated.len()) {
            (1, 12) => Verdict::Abort("it went astray".into()),
            _ => Verdict::Continue,
        }
    }));
    let (other, choice) = (&done.choices[0], &done.choices[1]);
    assert_eq!(
        (choice.finish_reason, choice.aborted.as_deref()),
        (FinishReason::Abort, Some("it went astray"))
    );
    assert_eq!((choice.tokens.len(), other.tokens.len()), (12, 30));
    assert!(other.aborted.is_none() && other.finish_reason == FinishReason::Length);
}

/// Forks at three places, from a fresh token on, within a block, and at the very beginning.
fn forking(seen: &Seen<'_>) -> Verdict {
    match (seen.forks_left, seen.generated.len()) {
        (3, 4) => Verdict::Fork { at: 4 },
        (2, 12) => Verdict::Fork { at: 7 },
        (1, 24) => Verdict::Fork { at: 0 },
        _ => Verdict::Continue,
    }
}

#[test]
fn forks_share_their_beginning_and_draw_under_keys_of_their_own() {
    let done = one(controlled(6, 2, 4, 3, forking));
    let indices: Vec<u32> = done.choices.iter().map(|choice| choice.index).collect();
    assert_eq!(indices, [0, 1, 2, 3, 4, 5, 6, 7]);
    let free = one(controlled(6, 2, 4, 3, |_| Verdict::Continue));
    assert_eq!(
        done.choices[..2],
        free.choices,
        "those forked from go on as if nothing had been"
    );
    for choice in &done.choices[2..] {
        let origin = choice.origin.expect("a fork");
        let parent = &done.choices[origin.choice as usize];
        let at = [4, 7, 0][(choice.index as usize - 2) % 3];
        assert_eq!((origin.choice, origin.at), ((choice.index - 2) / 3, at));
        assert_eq!(choice.tokens[..at], parent.tokens[..at]);
        assert_eq!(choice.logprobs[..at], parent.logprobs[..at]);
        assert_ne!(choice.tokens[at..], parent.tokens[at..]);
        assert_eq!((choice.tokens.len(), choice.finish_reason), (30, FinishReason::Length));
        // Written blocks of one do not show in another: the numbers are those of the tokens alone.
        assert_eq!(scored(&choice_prompt(), &choice.tokens, 1.0).logprobs, choice.logprobs);
        let bytes: Vec<u8> = choice
            .tokens
            .iter()
            .filter_map(|token| u8::try_from(*token).ok())
            .collect();
        assert_eq!(choice.text, String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn controlled_choices_are_the_same_under_any_load() {
    let busy = |seen: &Seen<'_>| {
        let last = seen.steps[seen.steps.len() - 1];
        match last.token % 7 {
            0 | 1 if seen.forks_left > 0 => Verdict::Fork {
                at: seen.generated.len() / 2,
            },
            2 | 3 => Verdict::Force(vec![u32::from(b'!'), last.token]),
            4 if last.entropy > 3.0 && seen.generated.len() > 20 => Verdict::Abort(format!("{}", last.margin)),
            _ => Verdict::Continue,
        }
    };
    let requests: Vec<_> = (0..6)
        .map(|seed| controlled(seed, 1 + seed as u32 % 3, 3, 2, busy))
        .collect();
    let alone: Vec<_> = requests.iter().map(|request| one(request.clone())).collect();
    let all = || alone.iter().flat_map(|completion| &completion.choices);
    assert!(all().any(|choice| choice.origin.is_some()) && all().any(|choice| choice.forced.contains(&true)));
    let small = EngineConfig {
        kv_blocks: Some(14),
        ..EngineConfig::default()
    };
    let table = [
        ("together", EngineConfig::default()),
        (
            "few places",
            EngineConfig {
                max_num_seqs: 3,
                ..EngineConfig::default()
            },
        ),
        ("preemption", small.clone()),
        (
            "preemption in chunks",
            EngineConfig {
                max_num_batched_tokens: 7,
                ..small
            },
        ),
        (
            "no prefix cache",
            EngineConfig {
                prefix_cache: false,
                ..EngineConfig::default()
            },
        ),
    ];
    for (name, config) in table {
        assert_eq!(run(config, &requests), alone, "{name}");
    }
}

#[test]
fn a_guided_fork_keeps_to_its_grammar() {
    let guide = Guide::Regex("([a-c]{2} ){6}end".into());
    let compiler = GuideCompiler::new(Tokenizer::bytes_only().expect("built in"), GuideLimits::default(), None);
    let mut request = controlled(8, 2, 4, 3, forking);
    request.sampling.ignore_eos = false;
    request.guide = Some(compiler.compile(&guide).expect("compiles"));
    request.sampling.guide = Some(guide);
    let done = one(request);
    assert!(done.choices.len() > 2);
    for choice in done.choices {
        assert!(choice.text.ends_with(" end") && choice.text.len() == 21, "{choice:?}");
    }
}

#[test]
fn a_forced_end_must_find_a_whole_text() {
    let compiler = GuideCompiler::new(Tokenizer::bytes_only().expect("built in"), GuideLimits::default(), None);
    let guide = Guide::Regex("[a-c]{4,20}".into());
    for (after, whole) in [(2, false), (6, true)] {
        let rule: fn(&Seen<'_>) -> Verdict = |seen| Verdict::Force(vec![seen.prompt[0]]);
        let mut request = controlled(8, 1, after, 0, rule);
        let end = Tokenizer::bytes_only().expect("built in").eos_ids()[0];
        request.prompt[0] = end;
        (request.sampling.ignore_eos, request.sampling.min_tokens) = (false, 20);
        request.guide = Some(compiler.compile(&guide).expect("compiles"));
        request.sampling.guide = Some(guide.clone());
        let mut engine = engine(EngineConfig::default());
        let (mut generation, mut collected) = submit(&mut engine, &request);
        while engine.step() {}
        let mut failed = false;
        while let Some(event) = generation.try_next() {
            failed |= collected.push(event).is_err();
        }
        assert_eq!(failed, !whole, "after {after} tokens");
        let choice = &collected.completion.choices[0];
        assert!(
            failed || choice.finish_reason == FinishReason::Stop && choice.tokens.len() == 7,
            "{choice:?}"
        );
    }
}

#[test]
fn defects_of_a_controller_fail_its_request_only() {
    let table: [fn(&Seen<'_>) -> Verdict; 4] = [
        |_| panic!("a defect"),
        |_| Verdict::Fork { at: 1 },
        |_| Verdict::Force(vec![1000]),
        |seen| Verdict::Fork {
            at: seen.generated.len() + 1,
        },
    ];
    for (at, rule) in table.into_iter().enumerate() {
        let mut engine = engine(EngineConfig::default());
        let mut other = [submit(&mut engine, &request("hello", 1, 30))];
        let (mut generation, _) = submit(&mut engine, &controlled(2, 1, 2, u32::from(at == 3), rule));
        while engine.step() {
            drain(&mut other);
        }
        let mut last = None;
        while let Some(event) = generation.try_next() {
            last = Some(event);
        }
        let failed = matches!(
            &last,
            Some(crate::Event::Failed(EngineError::InvalidParameter {
                field: "control",
                ..
            }))
        );
        assert!(failed, "{at}: {last:?}");
        assert_eq!(other[0].1.completion.choices[0].tokens.len(), 30);
        assert_eq!(engine.stats().kv_blocks_used, 0);
    }
}

#[test]
fn bounds_of_a_controller_are_checked() {
    let config = EngineConfig {
        max_choices: 8,
        ..EngineConfig::default()
    };
    let handle = EngineHandle::start(weights(1), Tokenizer::bytes_only().expect("built in"), config).expect("starts");
    let table = [
        (2, 0, 0, Some("control.every")),
        (2, 1, 4, Some("control.forks")),
        (2, 1, 3, None),
    ];
    for (n, every, forks, expected) in table {
        let refused = match handle.submit(controlled(1, n, every, forks, |_| Verdict::Continue)) {
            Err(EngineError::InvalidParameter { field, .. }) => Some(field),
            other => {
                let done = other.expect("accepted").collect_blocking().expect("done");
                assert_eq!(done.choices.len(), n as usize);
                None
            }
        };
        assert_eq!(refused, expected);
    }
}
