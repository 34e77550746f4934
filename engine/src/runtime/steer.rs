//! What a controller's verdict does to a choice: force, abort, fork.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Engine;
use super::live::{Live, Start};
use super::validate::invalid;
use crate::control::{Control, Observed, Seen, Verdict};
use crate::guide::CompiledGuide;
use crate::request::{Event, GenerateRequest};
use crate::scheduler::SeqId;
use crate::tap::Tapped;

/// What a choice needs to be judged and forked.
#[derive(Debug, Clone)]
pub(super) struct Steering {
    control: Control,
    guide: Option<CompiledGuide>,
    seed: u64,
    n: u32,
    /// Forks that it may still make.
    forks_left: u32,
    /// Tokens sampled since the last verdict.
    steps: Vec<Observed>,
}

impl Steering {
    /// That of a request's choice, if the request has a controller.
    pub(super) fn of(request: &GenerateRequest, seed: u64) -> Option<Self> {
        let control = request.control.clone()?;
        Some(Self {
            guide: request.guide.clone(),
            seed,
            n: request.n,
            forks_left: control.forks,
            steps: Vec::new(),
            control,
        })
    }
}

impl Engine {
    /// Notes a sampled token and asks the controller for a verdict, if that is due.
    pub(super) fn steer(&mut self, id: SeqId, observed: Observed, version: u64) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let Some(steering) = &mut live.steering else { return };
        steering.steps.push(observed);
        if steering.steps.len() < steering.control.every as usize {
            return;
        }
        let steps = std::mem::take(&mut steering.steps);
        let forks_left = steering.forks_left;
        let tapped = match live.reduced() {
            Ok(tapped) => tapped,
            Err(error) => return self.fail(id, &error),
        };
        let Some(steering) = &live.steering else { return };
        let (prompt, generated) = self.scheduler.tokens(id).split_at(live.prompt_len);
        let seen = Seen {
            choice: live.choice,
            prompt,
            generated,
            steps: &steps,
            tapped: &tapped,
            forks_left,
        };
        let controller = &steering.control.controller;
        match catch_unwind(AssertUnwindSafe(|| controller.verdict(&seen))) {
            Ok(Verdict::Continue) => {}
            Ok(Verdict::Force(tokens)) => self.force(id, &tokens, version),
            Ok(Verdict::Abort(why)) => {
                live.abort(why);
                self.end(id);
            }
            Ok(Verdict::Fork { at }) => self.fork(id, at),
            Err(_) => self.fail(id, &invalid("control", "the controller panicked".into())),
        }
    }

    fn force(&mut self, id: SeqId, tokens: &[u32], version: u64) {
        let vocab = self.store.policy().config.vocab_size;
        if let Some(token) = tokens.iter().find(|token| **token as usize >= vocab) {
            let reason = format!("token id {token} is outside the vocabulary of {vocab}");
            return self.fail(id, &invalid("control", reason));
        }
        for token in tokens {
            let mixed = self.scheduler.is_mixed(id);
            let Some(live) = self.live.get_mut(&id) else { return };
            if let Err(error) = live.follow_forced(*token) {
                return self.fail(id, &error);
            }
            self.scheduler.push(id, *token);
            if live.accept_forced(*token, version, mixed) {
                return self.end(id);
            }
        }
    }

    fn fork(&mut self, id: SeqId, at: usize) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let Some(steering) = &mut live.steering else { return };
        let (prompt, generated) = self.scheduler.tokens(id).split_at(live.prompt_len);
        if steering.forks_left == 0 || at > generated.len() {
            let reason = format!(
                "fork at {at} with {} generated tokens and {} forks left",
                generated.len(),
                steering.forks_left
            );
            return self.fail(id, &invalid("control", reason));
        }
        let made = steering.control.forks - steering.forks_left;
        steering.forks_left -= 1;
        let resume = &generated[..at];
        let choice = steering.control.fork_index(steering.n, live.choice, made);
        let start = Start {
            choice,
            seed: steering.seed,
            prompt,
            resume,
            weights: live.weights.clone(),
            pinned: live.pinned,
            events: live.events.clone(),
            guide: steering.guide.as_ref().map(|guide| guide.start(resume)),
            continues_text: live.continues_text,
            score_from: None,
            pooling: None,
            tapped: live.tapped.as_ref().map(|tapped| Tapped::new(&tapped.source, choice)),
            steering: Some(Steering {
                forks_left: 0,
                steps: Vec::new(),
                ..steering.clone()
            }),
        };
        let child = Live::new(start, live.sampling.clone(), &self.tokenizer);
        child.send(Event::Forked {
            choice,
            parent: live.choice,
            at,
            text: child.resumed_text.clone(),
        });
        let len = prompt.len() + at;
        self.scheduler.fork(id, self.next, len);
        self.live.insert(self.next, child);
        self.next += 1;
    }

    /// Forgets a choice that has reported its end.
    pub(super) fn end(&mut self, id: SeqId) {
        self.scheduler.remove(id);
        self.live.remove(&id);
    }
}
