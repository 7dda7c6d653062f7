//! What the bandit earns on recorded prompts, against the frozen classifier.

use std::path::PathBuf;

use pointsman::simulate::{Drift, Pool, Run, Strategy, run};
use pointsman_control_plane::bandit::{ControllerOptions, Prior};
use pointsman_core::classifier::Classifier;
use pointsman_lab::learn::Split;

const PENALTIES: [f32; 2] = [0.008, 0.2];
const SEEDS: u64 = 20;
const WINDOW: usize = 2000;

/// Sources whose train rows are left out: a model that learnt from outcomes has seen those.
const TRAINED_ON: [&str; 7] = [
    "routellm_mmlu",
    "routellm_gsm8k",
    "routellm_mtbench",
    "mmlu_pro",
    "zeroeval_gsm",
    "zeroeval_math",
    "arena_bench",
];

/// The mixed workload of the public rows, which are not part of this repository.
fn workload() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/routing");
    let file =
        std::env::var_os("POINTSMAN_ROUTING_DATA").map_or(root, PathBuf::from).join("mix.jsonl.gz");
    if !file.is_file() {
        eprintln!("skipped: {} is absent", file.display());
        return None;
    }
    Some(file)
}

/// The workload under the shipped model, which was not trained on it.
fn pool() -> Option<Pool> {
    let mut pool = Pool::read(&[workload()?], &Classifier::embedded().unwrap()).unwrap();
    pool.items.retain(|item| {
        item.row.split == Split::Val || !TRAINED_ON.contains(&item.row.source.as_str())
    });
    assert_eq!(pool.items.len(), 2100);
    Some(pool)
}

/// The workload's validation rows under a model that was trained on its train rows: one that has
/// something to lose by a drift.
fn pool_of_own_model() -> Option<Pool> {
    let file = workload()?;
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path();
    let mut train = assert_cmd::Command::cargo_bin("pointsman").unwrap();
    train.args(["train", "--algorithm", "logistic", "--data"]).arg(&file).arg("--out").arg(model);
    train.assert().success();
    let read = |name: &str| std::fs::read(model.join(name)).unwrap();
    let classifier = Classifier::load(&read("model.onnx"), &read("manifest.json")).unwrap();
    let mut pool = Pool::read(&[file], &classifier).unwrap();
    pool.items.retain(|item| item.row.split == Split::Val);
    assert_eq!(pool.items.len(), 847);
    Some(pool)
}

fn options() -> Box<ControllerOptions> {
    let names = vec!["cheap".to_owned(), "strong".to_owned()];
    Box::new(ControllerOptions::new(names, PENALTIES.to_vec()))
}

/// A run without a drift.
fn undisturbed(pool: &Pool) -> Run<'_> {
    Run {
        pool,
        requests: 100_000,
        penalties: PENALTIES,
        drift: Drift::None,
        drift_at: 100_000,
        delay: 200,
        publish_every: 500,
        seed: 0,
    }
}

/// Mean reward over the seeds, by window.
fn windows(setup: &Run, strategy: &Strategy) -> Vec<f64> {
    let each = |seed| -> Vec<f64> {
        let earned = run(&Run { seed, ..setup.clone() }, strategy);
        let mean = |rewards: &[f32]| {
            rewards.iter().map(|reward| f64::from(*reward)).sum::<f64>() / rewards.len() as f64
        };
        earned.rewards.chunks(WINDOW).map(mean).collect()
    };
    let halves: Vec<Vec<Vec<f64>>> = std::thread::scope(|scope| {
        let each = &each;
        let half = |from: u64| scope.spawn(move || (from..SEEDS).step_by(2).map(each).collect());
        [half(0), half(1)].map(|half| half.join().unwrap()).into()
    });
    let all: Vec<Vec<f64>> = halves.concat();
    (0..all[0].len())
        .map(|k| all.iter().map(|seed| seed[k]).sum::<f64>() / all.len() as f64)
        .collect()
}

#[test]
fn the_warm_bandit_recovers_from_a_drift() {
    let Some(pool) = pool_of_own_model() else { return };
    // The frozen classifier gets the threshold that is best on these very prompts.
    let threshold = pool.best_threshold(PENALTIES);
    let setup = Run {
        pool: &pool,
        requests: 28_000,
        penalties: PENALTIES,
        drift: Drift::Swap,
        drift_at: 16_000,
        delay: 200,
        publish_every: 500,
        seed: 0,
    };
    let prior = Prior::warm(&[threshold], &PENALTIES);
    let frozen = windows(&setup, &Strategy::Classifier { threshold });
    let bandit = windows(&setup, &Strategy::Bandit { options: options(), prior });
    let before = setup.drift_at / WINDOW;
    // What can be earned after the change: the better of the two targets for all.
    let best = windows(&setup, &Strategy::AlwaysCheap);
    let after = before + 10_000 / WINDOW;
    let lost = best[after] - frozen[after];
    assert!(lost > 0.02, "the drift costs the classifier something, for good: {lost}");
    let recovered = (bandit[after] - frozen[after]) / lost;
    assert!(recovered > 0.9, "{recovered} of what was lost");
}

#[test]
fn the_warm_bandit_is_never_a_point_of_reward_below_the_classifier_and_ends_ahead() {
    let Some(pool) = pool() else { return };
    let threshold = pool.best_threshold(PENALTIES);
    let setup = undisturbed(&pool);
    let prior = Prior::warm(&[threshold], &PENALTIES);
    let frozen = windows(&setup, &Strategy::Classifier { threshold });
    let bandit = windows(&setup, &Strategy::Bandit { options: options(), prior });
    for (k, (bandit, frozen)) in bandit.iter().zip(&frozen).enumerate() {
        assert!(bandit > &(frozen - 0.01), "window {k}: {bandit} against {frozen}");
    }
    let end = |windows: &[f64]| windows.iter().rev().take(10).sum::<f64>() / 10.0;
    let (bandit, frozen) = (end(&bandit), end(&frozen));
    assert!(bandit > frozen, "the last ten windows: {bandit} against {frozen}");
}

#[test]
fn a_cold_bandit_matches_the_classifier_by_100_000_requests() {
    let Some(pool) = pool() else { return };
    let threshold = pool.best_threshold(PENALTIES);
    let setup = undisturbed(&pool);
    let frozen = windows(&setup, &Strategy::Classifier { threshold });
    let bandit = windows(&setup, &Strategy::Bandit { options: options(), prior: Prior::cold(2) });
    let last = frozen.len() - 1;
    assert!(bandit[last] > frozen[last], "{bandit:?} against {frozen:?}");
}
