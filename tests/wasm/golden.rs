//! The golden vectors of `model/`: the same features, bit for bit, and the same scores as where
//! the model was trained.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use pointsman_testkit::wasm::plugin::{Plugin, Request};

#[derive(Deserialize)]
struct Golden {
    id: String,
    request: Box<RawValue>,
    /// Base64 of the engineered features, little-endian `f32`.
    engineered: String,
    /// One for each target but the strongest.
    scores: Vec<f64>,
}

/// How far a score may be from the recorded one.
const TOLERANCE: f64 = 1e-5;

#[test]
fn golden_vectors_hold_in_wasm() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("model/golden.jsonl");
    let lines = std::fs::read_to_string(&path).unwrap();
    let configuration = br#"{"targets":[{"name":"cheap","cluster":"cheap"},
        {"name":"strong","cluster":"strong"}],"default":"strong"}"#;
    let mut plugin = Plugin::start(configuration).unwrap();
    let mut checked = 0;
    for line in lines.lines() {
        let golden: Golden = serde_json::from_str(line).unwrap();
        let exchange = plugin.exchange(&Request::chat(golden.request.get())).unwrap();
        let record = exchange.record.as_ref().unwrap();

        let features = |text: &str| -> Vec<u32> {
            let bytes = BASE64_STANDARD.decode(text).unwrap();
            bytes.chunks(4).map(|bits| u32::from_le_bytes(bits.try_into().unwrap())).collect()
        };
        let (found, wanted) =
            (features(exchange.recorded("features")), features(&golden.engineered));
        let differing: Vec<usize> =
            (0..wanted.len()).filter(|row| found.get(*row) != wanted.get(*row)).collect();
        assert!(differing.is_empty(), "{}: features {differing:?} differ", golden.id);
        assert_eq!(found.len(), wanted.len(), "{}", golden.id);

        let wanted = golden.scores[0];
        let score = record["score"].as_f64().unwrap();
        assert!((score - wanted).abs() <= TOLERANCE, "{}: {score}, not {wanted}", golden.id);
        let header = exchange.response_header("x-pointsman-score");
        assert_eq!(header, None, "no client is told the score unless the configuration says so");
        checked += 1;
    }
    assert!(checked > 0, "{} is empty", path.display());
}
