//! Questions with several wordings: rows with paraphrases made up here, or pairs that people wrote.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::{Pool, paraphrase};
use pointsman_lab::files::Lines;

/// Texts, and the question that each asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Questions {
    pub texts: Vec<String>,
    pub question: Vec<usize>,
    /// The wordings of each question; the first is the commonest.
    pub of_question: Vec<Vec<usize>>,
}

/// Why pairs could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PairsError {
    #[error("{file}: {error}")]
    Io { file: String, error: std::io::Error },
    #[error("{file}:{line}: {error}")]
    Line { file: String, line: usize, error: serde_json::Error },
}

/// Two texts, and whether they ask the same.
#[derive(Deserialize)]
struct Pair {
    text_a: String,
    text_b: String,
    label: u8,
}

impl Questions {
    /// Every prompt of a pool, in order, with wordings that are made up: at most `wordings` in all,
    /// the recorded one first.
    pub fn of_rows(pool: &Pool, wordings: usize) -> Questions {
        let mut questions = Questions::default();
        for (item, prompt) in pool.items.iter().enumerate() {
            let of_item = (0..wordings).map(|wording| match wording {
                0 => prompt.text.clone(),
                other => paraphrase(&prompt.text, (item * wordings + other) as u64),
            });
            questions.add(of_item);
        }
        questions
    }

    /// The first `most` questions of pairs: JSONL, plain or gzipped, with `text_a`, `text_b` and
    /// `label`, 1 for the same question. What is the same as the same is the same.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or a line that is not a pair.
    pub fn of_pairs(path: &Path, most: usize) -> Result<Questions, PairsError> {
        let file = path.display().to_string();
        let io = |error| PairsError::Io { file: file.clone(), error };
        let mut lines = Lines::open(path).map_err(io)?;
        let mut known: HashMap<String, usize> = HashMap::new();
        // The text that stands for each text's question, or for one that stands for it.
        let mut same: Vec<usize> = Vec::new();
        while let Some((number, line, _)) = lines.next_line().map_err(io)? {
            let pair: Pair = serde_json::from_slice(line).map_err(|error| PairsError::Line {
                file: file.clone(),
                line: number,
                error,
            })?;
            let [a, b] = [pair.text_a, pair.text_b].map(|text| {
                *known.entry(text).or_insert_with(|| {
                    same.push(same.len());
                    same.len() - 1
                })
            });
            if pair.label == 1 {
                let (a, b) = (root(&mut same, a), root(&mut same, b));
                same[a.max(b)] = a.min(b);
            }
        }
        let mut texts: Vec<(usize, String)> =
            known.into_iter().map(|(text, position)| (position, text)).collect();
        texts.sort_unstable();
        let mut groups: Vec<Vec<String>> = vec![Vec::new(); texts.len()];
        for (position, text) in texts {
            groups[root(&mut same, position)].push(text);
        }
        let mut questions = Questions::default();
        let filled = groups.into_iter().filter(|group| !group.is_empty());
        filled.take(most).for_each(|group| questions.add(group.into_iter()));
        Ok(questions)
    }

    fn add(&mut self, texts: impl Iterator<Item = String>) {
        let first = self.texts.len();
        for text in texts {
            if !self.texts[first..].contains(&text) {
                self.texts.push(text);
            }
        }
        self.question.resize(self.texts.len(), self.of_question.len());
        self.of_question.push((first..self.texts.len()).collect());
    }
}

/// The text that stands for a text's question; shortens the way there.
fn root(same: &mut [usize], mut text: usize) -> usize {
    while same[text] != text {
        same[text] = same[same[text]];
        text = same[text];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_share_a_text_are_one_question() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pairs.jsonl");
        let pairs = r#"{"text_a": "a", "text_b": "b", "label": 1}
            {"text_a": "x", "text_b": "a", "label": 0}
            {"text_a": "c", "text_b": "b", "label": 1}"#;
        std::fs::write(&path, pairs).unwrap();
        let questions = Questions::of_pairs(&path, 10).unwrap();
        assert_eq!(questions.texts, ["a", "b", "c", "x"]);
        assert_eq!(questions.question, [0, 0, 0, 1]);
        assert_eq!(questions.of_question, [vec![0, 1, 2], vec![3]]);
        assert_eq!(Questions::of_pairs(&path, 1).unwrap().texts.len(), 3);
        std::fs::write(&path, "{}").unwrap();
        assert!(Questions::of_pairs(&path, 1).unwrap_err().to_string().contains(":1: missing"));
    }
}
