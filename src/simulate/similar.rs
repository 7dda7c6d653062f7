//! What the semantic cache makes of each wording: its key, and the others it would look at.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;
use serde_json::json;

use super::Questions;
use super::caches::{Near, Wordings};
use pointsman_cache::embedding::EmbeddingError;
use pointsman_cache::tiers::NEAR;
use pointsman_cache::{
    Calibration, Embedder, Index, Limits, Matcher, PartitionKey, Question, lookup,
};
use pointsman_core::prompt::ApiFormat;

/// Wordings that are kept for each: more than the cache looks at, since not all will be stored.
const KEPT: usize = 12;

/// What the built-in embedding or its calibration failed with.
#[derive(Debug, thiserror::Error)]
pub enum MatcherError {
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    #[error("the calibration: {0}")]
    Calibration(#[from] serde_json::Error),
}

/// Puts every wording through the cache's own key, embedding, index and guards, once.
///
/// # Errors
///
/// When the built-in embedding cannot be read.
pub fn wordings(questions: &Questions) -> Result<Wordings, MatcherError> {
    let matcher = Matcher::new(Embedder::built_in()?, Calibration::built_in()?);
    let key =
        PartitionKey { target: "cheap", path: "/v1/chat/completions", ..PartitionKey::default() };
    let looked_up: Vec<_> = questions
        .texts
        .par_iter()
        .map(|text| {
            let body = json!({"messages": [{"role": "user", "content": text}]}).to_string();
            lookup(ApiFormat::ChatCompletions, body.as_bytes(), &key, &Limits::default()).ok()
        })
        .collect();
    let mut of_key = HashMap::new();
    let keys = looked_up.iter().enumerate().map(|(wording, lookup)| match lookup {
        Some(lookup) => *of_key.entry(lookup.exact).or_insert(wording),
        None => wording,
    });
    let key = keys.collect();
    // A question that is too long to compare is only ever the same or not.
    let asked: Vec<Option<Question>> = looked_up
        .par_iter()
        .map(|lookup| Some(matcher.question(lookup.as_ref()?.question.as_deref()?)))
        .collect();
    // All lookups are of one conversation's beginning, and so of one partition.
    let partition = looked_up.iter().flatten().next().map(|lookup| lookup.partition);
    let index = Index::default();
    for (id, question) in (0..).zip(&asked) {
        if let (Some(question), Some(partition)) = (question, partition) {
            index.insert(partition, id, &question.embedding);
        }
    }
    let found: Vec<Vec<usize>> = asked
        .par_iter()
        .enumerate()
        .map(|(wording, question)| {
            let (Some(question), Some(partition)) = (question, partition) else { return vec![] };
            let found = index.nearest(partition, &question.embedding, KEPT + 1);
            let near = found.iter().filter(|it| it.cosine >= NEAR).map(|it| it.id as usize);
            near.filter(|other| *other != wording).collect()
        })
        .collect();
    // A verdict is the same whichever question comes first.
    let pair = |a: usize, b: usize| (a.min(b), a.max(b));
    let pairs: HashSet<(usize, usize)> = (0..)
        .zip(&found)
        .flat_map(|(wording, near)| near.iter().map(move |&other| pair(wording, other)))
        .collect();
    let serving: HashSet<(usize, usize)> = pairs
        .into_par_iter()
        .filter(|&(a, b)| match (&asked[a], &asked[b]) {
            (Some(a), Some(b)) => matcher.hits(&matcher.judge(a, b)),
            _ => false,
        })
        .collect();
    let near = (0..).zip(found).map(|(wording, near)| {
        let of = |other| Near { wording: other, serves: serving.contains(&pair(wording, other)) };
        near.into_iter().map(of).collect()
    });
    let near = near.collect();
    Ok(Wordings {
        question: questions.question.clone(),
        of_question: questions.of_question.clone(),
        key,
        near,
    })
}
