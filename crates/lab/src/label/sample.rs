//! Stratified sampling: rare kinds of prompts are seen, and weights undo the skew.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use super::record::Record;
use pointsman_core::features::{Features, SCHEMA, extract};
use pointsman_core::prompt::{ApiFormat, Prompt};

/// What a prompt mostly is, read off the features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Tools,
    Images,
    Json,
    Code,
    Choice,
    Mathematics,
    Quantity,
    Writing,
    Other,
}

/// A cell of the sample: prompts that look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stratum {
    task: Task,
    /// Powers of e², about ×7 in bytes.
    length: u8,
    conversation: bool,
    foreign: bool,
}

impl Stratum {
    /// The stratum of a record's request.
    pub fn of(record: &Record) -> Self {
        let body = record.request.body().to_string();
        let path = record.path.as_ref().and_then(|path| ApiFormat::of_path(path.as_bytes()));
        let format = path.unwrap_or_else(|| ApiFormat::of_body(&body));
        let features = match Prompt::parse(format, &mut body.into_bytes(), false) {
            Ok(prompt) => extract(&prompt),
            Err(_) => extract(&Prompt::from_text(&record.request.question())),
        };
        Self::of_features(&features)
    }

    fn of_features(features: &Features) -> Self {
        let value = |name: &'static str| feature(features, name);
        let any = |names: &[&'static str]| names.iter().any(|name| value(name) > 0.0);
        let several = 1.0; // ln(1+n) of two or more
        let task = if any(&["tools", "tool_calls", "tool_turns"]) {
            Task::Tools
        } else if any(&["images"]) {
            Task::Images
        } else if any(&["json_output", "schema_output"]) {
            Task::Json
        } else if any(&["code_fences", "stack_trace", "diff_lines"])
            || value("programming_terms") > several
        {
            Task::Code
        } else if value("choice_lines") > several {
            Task::Choice
        } else if any(&["latex"]) || value("math_terms") > several {
            Task::Mathematics
        } else if any(&["how_many", "word_problem"]) {
            Task::Quantity
        } else if any(&["writing_terms", "opens_with_write", "opens_with_persona"]) {
            Task::Writing
        } else {
            Task::Other
        };
        Stratum {
            task,
            length: (value("text_bytes") / 2.0) as u8,
            conversation: any(&["assistant_turns"]),
            foreign: value("non_ascii") > 0.2,
        }
    }
}

impl fmt::Display for Stratum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/e^{}", self.task, 2 * self.length)?;
        f.write_str(if self.conversation { "/conversation" } else { "" })?;
        f.write_str(if self.foreign { "/foreign" } else { "" })
    }
}

fn feature(features: &Features, name: &'static str) -> f32 {
    static POSITIONS: LazyLock<BTreeMap<&'static str, usize>> =
        LazyLock::new(|| SCHEMA.iter().enumerate().map(|(i, spec)| (spec.name, i)).collect());
    POSITIONS.get(name).and_then(|&i| features.engineered().get(i)).copied().unwrap_or(0.0)
}

/// A row's rank in the draw: by seed and id alone, so that a larger sample contains the smaller one
/// of the same stratum and nothing depends on the order of the files.
pub fn rank(seed: u64, id: &str) -> u64 {
    let mut digest = Sha256::new();
    digest.update(seed.to_le_bytes());
    digest.update(id);
    let bytes: [u8; 32] = digest.finalize().into();
    u64::from_le_bytes(bytes[..8].try_into().unwrap_or_default())
}

/// How many rows to draw from each stratum of these sizes, `wanted` in all: in proportion to the
/// square root of the size, so that rare kinds get more than their share, and at least one.
pub fn allocate(sizes: &[u64], wanted: u64) -> Vec<u64> {
    let total: u64 = sizes.iter().sum();
    if wanted >= total {
        return sizes.to_vec();
    }
    let mut shares = vec![0; sizes.len()];
    let mut left = wanted;
    // A stratum that gets more than it has frees places for the others: until none does.
    while left > 0 {
        let open: Vec<usize> = (0..sizes.len()).filter(|&i| shares[i] < sizes[i]).collect();
        let roots: f64 = open.iter().map(|&i| (sizes[i] as f64).sqrt()).sum();
        let before = left;
        for &i in &open {
            let fair = before as f64 * (sizes[i] as f64).sqrt() / roots;
            let grant = (fair.floor() as u64).min(sizes[i] - shares[i]).min(left);
            shares[i] += grant;
            left -= grant;
        }
        if left == before {
            // Fewer places than strata: the smallest share first, then the largest stratum.
            let mut order = open;
            order.sort_by_key(|&i| (shares[i], std::cmp::Reverse(sizes[i]), i));
            for i in order.into_iter().take(left as usize) {
                shares[i] += 1;
                left -= 1;
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_that_is_asked_for_exists() {
        for name in [
            "tools",
            "tool_calls",
            "tool_turns",
            "images",
            "json_output",
            "schema_output",
            "code_fences",
            "stack_trace",
            "diff_lines",
            "programming_terms",
            "choice_lines",
            "latex",
            "math_terms",
            "how_many",
            "word_problem",
            "writing_terms",
            "opens_with_write",
            "opens_with_persona",
            "text_bytes",
            "assistant_turns",
            "non_ascii",
        ] {
            assert!(SCHEMA.iter().any(|spec| spec.name == name), "{name}");
        }
    }

    #[test]
    fn different_kinds_fall_into_different_strata() {
        let stratum = |text: &str| Stratum::of_features(&extract(&Prompt::from_text(text)));
        let code = stratum("Fix this:\n```python\ndef f(:\n```");
        assert_eq!(code.task, Task::Code);
        assert_ne!(code, stratum("How many apples are left?"));
        assert_ne!(stratum("Hello there"), stratum("Привет, как дела сегодня"));
    }

    #[test]
    fn rare_strata_are_drawn_and_the_total_is_met() {
        for (sizes, wanted) in [
            (vec![10_000, 100, 4, 1], 200),
            (vec![5, 5, 5], 7),
            (vec![1; 50], 10),
            (vec![1000, 1], 2),
        ] {
            let shares = allocate(&sizes, wanted);
            assert_eq!(shares.iter().sum::<u64>(), wanted, "{sizes:?}");
            assert!(shares.iter().zip(&sizes).all(|(share, size)| share <= size), "{shares:?}");
        }
        let shares = allocate(&[10_000, 100, 4, 1], 200);
        assert!(shares[1] > 200 * 100 / 10_105 && shares[3] == 1, "{shares:?}");
        assert_eq!(allocate(&[3, 2], 10), [3, 2]);
    }
}
