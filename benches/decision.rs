//! Time of a decision by stage and body size: natively, and as a whole inside the `.wasm`.
//!
//!     make bench-stages
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "a measurement stops at the first surprise"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pointsman_control_plane::bandit::{Controller, ControllerOptions, Prior, Sample};
use pointsman_core::config::Config;
use pointsman_core::control_plane::{Buffer, Live, Signer};
use pointsman_core::features::{self, Features};
use pointsman_core::identity::Identity;
use pointsman_core::packed::pack;
use pointsman_core::policy::bandit::{EVERYTHING, Explorer};
use pointsman_core::policy::sticky::Sticky;
use pointsman_core::policy::sticky::{self, Key};
use pointsman_core::prompt::{ApiFormat, Prompt};
use pointsman_core::rewrite::splice;
use pointsman_core::router::Router;
use pointsman_core::target::Edit;
use pointsman_core::target::Target;
use pointsman_core::verdict::{Examiner, Expectation};
use pointsman_testkit::said;
use pointsman_testkit::wasm::plugin;

const SIZES: [(&str, usize); 4] =
    [("0.5KiB", 512), ("2KiB", 2 << 10), ("16KiB", 16 << 10), ("128KiB", 128 << 10)];

const CONFIGURATION: &[u8] = br#"{"targets":[{"name":"cheap","cluster":"cheap"},
    {"name":"strong","cluster":"strong"}],"default":"strong"}"#;

/// A chat body of `size` bytes: instructions, prose, a list, code and numbers, no part like the
/// one before, because hashing a repeated text is easy on the caches.
fn body(size: usize) -> Vec<u8> {
    let start = r#"{"model":"m","temperature":0.2,"messages":[{"role":"system","content":"You review code. Be brief."},{"role":"user","content":""#;
    let end = r#""}],"stream":true}"#;
    let mut text = String::new();
    let mut number = 1_u64;
    while text.len() < size {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let [a, b, c] = [number >> 40 & 0xfff, number >> 20 & 0xffff, number >> 50];
        text += &format!(
            "Why does step {a} of the plan need {b} seconds? Compare option a{c} with b{b}:\\n\
             - the queue-{a} is full\\n- worker {c} waits\\n\\n```python\\ndef f{a}(x):\\n    \
             return x * {b} + {c}\\n```\\nExplain, step by step, what über-{c} means. "
        );
    }
    text.truncate(size - start.len() - end.len());
    while text.ends_with(['\\', '\u{fc}']) || !text.is_char_boundary(text.len()) {
        text.pop();
        text.push('.');
    }
    [start, &text, end].concat().into_bytes()
}

