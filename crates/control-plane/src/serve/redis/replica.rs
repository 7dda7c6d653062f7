//! What every replica does besides taking posts: sum up its share of the updates, serve what the
//! leader published, and lead when no other replica does.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use redis::streams::{StreamAutoClaimReply, StreamId, StreamReadReply};
use redis::{Connection, RedisResult, Script, cmd, pipe};
use tokio::sync::oneshot;

use super::leader::{LeadError, Leader};
use super::sums::Sums;
use super::{
    ANSWERS, EVENTS, GROUP, LEADER, ORDERS, RECENT, SNAPSHOT, SUMS, Server, TOTALS, UPDATES,
    updates_of,
};
use crate::bandit::{Learners, Update};
use crate::serve::learning::{Command, Task};
use crate::serve::rules::Rules;
use crate::serve::status::{BUCKET_MS, BUCKETS, Shared, Topic};
use pointsman_core::policy::bandit::Snapshot;

/// Time between two turns.
const TURN: Duration = Duration::from_millis(200);
/// Time between two looks at counters, the recent past, and what dead consumers left.
const LOOK: Duration = Duration::from_secs(1);
/// A leader that is not heard of for this long has lost the lead.
const LEASE_MS: u64 = 3000;
/// Entries that their consumer has not acknowledged for this long go to another.
const CLAIM_MS: u64 = 3000;
/// How long a replica that could not take over leaves the lead to others.
const PAUSE: Duration = Duration::from_secs(2);
/// Entries of one look.
const ENTRIES: usize = 64;

/// What a damaged state means, and what helps.
const NOT_LED: &str = "the last policy stays in force, and rewards wait; restore Redis from a \
    backup, or delete {pointsman}:state and {pointsman}:snapshot to start with nothing learnt";

pub struct Replica {
    server: Server,
    name: String,
    /// Learners that have seen nothing: a leader starts from them when the server holds no state.
    fresh: Learners,
    shared: Arc<Shared>,
    tasks: Receiver<Task>,
    /// Orders that are not carried out yet, by name.
    orders: HashMap<String, oneshot::Sender<bool>>,
    leader: Option<Leader>,
    /// When this replica could not take over.
    refused: Option<Instant>,
    rules: Rules,
    /// Entries that could not be read.
    damaged: u64,
    /// Whether entries may have been delivered that this replica does not know of.
    recover: bool,
    looked: Option<Instant>,
    lead: Script,
    sum_up: Script,
}

impl Replica {
    pub fn new(
        server: Server,
        fresh: Learners,
        shared: Arc<Shared>,
        tasks: Receiver<Task>,
    ) -> Self {
        let rules = Rules::new(&fresh);
        Replica {
            server,
            name: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
            fresh,
            shared,
            tasks,
            orders: HashMap::new(),
            leader: None,
            refused: None,
            rules,
            damaged: 0,
            recover: false,
            looked: None,
            lead: Script::new(include_str!("lead.lua")),
            sum_up: Script::new(include_str!("sum_up.lua")),
        }
    }

    /// Works until it gets [`Task::Finish`].
    pub fn run(mut self) {
        let mut connection = None;
        loop {
            let order = match self.tasks.recv_timeout(TURN) {
                Ok(Task::Command { command, done }) => Some((command, done)),
                Ok(Task::Finish) | Err(RecvTimeoutError::Disconnected) => {
                    if let Some(connection) = &mut connection {
                        // The other replicas do what could not be done any more.
                        let _ = self.turn(connection).and_then(|()| self.resign(connection));
                    }
                    return;
                }
                Ok(Task::Updates { .. }) | Err(RecvTimeoutError::Timeout) => None,
            };
            if connection.is_none() {
                connection = self.server.connect().ok();
                self.recover = true;
            }
            let Some(open) = &mut connection else { continue };
            let worked = order
                .map_or(Ok(()), |order| self.place(open, order))
                .and_then(|()| self.turn(open));
            if worked.is_err() {
                // Only the server knows whether what it did not confirm has happened.
                connection = None;
                self.leader = None;
            }
        }
    }

