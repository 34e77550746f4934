//! The tap: keeps the hidden states of a response until they are reduced.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use svs_engine::tap::{Tap, TapSource};

/// States of the choices of one request that have ended. They are reduced outside of the
/// engine, whose thread must not wait for an eigenvalue problem.
#[derive(Debug, Clone, Default)]
pub struct States(Arc<Mutex<BTreeMap<u32, Response>>>);

/// The states of one response, `[tokens, hidden]` f32.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// Row by row.
    pub states: Vec<f32>,
    /// Numbers of a state; 0 if there is none.
    pub width: usize,
}

impl States {
    /// The states of `choice`, once.
    #[must_use]
    pub fn take(&self, choice: u32) -> Response {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&choice).unwrap_or_default()
    }
}

impl TapSource for States {
    fn tap(&self, choice: u32) -> Box<dyn Tap> {
        Box::new(Keeping {
            choice,
            ended: self.clone(),
            seen: Response::default(),
        })
    }
}

#[derive(Debug)]
struct Keeping {
    choice: u32,
    ended: States,
    seen: Response,
}

impl Tap for Keeping {
    fn on_hidden(&mut self, _at: usize, state: &[f32]) {
        self.seen.width = state.len();
        self.seen.states.extend_from_slice(state);
    }

    fn reduced(&self) -> Vec<f32> {
        let mut kept = self.ended.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(self.choice, self.seen.clone());
        Vec::new()
    }
}
