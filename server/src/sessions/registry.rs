//! The sessions that there are, by the hash of their keys, and the groups that they fill.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use sha2::{Digest, Sha256};
use svs_trainer::TrajectoryLog;
use svs_trainer::log::LogError;
use uuid::Uuid;

use super::{AgentSession, KEY_PREFIX, Lease};
use crate::error::ApiError;

type KeyHash = [u8; 32];

/// Time between looks for sessions that nobody uses any more, at most.
const SWEEP: Duration = Duration::from_secs(10);
/// How long the end of a session waits for its last request, and how often it looks.
const END_PATIENCE: Duration = Duration::from_secs(1);
const END_POLL: Duration = Duration::from_millis(5);

/// The sessions of a server.
#[derive(Debug)]
pub struct Sessions {
    held: Mutex<Held>,
    max_sessions: usize,
    idle: Duration,
    log: TrajectoryLog,
}

#[derive(Debug, Default)]
struct Held {
    sessions: HashMap<KeyHash, Arc<AgentSession>>,
    groups: HashMap<String, Filling>,
    sweeping: bool,
}

/// A group that sessions fill.
#[derive(Debug, Clone, Copy)]
struct Filling {
    /// Sessions that it is for.
    size: u32,
    begun: u32,
    ended: u32,
    /// When one last began or ended.
    changed: Instant,
}

/// A session that began.
#[derive(Debug)]
pub struct Started {
    /// The session.
    pub session: Arc<AgentSession>,
    /// Its key; kept nowhere.
    pub key: String,
}

/// A session that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its trajectories.
    pub trajectories: usize,
    /// Those that have a reward.
    pub rewarded: usize,
    /// Whether their group closed with it.
    pub group_closed: bool,
}

fn hash(key: &[u8]) -> KeyHash {
    Sha256::digest(key).into()
}

fn busy() -> ApiError {
    let message = "requests of the session are under way; end it when they are answered";
    ApiError::refused(StatusCode::CONFLICT, "session_busy", message).try_again()
}

