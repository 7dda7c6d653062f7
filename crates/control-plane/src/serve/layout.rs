//! The bytes in which both stores keep lines, and Redis the updates that follow from them.
//!
//! All records are made of two parts:
//!
//! | part | fields |
//! |---|---|
//! | outcome | reward `f32`, rank `u8` |
//! | decision | target `u8`, flags `u8` (1 drawn, 2 explored), propensity `f32`, length `u8`, context `f32[length]`, segment `u64` |
//!
//! Numbers are little-endian. `redis/attribute.lua` cuts the same bytes, by offsets that the tests
//! here render.

use pointsman_core::control_plane::DecisionId;
use pointsman_core::policy::bandit::SegmentId;

use super::line::{Decision, Rank, Stored};
use super::rules::Rules;
use crate::bandit::Update;

/// Kinds of lines: kind, ID, then a decision or an outcome.
const DECISION: u8 = 1;
const FEEDBACK: u8 = 2;
/// Kinds of updates: kind, reward learnt before, reward, decision.
const LEARN: u8 = 1;
const CORRECT: u8 = 2;
/// Flags of a decision.
const DRAWN: u8 = 1;
const EXPLORED: u8 = 2;

/// The lines of a batch, one after the other.
pub fn encode_lines(batch: &[Stored]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(batch.len() * 128);
    for stored in batch {
        match stored {
            Stored::Decision { id, decision } => {
                bytes.push(DECISION);
                bytes.extend_from_slice(id);
                encode_decision(decision, &mut bytes);
            }
            Stored::Feedback { id, reward, rank, .. } => {
                bytes.push(FEEDBACK);
                bytes.extend_from_slice(id);
                bytes.extend_from_slice(&reward.to_le_bytes());
                bytes.push(*rank as u8);
            }
        }
    }
    bytes
}

fn encode_decision(decision: &Decision, bytes: &mut Vec<u8>) {
    let Decision { target, drawn, explored, propensity, context, segment } = decision;
    bytes.push(*target);
    bytes.push((DRAWN * u8::from(*drawn)) | (EXPLORED * u8::from(*explored)));
    bytes.extend_from_slice(&propensity.to_le_bytes());
    // At most MAX_DIMENSIONS.
    bytes.push(context.len() as u8);
    bytes.extend(context.iter().flat_map(|value| value.to_le_bytes()));
    bytes.extend_from_slice(&segment.to_le_bytes());
}

/// The inverse of [`encode_lines`]; `None` for bytes that it cannot have written, and for lines that
/// the door would not have let in.
pub fn decode_lines(bytes: &[u8], rules: &Rules) -> Option<Vec<Stored>> {
    let batch = read_lines(bytes)?;
    batch.iter().all(|line| is_possible(line, rules)).then_some(batch)
}

/// Whether a line can have come through the door.
pub fn is_possible(line: &Stored, rules: &Rules) -> bool {
    match line {
        Stored::Decision { decision, .. } => rules.are_met(decision),
        Stored::Feedback { reward, .. } => (0.0..=1.0).contains(reward),
    }
}

/// The lines of a batch, whatever their numbers.
pub fn read_lines(bytes: &[u8]) -> Option<Vec<Stored>> {
    let mut bytes = Reader(bytes);
    let mut batch = Vec::new();
    while !bytes.0.is_empty() {
        let kind = bytes.byte()?;
        let id: DecisionId = bytes.take()?;
        batch.push(match kind {
            DECISION => Stored::Decision { id, decision: bytes.decision()? },
            FEEDBACK => {
                let (reward, rank) = (bytes.float()?, Rank::from_byte(bytes.byte()?)?);
                Stored::Feedback { id, reward, rank, cache_id: None, bad: None }
            }
            _ => return None,
        });
    }
    Some(batch)
}

/// The updates of an entry of the stream; `None` for bytes that the script cannot have written, and
/// for decisions and rewards that cannot be.
pub fn decode_updates(bytes: &[u8], rules: &Rules) -> Option<Vec<Update>> {
    let mut bytes = Reader(bytes);
    let mut updates = Vec::new();
    while !bytes.0.is_empty() {
        let kind = bytes.byte()?;
        let (before, reward, decision) = (bytes.float()?, bytes.float()?, bytes.decision()?);
        let possible = [before, reward].iter().all(|reward| (0.0..=1.0).contains(reward));
        if !possible || !rules.are_met(&decision) {
            return None;
        }
        updates.push(match kind {
            LEARN => Update::Learn { sample: decision.sample(reward), drawn: decision.drawn },
            CORRECT => Update::Correct { sample: decision.sample(before), reward },
            _ => return None,
        });
    }
    Some(updates)
}

