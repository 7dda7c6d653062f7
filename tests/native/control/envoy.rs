//! The filter in real Envoy with a real control plane behind it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Request;
use pointsman_core::packed::pack;
use pointsman_core::policy::bandit::{Context, Explorer, Segment};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::control::plane::{KEY, Plane, TOKEN};
use pointsman_testkit::client::{self, Protocol, Response};
use pointsman_testkit::deployment::Deployment;
use pointsman_testkit::envoy::{Envoy, decision_of};
use pointsman_testkit::metrics;
use pointsman_testkit::recorder::Recorder;
use pointsman_testkit::{RUNTIME, installed_envoy, supported_versions, wasm_module};

/// Envoy with the filter, whose control plane is at an address.
struct Gateway {
    envoy: Envoy,
    _directory: TempDir,
}

impl Gateway {
    fn start(control: SocketAddr, bandit: &Value) -> Gateway {
        Gateway::start_with(control, bandit, &json!({}))
    }

    /// The same with further fields of `control`.
    fn start_with(control: SocketAddr, bandit: &Value, further: &Value) -> Gateway {
        let binary = installed_envoy(&supported_versions().unwrap()[0]).unwrap();
        let mut deployment = Deployment::documented(&wasm_module().unwrap()).unwrap();
        for name in ["cheap", "strong"] {
            let upstream = Recorder::start(name).unwrap().address;
            deployment.set_upstream(&format!("{name}-cache"), upstream).unwrap();
        }
        deployment.add_cluster("pointsman_control", control).unwrap();
        let mut configuration = deployment.filter_configuration().unwrap();
        configuration["policy"]["bandit"] = bandit.clone();
        configuration["control"] = json!({"cluster": "pointsman_control", "key": KEY,
            "token": TOKEN, "interval_ms": 100});
        for (name, value) in further.as_object().unwrap() {
            configuration["control"][name] = value.clone();
        }
        // Policies that routes may name.
        configuration["policies"] = json!({"tenant-a": {}, "tenant-b": {}});
        deployment.add_routes(vec![tenant_route("tenant-a"), tenant_route("tenant-b")]).unwrap();
        deployment.set_filter_configuration(&configuration.to_string()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let envoy = Envoy::start(&binary, &deployment, directory.path()).unwrap();
        Gateway { envoy, _directory: directory }
    }

    fn ask(&self) -> Response {
        self.ask_for("Prove that the sum of two even numbers is even.", "")
    }

    /// Asks a question that the upstream answers as `reply` says.
    fn ask_for(&self, question: &str, reply: &str) -> Response {
        self.ask_as("", question, reply)
    }

    fn ask_as(&self, tenant: &str, question: &str, reply: &str) -> Response {
        let body = json!({"model": "auto", "messages": [{"role": "user", "content": question}]});
        let request = Request::post("/v1/chat/completions")
            .header("content-type", "application/json")
            .header("x-tenant", tenant)
            .header("x-reply", reply)
            .body(client::whole(body.to_string()))
            .unwrap();
        let response = client::exchange(self.envoy.listener, Protocol::Http1, request).unwrap();
        assert_eq!(response.status, 200);
        response
    }

    /// Asks until the wanted source decided on both workers, several times in a row.
    fn ask_until(&self, source: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut in_a_row = 0;
        while in_a_row < 20 {
            let same = self.ask().header("x-pointsman-source") == Some(source);
            in_a_row = if same { in_a_row + 1 } else { 0 };
            assert!(Instant::now() < deadline, "never decided by {source}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The value of one of the filter's counters, over all workers.
    fn counter(&self, name: &str) -> u64 {
        let stats = self.envoy.admin_get(&format!("/stats?filter={name}")).unwrap();
        stats.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum()
    }

    fn wait_for_counter(&self, name: &str, least: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.counter(name) < least {
            assert!(Instant::now() < deadline, "{name} stays below {least}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A route whose requests follow a policy of their own.
fn tenant_route(name: &str) -> Value {
    let header = json!({"name": "x-tenant", "string_match": {"exact": name}});
    json!({"match": {"prefix": "/", "headers": [header]}, "route": {"cluster": "strong"},
        "metadata": {"filter_metadata": {"pointsman": {"policy": name}}}})
}

fn decisions(status: &Value) -> u64 {
    status["totals"]["targets"].as_array().unwrap().iter().filter_map(Value::as_u64).sum()
}

#[test]
fn the_filter_decides_by_the_published_policy_and_every_decision_can_be_rewarded() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &[]);
    let gateway = Gateway::start(plane.address, &json!({}));
    gateway.ask_until("bandit");
    let ids: Vec<String> = (0..40)
        .map(|_| gateway.ask().header("x-pointsman-decision-id").unwrap().to_owned())
        .collect();
    let record = gateway
        .envoy
        .access_log_line(|line| decision_of(line).is_ok_and(|d| d["decision_id"] == ids[0]))
        .and_then(|line| decision_of(&line))
        .unwrap();
    assert_eq!(record["source"], "bandit");
    assert_eq!(record["snapshot"], "1");
    let propensity = record["propensity"].as_f64().unwrap();
    assert!(propensity > 0.0 && propensity < 1.0, "{record}");
    plane.wait_for("the decisions arrive", |status| {
        decisions(status) >= 60 && status["totals"]["scored"].as_u64() >= Some(60)
    });
    let lines: Vec<String> =
        ids.iter().map(|id| json!({"decision_id": id, "reward": 1.0}).to_string()).collect();
    let counts = plane.accepted("/pointsman/v1/feedback", &lines.join("\n"));
    let arrived = counts["accepted"].as_u64().unwrap() + counts["early"].as_u64().unwrap();
    assert_eq!(arrived, 40, "{counts}");
    plane.wait_for("the rewards are learnt", |status| status["samples"] == 40);
}

#[test]
fn every_metric_with_a_control_plane_is_documented_and_every_documented_one_exists() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &[]);
    let gateway = Gateway::start(plane.address, &json!({}));
    gateway.ask_until("bandit");
    let metrics::Documented { always: mut documented, with_control, .. } =
        metrics::documented().unwrap();
    documented.extend(with_control);
    // Envoy shows a histogram after its first flush.
    let deadline = Instant::now() + Duration::from_secs(30);
    while metrics::exported(&gateway.envoy).unwrap() != documented && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(metrics::exported(&gateway.envoy).unwrap(), documented);
}

#[test]
fn without_a_control_plane_the_classifier_decides_and_what_waited_arrives_later() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let plane = Plane::start(&state, &[]);
    let address = plane.address;
    let gateway = Gateway::start(address, &json!({"max_age_s": 1}));
    gateway.ask_until("bandit");
    plane.wait_for("the first decisions arrive", |status| decisions(status) >= 20);
    drop(plane);
    gateway.ask_until("classifier");
    assert!(gateway.counter("bandit_fallback.reason.stale_snapshot") >= 20);
    let waiting: Vec<String> = (0..10)
        .map(|_| gateway.ask().header("x-pointsman-decision-id").unwrap().to_owned())
        .collect();
    gateway.wait_for_counter("control_calls_failed", 1);
    // The same address and the same file, as after a restart.
    let plane = Plane::start_at(&address.to_string(), &state, &[]);
    gateway.ask_until("bandit");
    plane.wait_for("what waited arrives", |status| decisions(status) >= 10);
    let lines: Vec<String> =
        waiting.iter().map(|id| json!({"decision_id": id, "reward": 1.0}).to_string()).collect();
    plane.accepted("/pointsman/v1/feedback", &lines.join("\n"));
    plane.wait_for("what waited can be rewarded", |status| status["samples"] == 10);
    assert_eq!(gateway.counter("events_dropped"), 0);
}

#[test]
fn a_full_buffer_drops_decisions_and_never_requests() {
    // An address that does not listen.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Gateway::start_with(closed, &json!({}), &json!({"buffer_bytes": 65536}));
    // 64 KiB on each of two workers hold far fewer.
    for _ in 0..300 {
        gateway.ask();
    }
    gateway.wait_for_counter("events_dropped", 1);
    assert!(gateway.counter("events_dropped") < 300, "some are kept");
}

/// A control plane that answers every request for a policy with the same bytes.
fn liar(answer: Arc<Mutex<Vec<u8>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            // A connection on which nothing is asked must not keep the others waiting.
            std::thread::spawn(move || lie(stream, &answer));
        }
    });
    address
}

