//! One suite over all stores: how lines are counted and what is learnt from them, whatever their
//! order and however often they come.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use ::redis::streams::StreamRangeReply;
use ::redis::{Connection, cmd};
use pointsman_core::policy::bandit::{Context, EVERYTHING, SegmentId, segment_id};
use pointsman_testkit::redis::Redis;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::file::attribution::Attribution;
use super::file::store::Store;
use super::file::writer::FileJournal;
use super::journal::{Counts, Journal, Receipt};
use super::learning::{self, Task};
use super::line::{Decision, Rank, Stored};
use super::redis::journal::RedisJournal;
use super::redis::{Server, UPDATES, updates_of};
use super::rules::Rules;
use super::status::Shared;
use crate::bandit::{ControllerOptions, Learners, Prior, Sample, Update};

/// A store under test, and what it has handed on to the learner since the last call.
struct Subject<'s, J: Journal> {
    journal: J,
    updates: Box<dyn FnMut() -> Vec<Update> + 's>,
}

impl<J: Journal<Error: std::fmt::Debug>> Subject<'_, J> {
    fn append(&mut self, lines: &[Stored]) -> Receipt {
        let mut receipts = self.journal.append(&[lines]).unwrap();
        assert_eq!(receipts.len(), 1);
        receipts.remove(0)
    }

    /// Appends lines, and names how they were counted.
    fn counts(&mut self, lines: &[Stored]) -> Vec<(&'static str, u64)> {
        let Counts { accepted, duplicate, early, late, .. } = self.append(lines).counts;
        let named =
            [("accepted", accepted), ("duplicate", duplicate), ("early", early), ("late", late)];
        named.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    fn updates(&mut self) -> Vec<Update> {
        (self.updates)()
    }
}

const WINDOW: Duration = Duration::from_secs(60);

fn learners() -> Learners {
    let targets = vec!["cheap".to_owned(), "strong".to_owned()];
    Learners::new(ControllerOptions::new(targets, vec![0.0, 0.2]), Prior::cold(2), &[])
}

fn rules() -> Rules {
    Rules::new(&learners())
}

fn file(path: &std::path::Path, window: Duration) -> Subject<'static, FileJournal> {
    let shared = Arc::new(Shared::new(&learners(), Box::new(|_| {})));
    let (learner, tasks): (_, Receiver<Task>) = learning::channel();
    let store = Store::open(path, &rules()).unwrap();
    let attribution = Attribution::new(window, 1000);
    let journal = FileJournal { store, attribution, learner, shared };
    let updates = move || {
        let of = |task| match task {
            Task::Updates { updates, .. } => updates,
            Task::Command { .. } | Task::Finish => Vec::new(),
        };
        tasks.try_iter().flat_map(of).collect()
    };
    Subject { journal, updates: Box::new(updates) }
}

fn redis(server: &Redis, window: Duration) -> Subject<'static, RedisJournal> {
    let mut connection = server.connect();
    let server = Server::new(&server.url(), &learners()).unwrap();
    let updates = move || take_updates(&mut connection);
    Subject { journal: RedisJournal::new(server, window), updates: Box::new(updates) }
}

fn take_updates(connection: &mut Connection) -> Vec<Update> {
    let page: StreamRangeReply =
        cmd("XRANGE").arg(UPDATES).arg("-").arg("+").query(connection).unwrap();
    cmd("XTRIM").arg(UPDATES).arg("MAXLEN").arg(0).exec(connection).unwrap();
    page.ids.iter().flat_map(|entry| updates_of(entry, &rules()).unwrap()).collect()
}

/// The context of a score.
fn context(score: f32) -> Box<[f32]> {
    Context::new(2).of_engineered(&[], &[score]).into()
}

fn made(target: u8, context: Box<[f32]>, segment: SegmentId) -> Decision {
    let drawn = !context.is_empty();
    Decision { target, drawn, explored: false, propensity: 0.25, context, segment }
}

