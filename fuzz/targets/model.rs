//! Models: a manifest and an ONNX file.

use std::sync::LazyLock;

use pointsman_core::acceptance::{ANSWER_LEN, AcceptanceModel, answer_schema_hash};
use pointsman_core::classifier::{Classifier, Manifest, Objective};
use pointsman_core::features::{self, Features, extract};
use pointsman_core::prompt::Prompt;

use super::{filled, first_line};

/// What no file can know in advance, by what stands for it.
static SCHEMAS: LazyLock<[(&str, String); 3]> = LazyLock::new(|| {
    [
        ("SCHEMA", features::schema_hash()),
        ("ANSWERS", answer_schema_hash()),
        ("WIDTH", ANSWER_LEN.to_string()),
    ]
});

/// A line with the manifest, then the ONNX file: a model that loads gives probabilities, the same
/// ones whenever it is asked, and a manifest that is read survives being written.
pub fn model(data: &[u8]) -> bool {
    let (manifest, onnx) = first_line(data);
    let schemas = SCHEMAS.each_ref().map(|(word, hash)| (*word, hash.as_bytes()));
    let manifest = filled(manifest, &schemas);
    if let Ok(read) = Manifest::read(&manifest) {
        let written = serde_json::to_vec(&read).expect("a manifest can be written");
        assert_eq!(Manifest::read(&written), Ok(read));
    }
    let mut loads = false;
    for objective in [None, Some(Objective::Gain)] {
        if let Ok(classifier) = Classifier::load_for(onnx, &manifest, objective) {
            scores(&classifier);
            loads = true;
        }
    }
    if let Ok(judge) = AcceptanceModel::load(onnx, &manifest) {
        loads = true;
        assert!((0.0..=1.0).contains(&judge.accept_below()));
        for value in [0.0, 1.0, -3.5] {
            if let Ok(probability) = judge.judge(&[value; ANSWER_LEN]) {
                assert!((0.0..=1.0).contains(&probability), "{probability}");
            }
        }
    }
    loads
}

fn scores(classifier: &Classifier) {
    let targets = classifier.manifest().targets.len();
    assert_eq!(classifier.thresholds().len(), targets);
    assert!(classifier.thresholds().iter().all(|it| (0.0..=1.0).contains(it)));
    let prompt = Prompt::from_text("What is 6 times 7?\n```python\nprint(6 * 7)\n```");
    for features in [Features::default(), extract(&prompt)] {
        let scores = classifier.scores(&features);
        // As text, because an error may hold what is not a number.
        let again = classifier.scores(&features);
        assert_eq!(format!("{again:?}"), format!("{scores:?}"));
        if let Ok(scores) = scores {
            assert_eq!(scores.len(), targets);
            assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
        }
        if let Some(novelty) = &classifier.manifest().novelty {
            assert!(novelty.of(&features) >= 0.0);
        }
    }
}
