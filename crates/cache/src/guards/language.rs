//! Questions in two languages.

use super::pair::Pair;

pub(super) fn differs(pair: &Pair) -> bool {
    !pair.a.language.agrees(pair.b.language)
}

#[cfg(test)]
mod tests {
    use super::super::Disagreement;
    use super::super::tests::refused;

    #[test]
    fn another_language_is_refused() {
        refused(
            Disagreement::Language,
            &[("What is the capital of France?", "¿Cuál es la capital de Francia?")],
        );
    }
}
