//! Vectors from an endpoint: a small server of `/v1/embeddings`, and what happens to the cache when
//! it is slow, wrong or gone.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use assert_cmd::Command;
use serde_json::{Value, json};

use crate::cache::calibration::pairs;
use crate::cache::faults::wait_for_rows;
use pointsman_testkit::model::Model;
use pointsman_testkit::proxy::{Proxy, outcome};

const KEY: &str = "key-of-the-embeddings";
/// Another length than the built-in embedding has.
const LENGTH: usize = 48;

/// How the server answers.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Fails,
    Lies,
    Stalls,
}

/// A listening server. It serves until the process ends.
struct Vectors {
    address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    /// Texts that were asked for with the right key and model.
    texts: Arc<AtomicUsize>,
}

impl Vectors {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Vectors {
            address: listener.local_addr()?,
            mood: Arc::new(Mutex::new(Mood::Well)),
            texts: Arc::default(),
        };
        let (mood, texts) = (Arc::clone(&server.mood), Arc::clone(&server.texts));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (mood, texts) = (Arc::clone(&mood), Arc::clone(&texts));
                std::thread::spawn(move || while answer(&stream, &mood, &texts).is_ok() {});
            }
        });
        Ok(server)
    }

    fn url(&self) -> String {
        format!("http://{}/v1/embeddings", self.address)
    }

    fn turn(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn asked(&self) -> usize {
        self.texts.load(Ordering::SeqCst)
    }
}

fn answer(mut stream: &TcpStream, mood: &Mutex<Mood>, texts: &AtomicUsize) -> Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut authorised, mut head) = (0, false, String::new());
    anyhow::ensure!(reader.read_line(&mut head)? > 0, "closed");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        let Some((name, value)) = line.split_once(": ") else { break };
        match name {
            "content-length" => length = value.parse()?,
            "authorization" => authorised = value == format!("bearer {KEY}"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body)?;
    let input: Vec<&str> =
        body["input"].as_array().context("no input")?.iter().filter_map(Value::as_str).collect();
    let right = authorised && body["model"] == "bags" && head.starts_with("POST /v1/embeddings ");
    // Last first: the index tells which is whose.
    let rows = input.iter().enumerate().rev().map(|(index, text)| {
        json!({"object": "embedding", "index": index, "embedding": bag_of_words(text)})
    });
    let data: Vec<Value> = rows.collect();
    let mood = *mood.lock().unwrap();
    let (status, body) = match mood {
        _ if !right => ("401 Unauthorized", json!({"error": {"message": KEY}})),
        Mood::Well => ("200 OK", json!({"object": "list", "data": data})),
        Mood::Fails => ("503 Service Unavailable", json!({"error": {}})),
        Mood::Lies => ("200 OK", json!({"object": "list", "data": []})),
        Mood::Stalls => {
            std::thread::sleep(Duration::from_secs(20));
            anyhow::bail!("too late");
        }
    };
    texts.fetch_add(if right { input.len() } else { 0 }, Ordering::SeqCst);
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n");
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len())?;
    Ok(())
}

fn bag_of_words(text: &str) -> Vec<f32> {
    let mut vector = vec![0.01; LENGTH];
    for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
        let mut hash = DefaultHasher::new();
        word.hash(&mut hash);
        vector[hash.finish() as usize % LENGTH] += word.len() as f32;
    }
    vector
}

/// A calibration made with the server's vectors.
fn calibrated(server: &Vectors, directory: &Path) -> Result<String> {
    let path = |name: &str| directory.join(name).display().to_string();
    std::fs::write(path("pairs.jsonl"), pairs())?;
    let out = path("calibration.json");
    Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .env("POINTSMAN_EMBEDDINGS_KEY", KEY)
        .args(["cache", "calibrate", "--pairs", &path("pairs.jsonl"), "--out", &out])
        .args(["--embeddings-url", &server.url(), "--embeddings-model", "bags"])
        .assert()
        .success();
    Ok(out)
}

/// A cache that has its vectors from the server. The key is in its environment.
fn cache(server: &Vectors, model: &Model, calibration: &str, more: &[&str]) -> Result<Proxy> {
    let key = format!("POINTSMAN_EMBEDDINGS_KEY={KEY}");
    let url = server.url();
    let mut arguments = vec!["--anonymous", "--embeddings-url", &url, "--embeddings-model", "bags"];
    arguments.extend(["--calibration", calibration]);
    arguments.extend(more);
    let before = [&*key, env!("CARGO_BIN_EXE_pointsman")];
    Proxy::run(Path::new("/usr/bin/env"), &before, model.address, "cheap", &arguments)
}

const BOAT: &str = "How do I mend a boat?";
const BOAT_AGAIN: &str = "What is the best way to mend a boat?";

