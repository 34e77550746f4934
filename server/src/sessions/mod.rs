//! Sessions of outside agents: who a request belongs to is told by its key. Keys are kept as hashes and never shown again.

mod registry;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use svs_trainer::TrajectoryLog;
use svs_trainer::trajectory::GraderVerdict;

pub(crate) use registry::unknown_key;
pub use registry::{Ended, Sessions, Started};

use crate::error::ApiError;

/// What session keys begin with.
pub const KEY_PREFIX: &str = "sk-sess-";

tokio::task_local! {
    /// The session whose key the request carries.
    static CURRENT: Option<Arc<Lease>>;
}

/// Runs `request` as one of a session, or of none.
pub async fn within<F: Future>(lease: Option<Arc<Lease>>, request: F) -> F::Output {
    CURRENT.scope(lease, request).await
}

/// The session of the request that this task handles.
#[must_use]
pub fn current() -> Option<Arc<Lease>> {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// A session.
#[derive(Debug)]
pub struct AgentSession {
    /// Its id.
    pub id: String,
    /// Group of its trajectories.
    pub group: String,
    /// What the agent works on.
    pub task_id: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: Instant,
    /// Requests under way.
    running: usize,
    ended: bool,
    /// Trajectories by the answer that they belong to, in order.
    interactions: Vec<(String, String)>,
    /// Those that have a reward of their own.
    rewarded: BTreeSet<String>,
    /// The reward of all others.
    reward: Option<GraderVerdict>,
    /// Oldest weight version that something was sampled from.
    first_version: Option<u64>,
}

/// A request of a session under way; the session does not end before it.
#[derive(Debug)]
pub struct Lease {
    session: Arc<AgentSession>,
}

impl Lease {
    /// The session.
    #[must_use]
    pub fn session(&self) -> &AgentSession {
        &self.session
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.session.state();
        state.running = state.running.saturating_sub(1);
        state.used = Instant::now();
    }
}

impl AgentSession {
    fn new(id: String, group: String, task_id: Option<String>) -> Self {
        let state = State {
            used: Instant::now(),
            running: 0,
            ended: false,
            interactions: Vec::new(),
            rewarded: BTreeSet::new(),
            reward: None,
            first_version: None,
        };
        Self {
            id,
            group,
            task_id,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request begins, unless the session has ended.
    fn enter(self: &Arc<Self>) -> Option<Arc<Lease>> {
        let mut state = self.state();
        if state.ended {
            return None;
        }
        state.running += 1;
        Some(Arc::new(Lease {
            session: Arc::clone(self),
        }))
    }

    /// Notes a trajectory of the answer `interaction`.
    pub fn logged(&self, interaction: &str, trajectory: &str, first_version: Option<u64>) {
        let mut state = self.state();
        state.interactions.push((interaction.into(), trajectory.into()));
        state.first_version = match (state.first_version, first_version) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// Whether another request fits: neither too many trajectories, nor too old ones beside those to come.
    ///
    /// # Errors
    /// 429 `session_full` or `staleness_bound`.
    pub fn admits(&self, most: usize, served: u64, max_staleness: Option<u64>) -> Result<(), ApiError> {
        let state = self.state();
        if state.interactions.len() >= most {
            let message = format!("the session has {most} trajectories (server.max_session_trajectories); end it");
            return Err(ApiError::overloaded("session_full", message));
        }
        let behind = state.first_version.map(|first| served.saturating_sub(first));
        match (behind, max_staleness) {
            (Some(behind), Some(most)) if behind > most => {
                let message = format!(
                    "the session began {behind} weight versions ago, and the run trains on nothing older than {most} \
                     (trajectories.max_staleness); end it and start another"
                );
                Err(ApiError::overloaded("staleness_bound", message))
            }
            _ => Ok(()),
        }
    }

    /// Gives a reward to the trajectories of one answer, or, at its end, to all that have none; returns how many.
    ///
    /// # Errors
    /// 404 `interaction_not_found`, those of the log.
    pub async fn set_reward(
        &self,
        log: &TrajectoryLog,
        interaction: Option<&str>,
        finding: GraderVerdict,
    ) -> Result<usize, ApiError> {
        let named: Vec<String> = {
            let mut state = self.state();
            state.used = Instant::now();
            let Some(interaction) = interaction else {
                state.reward = Some(finding);
                return Ok(state.interactions.len() - state.rewarded.len());
            };
            let of = |(answer, trajectory): &&(String, String)| answer == interaction || trajectory == interaction;
            let found = state.interactions.iter().filter(of);
            found.map(|(_, trajectory)| trajectory.clone()).collect()
        };
        if named.is_empty() {
            let message = "the session has no such interaction; give the `id` of one of its answers";
            return Err(ApiError {
                param: Some("interaction_id".into()),
                ..ApiError::refused(StatusCode::NOT_FOUND, "interaction_not_found", message)
            });
        }
        let findings = named.iter().map(|id| (id.clone(), finding.clone()));
        log.set_rewards(findings.collect()).await?;
        let count = named.len();
        self.state().rewarded.extend(named);
        Ok(count)
    }

    /// No request may begin any more. False if some are still under way, unless `even_so`.
    fn end(&self, even_so: bool) -> bool {
        let mut state = self.state();
        if state.running > 0 && !even_so {
            return false;
        }
        state.ended = true;
        true
    }

    fn idle_for(&self) -> Option<Duration> {
        let state = self.state();
        (state.running == 0).then(|| state.used.elapsed())
    }

    /// Trajectories, and those that have no reward of their own with the session's, if it has one.
    fn remaining(&self) -> (usize, usize, Vec<(String, GraderVerdict)>) {
        let state = self.state();
        let unrewarded = state
            .interactions
            .iter()
            .filter(|(_, trajectory)| !state.rewarded.contains(trajectory));
        let findings = state.reward.iter().flat_map(|finding| {
            let given = |(_, trajectory): &(String, String)| (trajectory.clone(), finding.clone());
            unrewarded.clone().map(given)
        });
        (state.interactions.len(), state.rewarded.len(), findings.collect())
    }
}
