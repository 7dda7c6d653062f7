//! Lines that are posted to the control plane, and the bytes in which it keeps them.

use std::sync::LazyLock;

use pointsman_control_plane::bandit::{ControllerOptions, Learners, Prior, Update};
use pointsman_control_plane::serve::line::{self, Stored};
use pointsman_control_plane::serve::rules::Rules;
use pointsman_control_plane::serve::{Sums, layout};
use pointsman_core::control_plane::Signer;
use pointsman_core::packed::pack;
use pointsman_core::policy::bandit::Context;

use super::filled;

/// Learners of two targets and one segment that have seen nothing.
pub static LEARNERS: LazyLock<Learners> = LazyLock::new(|| {
    let targets = vec!["cheap".to_owned(), "strong".to_owned()];
    let options = ControllerOptions::new(targets, vec![0.0, 0.2]);
    Learners::new(options, Prior::warm(&[0.5], &[0.0, 0.2]), &["tenant-a".to_owned()])
});

pub static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::new(&LEARNERS));

/// A context that a filter can have computed.
pub fn context() -> Vec<f32> {
    Context::new(2).of_engineered(&[], &[0.75])
}

/// Lines of JSON, in which `SIGNED` is a signed ID and `CONTEXT` a possible context; and bytes of
/// stored lines or updates, in which `CONTEXT` is one with its length. What is let in is possible,
/// and comes back from the store as it was.
pub fn posts(data: &[u8]) -> bool {
    let mut let_in = false;
    static SIGNER: LazyLock<Signer> =
        LazyLock::new(|| Signer::new("a shared secret").expect("a key of any length"));
    static WORDS: LazyLock<[String; 2]> =
        LazyLock::new(|| [SIGNER.sign(&[7; 16]), pack(&context())]);
    let [signed, packed] = WORDS.each_ref().map(String::as_bytes);
    for line in data.split(|byte| *byte == b'\n') {
        let line = filled(line, &[("SIGNED", signed), ("CONTEXT", packed)]);
        if let Ok(posted) = line::decision(&line, &SIGNER, &RULES) {
            let Stored::Decision { decision, .. } = &posted else { panic!("{posted:?}") };
            assert!(RULES.admit(decision) && RULES.are_met(decision), "{decision:?}");
            kept(posted);
            let_in = true;
        }
        if let Ok(posted) = line::feedback(&line, &SIGNER) {
            kept(posted);
            let_in = true;
        }
    }
    let numbers = context().into_iter().flat_map(f32::to_le_bytes);
    let context: Vec<u8> = [context().len() as u8].into_iter().chain(numbers).collect();
    read_back(&filled(data, &[("CONTEXT", context.as_slice())])) || let_in
}

/// A line that was let in comes back without what nothing is learnt from.
fn kept(posted: Stored) {
    let bytes = layout::encode_lines(std::slice::from_ref(&posted));
    let expected = match posted {
        Stored::Feedback { id, reward, rank, .. } => {
            Stored::Feedback { id, reward, rank, cache_id: None, bad: None }
        }
        decision => decision,
    };
    assert_eq!(layout::decode_lines(&bytes, &RULES), Some(vec![expected]));
}

fn read_back(bytes: &[u8]) -> bool {
    let read = layout::read_lines(bytes);
    let mut known = false;
    if let Some(lines) = layout::decode_lines(bytes, &RULES) {
        known = !lines.is_empty();
        assert_eq!(read.as_ref(), Some(&lines));
        assert_eq!(layout::decode_lines(&layout::encode_lines(&lines), &RULES), Some(lines));
    } else if let Some(lines) = read {
        assert!(lines.iter().any(|line| !layout::is_possible(line, &RULES)), "{lines:?}");
    }
    let Some(updates) = layout::decode_updates(bytes, &RULES) else { return known };
    for update in &updates {
        let (Update::Learn { sample, .. } | Update::Correct { sample, .. }) = update;
        assert!(sample.context.iter().all(|value| value.is_finite()));
        assert!(sample.propensity > 0.0 && (0.0..=1.0).contains(&sample.reward));
    }
    let sums = Sums::of(updates.iter(), &LEARNERS);
    assert_eq!(Sums::from_bytes(&sums.to_bytes(), 2, LEARNERS.dimensions()), Some(sums));
    known || !updates.is_empty()
}
