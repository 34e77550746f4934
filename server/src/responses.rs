//! Stored responses: for retrieval, for conversations that go on, and to cancel what runs. Bounded in number and bytes;
//! the oldest that have ended go first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use svs_openapi::chat::Message;
use svs_openapi::responses::{Response, ResponseError};
use tokio::sync::Notify;

/// A stored response.
#[derive(Debug)]
struct Kept {
    response: Response,
    /// What was said before it, and it, without instructions.
    conversation: Arc<Vec<Message>>,
    bytes: usize,
    ended: bool,
}

#[derive(Debug, Default)]
struct Held {
    entered: u64,
    /// By order of arrival.
    kept: BTreeMap<u64, Kept>,
    places: BTreeMap<String, u64>,
    bytes: usize,
}

/// The stored responses of a server.
#[derive(Debug)]
pub struct Responses {
    held: Mutex<Held>,
    changed: Notify,
    most: usize,
    most_bytes: usize,
}

/// Why a conversation cannot go on from a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoConversation {
    /// It is not stored, or not any more.
    Unknown,
    /// It still runs.
    Running,
}

/// A response that runs. Dropped before it has ended, it is stored as failed.
#[derive(Debug)]
pub struct Draft {
    responses: Arc<Responses>,
    key: u64,
    ended: bool,
}

impl Responses {
    /// None yet; at most `most` that have ended and `most_bytes` of them.
    #[must_use]
    pub fn new(most: usize, most_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            held: Mutex::default(),
            changed: Notify::new(),
            most,
            most_bytes,
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while the lock is held, so a poisoned one is still consistent.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a response that begins to run after `conversation`.
    #[must_use]
    pub fn begin(self: &Arc<Self>, response: Response, conversation: Vec<Message>) -> Draft {
        let mut held = self.held();
        held.entered += 1;
        let key = held.entered;
        held.places.insert(response.id.clone(), key);
        let kept = Kept {
            bytes: bytes(&response, &conversation),
            conversation: Arc::new(conversation),
            response,
            ended: false,
        };
        held.bytes += kept.bytes;
        held.kept.insert(key, kept);
        self.evict(&mut held);
        Draft {
            responses: Arc::clone(self),
            key,
            ended: false,
        }
    }

    /// The response with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Response> {
        let held = self.held();
        held.places.get(id).map(|key| held.kept[key].response.clone())
    }

    /// What has been said up to and with a response.
    ///
    /// # Errors
    /// [`NoConversation`].
    pub fn conversation(&self, id: &str) -> Result<Arc<Vec<Message>>, NoConversation> {
        let held = self.held();
        let kept = held.places.get(id).map(|key| &held.kept[key]);
        match kept {
            None => Err(NoConversation::Unknown),
            Some(kept) if !kept.ended => Err(NoConversation::Running),
            Some(kept) => Ok(Arc::clone(&kept.conversation)),
        }
    }

    /// Forgets a response; false if there was none. One that runs goes on, unheard of.
    pub fn remove(&self, id: &str) -> bool {
        let mut held = self.held();
        let key = held.places.get(id).copied();
        key.is_some_and(|key| held.remove(key))
    }

    /// The response with this id when it has ended, or `None` when it is not stored any more.
    pub async fn ended(&self, id: &str) -> Option<Response> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on a change is heard.
            changed.as_mut().enable();
            {
                let held = self.held();
                let kept = held.places.get(id).map(|key| &held.kept[key])?;
                if kept.ended {
                    return Some(kept.response.clone());
                }
            }
            changed.await;
        }
    }

    /// Removes the oldest that have ended until the bounds hold.
    fn evict(&self, held: &mut Held) {
        while held.kept.len() > self.most || held.bytes > self.most_bytes {
            let oldest = held.kept.iter().find(|(_, kept)| kept.ended).map(|(key, _)| *key);
            // What runs is bounded by what the engine takes in.
            let Some(key) = oldest else { return };
            held.remove(key);
        }
    }
}

impl Held {
    fn remove(&mut self, key: u64) -> bool {
        let Some(kept) = self.kept.remove(&key) else {
            return false;
        };
        self.bytes -= kept.bytes;
        self.places.remove(&kept.response.id);
        true
    }
}

impl Draft {
    /// Stores how it has ended, and what was said last. Nothing happens if it was removed meanwhile.
    pub fn end(mut self, response: &Response, said: Option<Message>) {
        self.ended = true;
        self.put(response.clone(), said);
    }

    fn put(&self, response: Response, said: Option<Message>) {
        let responses = &self.responses;
        let mut held = responses.held();
        if let Some(kept) = held.kept.get_mut(&self.key) {
            Arc::make_mut(&mut kept.conversation).extend(said);
            (kept.response, kept.ended) = (response, true);
            let now = bytes(&kept.response, &kept.conversation);
            let before = std::mem::replace(&mut kept.bytes, now);
            held.bytes = held.bytes - before + now;
            responses.evict(&mut held);
        }
        drop(held);
        responses.changed.notify_waiters();
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let held = self.responses.held();
        let Some(mut response) = held.kept.get(&self.key).map(|kept| kept.response.clone()) else {
            return;
        };
        drop(held);
        response.status = "failed".into();
        response.error = Some(ResponseError {
            code: "server_error".into(),
            message: "it was broken off: its client left, or the server failed".into(),
        });
        self.put(response, None);
    }
}

/// Bytes that count for what is stored: those of its JSON.
fn bytes(response: &Response, conversation: &[Message]) -> usize {
    let of = |text: serde_json::Result<String>| text.map_or(0, |text| text.len());
    of(serde_json::to_string(response)) + of(serde_json::to_string(conversation))
}