impl Sessions {
    /// No session yet; at most `max_sessions` at once, each ended when it was not used for `idle`.
    #[must_use]
    pub fn new(log: TrajectoryLog, max_sessions: usize, idle: Duration) -> Arc<Self> {
        Arc::new(Self {
            held: Mutex::default(),
            max_sessions,
            idle,
            log,
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many groups are being made, unless `group` is one of them.
    #[must_use]
    pub fn groups_beside(&self, group: Option<&str>) -> Option<usize> {
        let held = self.held();
        let joins = group.is_some_and(|group| held.groups.contains_key(group));
        (!joins).then_some(held.groups.len())
    }

    /// Begins a session in `group`, which is for `size` of them; in one of its own without.
    ///
    /// # Errors
    /// 429 `overloaded`, 409 `group_full`.
    pub fn start(
        self: &Arc<Self>,
        task_id: Option<String>,
        group: Option<String>,
        size: u32,
    ) -> Result<Started, ApiError> {
        let mut held = self.held();
        if held.sessions.len() >= self.max_sessions {
            let message = format!("{} sessions are open (server.max_sessions)", self.max_sessions);
            return Err(ApiError::overloaded("overloaded", message));
        }
        let id = format!("sess-{}", Uuid::new_v4().simple());
        let group = group.unwrap_or_else(|| id.clone());
        if held.groups.len() >= self.max_sessions && !held.groups.contains_key(&group) {
            let message = format!(
                "{} groups of sessions are open or wait for the rest of their sessions (server.max_sessions)",
                self.max_sessions
            );
            return Err(ApiError::overloaded("overloaded", message));
        }
        let filling = held.groups.entry(group.clone()).or_insert(Filling {
            size,
            begun: 0,
            ended: 0,
            changed: Instant::now(),
        });
        if filling.begun >= filling.size || filling.size != size {
            let Filling { size: first, begun, .. } = *filling;
            let message = format!("group `{group}` was declared for {first} sessions, {begun} of which have begun");
            return Err(ApiError::refused(StatusCode::CONFLICT, "group_full", message));
        }
        filling.begun += 1;
        filling.changed = Instant::now();
        // 244 random bits of the system's generator.
        let key = format!("{KEY_PREFIX}{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let session = Arc::new(AgentSession::new(id, group, task_id));
        held.sessions.insert(hash(key.as_bytes()), Arc::clone(&session));
        if !std::mem::replace(&mut held.sweeping, true) {
            drop(tokio::spawn(sweep(Arc::downgrade(self), self.idle.min(SWEEP))));
        }
        Ok(Started { session, key })
    }

    /// The session of a key, for one more request.
    #[must_use]
    pub fn enter(&self, key: &[u8]) -> Option<Arc<Lease>> {
        // Found by its hash: how long that takes tells nothing of a key.
        let session = self.held().sessions.get(&hash(key)).cloned();
        session.and_then(|session| session.enter())
    }

    /// Ends the session of a key: what has no reward of its own gets the session's, and the group closes with its last one.
    ///
    /// # Errors
    /// 401 `invalid_api_key`, 409 `session_busy`, those of the log.
    pub async fn end(&self, key: &[u8]) -> Result<(Arc<AgentSession>, Ended), ApiError> {
        let hash = hash(key);
        let found = self.held().sessions.get(&hash).cloned();
        let session = found.ok_or_else(unknown_key)?;
        // An answer may arrive before the request that it ends is let go of here.
        let asked = Instant::now();
        while !session.end(false) {
            if asked.elapsed() >= END_PATIENCE {
                return Err(busy());
            }
            tokio::time::sleep(END_POLL).await;
        }
        let ended = self.finish(hash, &session).await?;
        Ok((session, ended))
    }

    /// Writes the last rewards of a session that takes no more requests, and forgets it.
    async fn finish(&self, hash: KeyHash, session: &AgentSession) -> Result<Ended, ApiError> {
        let (trajectories, mut rewarded, findings) = session.remaining();
        rewarded += findings.len();
        if !findings.is_empty() {
            match self.log.set_missing_rewards(findings).await {
                Ok(()) => {}
                // One cannot be read or changed: that must not keep the group open.
                Err(error @ (LogError::Unreadable { .. } | LogError::Trained(_))) => {
                    tracing::warn!(session = session.id, %error, "a session's reward could not be written");
                }
                Err(error) => return Err(error.into()),
            }
        }
        let whole = {
            let mut held = self.held();
            let known = held.sessions.remove(&hash).is_some();
            let filling = held.groups.get_mut(&session.group).filter(|_| known);
            filling.is_some_and(|filling| {
                filling.ended += 1;
                filling.changed = Instant::now();
                filling.ended >= filling.size
            })
        };
        let mut group_closed = false;
        if whole {
            group_closed = self.close(&session.group).await?;
        }
        Ok(Ended {
            trajectories,
            rewarded,
            group_closed,
        })
    }

    async fn close(&self, group: &str) -> Result<bool, ApiError> {
        // Forgotten once it is closed, so that a failure is tried again at a later look.
        let closed = self.log.close_group(group).await?;
        self.held().groups.remove(group);
        Ok(closed)
    }

    /// Ends the sessions that nobody used for long, and the groups whose other sessions never came.
    async fn expire(&self) {
        let expired: Vec<(KeyHash, Arc<AgentSession>)> = {
            let held = self.held();
            let idle = |session: &AgentSession| session.idle_for().is_some_and(|idle| idle >= self.idle);
            let expired = held.sessions.iter().filter(|(_, session)| idle(session));
            expired.map(|(hash, session)| (*hash, Arc::clone(session))).collect()
        };
        for (hash, session) in expired {
            if !session.end(false) {
                continue;
            }
            tracing::info!(session = session.id, "a session was not used for long and has ended");
            if let Err(error) = self.finish(hash, &session).await {
                // It is tried again at the next look.
                tracing::warn!(
                    session = session.id,
                    message = error.message,
                    "a session could not be ended"
                );
            }
        }
        let left: Vec<String> = {
            let held = self.held();
            let done = |filling: &Filling| filling.ended == filling.begun && filling.changed.elapsed() >= self.idle;
            let left = held.groups.iter().filter(|(_, filling)| done(filling));
            left.map(|(group, _)| group.clone()).collect()
        };
        for group in left {
            tracing::info!(group, "a group of sessions closes with what it has");
            if let Err(error) = self.close(&group).await {
                tracing::warn!(
                    group,
                    message = error.message,
                    "a group of sessions could not be closed"
                );
            }
        }
    }
}

/// The refusal of a key that no session has.
pub(crate) fn unknown_key() -> ApiError {
    ApiError {
        kind: "authentication_error",
        ..ApiError::refused(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            "no session has this key, or it has ended",
        )
    }
}

/// Looks for what is left over, as long as there are sessions to look after.
async fn sweep(sessions: std::sync::Weak<Sessions>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(sessions) = sessions.upgrade() else { return };
        sessions.expire().await;
    }
}
