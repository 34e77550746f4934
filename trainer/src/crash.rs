//! Points at which a process can be told to die, so that what survives a death there can be tested.
//!
//! `SVS_DIE_AT=<point>:<n>` kills the process, as `kill -9` from outside would, when it comes to that point the n-th time.
//! Without it a point costs one load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Environment variable that arms a point.
pub const VARIABLE: &str = "SVS_DIE_AT";

/// Where a process can die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A group has been sampled and not graded.
    Rollout,
    /// A group has been graded and not logged.
    Verify,
    /// The log has written a transaction and not committed it.
    LogCommit,
    /// Gradients are there, the optimizer has not stepped.
    Backward,
    /// The optimizer has stepped, the weights are not served yet.
    Publish,
    /// New weights are served; the run does not remember the step, nor does the log have its marks.
    Mark,
    /// In the middle of a file of a checkpoint.
    CheckpointWrite,
    /// All files of a checkpoint are there but its manifest.
    Manifest,
    /// A checkpoint is complete under its temporary name.
    CheckpointRename,
    /// A step is done and not in the history.
    History,
}

impl Point {
    /// Every point, with its name in the environment.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Rollout, "rollout"),
        (Self::Verify, "verify"),
        (Self::LogCommit, "log_commit"),
        (Self::Backward, "backward"),
        (Self::Publish, "publish"),
        (Self::Mark, "mark"),
        (Self::CheckpointWrite, "checkpoint_write"),
        (Self::Manifest, "manifest"),
        (Self::CheckpointRename, "checkpoint_rename"),
        (Self::History, "history"),
    ];
}

/// Dies here, if that was asked for.
pub(crate) fn point(here: Point) {
    static ARMED: OnceLock<Option<(Point, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Some((at, count)) = ARMED.get_or_init(armed) else {
        return;
    };
    if *at == here && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *count {
        let own = std::process::id().to_string();
        let _ = std::process::Command::new("kill").args(["-KILL", &own]).status();
        // Not reached where there is a `kill`.
        std::process::abort();
    }
}

/// What the environment asks for. A point that does not exist is an error in a test, which must not pass for one.
fn armed() -> Option<(Point, u64)> {
    let text = std::env::var(VARIABLE).ok()?;
    let armed = parse(&text);
    assert!(
        armed.is_some(),
        "{VARIABLE}={text}: must be one of the points, `:` and a number from 1"
    );
    armed
}

fn parse(text: &str) -> Option<(Point, u64)> {
    let (name, count) = text.split_once(':')?;
    let (point, _) = Point::ALL.into_iter().find(|(_, known)| *known == name)?;
    Some((point, count.parse().ok().filter(|count| *count > 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_points_arm() {
        assert_eq!(parse("publish:2"), Some((Point::Publish, 2)));
        for text in ["", "publish", "publish:", "publish:x", "publish:0", "lunch:1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
