//! The lower of two lanes over the same cores: serving runs at the normal priority, training below it.

use crate::error::EngineError;

/// What each step of niceness multiplies a thread's weight by in Linux's scheduler.
const WEIGHT_STEP: f64 = 1.25;
/// The largest niceness.
const MOST: i32 = 19;

/// Niceness at which a thread keeps `share` of a core against a thread of normal priority.
fn niceness(share: f64) -> i32 {
    let weight = share / (1.0 - share);
    // Within 0..=19, so the conversion is exact.
    (-weight.ln() / WEIGHT_STEP.ln()).round().clamp(0.0, f64::from(MOST)) as i32
}

/// Puts this thread, and those that it starts from now on, behind the threads that serve: while these have work, each
/// core gives it about `share` (0 to 0.5) of its time, and all of it otherwise. Elsewhere than on Linux nothing changes.
///
/// # Errors
/// [`EngineError::Stopped`] if the system refuses.
pub fn behind_serving(share: f64) -> Result<(), EngineError> {
    let niceness = niceness(share);
    #[cfg(target_os = "linux")]
    // On Linux "this process" is the calling thread.
    rustix::process::setpriority_process(None, niceness)
        .map_err(|error| EngineError::Stopped(format!("cannot lower the trainer's priority: {error}")))?;
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_weights_of_the_scheduler() {
        for (share, want) in [(0.5, 0), (0.2, 6), (0.1, 10), (0.05, 13), (0.01, 19), (0.0, 19)] {
            assert_eq!(niceness(share), want, "{share}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_and_its_children_go_behind_and_others_stay() {
        let own = || rustix::process::getpriority_process(None).expect("a priority");
        let before = own();
        let behind = std::thread::spawn(move || {
            behind_serving(0.1).expect("lowered");
            (own(), std::thread::spawn(own).join().expect("ends"))
        });
        let want = 10.max(before);
        assert_eq!(behind.join().expect("ends"), (want, want));
        assert_eq!(own(), before);
    }
}
