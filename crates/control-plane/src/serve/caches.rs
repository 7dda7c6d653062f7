//! Rewards of answers that came from a cache, sent on to the caches: each knows its own hits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use serde_json::json;
use ureq::Agent;

use super::line::Stored;
use super::status::Shared;
use pointsman_core::control_plane::paths;

/// Rewards that wait for one cache; beyond that, they are dropped.
const QUEUE: usize = 1024;
/// A cache that does not answer for this long is considered gone.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Rewards by result, counted per cache.
#[derive(Default)]
pub struct Forwarded {
    pub sent: AtomicU64,
    pub failed: AtomicU64,
    pub dropped: AtomicU64,
}

/// A reward for an entry of a cache.
struct Reward {
    cache_id: u64,
    reward: f32,
}

/// Sends rewards to every cache.
pub struct Caches {
    queues: Vec<SyncSender<Reward>>,
    shared: Arc<Shared>,
}

impl Caches {
    /// Starts a thread for each cache, so that one that is gone does not hold up the others. The
    /// threads end with the process: what is still queued then is not worth waiting for.
    pub fn start(addresses: &[Uri], shared: &Arc<Shared>) -> Self {
        let start = |address: &Uri| {
            let (queue, rewards) = sync_channel(QUEUE);
            let authority = address.authority().map_or("", Authority::as_str);
            let url = format!("http://{authority}{}", paths::FEEDBACK);
            let shared = Arc::clone(shared);
            std::thread::spawn(move || send_all(&url, &rewards, &shared.forwarded));
            queue
        };
        Caches { queues: addresses.iter().map(start).collect(), shared: Arc::clone(shared) }
    }

    /// Queues the reward of this line for the cache's entry, if it names one. Never waits.
    pub fn forward(&self, line: &Stored) {
        let Stored::Feedback { cache_id: Some(cache_id), reward, .. } = *line else { return };
        for queue in &self.queues {
            if queue.try_send(Reward { cache_id, reward }).is_err() {
                self.shared.forwarded.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn send_all(url: &str, rewards: &Receiver<Reward>, forwarded: &Forwarded) {
    // A cache's address is private: no proxy leads there.
    let config = Agent::config_builder().timeout_global(Some(TIMEOUT)).proxy(None);
    let agent: Agent = config.build().into();
    for Reward { cache_id, reward } in rewards {
        let body = json!({"id": format!("{cache_id:016x}"), "reward": reward}).to_string();
        let request = agent.post(url).content_type("application/json");
        // The answer is read so that its connection serves the next one.
        let sent = request.send(body).and_then(|mut answer| answer.body_mut().read_to_vec());
        let counter = if sent.is_ok() { &forwarded.sent } else { &forwarded.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
