use proptest::prelude::*;

use super::*;

fn with_pair<T>(a: &str, b: &str, look: impl FnOnce(Pair) -> T) -> T {
    let (a, b) = (QuestionFacts::of(a), QuestionFacts::of(b));
    look(Pair::new(&a, &b, &|_, _| Closeness::Far))
}

/// What the guards say without knowing what words mean.
pub(super) fn agree(a: &str, b: &str) -> Result<(), Disagreement> {
    with_pair(a, b, |pair| pair.agree())
}

pub(super) fn statement_changes(a: &str, b: &str) -> [bool; 2] {
    with_pair(a, b, |pair| pair.statement_changes())
}

/// Each pair is refused for this reason, whichever question comes first.
pub(super) fn refused(kind: Disagreement, pairs: &[(&str, &str)]) {
    for (a, b) in pairs {
        assert_eq!(agree(a, b), Err(kind), "{a} / {b}");
        assert_eq!(agree(b, a), Err(kind), "{b} / {a}");
    }
}

/// No guard objects to any of the pairs.
pub(super) fn agreed(pairs: &[(&str, &str)]) {
    for (a, b) in pairs {
        assert_eq!(agree(a, b), Ok(()), "{a} / {b}");
    }
}

#[test]
fn each_kind_has_one_guard_and_one_name() {
    for (at, guard) in GUARDS.iter().enumerate() {
        assert!(GUARDS[..at].iter().all(|other| other.kind != guard.kind), "{:?}", guard.kind);
        assert_eq!(serde_json::to_value(guard.kind).unwrap(), guard.kind.name());
    }
}

proptest! {
    #[test]
    fn a_text_agrees_with_itself_and_no_text_panics(a in "\\PC{0,80}", b in "\\PC{0,80}") {
        prop_assert_eq!(agree(&a, &a), Ok(()));
        prop_assert_eq!(agree(&a, &b).is_ok(), agree(&b, &a).is_ok());
    }
}
