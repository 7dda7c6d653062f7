//! What the next process resumes from: every learner, under one digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Learners, SHARED_PRECISION};
use crate::bandit::RestoreError;
use crate::bandit::controller::Saved;

/// The layout of a checkpoint.
#[derive(Serialize, Deserialize)]
struct SavedLearners {
    global: Saved,
    segments: BTreeMap<String, Saved>,
}

impl Learners {
    /// All that the next process needs except the windows, which are refilled from the log
    /// ([`Learners::remember`]), with a digest in front.
    pub fn save(&mut self) -> Vec<u8> {
        let global = self.global.save();
        let segments = self.segments.iter_mut();
        let segments = segments.map(|it| (it.name.clone(), it.controller.save())).collect();
        // Strings and whole numbers cannot fail to serialise.
        let state = serde_json::to_string(&SavedLearners { global, segments }).unwrap_or_default();
        sealed(&state).into_bytes()
    }

    /// Restores a saved state. New segments begin with the global model.
    ///
    /// # Errors
    ///
    /// When it is damaged, or for other targets, penalties or features; then nothing is changed.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let state = opened(state).ok_or(RestoreError::Damaged)?;
        let mut saved: SavedLearners =
            serde_json::from_str(&state).map_err(|_| RestoreError::Damaged)?;
        let mut restored = self.clone();
        restored.global.restore(&saved.global)?;
        for member in &mut restored.segments {
            // As while it learnt: what it knows is fitted to this prior.
            member.controller.follow(&restored.global, SHARED_PRECISION);
            if let Some(own) = saved.segments.remove(&member.name) {
                member.controller.restore(&own)?;
            }
            member.controller.follow(&restored.global, SHARED_PRECISION);
        }
        restored.publish();
        *self = restored;
        Ok(())
    }
}

/// What a state begins with. It stays JSON that the version before can read, which ignores the
/// digest, so that replicas of both can take turns.
const DIGEST: &str = r#"{"digest":""#;
/// What a state of the version before begins with.
const NO_DIGEST: &str = r#"{"global":"#;

fn sealed(state: &str) -> String {
    let rest = state.strip_prefix('{').unwrap_or_default();
    format!("{DIGEST}{:x}\",{rest}", Sha256::digest(state))
}

/// The state without its digest, if this is right; or one of the version before, which had none.
fn opened(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.starts_with(NO_DIGEST) {
        return Some(text.to_owned());
    }
    let (digest, rest) = text.strip_prefix(DIGEST)?.split_once("\",")?;
    let state = format!("{{{rest}");
    (format!("{:x}", Sha256::digest(&state)) == digest).then_some(state)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;
    use crate::bandit::Prior;
    use crate::bandit::learners::tests::{learners, play, strong_share, teach};

    #[test]
    fn a_state_with_one_changed_byte_is_damaged_and_changes_nothing() {
        let mut before = learners();
        let mut rng = SmallRng::seed_from_u64(3);
        teach(&mut before, "hard", 50, &mut rng);
        let state = before.save();
        let untouched = learners();
        let place = |k: usize| k * (state.len() - 1) / 199;
        for at in (0..200).map(place).chain(0..100) {
            let mut damaged = state.clone();
            damaged[at] ^= 1 << (at % 7);
            let mut after = learners();
            assert_eq!(after.restore(&damaged), Err(RestoreError::Damaged), "byte {at}");
            assert_eq!(after.snapshot(), untouched.snapshot());
            assert_eq!(after.restore(&state[..at]), Err(RestoreError::Damaged), "{at} bytes");
        }
        assert_eq!(learners().restore(&state), Ok(()));
    }

    #[test]
    fn a_state_of_the_version_before_has_no_digest_and_is_restored() {
        let mut before = learners();
        let mut rng = SmallRng::seed_from_u64(3);
        teach(&mut before, "hard", 50, &mut rng);
        let state = String::from_utf8(before.save()).unwrap();
        let (_, rest) = state.split_once("\",").unwrap();
        let mut after = learners();
        assert_eq!(after.restore(format!("{{{rest}").as_bytes()), Ok(()));
        assert_eq!(after.seen(), 50);
        assert_eq!(after.snapshot().components, before.snapshot().components);
        // And that version reads ours: it ignores a field that it does not know.
        assert!(serde_json::from_str::<SavedLearners>(&state).is_ok());
    }

    #[test]
    fn what_a_segment_has_learnt_is_fitted_to_the_global_model_after_a_restart_too() {
        let mut before = learners();
        let mut rng = SmallRng::seed_from_u64(3);
        teach(&mut before, "", 500, &mut rng);
        teach(&mut before, "hard", 50, &mut rng);
        before.step();
        let mut after = learners();
        after.restore(&before.save()).unwrap();
        assert!(before.promote("hard") && after.promote("hard"));
        assert_eq!(after.snapshot(), before.snapshot());
    }

    #[test]
    fn what_was_learnt_survives_and_a_new_segment_begins_with_the_global_model() {
        let mut before = learners();
        let mut rng = SmallRng::seed_from_u64(3);
        for _ in 0..16 {
            play(&mut before, "hard", 250, &mut rng);
        }
        let state = before.save();
        let mut after = learners();
        after.restore(&state).unwrap();
        assert_eq!(after.snapshot(), before.snapshot());
        let names = ["new".to_owned(), "hard".to_owned()];
        let options = before.options().clone();
        let mut other = Learners::new(options, Prior::warm(&[0.5], &[0.0, 0.2]), &names);
        other.restore(&state).unwrap();
        assert_eq!(strong_share(&other, "hard"), strong_share(&before, "hard"));
        assert_eq!(strong_share(&other, "new"), strong_share(&before, ""));
    }
}
