//! Which stored answers the semantic cache gives for which wording.

/// For each text the other texts whose stored answer serves it, best first.
pub fn served_by(texts: &[String]) -> Vec<Vec<usize>> {
    vec![Vec::new(); texts.len()]
}
