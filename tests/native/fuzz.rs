//! What others write, broken: the fuzzing corpora and seeded mutations of them through the functions
//! that `cargo fuzz` runs, and properties over made-up JSON.
use pointsman_core::prompt::{ApiFormat, MAX_BODY_BYTES, Prompt, PromptError};
use pointsman_core::rewrite::splice;
use pointsman_core::target::Edit;
use pointsman_testkit::{mutate, root};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

#[path = "../../fuzz/targets/mod.rs"]
mod targets;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = root().join("fuzz/corpus").join(name);
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A corpus is of use only while some of it is read, and some is not.
fn tried(name: &str, mutations: u32) {
    let corpus = corpus(name);
    assert!(corpus.len() >= 10, "{} files", corpus.len());
    let read = corpus.iter().filter(|data| targets::run(name, data)).count();
    assert!(read >= 4 && read < corpus.len(), "{read} of {} are read", corpus.len());
    let factor = std::env::var("POINTSMAN_FUZZ_FACTOR").map_or(1, |text| text.parse().unwrap());
    let mut random = SmallRng::seed_from_u64(7);
    for number in 0..factor * mutations {
        let mut data = corpus[number as usize % corpus.len()].clone();
        let (size, most) = (data.len(), 2 * data.len() + 1024);
        data.resize(most, 0);
        let mutated = targets::tree::every_other(&mut data, size, most, random.random());
        data.truncate(mutated.unwrap_or(size));
        if mutated.is_none() {
            mutate::body(&mut data, &corpus, &mut random);
        }
        targets::run(name, &data);
    }
}

#[test]
fn no_body_breaks_anything() {
    tried("body", 7600);
}

#[test]
fn no_answer_breaks_anything() {
    tried("answer", 3000);
}

#[test]
fn no_snapshot_breaks_anything() {
    tried("snapshot", 10000);
}

#[test]
fn no_configuration_breaks_anything() {
    tried("config", 10000);
}

#[test]
fn no_model_breaks_anything() {
    tried("model", 5000);
}

#[test]
fn no_gateway_file_breaks_anything() {
    tried("gateway", 500);
}

#[test]
fn no_post_to_the_control_plane_breaks_anything() {
    tried("posts", 10000);
}

#[test]
fn no_value_in_redis_breaks_anything() {
    tried("redis", 2000);
}

#[test]
fn no_state_file_breaks_anything() {
    tried("state", 500);
}

#[test]
fn no_cache_file_breaks_anything() {
    tried("store", 800);
}

#[test]
fn no_row_breaks_anything() {
    tried("rows", 2000);
}

/// What libFuzzer has, the tests have, and the other way round.
#[test]
fn every_target_has_a_corpus_and_a_program() {
    let names = |folder: &str| {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        let name =
            |path: std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap().path())).collect();
        names.sort();
        names
    };
    let mut known: Vec<String> = targets::TARGETS.iter().map(|(name, _)| (*name).into()).collect();
    known.sort();
    assert_eq!(names("fuzz/corpus"), known);
    assert_eq!(names("fuzz/fuzz_targets"), known);
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let programs = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"));
    assert_eq!(programs.count(), known.len());
}

/// The corpus is of use only while it reaches every format.
#[test]
fn the_corpus_has_a_prompt_of_every_format() {
    for format in ApiFormat::ALL {
        let read = corpus("body")
            .into_iter()
            .filter(|body| {
                let mut body: Vec<u8> = body.clone();
                Prompt::parse(format, &mut body, false).is_ok()
            })
            .count();
        assert!(read >= 2, "{}: {read}", format.name());
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        let name = prop_oneof![
            ".{0,6}".prop_map(String::from),
            prop::sample::select(vec!["type", "text", "content", "role", "model", "output"])
                .prop_map(String::from),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A body whose known fields hold anything.
fn request() -> impl Strategy<Value = Value> {
    let names = [
        "model",
        "messages",
        "prompt",
        "input",
        "instructions",
        "system",
        "tools",
        "text",
        "metadata",
        "max_tokens",
        "stream",
        "response_format",
        "user",
        "temperature",
        "other",
    ];
    prop::collection::vec((prop::sample::select(names.to_vec()), value()), 0..8).prop_map(
        |fields| {
            Value::Object(
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            )
        },
    )
}

fn model(value: &str) -> [Edit; 1] {
    [Edit::set("model", json!(value).to_string())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        targets::body(&bytes);
    }

    #[test]
    fn valid_json_is_never_called_malformed(body in request()) {
        for format in ApiFormat::ALL {
            let mut bytes = body.to_string().into_bytes();
            let result = Prompt::parse(format, &mut bytes, false).map(|_| ());
            prop_assert!(matches!(result, Ok(()) | Err(PromptError::NoPrompt)), "{result:?}: {body}");
        }
    }

    #[test]
    fn every_beginning_of_valid_json_is_read(body in request(), cut in 0.0..1.0) {
        let text = body.to_string();
        let end = text.floor_char_boundary((text.len() as f64 * cut) as usize).max(1);
        for format in ApiFormat::ALL {
            let mut bytes = text.as_bytes()[..end].to_vec();
            let result = Prompt::parse(format, &mut bytes, true).map(|_| ());
            prop_assert!(matches!(result, Ok(()) | Err(PromptError::NoPrompt)), "{result:?}: {text}");
        }
    }

    #[test]
    fn rewriting_changes_the_model_and_nothing_else(body in request(), name in ".{0,12}") {
        let spliced = splice(body.to_string().as_bytes(), &model(&name)).unwrap().unwrap();
        let mut expected = body;
        expected["model"] = json!(name);
        prop_assert_eq!(serde_json::from_slice::<Value>(&spliced).unwrap(), expected);
    }

    #[test]
    fn what_a_person_says_is_what_is_read(text in "[^<]{1,200}") {
        prop_assume!(!text.trim_ascii().is_empty());
        for (format, body) in [
            (ApiFormat::ChatCompletions, json!({"messages": [{"role": "user", "content": text}]})),
            (ApiFormat::Completions, json!({"prompt": text})),
            (ApiFormat::Responses, json!({"input": text})),
            (ApiFormat::Messages, json!({"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]})),
        ] {
            let mut bytes = serde_json::to_vec(&body).unwrap();
            let prompt = Prompt::parse(format, &mut bytes, false).unwrap();
            prop_assert_eq!(&*prompt.turns[0].text, text.as_str(), "{}", format.name());
        }
    }
}

/// Time cannot be asserted; what takes time can: what is kept does not grow faster than the body.
#[test]
fn hostile_bodies_of_full_size_are_read_in_bounds() {
    let fill = |part: &str| part.repeat(MAX_BODY_BYTES / part.len());
    for body in [
        format!(r#"{{"messages":[{}{{}}]}}"#, fill("{},")),
        format!(r#"{{"messages":[{{"content":[{}""]}}]}}"#, fill(r#""a","#)),
        format!(r#"{{"messages":[{{"content":"{}"}}]}}"#, fill("\\u00e9")),
        format!(r#"{{"messages":[{{"content":"{}"}}]}}"#, fill("<system-reminder>")),
        format!(r#"{{"messages":[{{"content":"{}"}}]}}"#, fill("<user_info></user_info>")),
        format!(r#"{{"tools":[{}1],"messages":[{{"content":"x"}}]}}"#, fill("1,")),
        format!(r#"{{{}"messages":[{{"content":"x"}}]}}"#, fill(r#""model":"a","#)),
        fill("\""),
        fill("{\"a\":"),
    ] {
        targets::body(body.as_bytes());
    }
}
