//! Versions held by an engine: the alias `policy`, leases of running sequences, references, adapters.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::WeightSet;
use crate::error::EngineError;

/// Versions from here on belong to adapters, and those below to the policy, so that neither disturbs the other's count. A
/// JSON number carries twice as much exactly.
pub const ADAPTER_VERSIONS: u64 = 1 << 52;

#[derive(Debug)]
struct Held {
    policy: Arc<WeightSet>,
    /// Sets kept on purpose, e.g. a KL reference.
    pinned: Vec<Arc<WeightSet>>,
    /// Everything ever published and still leased by somebody.
    known: Vec<Weak<WeightSet>>,
    capacity: usize,
    /// Version of the next adapter; never given twice, since KV is reused by version.
    next_adapter: u64,
}

impl Held {
    fn alive(&mut self) -> Vec<Arc<WeightSet>> {
        self.known.retain(|set| set.strong_count() > 0);
        self.known.iter().filter_map(Weak::upgrade).collect()
    }

    fn admit(&mut self, set: &Arc<WeightSet>) -> Result<(), EngineError> {
        let alive = self.alive();
        if alive.iter().any(|other| Arc::ptr_eq(other, set)) {
            return Ok(());
        }
        if let Some(other) = alive.iter().find(|other| other.version == set.version) {
            return Err(EngineError::IncompatibleWeights(format!(
                "version {} is held already, as `{}`",
                set.version, other.label
            )));
        }
        if set.version >= ADAPTER_VERSIONS {
            self.check_room()?;
        }
        if alive.len() >= self.capacity {
            return Err(EngineError::NoRoom(format!(
                "{} weight sets are in use and max_weight_sets is {}; wait for running requests to end or raise it",
                alive.len(),
                self.capacity
            )));
        }
        self.known.push(Arc::downgrade(set));
        Ok(())
    }

    /// Room for an adapter, which leaves a place for the next publish.
    fn check_room(&mut self) -> Result<(), EngineError> {
        let (alive, capacity) = (self.alive().len(), self.capacity);
        if alive + 2 <= capacity {
            return Ok(());
        }
        Err(EngineError::NoRoom(format!(
            "{alive} weight sets in use + 1 for the adapter + 1 kept free for the next publish = {}, and max_weight_sets is \
             {capacity}; a set takes {} bytes; unload an adapter, wait for running requests to end, or raise it",
            alive + 2,
            self.policy.bytes()
        )))
    }
}

/// Versions held by an engine. Cheap to clone; clones share the store. A set lives as long as it is the policy, pinned,
/// or leased; at most `capacity` sets at once.
#[derive(Debug, Clone)]
pub struct WeightStore {
    held: Arc<Mutex<Held>>,
}

impl WeightStore {
    /// The alias that a publish moves.
    pub const POLICY: &str = "policy";

    /// A store whose `policy` is `first`, holding at most `capacity` sets.
    #[must_use]
    pub fn new(first: Arc<WeightSet>, capacity: usize) -> Self {
        let known = vec![Arc::downgrade(&first)];
        let held = Held {
            policy: first,
            pinned: Vec::new(),
            known,
            capacity: capacity.max(2),
            next_adapter: ADAPTER_VERSIONS,
        };
        Self {
            held: Arc::new(Mutex::new(held)),
        }
    }

    fn open(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while the lock is held, so a poisoned one is still consistent.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current policy.
    #[must_use]
    pub fn policy(&self) -> Arc<WeightSet> {
        Arc::clone(&self.open().policy)
    }

    /// Resolves `policy` (also `None`), a version number or a label; the newest of equal labels.
    ///
    /// # Errors
    /// [`EngineError::UnknownWeights`].
    pub fn resolve(&self, name: Option<&str>) -> Result<Arc<WeightSet>, EngineError> {
        let mut held = self.open();
        match name {
            None | Some(Self::POLICY) => Ok(Arc::clone(&held.policy)),
            Some(name) => {
                let matches = |set: &Arc<WeightSet>| set.label == name || set.version.to_string() == name;
                let found = held.alive().into_iter().filter(matches).max_by_key(|set| set.version);
                found.ok_or_else(|| EngineError::UnknownWeights(name.into()))
            }
        }
    }

    /// Checks that `set` could become the policy.
    ///
    /// # Errors
    /// [`EngineError::IncompatibleWeights`]: another shape, or a version that does not grow.
    pub fn check(&self, set: &Arc<WeightSet>) -> Result<(), EngineError> {
        let held = self.open();
        if set.config != held.policy.config {
            return Err(EngineError::IncompatibleWeights("the model's shape differs".into()));
        }
        if set.storage.kv != held.policy.storage.kv {
            return Err(EngineError::IncompatibleWeights(format!(
                "keys and values of version {} are {}, the cache holds {}",
                set.version,
                set.storage.kv.name(),
                held.policy.storage.kv.name()
            )));
        }
        if set.version <= held.policy.version {
            return Err(EngineError::IncompatibleWeights(format!(
                "version {} does not follow version {}",
                set.version, held.policy.version
            )));
        }
        Ok(())
    }

    /// Makes `set` the policy; the old one lives on while leased or pinned.
    ///
    /// # Errors
    /// As [`WeightStore::check`]; [`EngineError::NoRoom`] until a set in use is let go.
    pub fn publish(&self, set: Arc<WeightSet>) -> Result<(), EngineError> {
        self.check(&set)?;
        let mut held = self.open();
        held.admit(&set)?;
        held.policy = set;
        Ok(())
    }

    /// A version for an adapter, if there is room for one.
    ///
    /// # Errors
    /// [`EngineError::NoRoom`] with the arithmetic.
    pub fn adapter_version(&self) -> Result<u64, EngineError> {
        let mut held = self.open();
        held.check_room()?;
        held.next_adapter += 1;
        Ok(held.next_adapter - 1)
    }

    /// Keeps `set` until it is unpinned, so that requests can name it.
    ///
    /// # Errors
    /// [`EngineError::IncompatibleWeights`]: another shape, or a version held already by another set;
    /// [`EngineError::NoRoom`].
    pub fn pin(&self, set: Arc<WeightSet>) -> Result<(), EngineError> {
        let mut held = self.open();
        if set.config != held.policy.config {
            return Err(EngineError::IncompatibleWeights("the model's shape differs".into()));
        }
        if set.storage.kv != held.policy.storage.kv {
            return Err(EngineError::IncompatibleWeights(format!(
                "keys and values of version {} are {}, the cache holds {}",
                set.version,
                set.storage.kv.name(),
                held.policy.storage.kv.name()
            )));
        }
        held.admit(&set)?;
        if !held.pinned.iter().any(|other| Arc::ptr_eq(other, &set)) {
            held.pinned.push(set);
        }
        Ok(())
    }

    /// Ends the pin of `version`; false if there was none.
    pub fn unpin(&self, version: u64) -> bool {
        let mut held = self.open();
        let before = held.pinned.len();
        held.pinned.retain(|set| set.version != version);
        held.pinned.len() < before
    }
}
