//! Many short lists in two allocations that are kept from step to step.

/// Lists of values, in the order in which they were added.
#[derive(Debug)]
pub(super) struct Lists<T> {
    values: Vec<T>,
    /// Where each list ends in `values`.
    ends: Vec<usize>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        let (values, ends) = (Vec::new(), Vec::new());
        Self { values, ends }
    }
}

impl<T> Lists<T> {
    /// No lists; the memory stays.
    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.ends.clear();
    }

    /// Adds a list.
    pub(super) fn push(&mut self, list: impl IntoIterator<Item = T>) {
        self.values.extend(list);
        self.ends.push(self.values.len());
    }

    /// The lists.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[T]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.values[start..*end])
    }

    /// Values of all lists together.
    pub(super) fn total(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_as_they_were_added() {
        let mut lists = Lists::default();
        for added in [&[&[1, 2][..], &[], &[3]][..], &[&[], &[4]], &[]] {
            lists.clear();
            added.iter().for_each(|list| lists.push(list.iter().copied()));
            assert_eq!(lists.iter().collect::<Vec<&[i32]>>(), added);
            assert_eq!(lists.total(), added.iter().map(|list| list.len()).sum::<usize>());
        }
    }
}
