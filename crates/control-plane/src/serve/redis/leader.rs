//! The one replica that turns sums into policies, while its lease lasts.

use std::collections::VecDeque;

use redis::streams::{StreamId, StreamRangeReply};
use redis::{Connection, RedisError, RedisResult, Script, cmd};

use super::sums::Sums;
use super::{
    ANSWERS, EVENTS, GROUP, LEADER, ORDERS, SNAPSHOT, STATE, SUMS, TOTALS, UPDATES, updates_of,
};
use crate::bandit::{Learners, RestoreError, Sample, Update};
use crate::serve::clock::now_ms;
use crate::serve::learning::Command;
use crate::serve::rules::Rules;
use crate::serve::status::Dated;

/// Entries of one look at the stream.
const ENTRIES: usize = 256;
/// Sums of one step.
const STEP: isize = 512;

/// Why a replica does not take over.
#[derive(Debug, thiserror::Error)]
pub enum LeadError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("{STATE}: {0}")]
    State(#[from] RestoreError),
    #[error("{STATE} is missing, and {SNAPSHOT} is not")]
    NoState,
}

pub struct Leader {
    learners: Learners,
    rules: Rules,
    /// The last entry that was looked at.
    last: String,
    /// Entries of the window with the number of their samples, and all of these.
    window: VecDeque<(String, usize)>,
    samples: usize,
    publish: Script,
}

impl Leader {
    /// Takes over from the leader before: its state, and the window from the stream.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or the state cannot be taken over. To begin with nothing
    /// learnt would overwrite it.
    pub fn begin(connection: &mut Connection, mut learners: Learners) -> Result<Self, LeadError> {
        let state: Option<Vec<u8>> = cmd("GET").arg(STATE).query(connection)?;
        match state {
            Some(state) => learners.restore(&state)?,
            None if cmd("EXISTS").arg(SNAPSHOT).query(connection)? => {
                return Err(LeadError::NoState);
            }
            None => {}
        }
        let rules = Rules::new(&learners);
        let mut pages: Vec<StreamId> = Vec::new();
        let mut end = "+".to_owned();
        let mut samples = 0;
        while samples < learners.options().window {
            let mut read = cmd("XREVRANGE");
            read.arg(UPDATES).arg(&end).arg("-").arg("COUNT").arg(ENTRIES);
            let page: StreamRangeReply = read.query(connection)?;
            let Some(oldest) = page.ids.last() else { break };
            end = format!("({}", oldest.id);
            samples += page.ids.iter().map(|entry| drawn(entry, &rules).len()).sum::<usize>();
            pages.extend(page.ids);
        }
        let mut leader = Leader {
            learners,
            rules,
            last: "0-0".to_owned(),
            window: VecDeque::new(),
            samples: 0,
            publish: Script::new(include_str!("publish.lua")),
        };
        for entry in pages.into_iter().rev() {
            let samples = drawn(&entry, &leader.rules);
            leader.keep(entry.id, samples.len());
            samples.into_iter().for_each(|sample| leader.learners.remember(sample));
        }
        Ok(leader)
    }

    fn keep(&mut self, id: String, samples: usize) {
        self.last.clone_from(&id);
        self.window.push_back((id, samples));
        self.samples += samples;
        let limit = self.learners.options().window;
        while let Some((_, oldest)) = self.window.front()
            && (*oldest == 0 || self.samples - oldest >= limit)
        {
            self.samples -= oldest;
            self.window.pop_front();
        }
    }

    /// Reads new entries, learns what was summed up, carries out orders, publishes. `false` when
    /// another leads by now: nothing was changed.
    pub fn step(&mut self, connection: &mut Connection, name: &str) -> RedisResult<bool> {
        self.watch(connection)?;
        let sums: Vec<Vec<u8>> = cmd("LRANGE").arg(SUMS).arg(0).arg(STEP - 1).query(connection)?;
        let orders: Vec<String> = cmd("LRANGE").arg(ORDERS).arg(0).arg(15).query(connection)?;
        let mut events = self.learners.take_events();
        let published = cmd("EXISTS").arg(SNAPSHOT).query::<bool>(connection)?;
        if sums.is_empty() && orders.is_empty() && events.is_empty() && published {
            return Ok(true);
        }
        let targets = self.learners.options().targets.len();
        let dimensions = self.learners.dimensions();
        for sums in sums.iter().filter_map(|it| Sums::from_bytes(it, targets, dimensions)) {
            for (segment, part) in sums.0 {
                self.learners.absorb(segment, part.statistics, part.learnt, part.corrected);
            }
        }
        self.learners.step();
        let answers: Vec<(&str, bool)> = orders.iter().map(|order| self.carry_out(order)).collect();
        events.extend(self.learners.take_events());
        let state = self.learners.save();
        let first = self.window.front().map_or(self.last.as_str(), |(id, _)| id);
        let mut publish = self.publish.prepare_invoke();
        for key in [LEADER, SUMS, ORDERS, STATE, SNAPSHOT, EVENTS, UPDATES, ANSWERS, TOTALS] {
            publish.key(key);
        }
        publish.arg(name).arg(sums.len()).arg(state).arg(self.learners.snapshot().to_json());
        publish.arg(GROUP).arg(first).arg(self.learners.seen()).arg(answers.len());
        for (order, answer) in answers {
            publish.arg(order).arg(u8::from(answer));
        }
        for event in events {
            let dated = Dated { at_ms: now_ms(), event };
            publish.arg(serde_json::to_string(&dated).unwrap_or_default());
        }
        publish.invoke(connection)
    }

    /// Takes the samples since the last look into the window.
    fn watch(&mut self, connection: &mut Connection) -> RedisResult<()> {
        loop {
            let mut read = cmd("XRANGE");
            read.arg(UPDATES).arg(format!("({}", self.last)).arg("+").arg("COUNT").arg(ENTRIES);
            let page: StreamRangeReply = read.query(connection)?;
            let last = page.ids.len() < ENTRIES;
            for entry in page.ids {
                // What cannot be read is reported by the replica that sums it up.
                let updates = updates_of(&entry, &self.rules).unwrap_or_default();
                let drawn =
                    updates.iter().filter(|it| matches!(it, Update::Learn { drawn: true, .. }));
                self.keep(entry.id, drawn.count());
                for update in updates {
                    if let Update::Learn { sample, drawn } = update {
                        self.learners.watch(sample, drawn);
                    }
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Carries out an order; returns its name, and `false` when there was nothing to promote or to
    /// roll back.
    fn carry_out<'o>(&mut self, order: &'o str) -> (&'o str, bool) {
        let mut words = order.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (verb, name, segment) = (word(), word(), word().to_owned());
        let done = match verb {
            "promote" => Command::Promote(segment).carry_out(&mut self.learners),
            "roll_back" => Command::RollBack(segment).carry_out(&mut self.learners),
            _ => false,
        };
        (name, done)
    }
}

/// The samples of an entry that the bandit drew.
fn drawn(entry: &StreamId, rules: &Rules) -> Vec<Sample> {
    let of = |update| match update {
        Update::Learn { sample, drawn: true } => Some(sample),
        _ => None,
    };
    updates_of(entry, rules).unwrap_or_default().into_iter().filter_map(of).collect()
}
