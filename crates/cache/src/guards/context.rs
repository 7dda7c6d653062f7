//! Questions about what is not in their text: "what does this mean".

use super::facts::QuestionFacts;
use super::pair::Pair;

pub(super) fn differs(pair: &Pair) -> bool {
    points_outside(pair.a) || points_outside(pair.b)
}

/// A long text holds what it points at.
fn points_outside(facts: &QuestionFacts) -> bool {
    const ENOUGH: usize = 6;
    facts.frame.as_ref().is_some_and(|it| it.points_outside) && facts.content().count() < ENOUGH
}

#[cfg(test)]
mod tests {
    use super::super::Disagreement;
    use super::super::tests::refused;

    #[test]
    fn what_points_outside_of_its_text_is_refused() {
        refused(
            Disagreement::Context,
            &[("What does this symbol mean?", "What is the meaning of this symbol?")],
        );
    }
}
