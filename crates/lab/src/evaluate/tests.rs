use super::figures::{Bin, LearningStep, bins, confusion, cost_quality};
use super::signal::{FeatureSignal, GroupSignal, Signal};
use super::*;

/// The score is right about `right` of ten rows; the cheap answer is good on two of three.
fn rows(right: usize) -> Vec<ScoredRow> {
    (0..600)
        .map(|i| {
            let cheap_ok = i % 3 != 0;
            let says_ok = cheap_ok == (i / 3 % 10 < right);
            ScoredRow {
                id: i.to_string(),
                source: ["a", "b<i>"][i % 2].to_owned(),
                score: if says_ok { 0.8 } else { 0.3 },
                cheap_ok,
                cheap: f32::from(u8::from(cheap_ok)),
                strong: 1.0,
                rules: 1.0,
                previous: Some(0.5),
            }
        })
        .collect()
}

fn scorer(version: &str) -> Scorer {
    Scorer { version: version.to_owned(), threshold: 0.5 }
}

fn near(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
}

#[test]
fn baselines_are_what_their_names_say() {
    let evaluation = evaluate(&rows(8), &scorer("m"), None).unwrap();
    let of = |name: &str| &evaluation.baselines[name];
    near(of("always_cheap").quality.value, 2.0 / 3.0);
    near(of("always_strong").quality.value, 1.0);
    near(of("always_strong").accuracy.value, 1.0 / 3.0);
    near(of("random").auroc.unwrap().value, 0.5);
    near(of("random").apgr.unwrap().value, 0.5);
    // No rule fires on any row.
    near(of("hand_rules").strong_share, 0.0);
    let oracle = of("oracle");
    near(oracle.quality.value, 1.0);
    near(oracle.strong_share, 1.0 / 3.0);
    assert!(!evaluation.baselines.contains_key("previous_model"));
    // As many strong calls, at random: each row is right with the chance of its label.
    let (model, shuffle) = (&evaluation.policy.standing, of("cost_matched_shuffle"));
    near(shuffle.strong_share, model.strong_share);
    near(shuffle.quality.value, 1.0 - (1.0 - model.strong_share) / 3.0);
}

#[test]
fn a_gain_is_proved_where_there_is_one_and_not_where_there_is_none() {
    let good = evaluate(&rows(8), &scorer("m"), Some(&scorer("p"))).unwrap();
    let over = |name: &str| good.baselines[name].gain.unwrap();
    assert!(over("cost_matched_shuffle").quality.ci95[0] > 0.0);
    assert!(over("random").auroc.unwrap().ci95[0] > 0.0);
    assert!(over("previous_model").auroc.unwrap().ci95[0] > 0.0);
    assert!(over("oracle").quality.ci95[1] < 0.0);
    let chance = evaluate(&rows(5), &scorer("m"), None).unwrap();
    let [low, high] = chance.baselines["cost_matched_shuffle"].gain.unwrap().quality.ci95;
    assert!(low < 0.0 && high > 0.0, "{low} {high}");
}

#[test]
fn intervals_hold_their_values_and_repeat() {
    let evaluation = evaluate(&rows(7), &scorer("m"), None).unwrap();
    let standing = &evaluation.policy.standing;
    for estimate in [standing.accuracy, standing.quality, standing.auroc.unwrap()] {
        let [low, high] = estimate.ci95;
        assert!(low < estimate.value && estimate.value < high, "{estimate:?}");
    }
    near(standing.accuracy.value, evaluation.metrics.accuracy);
    near(standing.auroc.unwrap().value, evaluation.metrics.auroc.unwrap());
    near(standing.apgr.unwrap().value, evaluation.metrics.apgr.unwrap());
    let again = evaluate(&rows(7), &scorer("m"), None).unwrap();
    assert_eq!(&again.policy.standing, standing);
    assert!(evaluate(&[], &scorer("m"), None).is_none());
}

#[test]
fn figures_count_every_row_once() {
    let rows = rows(8);
    let evaluation = evaluate(&rows, &scorer("m"), None).unwrap();
    let matrix = confusion(&rows, 0.5);
    let right = matrix.cheap_rightly + matrix.strong_rightly;
    near(right as f64 / 600.0, evaluation.metrics.accuracy);
    assert_eq!(right + matrix.cheap_wrongly + matrix.strong_wrongly, 600);
    assert_eq!(bins(&rows, 10).iter().map(|bin: &Bin| bin.rows).sum::<usize>(), 600);
    for curve in cost_quality(&rows, &evaluation) {
        near(curve.points[0][1], 2.0 / 3.0);
        near(curve.points[100][1], 1.0);
    }
}

#[test]
fn the_page_needs_no_network_and_escapes_names() {
    let rows = rows(8);
    let evaluation = evaluate(&rows, &scorer("m"), Some(&scorer("p"))).unwrap();
    let signal = Signal {
        features: vec![FeatureSignal {
            name: "words",
            group: "counts",
            auroc: 0.3,
            nanoseconds: 400.0,
        }],
        groups: vec![GroupSignal { name: "counts", nanoseconds: 400.0, auroc_gain: 0.1 }],
    };
    let step = |rows| LearningStep { rows, accuracy: 0.7, auroc: Some(0.6), apgr: None };
    let learning_curve = [step(100), step(400)];
    let report = EvaluationReport {
        evaluation: &evaluation,
        rows: &rows,
        signal: Some(&signal),
        learning_curve: &learning_curve,
    };
    let plots = report.plots().unwrap();
    let names: Vec<&str> = plots.iter().map(|plot| plot.name).collect();
    let all = [
        "cost-quality",
        "calibration",
        "confusion",
        "scores",
        "sources",
        "features",
        "feature-groups",
        "learning-curve",
    ];
    assert_eq!(names, all);
    let page = report.html(&plots);
    // The only addresses are the names of the SVG vocabulary.
    let addresses = page.matches("http").count();
    assert_eq!(addresses, page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
    assert!(!page.contains("<script") && !page.contains("<i>") && page.contains("b&lt;i&gt;"));
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("width=device-width"));
    assert_eq!(plots[0].csv.lines().count(), 1 + 5 * 101);
    assert!(plots[4].csv.contains("b<i>,300,"), "{}", plots[4].csv);
}

#[test]
fn scored_rows_come_back_as_they_were_written() {
    for row in rows(8).into_iter().take(3) {
        let line = serde_json::to_vec(&row).unwrap();
        assert_eq!(ScoredRow::parse(&line).unwrap(), row);
    }
    let out = br#"{"id":"a","score":1.5,"cheap_ok":true,"cheap":1,"strong":1,"rules":1}"#;
    assert!(ScoredRow::parse(out).unwrap_err().contains("1.5"));
}