#[test]
fn vectors_of_an_endpoint_decide_and_are_kept_with_the_entry() -> Result<()> {
    let (server, model, directory) = (Vectors::start()?, Model::start()?, tempfile::tempdir()?);
    let calibration = calibrated(&server, directory.path())?;
    let written: Value = serde_json::from_slice(&std::fs::read(&calibration)?)?;
    assert_eq!(written["embeddings"], "bags");
    let store = directory.path().to_str().context("no UTF-8")?;
    let proxy = cache(&server, &model, &calibration, &["--store", store])?;
    let before = server.asked();
    assert_eq!(outcome(&proxy.ask(BOAT)?), "miss");
    assert_eq!(outcome(&proxy.ask(BOAT)?), "hit-exact");
    assert_eq!(server.asked() - before, 1, "an exact hit needs no vector");
    assert_eq!(outcome(&proxy.ask(BOAT_AGAIN)?), "hit-semantic");
    assert_eq!(outcome(&proxy.ask("Where can a boat be bought?")?), "miss");
    assert_eq!(proxy.metric("pointsman_cache_embedding_errors_total{target=\"cheap\"}")?, 0);
    wait_for_rows(directory.path(), 2)?;
    drop(proxy);
    let before = server.asked();
    let proxy = cache(&server, &model, &calibration, &["--store", store])?;
    assert_eq!(server.asked(), before, "what is stored is not asked again");
    assert_eq!(outcome(&proxy.ask(BOAT_AGAIN)?), "hit-semantic");
    Ok(())
}

#[test]
fn an_endpoint_that_fails_lies_or_stalls_costs_semantic_hits_and_no_request() -> Result<()> {
    let (server, model, directory) = (Vectors::start()?, Model::start()?, tempfile::tempdir()?);
    let calibration = calibrated(&server, directory.path())?;
    let proxy = cache(&server, &model, &calibration, &[])?;
    assert_eq!(outcome(&proxy.ask(BOAT)?), "miss");
    let errors = || proxy.metric("pointsman_cache_embedding_errors_total{target=\"cheap\"}");
    for (number, mood) in [Mood::Fails, Mood::Lies, Mood::Stalls].into_iter().enumerate() {
        server.turn(mood);
        let (before, started) = (errors()?, Instant::now());
        let bees = format!("How do I keep bees number {number}?");
        assert_eq!(outcome(&proxy.ask(&bees)?), "miss");
        assert_eq!(outcome(&proxy.ask(&bees)?), "hit-exact", "it is kept all the same");
        assert_eq!(outcome(&proxy.ask(BOAT)?), "hit-exact");
        assert!(errors()? > before);
        assert!(started.elapsed() < Duration::from_secs(5), "nobody waits for it");
        server.turn(Mood::Well);
        let deadline = Instant::now() + Duration::from_secs(10);
        // It is asked again after a moment.
        while outcome(&proxy.post(&ask_anew(), &[("cache-control", "only-if-cached")])?)
            != "hit-semantic"
        {
            assert!(Instant::now() < deadline, "it is never asked again");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

fn ask_anew() -> Value {
    pointsman_testkit::proxy::chat(BOAT_AGAIN)
}

#[test]
fn a_calibration_of_other_vectors_is_refused_and_the_key_is_told_to_nobody() -> Result<()> {
    let (server, model, directory) = (Vectors::start()?, Model::start()?, tempfile::tempdir()?);
    let calibration = calibrated(&server, directory.path())?;
    let url = server.url();
    let serve = ["--target", "a", "--upstream", "http://x", "--listen", "127.0.0.1:0"];
    let endpoint = ["--embeddings-url", &url, "--embeddings-model", "bags"];
    let other = ["--embeddings-url", &url, "--embeddings-model", "other"];
    let made = ["--calibration", &*calibration];
    for (arguments, said) in [
        ([&serve[..], &endpoint].concat(), "made with the built-in embedding"),
        ([&serve[..], &other, &made].concat(), "not with vectors of \"other\""),
        ([&serve[..], &made].concat(), "made with vectors of \"bags\""),
        ([&["audit"][..], &made].concat(), "made with vectors of \"bags\""),
        ([&serve[..], &["--embeddings-url", &url]].concat(), "--embeddings-model"),
        ([&serve[..], &["--embeddings-url", "x", "--embeddings-model", "y"]].concat(), "http://"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        let command = command.env("POINTSMAN_EMBEDDINGS_KEY", KEY).arg("cache").args(&arguments);
        let output = command.assert().code(2).get_output().clone();
        let text = String::from_utf8(output.stderr)?;
        assert!(text.contains(said) && !text.contains(KEY), "{arguments:?}: {text}");
    }
    let mut audit = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    audit.env("POINTSMAN_EMBEDDINGS_KEY", KEY).args(["cache", "audit", "--pairs", "200"]);
    audit.args(endpoint).args(made).assert().success();
    let proxy = cache(&server, &model, &calibration, &[])?;
    proxy.ask(BOAT)?;
    assert!(!std::fs::read_to_string(&proxy.process.stderr)?.contains(KEY));
    Ok(())
}
