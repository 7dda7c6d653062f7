use prost::Message;
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto::DataType,
};

use super::*;
use crate::features::LEN;
use crate::prompt::Prompt;

fn floats(name: &str, dims: &[usize], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.iter().map(|&size| size as i64).collect(),
        data_type: DataType::Float as i32,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: vec![values.len() as i64],
        data_type: DataType::Int64 as i32,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: operator.to_owned(),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

fn value(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: name.to_owned(), ..ValueInfoProto::default() }
}

fn onnx(nodes: Vec<NodeProto>, initializers: Vec<TensorProto>) -> Vec<u8> {
    let graph = GraphProto {
        node: nodes,
        initializer: initializers,
        input: vec![value("features")],
        output: vec![value("scores")],
        ..GraphProto::default()
    };
    ModelProto { graph: Some(graph), ..ModelProto::default() }.encode_to_vec()
}

fn manifest(schema_hash: &str) -> Vec<u8> {
    serde_json::to_vec(&Manifest {
        format: 1,
        version: "test".to_owned(),
        schema_hash: schema_hash.to_owned(),
        features: LEN,
        targets: vec![ManifestTarget {
            name: "cheap".to_owned(),
            threshold: 0.5,
            gain_threshold: None,
        }],
        objective: None,
        novelty: None,
        training: serde_json::Value::Null,
    })
    .unwrap()
}

/// Logistic regression on `text_bytes` alone, the first feature.
fn logistic(weight: f32, bias: f32) -> Vec<u8> {
    let mut weights = vec![0.0; LEN];
    weights[0] = weight;
    onnx(
        vec![
            node("MatMul", &["features", "weights"], "product"),
            node("Add", &["product", "bias"], "logit"),
            node("Sigmoid", &["logit"], "scores"),
        ],
        vec![floats("weights", &[LEN, 1], &weights), floats("bias", &[1], &[bias])],
    )
}

fn load(onnx: &[u8]) -> Result<Classifier, ModelError> {
    Classifier::load(onnx, &manifest(&features::schema_hash()))
}

#[test]
fn a_graph_scores_as_its_formula_says() {
    let classifier = load(&logistic(0.5, -1.0)).unwrap();
    let features = features::extract(&Prompt::from_text("seven b"));
    let expected = 1.0 / (1.0 + f32::exp(1.0 - 0.5 * 8.0_f32.ln()));
    let scores = classifier.scores(&features).unwrap();
    assert_eq!(scores.len(), 1);
    assert!((scores[0] - expected).abs() < 1e-6, "{scores:?} {expected}");
}

#[test]
fn every_supported_operator_computes_what_onnx_says() {
    let mut slice = node("Slice", &["features", "zero", "three", "one"], "head");
    let mut concat = node("Concat", &["head", "tripled"], "six");
    let axis = |value| tract_onnx::pb::AttributeProto {
        name: "axis".to_owned(),
        i: value,
        ..Default::default()
    };
    concat.attribute.push(axis(1));
    let mut gather = node("Gather", &["six", "picked"], "four");
    gather.attribute.push(axis(1));
    let mut cast = node("Cast", &["is_less"], "ones");
    cast.attribute.push(tract_onnx::pb::AttributeProto {
        name: "to".to_owned(),
        i: DataType::Float as i64,
        ..Default::default()
    });
    slice.input.push("one".to_owned());
    let nodes = vec![
        slice,
        node("Add", &["head", "half"], "tripled"),
        concat,
        gather,
        node("Reshape", &["four", "square"], "matrix"),
        node("MatMul", &["matrix", "ones_of_two"], "sums"),
        node("Sub", &["sums", "half"], "shifted"),
        node("Less", &["shifted", "limits"], "is_less"),
        cast,
        node("Mul", &["ones", "half"], "halves"),
        node("Div", &["halves", "half"], "back"),
        node("Relu", &["back"], "positive"),
        node("Clip", &["positive", "low", "high"], "clipped"),
        node("Reshape", &["clipped", "row"], "pair"),
        node("Gemm", &["pair", "weights", "bias"], "sum"),
        node("Tanh", &["sum"], "small"),
        node("Identity", &["small"], "same"),
        node("Sigmoid", &["same"], "scores"),
    ];
    let constants = vec![
        integers("zero", &[0]),
        integers("one", &[1]),
        integers("three", &[3]),
        integers("picked", &[0, 1, 3, 5]),
        integers("square", &[2, 2]),
        integers("row", &[1, 2]),
        floats("ones_of_two", &[2, 1], &[1.0, 1.0]),
        floats("half", &[1, 1], &[0.5]),
        floats("limits", &[2, 1], &[100.0, 100.0]),
        floats("low", &[], &[0.0]),
        floats("high", &[], &[0.75]),
        floats("weights", &[2, 1], &[1.0, -0.5]),
        floats("bias", &[1], &[0.25]),
    ];
    let classifier = load(&onnx(nodes, constants)).unwrap();
    let features = features::extract(&Prompt::from_text("some text"));
    // All comparisons hold, so the pair is [0.75, 0.75] whatever the features are.
    let expected = 1.0 / (1.0 + f32::exp(-f32::tanh(0.75 - 0.375 + 0.25)));
    let score = classifier.scores(&features).unwrap()[0];
    assert!((score - expected).abs() < 1e-5, "{score} {expected}");
}

