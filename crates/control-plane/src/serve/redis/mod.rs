//! State in Redis or Valkey, for several processes at once, any of which may end at any time.
//!
//! ```text
//! any replica: post ─► attribute.lua: pending decisions, each reward once ─► stream of lessons
//! every replica, as a consumer of one group: entries ─► sums; sum_up.lua: sums in, entries
//!                                            acknowledged, both or neither
//! the leader: sums ─► controller ─► publish.lua: state, snapshot, events, sums out, all or nothing
//! every replica: snapshot ─► filters
//! ```
//!
//! A script is atomic, and each checks that what it takes away is still its own: an entry that was
//! claimed by another, or a lead that was lost, leaves everything as it is. So an effect happens
//! once however often an entry is delivered.

mod leader;
mod lesson;
mod replica;
mod writer;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use redis::{Client, Connection, RedisError, RedisResult, cmd};

use super::Options;
use super::caches::Caches;
use super::learning::{self, Learner};
use super::status::Shared;
use super::writer::Handle;
use crate::bandit::Learners;
use pointsman_core::features::digest_of;
use pointsman_core::policy::bandit::Snapshot;

/// All keys have the same hash tag: a script may touch keys of one slot only.
const LESSONS: &str = "{pointsman}:lessons";
const SUMS: &str = "{pointsman}:sums";
const LEADER: &str = "{pointsman}:leader";
const STATE: &str = "{pointsman}:state";
const SNAPSHOT: &str = "{pointsman}:snapshot";
const EVENTS: &str = "{pointsman}:events";
const ORDERS: &str = "{pointsman}:orders";
const TOTALS: &str = "{pointsman}:totals";
const POLICY: &str = "{pointsman}:policy";
const PENDING: &str = "{pointsman}:d:";
const RECENT: &str = "{pointsman}:recent:";
const ANSWERS: &str = "{pointsman}:answer:";
/// Raised whenever lessons, sums or state look otherwise.
const LAYOUT: u32 = 2;
/// The consumer group of all replicas.
const GROUP: &str = "learners";

/// A server that does not answer for so long is taken for gone.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Why a server is of no use.
#[derive(Debug, thiserror::Error)]
pub enum RedisStoreError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("what it holds is for other targets, penalties or features; use another database")]
    OtherPolicy,
}

/// A Redis or Valkey.
#[derive(Clone)]
struct Server {
    client: Client,
    /// Digest of everything that gives sums their meaning.
    policy: String,
}

impl Server {
    fn new(url: &str, learners: &Learners) -> RedisResult<Self> {
        let Snapshot { context_hash, targets, penalties, .. } = learners.snapshot();
        let meaning = format!("{LAYOUT} {context_hash} {targets:?} {penalties:?}");
        let url = url.replacen("valkey://", "redis://", 1);
        Ok(Server { client: Client::open(url)?, policy: digest_of(meaning.as_bytes()) })
    }

    /// A connection to a server that holds, or now begins to hold, this policy's state.
    fn connect(&self) -> Result<Connection, RedisStoreError> {
        let mut connection = self.client.get_connection_with_timeout(TIMEOUT)?;
        connection.set_read_timeout(Some(TIMEOUT))?;
        connection.set_write_timeout(Some(TIMEOUT))?;
        cmd("SET").arg(POLICY).arg(&self.policy).arg("NX").exec(&mut connection)?;
        let policy: String = cmd("GET").arg(POLICY).query(&mut connection)?;
        if policy != self.policy {
            return Err(RedisStoreError::OtherPolicy);
        }
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(LESSONS).arg(GROUP).arg("0").arg("MKSTREAM");
        match create.exec(&mut connection) {
            Err(error) if error.code() != Some("BUSYGROUP") => Err(error.into()),
            _ => Ok(connection),
        }
    }

    /// What makes the server forget what it acknowledged, if it tells.
    fn weakness(&self, connection: &mut Connection) -> Option<String> {
        let mut setting = |name: &str| -> Option<String> {
            let answer: Vec<String> = cmd("CONFIG").arg("GET").arg(name).query(connection).ok()?;
            answer.into_iter().nth(1)
        };
        [("appendonly", "yes"), ("appendfsync", "always")].into_iter().find_map(|(name, wanted)| {
            let found = setting(name)?;
            (found != wanted).then(|| format!("{name} is {found}, not {wanted}"))
        })
    }
}

/// Starts the threads of a replica.
///
/// # Errors
///
/// When the server cannot be reached or holds another policy's state.
pub fn start(
    url: &str,
    options: &Options,
    learners: Learners,
    shared: &Arc<Shared>,
    caches: Caches,
) -> Result<(Handle, Learner, Vec<JoinHandle<()>>), RedisStoreError> {
    let server = Server::new(url, &learners)?;
    let mut connection = server.connect()?;
    if let Some(weakness) = server.weakness(&mut connection) {
        shared.warn(format!("{weakness}: what was acknowledged may be lost when it dies"));
    }
    let (learner, tasks) = learning::channel();
    let replica = replica::Replica::new(server.clone(), learners, Arc::clone(shared), tasks);
    let (handle, jobs) = Handle::channel();
    let writer = writer::Writer::new(server, options.attribution, learner.clone(), caches);
    let threads =
        vec![std::thread::spawn(move || writer.run(&jobs)), std::thread::spawn(|| replica.run())];
    Ok((handle, learner, threads))
}