fn lie(stream: TcpStream, answer: &Mutex<Vec<u8>>) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_ok() {
        let answer = answer.lock().unwrap().clone();
        let head = format!(
            "HTTP/1.1 200 OK\r\netag: \"x\"\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        // Envoy may have given up.
        let _ = reader.get_mut().write_all(&[head.into_bytes(), answer].concat());
    }
}

#[test]
fn poisoned_and_oversized_snapshots_are_refused_and_a_good_one_is_taken_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let good = Plane::start(&directory.path().join("state"), &[]).policy(None).1;
    let answer = Arc::new(Mutex::new(b"{".to_vec()));
    let gateway = Gateway::start(liar(Arc::clone(&answer)), &json!({}));
    let mut poisoned: Value = serde_json::from_str(&good).unwrap();
    let numbers = vec![f32::NAN; Context::new(2).dimensions()];
    poisoned["components"][0]["weights"][1] = json!(pack(&numbers));
    let mut refused = 0;
    for bad in [
        b"[1, 2]".to_vec(),
        good.replace("\"format\":1", "\"format\":9").into_bytes(),
        good.replace("\"cheap\"", "\"other\"").into_bytes(),
        poisoned.to_string().into_bytes(),
        good.replacen("\"share\":1.0", "\"share\":0.5", 1).into_bytes(),
        [good.as_bytes(), &vec![b' '; 600 * 1024]].concat(),
    ] {
        *answer.lock().unwrap() = bad;
        refused += 6;
        gateway.wait_for_counter("snapshots_refused", refused);
        let response = gateway.ask();
        assert_eq!(response.header("x-pointsman-source"), Some("classifier"));
        refused = gateway.counter("snapshots_refused");
    }
    assert_eq!(gateway.counter("snapshots_loaded"), 0);
    *answer.lock().unwrap() = good.into_bytes();
    gateway.ask_until("bandit");
}

