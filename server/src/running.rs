//! Requests of clients that are being generated, by id: how many there are, and how one or all are made to end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The requests under way.
#[derive(Debug, Default)]
pub struct Running {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    entered: u64,
    requests: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// The answer's id, and the client's own name for the request.
    ids: [Option<String>; 2],
    stop: Arc<Stop>,
}

#[derive(Debug, Default)]
struct Stop {
    asked: AtomicBool,
    heard: Notify,
}

/// A request's place; dropping it leaves.
#[derive(Debug)]
pub struct Ticket {
    running: Arc<Running>,
    key: u64,
    stop: Arc<Stop>,
}

impl Running {
    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while the lock is held, so a poisoned one is still consistent.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a request with the answer's `id` and, if there is one, the client's `own` name.
    #[must_use]
    pub fn enter(self: &Arc<Self>, id: String, own: Option<String>) -> Ticket {
        let stop = Arc::<Stop>::default();
        let mut held = self.held();
        held.entered += 1;
        let key = held.entered;
        let entry = Entry {
            ids: [Some(id), own],
            stop: Arc::clone(&stop),
        };
        held.requests.insert(key, entry);
        Ticket {
            running: Arc::clone(self),
            key,
            stop,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.held().requests.len()
    }

    /// Makes those named by `ids` end, or all; says how many had not been asked before.
    pub fn abort(&self, ids: Option<&[String]>) -> usize {
        let named = |entry: &&Entry| {
            ids.is_none_or(|ids| {
                let mut own = entry.ids.iter().flatten();
                own.any(|own| ids.contains(own))
            })
        };
        let held = self.held();
        let asked = held.requests.values().filter(named).filter(|entry| entry.stop.ask());
        asked.count()
    }
}

impl Stop {
    fn ask(&self) -> bool {
        let first = !self.asked.swap(true, Ordering::Relaxed);
        if first {
            // Kept until somebody waits.
            self.heard.notify_one();
        }
        first
    }
}

impl Ticket {
    /// Resolves, once, when the request is to end.
    pub async fn aborted(&self) {
        self.stop.heard.notified().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.running.held().requests.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_named_by_either_id_and_asked_once() {
        let running = Arc::<Running>::default();
        let names = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let tickets = [("a", Some("mine")), ("b", Some("mine")), ("c", None)]
            .map(|(id, own)| running.enter(id.into(), own.map(str::to_owned)));
        assert_eq!(running.count(), 3);
        for (ids, ended) in [
            (Some(names(&["nobody"])), 0),
            (Some(names(&[])), 0),
            (Some(names(&["a"])), 1),
            (Some(names(&["mine", "a"])), 1),
            (None, 1),
            (None, 0),
        ] {
            assert_eq!(running.abort(ids.as_deref()), ended, "{ids:?}");
        }
        drop(tickets);
        assert_eq!((running.count(), running.abort(None)), (0, 0));
    }
}
