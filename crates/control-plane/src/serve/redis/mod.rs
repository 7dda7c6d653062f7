//! State in Redis or Valkey, for several processes at once, any of which may end at any time.
//!
//! ```text
//! any replica: post ─► attribute.lua: pending decisions, each reward once ─► stream of updates
//! every replica, as a consumer of one group: entries ─► sums; sum_up.lua: sums in, entries
//!                                            acknowledged, both or neither
//! the leader: sums ─► controller ─► publish.lua: state, snapshot, events, sums out, all or nothing
//! every replica: snapshot ─► filters
//! ```
//!
//! A script is atomic, and each checks that what it takes away is still its own: an entry that was
//! claimed by another, or a lead that was lost, leaves everything as it is. So an effect happens
//! once however often an entry is delivered.

pub(super) mod journal;
mod leader;
mod replica;
mod sums;

use std::sync::Arc;
use std::time::Duration;

use redis::streams::StreamId;
use redis::{Client, Connection, RedisError, RedisResult, cmd};
use sha1_smol::Sha1;

use self::journal::{RedisJournal, Writer};
use self::replica::Replica;
pub use self::sums::Sums;
use super::caches::Caches;
use super::journal::Handle;
use super::layout::decode_updates;
use super::learning;
use super::options::Options;
use super::rules::Rules;
use super::status::{Shared, Topic};
use super::threads::Threads;
use crate::bandit::{Learners, Update};
use pointsman_core::features::digest_of;
use pointsman_core::policy::bandit::Snapshot;

/// All keys have the same hash tag: a script may touch keys of one slot only. The stream keeps the
/// name under which servers hold it.
pub const UPDATES: &str = "{pointsman}:lessons";
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
/// Raised whenever the bytes of updates, sums or state change.
const LAYOUT: u32 = 2;
/// The consumer group of all replicas.
const GROUP: &str = "learners";

/// A server that does not answer for this long is considered gone.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Why a server was rejected.
#[derive(Debug, thiserror::Error)]
pub enum RedisStoreError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error(
        "the database belongs to a run with other targets, penalties or features; use another one"
    )]
    OtherPolicy,
}

/// A Redis or Valkey.
#[derive(Clone)]
pub struct Server {
    client: Client,
    /// Digest of everything that gives sums their meaning.
    policy: String,
}

impl Server {
    /// The server at an address, which must hold the state of these learners' policy, or none.
    pub fn new(url: &str, learners: &Learners) -> RedisResult<Self> {
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
        create.arg("CREATE").arg(UPDATES).arg(GROUP).arg("0").arg("MKSTREAM");
        match create.exec(&mut connection) {
            Err(error) if error.code() != Some("BUSYGROUP") => Err(error.into()),
            _ => Ok(connection),
        }
    }

    /// The setting that lets the server forget what it acknowledged, if it reports one.
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

/// The updates of an entry of the stream, if it is what the script wrote. Entries of the version
/// before have no checksum.
pub(super) fn updates_of(entry: &StreamId, rules: &Rules) -> Option<Vec<Update>> {
    let bytes: Vec<u8> = entry.get("l")?;
    let checksum: Option<String> = entry.get("c");
    let whole = checksum.is_none_or(|checksum| Sha1::from(&bytes).digest().to_string() == checksum);
    whole.then(|| decode_updates(&bytes, rules)).flatten()
}

/// Starts the threads of a replica.
///
/// # Errors
///
/// When the server cannot be reached or holds another policy's state.
pub fn start(
    url: &str,
    options: &Options,
    shared: &Arc<Shared>,
    caches: Caches,
) -> Result<Threads, RedisStoreError> {
    let server = Server::new(url, &options.learners)?;
    let mut connection = server.connect()?;
    if let Some(weakness) = server.weakness(&mut connection) {
        let warning = format!("{weakness}: acknowledged posts may be lost when Redis dies");
        shared.warn(Topic::Store, warning);
    }
    let (learner, tasks) = learning::channel();
    let fresh = options.learners.clone();
    let replica = Replica::new(server.clone(), fresh, Arc::clone(shared), tasks);
    let (handle, jobs) = Handle::channel();
    let journal = RedisJournal::new(server, options.attribution);
    let writer = Writer { journal, learner: learner.clone(), caches };
    let running =
        vec![std::thread::spawn(move || writer.run(&jobs)), std::thread::spawn(|| replica.run())];
    Ok(Threads { writer: handle, learner, running })
}