    fn turn(&mut self, connection: &mut Connection) -> RedisResult<()> {
        let look = self.looked.is_none_or(|looked| looked.elapsed() >= LOOK);
        self.take_updates(connection, look)?;
        self.govern(connection)?;
        self.serve_published(connection)?;
        if look {
            self.look(connection)?;
            self.looked = Some(Instant::now());
        }
        Ok(())
    }

    /// Sums up what is ours: what was delivered before a failure, what dead consumers left, what is
    /// new.
    fn take_updates(&mut self, connection: &mut Connection, look: bool) -> RedisResult<()> {
        if self.recover {
            while !self.commit(self.delivered(connection, "0")?, connection)? {}
            self.recover = false;
        }
        if look {
            let mut claim = cmd("XAUTOCLAIM");
            claim.arg(UPDATES).arg(GROUP).arg(&self.name).arg(CLAIM_MS).arg("0-0");
            let claimed: StreamAutoClaimReply =
                claim.arg("COUNT").arg(ENTRIES).query(connection)?;
            self.commit(claimed.claimed, connection)?;
        }
        loop {
            let entries = self.delivered(connection, ">")?;
            let last = entries.len() < ENTRIES;
            self.commit(entries, connection)?;
            if last {
                return Ok(());
            }
        }
    }