#[test]
fn each_tenant_is_decided_for_by_its_segments_policy() {
    let directory = tempfile::tempdir().unwrap();
    let mut snapshot = Plane::start(&directory.path().join("state"), &[]).snapshot();
    snapshot.explorer = Explorer::EpsilonGreedy { epsilon: 0.0 };
    // Everybody gets the strong target, and the first tenant the cheap one.
    let always = |target: usize| {
        let mut component = snapshot.components[0].clone();
        component.weights.iter_mut().flatten().for_each(|weight| *weight = 0.0);
        component.weights[target][0] = 1.0;
        component
    };
    let own = Segment::new("tenant-a".into(), vec![always(0)]);
    snapshot.components = vec![always(1)];
    snapshot.segments = vec![own];
    let answer = Arc::new(Mutex::new(snapshot.to_json().into_bytes()));
    let gateway = Gateway::start(liar(answer), &json!({}));
    gateway.ask_until("bandit");
    for (tenant, target) in [("tenant-a", "cheap"), ("tenant-b", "strong"), ("", "strong")] {
        let response = gateway.ask_as(tenant, "Is the sum of two even numbers even?", "");
        assert_eq!(response.header("x-pointsman-target"), Some(target), "{tenant}");
        let id = response.header("x-pointsman-decision-id").unwrap().to_owned();
        let line = gateway
            .envoy
            .access_log_line(|line| {
                decision_of(line).is_ok_and(|d| d["decision_id"] == id.as_str())
            })
            .unwrap();
        let record = decision_of(&line).unwrap();
        assert_eq!((&record["policy"], &record["source"]), (&tenant.into(), &"bandit".into()));
    }
}

