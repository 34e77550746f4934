//! How many heaps the process has. glibc makes up to eight a core and gives each new thread another: weights that are loaded,
//! published and dropped by ever other threads leave holes in all of them, which only later allocations of the same heap fill.
#![allow(unsafe_code)]

/// Lets the process have one heap a core, and says whether the system took that: only glibc has such heaps. To be called
/// before threads start.
pub fn one_a_core() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    limit(i32::try_from(cores).unwrap_or(i32::MAX))
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
    #[test]
    fn glibc_takes_the_limit() {
        assert_eq!(super::one_a_core(), cfg!(all(target_os = "linux", target_env = "gnu")));
    }
}