#[test]
fn an_unsupported_operator_is_refused_by_name() {
    let model = onnx(vec![node("LSTM", &["features"], "scores")], vec![]);
    assert_eq!(
        load(&model).unwrap_err().to_string(),
        "model.onnx: operator \"LSTM\" (node \"scores\") is not supported"
    );
}

#[test]
fn a_model_of_another_schema_is_refused_with_both_hashes() {
    let error = Classifier::load(&logistic(0.0, 0.0), &manifest("0123456789abcdef")).unwrap_err();
    let here = features::schema_hash();
    assert_eq!(
        error.to_string(),
        format!(
            "the model was trained on feature schema 0123456789abcdef, this program computes {here}: retrain it"
        )
    );
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let refused = |onnx: &[u8]| load(onnx).unwrap_err().to_string();
    assert!(refused(b"no protobuf").starts_with("model.onnx is not ONNX"));
    assert_eq!(
        refused(&vec![0; MAX_MODEL_BYTES + 1]),
        "model.onnx has 4194305 bytes, at most 4194304 are accepted"
    );
    assert_eq!(
        refused(&onnx(vec![node("Sigmoid", &["nowhere"], "scores")], vec![])),
        "model.onnx: node \"scores\": input \"nowhere\" is made by no earlier node"
    );
    assert!(
        refused(&onnx(vec![node("Sigmoid", &["features"], "scores")], vec![]))
            .contains("expected f32[1, 1]")
    );
    let short = onnx(
        vec![node("MatMul", &["features", "weights"], "scores")],
        vec![floats("weights", &[LEN, 1], &[1.0])],
    );
    assert!(refused(&short).contains("initializer \"weights\": 1 values for shape"));
    assert!(refused(&logistic(f32::NAN, 0.0)).contains("the value NaN is not finite"));
}

/// Doubles the features so many times, then takes one of them for the score.
fn doubling(times: usize) -> Vec<u8> {
    let axis =
        tract_onnx::pb::AttributeProto { name: "axis".to_owned(), i: 1, ..Default::default() };
    let mut before = "features".to_owned();
    let mut nodes = Vec::new();
    for number in 0..times {
        let output = format!("double-{number}");
        let mut concat = node("Concat", &[&before, &before], &output);
        concat.attribute.push(axis.clone());
        nodes.push(concat);
        before = output;
    }
    let mut slice = node("Slice", &[&before, "zero", "one", "one"], "head");
    slice.input.push("one".to_owned());
    nodes.extend([slice, node("Sigmoid", &["head"], "scores")]);
    onnx(nodes, vec![integers("zero", &[0]), integers("one", &[1])])
}

#[test]
fn a_small_file_that_asks_for_much_memory_is_refused_before_it_gets_any() {
    assert!(load(&doubling(5)).is_ok());
    for times in [8, 12, 40, 63, 64, 70] {
        let error = load(&doubling(times)).unwrap_err();
        assert!(matches!(error, ModelError::TooMuchMemory { .. }), "{times}: {error}");
    }
}

#[test]
fn a_version_that_is_a_digest_is_the_files_own() {
    let model = logistic(1.0, 0.0);
    let named = |version: &str| {
        let manifest = manifest(&features::schema_hash());
        let manifest =
            String::from_utf8(manifest).unwrap().replace("\"test\"", &format!("\"{version}\""));
        Classifier::load(&model, manifest.as_bytes())
    };
    let own = hex::encode(&Sha256::digest(&model)).get(..12).unwrap().to_owned();
    assert!(named(&own).is_ok());
    assert!(named("a name").is_ok() && named("2026-11-30").is_ok());
    let error = named("0123456789ab").unwrap_err();
    assert_eq!(error, ModelError::OtherModel { manifest: "0123456789ab".into(), onnx: own });
}

