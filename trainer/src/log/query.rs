//! What readers ask of the log: closed groups for the trainer, pages for people.

use serde::{Deserialize, Serialize};

use crate::trajectory::{Group, Kind, Trajectory};

/// Which closed groups to read.
///
/// A group closes when `group_size` members have arrived, or by [`super::TrajectoryLog::close_expired`] with what it
/// has. Closing takes a sequence number of its own place in the log, so a cursor over `closed_seq` never misses a group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupQuery {
    /// Only groups closed after this sequence number; 0 reads from the start.
    pub after_seq: i64,
    /// Only groups closed at or before this one; `None` is the end. Freezing it makes a step repeatable.
    pub until_seq: Option<i64>,
    /// Most groups returned.
    pub limit: usize,
    /// Kinds wanted; empty means all.
    pub kinds: Vec<Kind>,
    /// Leave out groups any member of which is marked trained.
    pub untrained_only: bool,
}

impl Default for GroupQuery {
    fn default() -> Self {
        Self {
            after_seq: 0,
            until_seq: None,
            limit: 256,
            kinds: Vec::new(),
            untrained_only: false,
        }
    }
}

/// A closed group and where it stands in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosedGroup {
    /// The members by log sequence number.
    pub group: Group,
    /// When it closed, in log order; unique.
    pub closed_seq: i64,
    /// It closed at the timeout with fewer members than declared.
    pub expired: bool,
    /// Members whose rows cannot be read; they are not among the group's.
    pub unreadable: usize,
}

/// Which trajectories to list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only trajectories before this sequence number; `None` starts at the newest.
    pub before_seq: Option<i64>,
    /// Most rows returned (at most 1000).
    pub limit: usize,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only this problem.
    pub problem_id: Option<String>,
}

/// A trajectory as listed.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedTrajectory {
    /// Log sequence number.
    pub seq: i64,
    /// The record.
    pub trajectory: Trajectory,
    /// Seconds since the epoch of the update that used it, if one did (derived; the checkpoint is the truth).
    pub trained_at: Option<f64>,
    /// The run that used it.
    pub trained_by: Option<String>,
}

/// Groups that have not closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenGroups {
    /// How many.
    pub count: u64,
    /// Members and declared size of the one that opened first.
    pub oldest: Option<(u32, u32)>,
}

/// Sizes and counters of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStats {
    /// Trajectories held.
    pub rows: u64,
    /// Payload bytes held.
    pub bytes: u64,
    /// Groups still open.
    pub open_groups: u64,
    /// Last sequence number given out.
    pub last_seq: i64,
    /// Trajectories removed by retention since the log was opened.
    pub evicted: u64,
    /// Of these, never trained on.
    pub evicted_untrained: u64,
}
