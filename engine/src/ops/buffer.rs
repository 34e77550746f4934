//! Large buffers, and the pages that they come in.
#![allow(unsafe_code)]

/// From so many bytes on a buffer asks for huge pages.
const LARGE: usize = 4 << 20;

/// `len` zeros in f32. Where they are many, they usually come from the system as pages that nobody has touched, so that the threads
/// which write them get them, each its own.
#[must_use]
pub fn zeros(len: usize) -> Vec<f32> {
    let mut buffer = vec![0.0; len];
    huge_pages(&mut buffer);
    buffer
}

/// Gives `buffer` `len` elements: zeros or what it held before; a larger one as [`zeros`], where [`Vec::resize`] would touch
/// all of it on one thread.
pub(crate) fn size(buffer: &mut Vec<f32>, len: usize) {
    if buffer.capacity() < len {
        // The old one first: the two need not be in memory together.
        *buffer = Vec::new();
        *buffer = zeros(len);
    }
    buffer.resize(len, 0.0);
}

/// Asks for huge pages under the memory of `buffer`, of which none should be touched yet: 2 MB of them are faulted in at
/// once instead of 4 KB, and fewer of their addresses miss the processor's tables. A system may not have any.
pub(crate) fn huge_pages<T>(buffer: &mut Vec<T>) {
    let bytes = buffer.capacity() * size_of::<T>();
    if bytes >= LARGE {
        advise(buffer.as_mut_ptr().cast(), bytes);
    }
}

#[cfg(target_os = "linux")]
fn advise(first: *mut u8, bytes: usize) {
    let page = rustix::param::page_size();
    let skipped = first.align_offset(page);
    let whole = bytes.saturating_sub(skipped) / page * page;
    // SAFETY: the range lies inside of one allocation; the advice changes neither what memory holds nor who may use it.
    let advised = unsafe {
        rustix::mm::madvise(
            first.wrapping_add(skipped).cast(),
            whole,
            rustix::mm::Advice::LinuxHugepage,
        )
    };
    // A kernel without huge pages refuses, and then nothing is lost.
    let _ = advised;
}

#[cfg(not(target_os = "linux"))]
fn advise(_first: *mut u8, _bytes: usize) {}

#[cfg(test)]
mod tests {
    use super::{LARGE, size, zeros};

    #[test]
    fn a_buffer_grows_and_shrinks_and_keeps_its_memory() {
        let mut buffer = Vec::new();
        for (len, capacity) in [(3, 3), (7, 7), (2, 7), (7, 7), (0, 7)] {
            size(&mut buffer, len);
            assert_eq!((buffer.len(), buffer.capacity()), (len, capacity));
        }
    }

    #[test]
    fn large_buffers_are_zeros_that_can_be_written() {
        for len in [0, 1, LARGE / 4 - 1, LARGE / 4, LARGE + 3] {
            let mut buffer = zeros(len);
            assert!(buffer.len() == len && buffer.iter().all(|value| *value == 0.0));
            buffer.fill(1.0);
            assert_eq!(buffer.iter().sum::<f32>() as usize, len.min(1 << 24));
        }
    }
}