    fn delivered(&self, connection: &mut Connection, from: &str) -> RedisResult<Vec<StreamId>> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.name).arg("COUNT").arg(ENTRIES);
        read.arg("STREAMS").arg(UPDATES).arg(from);
        let reply: Option<StreamReadReply> = read.query(connection)?;
        Ok(reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect())
    }

    /// Hands in the sums of some entries; `true` when there were none.
    fn commit(&mut self, entries: Vec<StreamId>, connection: &mut Connection) -> RedisResult<bool> {
        if entries.is_empty() {
            return Ok(true);
        }
        let mut invocation = self.sum_up.prepare_invoke();
        invocation.key(UPDATES).key(SUMS).arg(GROUP).arg(&self.name);
        // What nobody can read teaches nothing, and must not come again forever.
        let read = entries.iter().map(|entry| updates_of(entry, &self.rules));
        let read: Vec<Option<Vec<Update>>> = read.collect();
        let damaged = read.iter().filter(|updates| updates.is_none()).count();
        let updates: Vec<Update> = read.into_iter().flatten().flatten().collect();
        invocation.arg(Sums::of(updates.iter(), &self.fresh).to_bytes());
        entries.iter().for_each(|entry| {
            invocation.arg(&entry.id);
        });
        let taken: bool = invocation.invoke(connection)?;
        if !taken {
            // Another has claimed some of them; the rest comes again.
            self.recover = true;
        } else if damaged > 0 {
            self.damaged += damaged as u64;
            let what = "entries are damaged: nothing was learnt from them";
            self.shared.warn(Topic::Updates, format!("{UPDATES}: {} {what}", self.damaged));
        }
        Ok(false)
    }

    /// Leads, if no other replica does, and what the leader before has left can be taken over.
    fn govern(&mut self, connection: &mut Connection) -> RedisResult<()> {
        if self.refused.is_some_and(|refused| refused.elapsed() < PAUSE) {
            return Ok(());
        }
        let leads: bool = self.lead.key(LEADER).arg(&self.name).arg(LEASE_MS).invoke(connection)?;
        if !leads {
            self.leader = None;
            if self.refused.take_if(|refused| refused.elapsed() > 5 * PAUSE).is_some() {
                // Another leads for good.
                self.shared.settle(Topic::Lead);
            }
            return Ok(());
        }
        if self.leader.is_none() {
            match Leader::begin(connection, self.fresh.clone()) {
                Ok(leader) => self.leader = Some(leader),
                Err(LeadError::Redis(error)) => return Err(error),
                Err(error @ (LeadError::State(_) | LeadError::NoState)) => {
                    self.refused = Some(Instant::now());
                    self.shared.warn(Topic::Lead, format!("{error}: {NOT_LED}"));
                    return self.resign(connection);
                }
            }
            self.refused = None;
            self.shared.settle(Topic::Lead);
        }
        let Some(leader) = &mut self.leader else { return Ok(()) };
        if !leader.step(connection, &self.name)? {
            self.leader = None;
        }
        Ok(())
    }

    /// Gives up the lead at once.
    fn resign(&mut self, connection: &mut Connection) -> RedisResult<()> {
        // The shortest lease there is; nothing, when another leads.
        self.lead.key(LEADER).arg(&self.name).arg(1).invoke(connection)
    }

    fn place(
        &mut self,
        connection: &mut Connection,
        (command, done): (Command, oneshot::Sender<bool>),
    ) -> RedisResult<()> {
        let name = format!("{:016x}", RandomState::new().hash_one(&self.name));
        let (verb, segment) = match command {
            Command::Promote(segment) => ("promote", segment),
            Command::RollBack(segment) => ("roll_back", segment),
        };
        let order = format!("{verb} {name} {segment}");
        cmd("RPUSH").arg(ORDERS).arg(order).exec(connection)?;
        self.orders.insert(name, done);
        Ok(())
    }

    /// Serves the snapshot in force, and answers orders that were carried out.
    fn serve_published(&mut self, connection: &mut Connection) -> RedisResult<()> {
        let (json, samples): (Option<Vec<u8>>, Option<u64>) =
            pipe().get(SNAPSHOT).hget(TOTALS, "samples").query(connection)?;
        if let Some(snapshot) = json.and_then(|json| Snapshot::parse(&json).ok()) {
            self.shared.publish_snapshot(&snapshot, samples.unwrap_or_default());
        }
        let names: Vec<String> = self.orders.keys().cloned().collect();
        for name in names {
            let answer: Option<bool> =
                cmd("GET").arg(format!("{ANSWERS}{name}")).query(connection)?;
            if let Some(answer) = answer
                && let Some(done) = self.orders.remove(&name)
            {
                // The client may be gone.
                let _ = done.send(answer);
            }
        }
        self.orders.retain(|_, done| !done.is_closed());
        Ok(())
    }

    /// Takes over what all replicas have counted.
    fn look(&mut self, connection: &mut Connection) -> RedisResult<()> {
        let refused = self.shared.take_refused();
        let sent: RedisResult<()> = pipe()
            .hincr(TOTALS, "forged", refused.forged)
            .hincr(TOTALS, "invalid", refused.invalid)
            .query(connection);
        if let Err(error) = sent {
            self.shared.refuse(refused);
            return Err(error);
        }
        let (seconds, _): (u64, u64) = cmd("TIME").query(connection)?;
        let now = 1000 * seconds / BUCKET_MS * BUCKET_MS;
        let first = match self.shared.last_bucket() {
            Some(last) => last,
            None => now.saturating_sub(BUCKETS as u64 * BUCKET_MS),
        };
        let times: Vec<u64> = (first..=now).step_by(BUCKET_MS as usize).collect();
        let mut pipeline = pipe();
        pipeline.hgetall(TOTALS).lrange(EVENTS, 0, -1);
        for at in &times {
            pipeline.hgetall(format!("{RECENT}{at}"));
        }
        let mut answers: Vec<redis::Value> = pipeline.query(connection)?;
        let buckets = answers.split_off(2);
        let mut answers = answers.into_iter();
        let totals = answers.next().map(redis::from_redis_value).transpose()?;
        let events: Vec<String> =
            answers.next().map(redis::from_redis_value).transpose()?.unwrap_or_default();
        let buckets: Vec<HashMap<String, f64>> =
            buckets.into_iter().map(redis::from_redis_value).collect::<Result<_, _>>()?;
        self.shared.adopt(
            &totals.unwrap_or_default(),
            times.into_iter().zip(buckets).filter(|(_, bucket)| !bucket.is_empty()).collect(),
            events.iter().filter_map(|event| serde_json::from_str(event).ok()).collect(),
        );
        Ok(())
    }
}