fn decision(id: u8) -> Stored {
    Stored::Decision { id: [id; 16], decision: made(1, context(0.7), segment_id("tenant-a")) }
}

fn reward(id: u8, reward: f32, rank: Rank) -> Stored {
    Stored::Feedback { id: [id; 16], reward, rank, cache_id: None, bad: None }
}

fn explicit(id: u8, of: f32) -> Stored {
    reward(id, of, Rank::Explicit)
}

fn sample(reward: f32) -> Sample {
    made(1, context(0.7), segment_id("tenant-a")).sample(reward)
}

fn learn(reward: f32) -> Update {
    Update::Learn { sample: sample(reward), drawn: true }
}

fn correct(before: f32, reward: f32) -> Update {
    Update::Correct { sample: sample(before), reward }
}

/// Every store does this.
fn contract<J: Journal<Error: std::fmt::Debug>>(mut store: Subject<J>) {
    // A reward is learnt once, however often it and its decision come.
    assert_eq!(store.counts(&[decision(1)]), [("accepted", 1)]);
    assert_eq!(store.updates(), []);
    assert_eq!(store.counts(&[explicit(1, 1.0)]), [("accepted", 1)]);
    assert_eq!(store.updates(), [learn(1.0)]);
    assert_eq!(store.counts(&[explicit(1, 0.5), decision(1)]), [("duplicate", 2)]);
    assert_eq!(store.updates(), []);

    // It may come before its decision, and doubled.
    assert_eq!(store.counts(&[explicit(2, 0.5)]), [("early", 1)]);
    assert_eq!(store.counts(&[explicit(2, 0.5)]), [("duplicate", 1)]);
    assert_eq!(store.updates(), []);
    assert_eq!(store.counts(&[decision(2)]), [("accepted", 1)]);
    assert_eq!(store.updates(), [learn(0.5)]);
    assert_eq!(store.counts(&[explicit(2, 0.5)]), [("duplicate", 1)]);

    // One of higher rank replaces one of lower rank, and not the other way.
    assert_eq!(store.counts(&[decision(3), reward(3, 1.0, Rank::Implicit)]), [("accepted", 2)]);
    assert_eq!(store.counts(&[reward(3, 0.5, Rank::AskedAgain)]), [("accepted", 1)]);
    assert_eq!(store.counts(&[reward(3, 1.0, Rank::Implicit)]), [("duplicate", 1)]);
    assert_eq!(store.counts(&[explicit(3, 0.0)]), [("accepted", 1)]);
    assert_eq!(store.updates(), [learn(1.0), correct(1.0, 0.5), correct(0.5, 0.0)]);

    // So does an early one, before anything is learnt.
    let early = [reward(4, 1.0, Rank::Implicit), explicit(4, 0.0), reward(4, 1.0, Rank::Implicit)];
    assert_eq!(store.counts(&early), [("duplicate", 1), ("early", 2)]);
    assert_eq!(store.counts(&[decision(4)]), [("accepted", 1)]);
    assert_eq!(store.updates(), [learn(0.0)]);

    // A decision without a context teaches nothing.
    let bare = Stored::Decision { id: [5; 16], decision: made(0, [].into(), EVERYTHING) };
    assert_eq!(store.counts(&[bare, explicit(5, 1.0)]), [("accepted", 2)]);
    assert_eq!(store.updates(), []);

    // Of a batch, the duplicates are named.
    let batch = [decision(6), decision(1), explicit(6, 1.0), explicit(6, 1.0), explicit(7, 1.0)];
    let receipt = store.append(&batch);
    assert_eq!(receipt.duplicates, [1, 3]);
    let expected = Counts { accepted: 2, duplicate: 2, early: 1, ..Counts::default() };
    assert_eq!(receipt.counts, expected);
    assert_eq!(store.updates(), [learn(1.0)]);

    // Batches have a receipt each, also of more lines than one run of the script takes.
    let many: Vec<Stored> =
        (0..1200_u16).map(|k| decision(if k == 1100 { 1 } else { 8 })).collect();
    let receipts = store.journal.append(&[&many, &[decision(9)]]).unwrap();
    assert_eq!((receipts[0].counts.accepted, receipts[0].counts.duplicate), (1, 1199));
    assert_eq!(receipts[0].duplicates, (1..1200).collect::<Vec<_>>());
    assert_eq!(receipts[1].counts.accepted, 1);
}

