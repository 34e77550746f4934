//! An ordinary API client that keeps asking while the policy is being trained, to show that serving never stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time between two requests.
const PERIOD: Duration = Duration::from_millis(500);
/// A request that takes longer counts as failed.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Counts of the client.
#[derive(Debug, Default)]
pub struct Tally {
    answered: AtomicU64,
    failed: AtomicU64,
    slowest_ms: AtomicU64,
    last_version: AtomicU64,
}

impl Tally {
    /// Requests answered with status 200.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Requests refused, broken or timed out.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Longest time to a whole answer, in milliseconds.
    #[must_use]
    pub fn slowest_ms(&self) -> u64 {
        self.slowest_ms.load(Ordering::Relaxed)
    }

    /// Weight version of the last answer.
    #[must_use]
    pub fn last_version(&self) -> u64 {
        self.last_version.load(Ordering::Relaxed)
    }
}

/// A client on its own thread; stops when asked or dropped.
#[derive(Debug)]
pub struct Client {
    stop: Arc<AtomicBool>,
    tally: Arc<Tally>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts asking `address` the `questions` in turn.
    #[must_use]
    pub fn start(address: SocketAddr, questions: Vec<String>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tally = Arc::new(Tally::default());
        let (stop_seen, tally_kept) = (Arc::clone(&stop), Arc::clone(&tally));
        let thread = std::thread::spawn(move || {
            let agent =
                ureq::Agent::new_with_config(ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build());
            for question in questions.iter().cycle() {
                if stop_seen.load(Ordering::Relaxed) {
                    return;
                }
                ask(&agent, address, question, &tally_kept);
                std::thread::park_timeout(PERIOD);
            }
        });
        Self {
            stop,
            tally,
            thread: Some(thread),
        }
    }

    /// Counts so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Stops after the request in flight.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic of the client would already have shown as missing answers; there is nothing to add here.
            let _ = thread.join();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop();
    }
}

fn ask(agent: &ureq::Agent, address: SocketAddr, question: &str, tally: &Tally) {
    let started = Instant::now();
    let body = serde_json::json!({
        "model": "svs",
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 48,
        "store": false,
    });
    let answer = agent
        .post(format!("http://{address}/v1/chat/completions"))
        .send_json(&body)
        .and_then(|mut response| response.body_mut().read_json::<serde_json::Value>());
    match answer {
        Ok(answer) => {
            tally.answered.fetch_add(1, Ordering::Relaxed);
            if let Some(version) = answer["weight_version"].as_u64() {
                tally.last_version.store(version, Ordering::Relaxed);
            }
        }
        Err(_) => {
            tally.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tally.slowest_ms.fetch_max(elapsed_ms, Ordering::Relaxed);
}
