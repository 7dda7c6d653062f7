//! The one replica that turns sums into policies, while its lease lasts.

use std::collections::VecDeque;

use redis::streams::{StreamId, StreamRangeReply};
use redis::{Connection, RedisResult, Script, cmd};

use super::lesson::{self, Sums};
use super::{ANSWERS, EVENTS, GROUP, LEADER, LESSONS, ORDERS, SNAPSHOT, STATE, SUMS, TOTALS};
use crate::bandit::Learners;
use crate::serve::attribution::Lesson;
use crate::serve::learning::Command;
use crate::serve::now_ms;
use crate::serve::status::Dated;

/// Entries of one look at the stream.
const ENTRIES: usize = 256;
/// Sums of one step.
const STEP: isize = 512;

pub struct Leader {
    learners: Learners,
    /// The last entry that was looked at.
    last: String,
    /// Entries of the window with the number of their samples, and all of these.
    window: VecDeque<(String, usize)>,
    samples: usize,
    publish: Script,
}

impl Leader {
    /// Takes over from the leader before: its state, and the window from the stream.
    pub fn begin(connection: &mut Connection, mut learners: Learners) -> RedisResult<Self> {
        let state: Option<Vec<u8>> = cmd("GET").arg(STATE).query(connection)?;
        if let Some(state) = state {
            // The policy is ours, so that a state that cannot be taken up is another version's:
            // learning begins anew.
            let _ = learners.restore(&state);
        }
        let mut pages: Vec<StreamId> = Vec::new();
        let mut end = "+".to_owned();
        let mut samples = 0;
        while samples < learners.options().window {
            let mut read = cmd("XREVRANGE");
            read.arg(LESSONS).arg(&end).arg("-").arg("COUNT").arg(ENTRIES);
            let page: StreamRangeReply = read.query(connection)?;
            let Some(oldest) = page.ids.last() else { break };
            end = format!("({}", oldest.id);
            samples += page.ids.iter().map(|entry| drawn(entry).len()).sum::<usize>();
            pages.extend(page.ids);
        }
        let mut leader = Leader {
            learners,
            last: "0-0".to_owned(),
            window: VecDeque::new(),
            samples: 0,
            publish: Script::new(include_str!("publish.lua")),
        };
        for entry in pages.into_iter().rev() {
            let samples = drawn(&entry);
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

    /// Looks at what is new, learns what was summed up, carries out orders, publishes. `false`
    /// when another leads meanwhile: nothing was changed.
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
        for key in [LEADER, SUMS, ORDERS, STATE, SNAPSHOT, EVENTS, LESSONS, ANSWERS, TOTALS] {
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
            read.arg(LESSONS).arg(format!("({}", self.last)).arg("+").arg("COUNT").arg(ENTRIES);
            let page: StreamRangeReply = read.query(connection)?;
            let last = page.ids.len() < ENTRIES;
            for entry in page.ids {
                let lessons = lessons(&entry);
                let drawn =
                    lessons.iter().filter(|it| matches!(it, Lesson::Learn { drawn: true, .. }));
                self.keep(entry.id, drawn.count());
                for lesson in lessons {
                    if let Lesson::Learn { sample, drawn } = lesson {
                        self.learners.watch(sample, drawn);
                    }
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Carries out an order; gives its name and whether there was anything to do.
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

fn lessons(entry: &StreamId) -> Vec<Lesson> {
    let bytes: Vec<u8> = entry.get("l").unwrap_or_default();
    lesson::read(&bytes).unwrap_or_default()
}

/// The samples of an entry that the bandit drew.
fn drawn(entry: &StreamId) -> Vec<crate::bandit::Sample> {
    let of = |lesson| match lesson {
        Lesson::Learn { sample, drawn: true } => Some(sample),
        _ => None,
    };
    lessons(entry).into_iter().filter_map(of).collect()
}