#[test]
fn a_manifest_is_checked() {
    let refused = |json: &str| Classifier::load(&logistic(0.0, 0.0), json.as_bytes()).unwrap_err();
    assert!(matches!(refused("{"), ModelError::Manifest(_)));
    let text = String::from_utf8(manifest(&features::schema_hash())).unwrap();
    assert_eq!(
        refused(&text.replace("\"format\":1", "\"format\":2")),
        ModelError::ManifestFormat { found: 2 }
    );
    assert!(matches!(refused(&text.replace("0.5", "1.5")), ModelError::Manifest(_)));
    let wild = text.replace("0.5", "0.5,\"gain_threshold\":2");
    assert!(matches!(refused(&wild), ModelError::Manifest(_)));
}

/// A model of two questions: what satisfies by its length, and a gain that is always the same.
fn of_two_questions() -> (Vec<u8>, Vec<u8>) {
    let mut model = ModelProto::decode(&*logistic(0.5, -1.0)).unwrap();
    let graph = model.graph.as_mut().unwrap();
    graph.node.push(node("Sub", &["product", "product"], "zero"));
    graph.node.push(node("Sigmoid", &["zero"], "gain"));
    graph.output.push(value("gain"));
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&manifest(&features::schema_hash())).unwrap();
    manifest["objective"] = "satisfy".into();
    manifest["targets"][0]["gain_threshold"] = 0.25.into();
    (model.encode_to_vec(), manifest.to_string().into_bytes())
}

#[test]
fn a_model_of_two_questions_answers_the_one_that_is_asked() {
    let (onnx, manifest) = of_two_questions();
    let features = features::extract(&Prompt::from_text("seven b"));
    let load_for = |objective| Classifier::load_for(&onnx, &manifest, objective).unwrap();
    let gain = load_for(Some(Objective::Gain));
    assert_eq!(gain.scores(&features).unwrap(), [0.5]);
    assert_eq!((gain.thresholds(), gain.objective()), (&[0.25][..], Some(Objective::Gain)));
    let expected = load(&logistic(0.5, -1.0)).unwrap().scores(&features).unwrap();
    for objective in [None, Some(Objective::Satisfy)] {
        let first = load_for(objective);
        assert_eq!(first.scores(&features).unwrap(), expected);
        assert_eq!((first.thresholds(), first.objective()), (&[0.5][..], Some(Objective::Satisfy)));
    }
}

#[test]
fn a_question_that_a_model_does_not_answer_is_refused() {
    let (onnx, with_gain) = of_two_questions();
    let unsaid = manifest(&features::schema_hash());
    let refused = |onnx: &[u8], manifest: &[u8], objective| {
        Classifier::load_for(onnx, manifest, Some(objective)).unwrap_err().to_string()
    };
    let error = refused(&logistic(0.0, 0.0), &unsaid, Objective::Gain);
    assert!(error.contains("no score for the objective gain, only for an unknown one"), "{error}");
    // A manifest and a graph that do not belong together.
    let error = refused(&logistic(0.0, 0.0), &with_gain, Objective::Gain);
    assert!(error.contains("a second one called gain"), "{error}");
    assert_eq!(load(&onnx).unwrap().thresholds(), [0.5], "an output may go unused");
}

#[test]
fn half_floats_count_as_the_floats_they_are_cast_to() {
    let half = |values: &[f32]| TensorProto {
        data_type: DataType::Float16 as i32,
        raw_data: values
            .iter()
            .flat_map(|value| tract_core::prelude::f16::from_f32(*value).to_le_bytes())
            .collect(),
        ..floats("halves", &[LEN, 1], &[])
    };
    let mut cast = node("Cast", &["halves"], "weights");
    cast.attribute.push(tract_onnx::pb::AttributeProto {
        name: "to".to_owned(),
        i: DataType::Float as i64,
        ..Default::default()
    });
    let model = |weights: &[f32]| {
        onnx(
            vec![
                cast.clone(),
                node("MatMul", &["features", "weights"], "product"),
                node("Sigmoid", &["product"], "scores"),
            ],
            vec![half(weights)],
        )
    };
    let mut weights = vec![0.0; LEN];
    weights[0] = 0.5;
    let features = features::extract(&Prompt::from_text("seven b"));
    let scores = load(&model(&weights)).unwrap().scores(&features).unwrap();
    assert_eq!(scores, load(&logistic(0.5, 0.0)).unwrap().scores(&features).unwrap());
    weights[7] = 1e9;
    let error = load(&model(&weights)).unwrap_err().to_string();
    assert!(error.contains("the value inf is not finite"), "{error}");
}

