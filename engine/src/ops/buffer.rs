//! Buffers of a pass, kept for the next one.

/// Gives `buffer` `len` elements: zeros or what it held before. A larger buffer comes from the system as pages that nobody has
/// touched, so that the threads which write it get them, each its own; [`Vec::resize`] would touch them all on one.
pub(crate) fn size(buffer: &mut Vec<f32>, len: usize) {
    if buffer.capacity() < len {
        // The old one first: the two need not be in memory together.
        *buffer = Vec::new();
        *buffer = vec![0.0; len];
    }
    buffer.resize(len, 0.0);
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_buffer_grows_and_shrinks_and_keeps_its_memory() {
        let mut buffer = Vec::new();
        for (len, capacity) in [(3, 3), (7, 7), (2, 7), (7, 7), (0, 7)] {
            size(&mut buffer, len);
            assert_eq!((buffer.len(), buffer.capacity()), (len, capacity));
        }
    }
}
