//! What labelling adds to a dataset row.

use serde::Serialize;

/// Quality of both answers, 0 to 1.
#[derive(Serialize)]
pub struct Scores {
    pub cheap: f64,
    pub strong: f64,
}

/// Whether the cheap answer is good enough, and who says so.
#[derive(Serialize)]
pub struct Label<Evaluator> {
    pub cheap_ok: bool,
    pub quality: f64,
    pub evaluator: Evaluator,
}
