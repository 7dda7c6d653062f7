//! What a Redis holds for caches and control planes, and what it replies.

use std::collections::HashMap;
use std::sync::LazyLock;

use pointsman_cache::entry::Entry;
use pointsman_cache::key::Digest128;
use pointsman_cache::store::{entry_of, fields_of, of_streams};
use pointsman_control_plane::bandit::{Learners, Sample, Update};
use pointsman_control_plane::serve::Sums;
use pointsman_core::policy::bandit::{Snapshot, segment_id};
use pointsman_core::target::Usage;

use super::posts::{LEARNERS, context};
use super::snapshot::valid;
use super::{damaged, first_byte, first_line};

/// The first byte says what follows: a server's reply, an entry of a cache and the damage to it, the
/// damage to sums, the damage to a state, or a state.
pub fn redis(data: &[u8]) -> bool {
    let (kind, rest) = first_byte(data);
    match kind {
        b'r' => reply(rest),
        b'e' => entry(rest),
        b's' => sums(&damaged(&GOOD_SUMS, rest)),
        b'l' => state(&damaged(&GOOD_STATE, rest)),
        _ => state(rest),
    }
}

/// No reply makes up an entry, and each change has a place.
fn reply(bytes: &[u8]) -> bool {
    let Ok(value) = ::redis::parse_redis_value(bytes) else { return false };
    let changes = of_streams(value.clone()).count();
    assert!(changes <= bytes.len());
    if let Ok(fields) = ::redis::from_redis_value::<HashMap<String, Vec<u8>>>(value) {
        assert_eq!(entry_of(fields), None, "an entry without its checksum");
        return true;
    }
    changes > 0
}

/// Lines with question and content type, a body, and behind a zero the number of a field and its
/// damage: an entry comes back as it was, or not at all.
fn entry(data: &[u8]) -> bool {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (texts, damage) = data.split_at(end);
    let (question, rest) = first_line(texts);
    let (content_type, body) = first_line(rest);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let entry = Entry {
        exact: Digest128([1; 16]),
        partition: Digest128([2; 16]),
        question: (!question.is_empty()).then(|| text(question).into()),
        vector: question.first().map(|byte| [byte.cast_signed(), -127, 0].into()),
        content_type: text(content_type).into(),
        body: body.to_vec().into(),
        usage: body.first().map(|byte| Usage { input: u64::from(*byte), output: u64::MAX }),
        created_ms: body.len() as u64,
        expires_ms: u64::MAX,
    };
    let fields = fields_of(&entry).into_iter();
    let fields: Vec<(String, Vec<u8>)> =
        fields.map(|(name, value)| (name.to_owned(), value.into_owned())).collect();
    assert_eq!(entry_of(fields.iter().cloned().collect()), Some(entry.clone()));
    let (place, damage) = first_byte(damage.get(1..).unwrap_or_default());
    let place = usize::from(place) % (2 * fields.len());
    let mut hash: HashMap<String, Vec<u8>> = fields.iter().cloned().collect();
    match fields.get(place) {
        Some((name, value)) => hash.insert(name.clone(), damaged(value, damage)),
        None => hash.remove(&fields[place - fields.len()].0),
    };
    let read = entry_of(hash);
    assert!(read.is_none() || read == Some(entry), "half an entry: {read:?}");
    true
}

fn sample(target: usize, reward: f32) -> Sample {
    let segment = segment_id("tenant-a");
    Sample { context: context(), target, propensity: 0.5, reward, segment }
}

static GOOD_SUMS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let samples = [sample(0, 1.0), sample(1, 0.5), sample(0, 0.0)];
    let updates = samples.map(|sample| Update::Learn { sample, drawn: true });
    Sums::of(updates.iter(), &LEARNERS).to_bytes()
});

/// As the version before wrote it, without a digest, so that damage shows only in what is read.
static GOOD_STATE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut learners = LEARNERS.clone();
    for k in 0..40_u8 {
        learners.observe(sample(usize::from(k % 2), f32::from(k % 3) / 2.0), true);
    }
    learners.step();
    let state = String::from_utf8(learners.save()).expect("JSON");
    let (_, rest) = state.split_once("\",").expect("a digest in front");
    format!("{{{rest}").into_bytes()
});

/// Sums of any finite numbers leave a policy that filters accept.
fn sums(bytes: &[u8]) -> bool {
    let Some(sums) = Sums::from_bytes(bytes, 2, LEARNERS.dimensions()) else { return false };
    let read = Sums::from_bytes(&sums.to_bytes(), 2, LEARNERS.dimensions());
    assert_eq!(read.as_ref(), Some(&sums));
    let mut learners = LEARNERS.clone();
    for (segment, part) in sums.0 {
        learners.absorb(segment, part.statistics, part.learnt, part.corrected);
    }
    published(&mut learners);
    true
}

/// A state is refused, and nothing is changed, or it leaves a policy that filters accept.
fn state(bytes: &[u8]) -> bool {
    let mut learners = LEARNERS.clone();
    match learners.restore(bytes) {
        Ok(()) => {
            published(&mut learners);
            true
        }
        Err(_) => {
            assert_eq!(learners.snapshot(), LEARNERS.snapshot());
            assert_eq!(learners.save(), LEARNERS.clone().save());
            false
        }
    }
}

/// Whatever a person orders, filters accept the policy, and the next process resumes.
fn published(learners: &mut Learners) {
    for segment in ["", "tenant-a", "", "tenant-a"] {
        learners.observe(sample(0, 1.0), true);
        learners.step();
        learners.promote(segment);
        let json = learners.snapshot().to_json();
        let snapshot = Snapshot::parse(json.as_bytes()).expect("filters accept it");
        valid(&snapshot);
    }
    let saved = learners.save();
    let mut next = LEARNERS.clone();
    next.restore(&saved).expect("the next process resumes");
    assert_eq!(next.snapshot(), learners.snapshot());
}