#[test]
fn a_minute_without_a_control_plane_costs_no_request_and_every_decision_is_reported_or_counted() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let plane = Plane::start(&state, &[]);
    let address = plane.address;
    let small = json!({"buffer_bytes": 262_144});
    let gateway = Gateway::start_with(address, &json!({}), &small);
    gateway.ask_until("bandit");
    drop(plane);
    let (begun, mut asked, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    while begun.elapsed() < Duration::from_secs(60) {
        let at = Instant::now();
        gateway.ask();
        slowest = slowest.max(at.elapsed());
        asked += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    // A request that waited for the control plane would wait for its time-out.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let dropped = gateway.counter("events_dropped");
    assert!(dropped > 0, "{asked} decisions fit into the buffers of two workers");
    let plane = Plane::start_at(&address.to_string(), &state, &[]);
    // Those before the outage may come again, and are known.
    let status = plane.wait_for("all that was kept arrives", |status| {
        decisions(status) >= asked - gateway.counter("events_dropped")
    });
    assert_eq!(gateway.counter("events_dropped"), dropped, "there is room again: {status}");
    gateway.ask_until("bandit");
}

/// Passes connections on to a plane, and every piece in both directions late.
fn slow_network(to: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = RUNTIME.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    RUNTIME.spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = tokio::net::TcpStream::connect(to).await else { continue };
            let ((near_read, near_write), (far_read, far_write)) =
                (near.into_split(), far.into_split());
            tokio::spawn(pass_late(near_read, far_write, delay));
            tokio::spawn(pass_late(far_read, near_write, delay));
        }
    });
    address
}

async fn pass_late(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(delay).await;
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[test]
fn a_slow_network_delays_the_policy_and_no_request() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &[]);
    let late = Duration::from_millis(700);
    let gateway = Gateway::start(slow_network(plane.address, late), &json!({}));
    gateway.ask_until("bandit");
    let begun = Instant::now();
    let asked = 30;
    for _ in 0..asked {
        gateway.ask();
    }
    // If requests waited for the control plane, each would wait for longer than this.
    assert!(begun.elapsed() < late * asked, "{:?}", begun.elapsed());
    plane.wait_for("the decisions arrive", |status| decisions(status) >= 50);
    assert_eq!(gateway.counter("events_dropped"), 0);
}

#[test]
fn the_filter_gives_rewards_by_itself_and_a_question_again_counts_against_the_answer() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &[]);
    let implicit = json!({"implicit": {"ok": 0.75, "empty": 0.25, "truncated": 0.5,
        "asked_again": {"seconds": 60, "reward": 0.0}}});
    let gateway = Gateway::start_with(plane.address, &json!({}), &implicit);
    let sum_of = |rewards: u64, sum: f64| {
        let status = plane.wait_for("the rewards arrive", |status| {
            status["totals"]["rewards"] == rewards && status["totals"]["reward_sum"] == sum
        });
        assert_eq!(status["lines"]["invalid"], 0, "{status}");
    };
    gateway.ask_for("Is the sum of two even numbers even?", "chat");
    sum_of(1, 0.75);
    // The answer has no text at all.
    gateway.ask_for("Is the product of two odd numbers odd?", "usage");
    sum_of(2, 1.0);
    // The first answer did not help, or the client would not ask again.
    gateway.ask_for("is the sum of two even numbers  even?", "chat");
    sum_of(3, 1.0);
    let body = json!({"messages": [
        {"role": "user", "content": "Is the sum of two even numbers even?"},
        {"role": "assistant", "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "yes"}]});
    let request = Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .header("x-reply", "chat")
        .body(client::whole(body.to_string()))
        .unwrap();
    client::exchange(gateway.envoy.listener, Protocol::Http1, request).unwrap();
    sum_of(4, 1.75);
}
