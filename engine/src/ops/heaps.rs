//! How many heaps the process has. glibc makes up to eight a core and gives each new thread another: weights that are loaded,
//! published and dropped by ever other threads leave holes in all of them, which only later allocations of the same heap fill.
#![allow(unsafe_code)]

/// Lets the process have one heap a core, and says whether the system took that: only glibc has such heaps. To be called
/// before threads start.
pub fn one_a_core() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    limit(i32::try_from(cores).unwrap_or(i32::MAX))
}

/// Gives the pages of holes between allocations back to the system, and says whether there were any: glibc keeps them, and
/// weights come and go in holes that ever other requests tear up.
pub fn give_back() -> bool {
    trim()
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn trim() -> bool {
    // SAFETY: the call takes a number and touches only memory that nobody has allocated, under the heaps' own locks.
    unsafe { libc::malloc_trim(0) == 1 }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() -> bool {
    false
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn limit(heaps: i32) -> bool {
    // SAFETY: the call takes two numbers and changes neither memory that is allocated nor who may use it.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, heaps) == 1 }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn limit(_heaps: i32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::{give_back, one_a_core};

    const GLIBC: bool = cfg!(all(target_os = "linux", target_env = "gnu"));

    #[test]
    fn glibc_takes_the_limit() {
        assert_eq!(one_a_core(), GLIBC);
    }

    #[test]
    fn holes_between_allocations_are_given_back() {
        let mut pieces: Vec<Vec<u8>> = (0..1024).map(|_| vec![1; 64 << 10]).collect();
        let mut nth = 0;
        pieces.retain(|_| {
            nth += 1;
            nth % 16 == 0
        });
        assert_eq!(give_back(), GLIBC);
        assert!(pieces.iter().flatten().all(|byte| *byte == 1));
    }
}