#[test]
fn a_product_of_the_features_leaves_nothing_out_that_is_not_zero() {
    let weights: Vec<f32> = (0..LEN * 3).map(|at| (at % 17) as f32 * 0.01 - 0.05).collect();
    let model = onnx(
        vec![
            node("Gemm", &["features", "weights", "bias"], "sums"),
            node("MatMul", &["sums", "halves"], "logit"),
            node("Sigmoid", &["logit"], "scores"),
        ],
        vec![
            floats("weights", &[LEN, 3], &weights),
            floats("bias", &[1, 3], &[0.5, 0.25, 0.125]),
            floats("halves", &[3, 1], &[0.5, 0.5, -0.5]),
        ],
    );
    let classifier = load(&model).unwrap();
    let features =
        features::extract(&Prompt::from_text("Compare 12 barges with 37 lamps, please."));
    let column = |k: usize| {
        let rows = features.as_slice().iter().zip(weights.chunks(3));
        rows.map(|(value, row)| f64::from(*value) * f64::from(row[k])).sum::<f64>()
    };
    let logit = 0.5 * (column(0) + 0.5) + 0.5 * (column(1) + 0.25) - 0.5 * (column(2) + 0.125);
    let expected = 1.0 / (1.0 + f64::exp(-logit));
    let score = classifier.scores(&features).unwrap()[0];
    assert!((f64::from(score) - expected).abs() < 1e-5, "{score} {expected}");
}

/// Three trees of two levels over the first features, as `pointsman train` writes them. What the
/// leaves' numbers are made from goes by the name `entries`.
fn forest(more: Vec<NodeProto>, entries: &str) -> Vec<u8> {
    let mut columns = node("Gather", &["features", "columns"], "values");
    let mut found = node("Gather", &["leaves", "flat"], "found");
    let (mut bits, mut indices) =
        (node("Cast", &["above"], "bits"), node("Cast", &[entries], "indices"));
    for (node, name, value) in [
        (&mut columns, "axis", 1),
        (&mut found, "axis", 1),
        (&mut bits, "to", DataType::Float as i64),
        (&mut indices, "to", DataType::Int64 as i64),
    ] {
        node.attribute.push(tract_onnx::pb::AttributeProto {
            name: name.to_owned(),
            i: value,
            ..Default::default()
        });
    }
    let before = vec![
        columns,
        node("Less", &["cuts", "values"], "above"),
        bits,
        node("Reshape", &["bits", "levels_shape"], "levels"),
        node("Gemm", &["powers", "levels", "starts"], "entries"),
    ];
    let after = vec![
        indices,
        node("Reshape", &["indices", "flat_shape"], "flat"),
        found,
        node("Gemm", &["found", "ones", "offset"], "sum"),
        node("Sigmoid", &["sum"], "scores"),
    ];
    let leaves: Vec<f32> = (0..12).map(|leaf| leaf as f32 * 0.37 - 2.0).collect();
    let constants = vec![
        integers("columns", &[0, 1, 4, 1, 0, 0]),
        floats("cuts", &[1, 6], &[1.5, 0.9, 0.5, 1.2, 2.5, f32::MAX]),
        integers("levels_shape", &[2, 3]),
        floats("powers", &[1, 2], &[1.0, 2.0]),
        floats("starts", &[1, 3], &[0.0, 4.0, 8.0]),
        integers("flat_shape", &[3]),
        floats("leaves", &[1, 12], &leaves),
        floats("ones", &[3, 1], &[1.0; 3]),
        floats("offset", &[1, 1], &[0.25]),
    ];
    onnx([before, more, after].concat(), constants)
}

#[test]
fn trees_run_as_one_operator_and_give_what_their_graph_says() {
    let fused = load(&forest(vec![], "entries")).unwrap();
    let spelt_out = load(&forest(vec![node("Identity", &["entries"], "same")], "same")).unwrap();
    assert!(fused.plan.runs("Forest") && !fused.plan.runs("Gather"));
    assert!(spelt_out.plan.runs("Gather") && !spelt_out.plan.runs("Forest"));
    let mut seen = std::collections::BTreeSet::new();
    for text in ["", "a", "seven b", "one two three", "one\ntwo. Three. Four words\n\n\nmore here"]
    {
        let features = features::extract(&Prompt::from_text(text));
        let score = fused.scores(&features).unwrap();
        assert_eq!(score, spelt_out.scores(&features).unwrap(), "{text}");
        seen.insert(score[0].to_bits());
    }
    assert!(seen.len() >= 3, "the texts find different leaves");
}

#[test]
fn trees_whose_parts_something_else_needs_run_as_written() {
    let more = vec![node("Gemm", &["powers", "levels", "starts"], "same")];
    let classifier = load(&forest(more, "entries")).unwrap();
    assert!(classifier.plan.runs("Gather") && !classifier.plan.runs("Forest"));
}

#[test]
fn the_shipped_trees_run_as_one_operator() {
    let classifier = Classifier::embedded().unwrap();
    assert!(classifier.plan.runs("Forest") && !classifier.plan.runs("Less"));
}
