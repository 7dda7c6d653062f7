//! What speaks for the cheap target and against it, by occlusion: the log-odds of its score with
//! some features, minus those without them.

use std::io::{Result, Write};
use std::ops::Range;

use pointsman_core::features::{
    CHAR_BUCKETS, DENSE, ENGINEERED, FeatureGroup, Features, GROUPS, LEN, SCHEMA,
};
use pointsman_core::router::Router;
use serde::Serialize;

/// A feature by itself.
#[derive(Serialize)]
pub(super) struct Contribution {
    feature: &'static str,
    /// The feature's value; for a block of n-grams, how many buckets are filled.
    value: f32,
    /// Change of the first target's log-odds.
    contribution: f32,
}

/// Features that say the same kind of thing.
#[derive(Serialize)]
pub(super) struct GroupContribution {
    group: &'static str,
    /// Change of the first target's log-odds.
    contribution: f32,
    /// What of it the prompt has most unusually much of, compared to an average prompt.
    most: Vec<&'static str>,
}

/// The blocks that are not engineered: as a group, as a feature, and where they are.
const BLOCKS: [(&str, &str, Range<usize>); 3] = [
    ("what the words are about", "(what the words are about)", ENGINEERED..DENSE),
    ("words and phrases", "(word n-grams)", DENSE..LEN - CHAR_BUCKETS),
    ("spellings", "(character n-grams)", LEN - CHAR_BUCKETS..LEN),
];

/// Contributions of single features, the largest first. None when the model does not score these
/// targets.
pub(super) fn of_features(router: &Router, features: &Features) -> Vec<Contribution> {
    let Some(whole) = log_odds(router, features) else { return Vec::new() };
    let engineered = SCHEMA.iter().enumerate().map(|(at, feature)| (feature.name, at..at + 1));
    let blocks = BLOCKS.iter().map(|(_, feature, range)| (*feature, range.clone()));
    let mut contributions = Vec::new();
    for (feature, range) in engineered.chain(blocks) {
        let values = &features.as_slice()[range.clone()];
        let filled = values.iter().filter(|value| **value != 0.0).count();
        if filled == 0 {
            continue;
        }
        let without = log_odds(router, &features.without(range.clone()));
        let contribution = without.map_or(0.0, |without| whole - without);
        let value = if range.len() == 1 { values[0] } else { filled as f32 };
        contributions.push(Contribution { feature, value, contribution });
    }
    contributions.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
    contributions
}

/// Contributions of groups, the largest first.
pub(super) fn of_groups(router: &Router, features: &Features) -> Vec<GroupContribution> {
    let Some(whole) = log_odds(router, features) else { return Vec::new() };
    let novelty = router.classifier().manifest().novelty.as_ref();
    let usual = |at: usize| novelty.and_then(|it| it.mean.get(at)).copied().unwrap_or_default();
    let of = |group: &'static str, range: &Range<usize>, most| {
        let without = features.replaced(range.clone().map(|at| (at, usual(at))));
        let contribution = whole - log_odds(router, &without).unwrap_or(whole);
        GroupContribution { group, contribution, most }
    };
    let engineered = GROUPS.iter().map(|FeatureGroup { name, range }| {
        let deviation = |at: usize| {
            let inverse = novelty.and_then(|it| it.inverse_deviation.get(at));
            (features.as_slice()[at] - usual(at)) * inverse.copied().unwrap_or(1.0)
        };
        let mut most: Vec<usize> = range.clone().filter(|at| deviation(*at) > 1.0).collect();
        most.sort_by(|a, b| deviation(*b).total_cmp(&deviation(*a)));
        let most = most.into_iter().take(2).map(|at| SCHEMA[at].name).collect();
        of(name, range, most)
    });
    let blocks = BLOCKS.iter().map(|(group, _, range)| of(group, range, Vec::new()));
    let mut groups: Vec<GroupContribution> = engineered.chain(blocks).collect();
    groups.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
    groups
}

fn log_odds(router: &Router, features: &Features) -> Option<f32> {
    let score = router.scores(features).first()?.clamp(1e-6, 1.0 - 1e-6);
    Some((score / (1.0 - score)).ln())
}

/// The groups that matter, in words.
pub(super) fn write_groups(out: &mut dyn Write, groups: &[GroupContribution]) -> Result<()> {
    /// Groups of each side.
    const SHOWN: usize = 3;
    /// Log-odds that move a score of one half by less than 0.025.
    const LITTLE: f32 = 0.1;
    for (side, sign) in [("for", 1.0), ("against", -1.0)] {
        let shown = groups.iter().filter(|group| group.contribution * sign > LITTLE).take(SHOWN);
        for GroupContribution { group, contribution, most } in shown {
            let most = if most.is_empty() {
                String::new()
            } else {
                format!(": much {}", most.join(", ").replace('_', " "))
            };
            writeln!(out, "{side:9} {group} ({contribution:+.1}){most}")?;
        }
    }
    Ok(())
}

/// The features that matter, as numbers.
pub(super) fn write_features(out: &mut dyn Write, features: &[Contribution]) -> Result<()> {
    const SHOWN: usize = 15;
    if !features.is_empty() {
        writeln!(out, "\n{:28} {:>8} {:>12}", "feature", "value", "contribution")?;
    }
    for line in features.iter().take(SHOWN) {
        writeln!(out, "{:28} {:>8.3} {:>+12.3}", line.feature, line.value, line.contribution)?;
    }
    Ok(())
}