/// Bytes that are not read yet.
struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn float(&mut self) -> Option<f32> {
        self.take().map(f32::from_le_bytes)
    }

    fn decision(&mut self) -> Option<Decision> {
        let (target, flags) = (self.byte()?, self.byte()?);
        let propensity = self.float()?;
        let length = self.byte()?;
        let context = (0..length).map(|_| self.float()).collect::<Option<_>>()?;
        let segment = SegmentId::from_le_bytes(self.take()?);
        let (drawn, explored) = (flags & DRAWN != 0, flags & EXPLORED != 0);
        Some(Decision { target, drawn, explored, propensity, context, segment })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::bandit::Sample;
    use crate::serve::rules::tests::rules;
    use pointsman_core::policy::bandit::{Context, Explorer, segment_id};

    fn decision() -> Decision {
        Decision {
            target: 1,
            drawn: true,
            explored: true,
            propensity: 0.25,
            context: Context::new(2).of_engineered(&[], &[0.3]).into(),
            segment: segment_id("tenant-a"),
        }
    }

    fn two_targets() -> Rules {
        rules(Explorer::SquareCb { gamma: 1000.0 }, 0.1)
    }

    #[test]
    fn batches_survive_encoding() {
        let batch = vec![
            Stored::Decision { id: [1; 16], decision: decision() },
            Stored::Feedback {
                id: [2; 16],
                reward: 0.75,
                rank: Rank::AskedAgain,
                cache_id: None,
                bad: None,
            },
        ];
        let bytes = encode_lines(&batch);
        let rules = two_targets();
        assert_eq!(decode_lines(&bytes, &rules), Some(batch));
        for end in 1..bytes.len() {
            let part = decode_lines(&bytes[..end], &rules);
            assert!(part.is_none_or(|part| part.len() == 1), "{end}");
        }
    }

    #[test]
    fn updates_are_read_whole_or_not_at_all() {
        let mut bytes = vec![1];
        for number in [0.0_f32, 0.5] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([1, 3]);
        bytes.extend(0.25_f32.to_le_bytes());
        let context = decision().context.to_vec();
        bytes.push(context.len() as u8);
        bytes.extend(context.iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend(7_u64.to_le_bytes());
        let sample = Sample { context, target: 1, propensity: 0.25, reward: 0.5, segment: 7 };
        let rules = two_targets();
        let learn = Update::Learn { sample: sample.clone(), drawn: true };
        assert_eq!(decode_updates(&bytes, &rules), Some(vec![learn.clone()]));
        for end in 1..bytes.len() {
            assert_eq!(decode_updates(&bytes[..end], &rules), None, "{end}");
        }
        let mut correct = bytes.clone();
        correct[0] = 2;
        let before = Sample { reward: 0.0, ..sample };
        let both = [bytes, correct].concat();
        let correct = Update::Correct { sample: before, reward: 0.5 };
        assert_eq!(decode_updates(&both, &rules), Some(vec![learn, correct]));
        assert_eq!(decode_updates(&[], &rules), Some(Vec::new()));
    }

    #[test]
    fn numbers_that_the_door_refuses_are_refused_when_they_are_read_back() {
        let rules = two_targets();
        let possible = |reward| {
            let lines = [
                Stored::Decision { id: [1; 16], decision: decision() },
                Stored::Feedback {
                    id: [1; 16],
                    reward,
                    rank: Rank::Explicit,
                    cache_id: None,
                    bad: None,
                },
            ];
            (
                decode_lines(&encode_lines(&lines), &rules).is_some(),
                read_lines(&encode_lines(&lines)),
            )
        };
        assert!(possible(1.0).0);
        for reward in [6.8e37, -0.1, 1.001, f32::NAN, f32::INFINITY] {
            let (whole, read) = possible(reward);
            assert!(!whole && read.is_some(), "{reward}");
        }
        let change = |change: &dyn Fn(&mut Decision)| {
            let mut decision = decision();
            change(&mut decision);
            let line = encode_lines(&[Stored::Decision { id: [1; 16], decision }]);
            let update = [&[LEARN][..], &[0; 8], &line[17..]].concat();
            (decode_lines(&line, &rules).is_some(), decode_updates(&update, &rules).is_some())
        };
        assert_eq!(change(&|_| {}), (true, true));
        assert_eq!(change(&|it| it.target = 7), (false, false));
        assert_eq!(change(&|it| it.propensity = 0.0), (false, false));
        assert_eq!(change(&|it| it.context[0] = f32::INFINITY), (false, false));
        assert_eq!(change(&|it| it.context[5] = 100.0), (false, false));
    }

    /// Fields in order, each with its bytes; the last one is as long as its record.
    type Record = (&'static str, &'static [(&'static str, usize)]);

    const RECORDS: [Record; 5] = [
        ("line", &[("kind", 1), ("ID", 16), ("decision or outcome", 0)]),
        ("outcome", &[("reward", 4), ("rank", 1)]),
        (
            "decision",
            &[
                ("target", 1),
                ("flags", 1),
                ("propensity", 4),
                ("length", 1),
                ("context and segment", 0),
            ],
        ),
        ("pending", &[("kind", 1), ("outcome", 5), ("decision", 0)]),
        ("update", &[("kind", 1), ("before", 4), ("reward", 4), ("decision", 0)]),
    ];

    /// First and last byte of a field, from 1 as Lua counts.
    fn bounds(record: &str, field: &str) -> (usize, usize) {
        let (_, fields) = RECORDS.iter().find(|(name, _)| *name == record).unwrap();
        let place = fields.iter().position(|(name, _)| *name == field).unwrap();
        let first = 1 + fields[..place].iter().map(|(_, bytes)| bytes).sum::<usize>();
        (first, first + fields[place].1 - usize::from(fields[place].1 > 0))
    }

    /// What the script must say of the layout.
    fn lua() -> String {
        let mut text = String::from("-- Layout, rendered by layout.rs; bytes count from 1.\n");
        for (record, fields) in RECORDS {
            let of = |(field, bytes): &(&str, usize)| match bounds(record, field) {
                (first, _) if *bytes == 0 => format!("{field} {first}-"),
                (first, last) if first == last => format!("{field} {first}"),
                (first, last) => format!("{field} {first}-{last}"),
            };
            let fields: Vec<String> = fields.iter().map(of).collect();
            let _ = writeln!(text, "--   {record}: {}", fields.join(", "));
        }
        let (id, id_end) = bounds("line", "ID");
        let (body, _) = bounds("line", "decision or outcome");
        let (reward, reward_end) = bounds("outcome", "reward");
        let (rank, _) = bounds("outcome", "rank");
        let (target, _) = bounds("decision", "target");
        let (flags, _) = bounds("decision", "flags");
        let (length, _) = bounds("decision", "length");
        let (kept, kept_end) = bounds("pending", "outcome");
        let (kept_decision, _) = bounds("pending", "decision");
        let _ = writeln!(text, "local DECISION, FEEDBACK = '\\{DECISION}', '\\{FEEDBACK}'");
        let _ = writeln!(text, "local LEARN, CORRECT = '\\{LEARN}', '\\{CORRECT}'");
        let _ = writeln!(text, "local ID, ID_END, BODY = {id}, {id_end}, {body}");
        let _ = writeln!(text, "local REWARD, REWARD_END, RANK = {reward}, {reward_end}, {rank}");
        let _ = writeln!(text, "local TARGET, FLAGS, LENGTH = {target}, {flags}, {length}");
        let _ = writeln!(text, "local KEPT, KEPT_END = {kept}, {kept_end}");
        let _ = writeln!(text, "local KEPT_DECISION = {kept_decision}");
        text
    }

    #[test]
    fn the_script_cuts_the_bytes_where_they_are_written() {
        let script = include_str!("redis/attribute.lua");
        assert!(script.contains(&lua()), "redis/attribute.lua must contain\n{}", lua());
        let field = |bytes: &[u8], record: &str, field: &str| {
            let (first, last) = bounds(record, field);
            bytes[first - 1..last.max(first - 1)].to_vec()
        };
        let (id, decision) = ([9; 16], decision());
        let line = encode_lines(&[Stored::Decision { id, decision }]);
        assert_eq!(field(&line, "line", "kind"), [DECISION]);
        assert_eq!(field(&line, "line", "ID"), id);
        let decision = &line[bounds("line", "decision or outcome").0 - 1..];
        assert_eq!(field(decision, "decision", "target"), [1]);
        assert_eq!(field(decision, "decision", "flags"), [DRAWN | EXPLORED]);
        assert_eq!(field(decision, "decision", "propensity"), 0.25_f32.to_le_bytes());
        assert_eq!(field(decision, "decision", "length"), [25]);
        let rest = &decision[bounds("decision", "context and segment").0 - 1..];
        assert_eq!(rest.len(), 25 * 4 + 8);
        let rank = Rank::Explicit;
        let line =
            encode_lines(&[Stored::Feedback { id, reward: 0.5, rank, cache_id: None, bad: None }]);
        let outcome = &line[bounds("line", "decision or outcome").0 - 1..];
        assert_eq!(field(outcome, "outcome", "reward"), 0.5_f32.to_le_bytes());
        assert_eq!(field(outcome, "outcome", "rank"), [rank as u8]);
        let (first, last) = bounds("pending", "outcome");
        assert_eq!(outcome.len(), last - first + 1);
    }
}
