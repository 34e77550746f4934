//! Sessions of outside agents: a key for each, rewards for what was sampled under it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of `POST /rl/start_session`; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StartSession {
    /// What the agent works on, for the log: the problem of its trajectories. At most 256 characters.
    pub task_id: Option<String>,
    /// Sessions whose trajectories are compared with each other; a group of its own by default. At most 256 characters.
    pub group: Option<String>,
    /// Sessions in that group, 1 to 1024: it closes when so many have ended. Default 1.
    pub group_size: Option<u32>,
    /// Only null: the server makes the key.
    pub api_key: Option<String>,
}

/// A session has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionStarted {
    /// Its id, as trajectories name it.
    pub session_id: String,
    /// Bearer token of the requests that belong to it. Shown once.
    pub api_key: String,
    /// Group of its trajectories.
    pub group: String,
}

/// Body of `POST /rl/set_reward`, with the key of the session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetReward {
    /// The reward, between -1e6 and 1e6.
    pub reward: f64,
    /// The `id` of an answer, or of a trajectory; null: everything of the session that has no reward of its own when it ends.
    pub interaction_id: Option<String>,
    /// Why, at most 2000 characters.
    pub explanation: Option<String>,
}

/// A reward is noted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RewardSet {
    /// The session.
    pub session_id: String,
    /// Trajectories that have it now; with a null `interaction_id` those that will have it when the session ends.
    pub trajectories: usize,
}

/// A session has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionEnded {
    /// The session.
    pub session_id: String,
    /// Its trajectories.
    pub trajectories: usize,
    /// Those that have a reward.
    pub rewarded: usize,
    /// Whether their group closed with it.
    pub group_closed: bool,
}