fn native(criterion: &mut Criterion) {
    let router = Router::new(Config::from_json(CONFIGURATION).unwrap()).unwrap();
    let format = ApiFormat::ChatCompletions;
    for (label, size) in SIZES {
        let body = body(size);
        let mut copy = body.clone();
        let prompt = Prompt::parse(format, &mut copy, false).unwrap();
        let extracted = features::extract(&prompt);

        let mut group = criterion.benchmark_group("native");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(BenchmarkId::new("parse", label), |bencher| {
            bencher.iter_batched_ref(
                || body.clone(),
                |body| black_box(Prompt::parse(format, body, false).is_ok()),
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("features", label), |bencher| {
            let mut features = Features::default();
            bencher.iter(|| features::extract_into(black_box(&prompt), &mut features));
        });
        group.bench_function(BenchmarkId::new("score", label), |bencher| {
            bencher.iter(|| router.classifier().scores(black_box(&extracted)).unwrap());
        });
        group.bench_function(BenchmarkId::new("decide", label), |bencher| {
            bencher.iter_batched_ref(
                || body.clone(),
                |body| router.decide(format, body, false),
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

/// What conversations and rewriting add to a decision.
fn gateway(criterion: &mut Criterion) {
    let sticky = Sticky::default();
    let targets = [Target::named("cheap"), Target::named("strong")];
    let mut group = criterion.benchmark_group("native");
    for (label, size) in SIZES {
        let mut bytes = body(size);
        let prompt = Prompt::parse(ApiFormat::ChatCompletions, &mut bytes, false).unwrap();
        let of = |number: u64| Key::new(&[number], true);
        let full = (0..4).fold(Vec::new(), |place, number| {
            sticky::remember(&place, of(number), &targets[1], 0, 1000 + number as u32)
        });
        let key = |prompt| Key::of(Some(&sticky), prompt, Identity::default(), false).unwrap();
        let place = sticky::remember(&full, key(&prompt), &targets[1], 0, 9);
        group.bench_function(BenchmarkId::new("stickiness", label), |bencher| {
            bencher.iter(|| {
                let key = key(black_box(&prompt));
                let found = sticky::recall(black_box(&place), key, &targets, 1);
                (found, sticky::remember(&place, key, &targets[0], 1, 3600))
            });
        });
        let edit = Edit::set("model", "\"another-model\"");
        let body = body(size);
        group.bench_function(BenchmarkId::new("rewrite_model", label), |bencher| {
            bencher.iter(|| splice(black_box(&body), std::slice::from_ref(&edit)).unwrap());
        });
    }
    group.finish();
}

/// What the bandit and its control plane add to a decision.
fn bandit(criterion: &mut Criterion) {
    let router = Router::new(Config::from_json(CONFIGURATION).unwrap()).unwrap();
    // A prompt as people write them: from the made-up ones the classifier abstains.
    let mut asked =
        br#"{"messages":[{"role":"user","content":"What is the capital of Mongolia?"}]}"#.to_vec();
    let decided = router.decide(ApiFormat::ChatCompletions, &mut asked, false);
    let (now, minute) = (Instant::now(), Duration::from_secs(60));
    let mut group = criterion.benchmark_group("native");
    for (name, explorer) in [
        ("square_cb", Explorer::SquareCb { gamma: 1000.0 }),
        ("thompson", Explorer::Thompson { scale: 1.0, epsilon: 0.01 }),
    ] {
        let targets = vec!["cheap".to_owned(), "strong".to_owned()];
        let mut options = ControllerOptions::new(targets, vec![0.008, 0.2]);
        options.explorer = explorer;
        let mut controller = Controller::new(options, Prior::warm(&[0.6], &[0.008, 0.2]));
        let context = Live::new(2, minute).context(&decided).unwrap();
        let sample =
            Sample { context, target: 0, propensity: 0.5, reward: 1.0, segment: EVERYTHING };
        controller.observe(sample, true);
        // With a canary: the most that a snapshot of the control plane holds.
        assert!(controller.promote());
        let mut live = Live::new(2, minute);
        live.replace(controller.snapshot().clone(), now);
        group.bench_function(BenchmarkId::new("bandit", name), |bencher| {
            let mut draw = 0.0;
            bencher.iter_batched_ref(
                || decided.clone(),
                |decision| {
                    draw = (draw + 0.618_034) % 1.0;
                    let context = live.context(decision).unwrap();
                    live.decide(decision, EVERYTHING, &context, draw, now).unwrap();
                    pack(&context)
                },
                BatchSize::SmallInput,
            );
        });
    }
    let record = vec![b'r'; 1100];
    let mut buffer = Buffer::new(1 << 20);
    group.bench_function("event_batching", |bencher| {
        bencher.iter(|| {
            if !buffer.push(black_box(&record)) {
                while buffer.post().is_some() {
                    buffer.confirm();
                }
            }
        });
    });
    let signer = Signer::new("a key that only this knows").unwrap();
    group.bench_function("decision_id", |bencher| {
        bencher.iter(|| signer.sign(black_box(&[7; 16])));
    });
    group.finish();
}

/// Looking for signs in an answer of 4 KiB that is held whole, in one piece.
fn judging(criterion: &mut Criterion) {
    let api = ApiFormat::ChatCompletions;
    let asked = said::question(api, "What is 2 + 2?", true).to_string();
    let answer = |bytes: usize, streamed: bool| {
        let step =
            |number| format!("Step {number} adds {} and leaves {}. ", number * 7, number * 31);
        let text: String = (1..).map(step).take(bytes / 32).collect();
        let said = said::says(text);
        match streamed {
            true => said.events(api).concat(),
            false => said.whole(api),
        }
    };
    let mut group = criterion.benchmark_group("judging");
    for (label, media, body) in [
        ("json 4KiB", "application/json", answer(3_800, false)),
        // As many small events as fit.
        ("events 4KiB", "text/event-stream", answer(500, true)),
    ] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(label, |bencher| {
            let expectation = || Expectation::read(api, asked.as_bytes());
            bencher.iter_batched(
                expectation,
                |expectation| {
                    let mut examiner = Examiner::new(expectation, api, media.as_bytes()).unwrap();
                    examiner.read(black_box(body.as_bytes()));
                    assert_eq!(examiner.sign(true), None);
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// The body callback alone: reading the buffer, deciding, setting the header, the record.
fn wasm(criterion: &mut Criterion) {
    let mut plugin = plugin::Plugin::start(CONFIGURATION).unwrap();
    let mut group = criterion.benchmark_group("wasm");
    for (label, size) in SIZES {
        let request = plugin::Request::chat(body(size));
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("decide", label), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let (id, held) = plugin.open(&request).unwrap();
                    let started = Instant::now();
                    plugin.send(id, &request, held).unwrap();
                    spent += started.elapsed();
                    plugin.finish(id).unwrap();
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group!(benches, native, gateway, bandit, judging, wasm);
criterion_main!(benches);