/// Stores differ in how they count a reward after the window: as `late`.
fn late<J: Journal<Error: std::fmt::Debug>>(
    mut store: Subject<J>,
    window: Duration,
    late: &'static str,
) {
    assert_eq!(store.counts(&[decision(1), decision(2)]), [("accepted", 2)]);
    assert_eq!(store.counts(&[explicit(3, 1.0)]), [("early", 1)]);
    std::thread::sleep(window + Duration::from_millis(50));
    assert_eq!(store.counts(&[explicit(1, 1.0)]), [(late, 1)]);
    // An early reward does not outlive the window either.
    assert_eq!(store.counts(&[decision(3)]), [("accepted", 1)]);
    assert_eq!(store.updates(), [], "nothing is learnt from either");
}

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn the_file_attributes_each_reward_once() {
    let directory = tempfile::tempdir().unwrap();
    contract(file(&directory.path().join("state"), WINDOW));
    // It remembers that a decision was there.
    late(file(&directory.path().join("short"), SHORT), SHORT, "late");
}

#[test]
fn redis_attributes_each_reward_once() {
    let Some(server) = Redis::start() else { return };
    contract(redis(&server, WINDOW));
    flush(&server);
    // The key of the decision has expired, and nothing is left that remembers it.
    late(redis(&server, SHORT), SHORT, "early");
}

fn flush(server: &Redis) {
    cmd("FLUSHDB").exec(&mut server.connect()).unwrap();
}

/// Lines about few decisions, so that they meet.
fn any_line() -> impl Strategy<Value = Stored> {
    let id = (0..6_u8).prop_map(|id| [id; 16]);
    let rank = prop::sample::select(vec![Rank::Implicit, Rank::AskedAgain, Rank::Explicit]);
    let score = prop::option::of(0.0_f32..=1.0);
    let decision = (0..2_u8, any::<(bool, bool)>(), 0.01_f32..=1.0, score, any::<SegmentId>());
    prop_oneof![
        (id.clone(), decision).prop_map(|(id, it)| {
            let (target, (drawn, explored), propensity, score, segment) = it;
            let drawn = drawn && score.is_some();
            let explored = explored && drawn;
            let context = score.map(context).unwrap_or_default();
            let decision = Decision { target, drawn, explored, propensity, context, segment };
            Stored::Decision { id, decision }
        }),
        (id, 0.0_f32..=1.0, rank).prop_map(|(id, reward, rank)| Stored::Feedback {
            id,
            reward,
            rank,
            cache_id: None,
            bad: None
        }),
    ]
}

#[test]
fn the_file_and_redis_do_the_same_with_any_lines() {
    let Some(server) = Redis::start() else { return };
    let batches = prop::collection::vec(prop::collection::vec(any_line(), 1..12), 1..8);
    let mut runner = TestRunner::new(ProptestConfig { cases: 200, ..ProptestConfig::default() });
    let same = |batches: Vec<Vec<Stored>>| {
        flush(&server);
        let directory = tempfile::tempdir().unwrap();
        let mut file = file(&directory.path().join("state"), WINDOW);
        let mut redis = redis(&server, WINDOW);
        for batch in &batches {
            prop_assert_eq!(file.append(batch), redis.append(batch));
            prop_assert_eq!(file.updates(), redis.updates());
        }
        Ok(())
    };
    runner.run(&batches, same).unwrap();
}
