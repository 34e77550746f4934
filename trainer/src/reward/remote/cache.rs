//! Replies that were read, by the question, so that the same question is asked once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use svs_verifier::inquiry::Finding;

/// SHA-256 of a question and of how its reply is read.
pub(super) type Key = [u8; 32];

/// At most so many findings; the oldest goes first.
#[derive(Debug)]
pub(super) struct Cache {
    entries: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    findings: HashMap<Key, Finding>,
    order: VecDeque<Key>,
}

/// The key of a body that is sent to a path of one endpoint, and of how its reply is read: weights and vetoes of a rubric are
/// in no body.
pub(super) fn key(path: &str, body: &[u8], reading: &str) -> Key {
    let mut hash = Sha256::new();
    for part in [path.as_bytes(), reading.as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(body);
    hash.finalize().into()
}

impl Cache {
    pub(super) fn new(entries: usize) -> Self {
        Self {
            entries,
            kept: Mutex::default(),
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Finding> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.findings.get(key).cloned()
    }

    pub(super) fn put(&self, key: Key, finding: Finding) {
        if self.entries == 0 {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.findings.insert(key, finding).is_some() {
            return;
        }
        kept.order.push_back(key);
        if kept.order.len() > self.entries
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.findings.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_no_more_are_kept_than_allowed() {
        let finding = |reward: f64| Finding {
            reward,
            rule: String::new(),
            parts: Default::default(),
        };
        for entries in [0, 1, 3] {
            let cache = Cache::new(entries);
            for at in 0..5u8 {
                cache.put(key("/a", &[at], ""), finding(f64::from(at)));
                cache.put(key("/a", &[at], ""), finding(f64::from(at)));
            }
            let found: Vec<u8> = (0..5)
                .filter(|at| cache.get(&key("/a", &[*at], "")).is_some())
                .collect();
            assert_eq!(found, (5 - entries as u8..5).collect::<Vec<u8>>());
            assert_eq!(cache.get(&key("/b", &[4], "")), None);
            assert_eq!(cache.get(&key("/a", &[4], "a veto")), None);
        }
        assert_ne!(key("/a", b"b", ""), key("/", b"ab", ""));
    }
}
