//! Who goes first: sequences by class and, within a class, by arrival.

use std::collections::{BTreeMap, BTreeSet};

use super::SeqId;

/// What a sequence is served by. Lower goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Overtaken as often as the bound allows: nothing that arrived later goes ahead any more.
    Due,
    /// The request's own priority.
    Priority(i32),
}

/// Place in the order of service.
pub(super) type Rank = (Class, SeqId);

/// Sequences that could start, in order of service.
#[derive(Debug, Default)]
pub(super) struct WaitQueue {
    classes: BTreeMap<Class, BTreeSet<SeqId>>,
}

impl WaitQueue {
    pub(super) fn insert(&mut self, (class, id): Rank) {
        self.classes.entry(class).or_default().insert(id);
    }

    pub(super) fn remove(&mut self, (class, id): Rank) {
        if let Some(ids) = self.classes.get_mut(&class) {
            ids.remove(&id);
            if ids.is_empty() {
                self.classes.remove(&class);
            }
        }
    }

    pub(super) fn contains(&self, (class, id): Rank) -> bool {
        self.classes.get(&class).is_some_and(|ids| ids.contains(&id))
    }

    pub(super) fn len(&self) -> usize {
        self.classes.values().map(BTreeSet::len).sum()
    }

    /// In order of service; the class says why.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Rank> + '_ {
        self.classes
            .iter()
            .flat_map(|(class, ids)| ids.iter().map(|id| (*class, *id)))
    }

    /// Those that arrived before `id`.
    pub(super) fn older_than(&self, id: SeqId) -> Vec<Rank> {
        let older = self.classes.iter().map(|(class, ids)| (class, ids.range(..id)));
        older.flat_map(|(class, ids)| ids.map(|id| (*class, *id))).collect()
    }
}
