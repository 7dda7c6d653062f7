#!/usr/bin/env python3
"""Runs envoy/docker-compose.yaml and holds it to what its documents promise.

    python3 tests/compose/test.py

It starts the file under another project's name and on free ports, after a start that was killed; sends
the demo's prompts twice; reads metrics, rules and dashboard; restarts and kills every container under
load; and removes all of it. Images that no registry gives are stand-ins (images.py). Without a Docker
engine it says so and ends with 0, with POINTSMAN_REQUIRE_DOCKER set, as in the workflow, with 1.
"""

import collections
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "scripts"))

import compose  # noqa: E402
import images  # noqa: E402
from compose import Deployment, condition, write_env  # noqa: E402
from demo import MODELS, ROOT, Failure, exchange, prompts, say  # noqa: E402

PROJECT = "pointsman-test"
PORTS = ["ENVOY_PORT", "ENVOY_METRICS_PORT", "CONTROL_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT"]
SERVICES = {"render", "envoy", "cheap", "strong", "cache", "control", "redis", "prometheus", "grafana"}
KINDS = {"container": ["ps", "--all"], "network": ["network", "ls"], "volume": ["volume", "ls"]}
DISTURBANCES = [
    *((service, "restarted") for service in sorted(SERVICES - {"render"})),
    *((service, "killed") for service in ("redis", "cache", "cheap", "envoy")),
]
CLIENTS = 4
PAUSE_SECONDS = 0.05
LOGS = ROOT / "target/compose-test.log"
# A request is answered, but not by the target that was decided for.
INSTEAD = "answered by the other target"
# What clients may get while a service is away. While Envoy is, there is nobody to answer, and when it
# ends it may still send an error, in JSON.
ALLOWED = {"cheap": [INSTEAD], "strong": [INSTEAD], "envoy": ["no answer", "error 503"]}


def check(right, what):
    if not right:
        raise Failure(what, "the deployment is not what its documents say")


def docker(*arguments):
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    check(done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def engine():
    """Whether a Docker engine answers, and if not, why."""
    try:
        done = subprocess.run(["docker", "version", "--format", "{{.Server.Version}}"],
                              capture_output=True, text=True, timeout=30)
        compose.compose_command()
    except FileNotFoundError:
        return "there is no `docker`"
    except subprocess.TimeoutExpired:
        return "the Docker engine does not answer"
    except Failure as failure:
        return str(failure)
    return None if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def left():
    """What there is of the test's project, by kind."""
    label = f"label=com.docker.compose.project={PROJECT}"
    return {kind: found for kind, listed in KINDS.items()
            if (found := docker(*listed, "--quiet", "--filter", label).split())}


def remove():
    """Removes what there is of the test's project, whoever has left it behind."""
    for kind, found in left().items():
        docker(kind, "rm", *(["--force"] if kind != "network" else []), *found)


def free_ports():
    with contextlib.ExitStack() as open_:
        sockets = [open_.enter_context(socket.socket()) for _ in PORTS]
        for it in sockets:
            it.bind(("127.0.0.1", 0))
        return {name: str(it.getsockname()[1]) for name, it in zip(PORTS, sockets)}


def fetch(address, path):
    """A JSON document."""
    answer, text = exchange(address, "GET", path)
    check(answer.status == 200, f"http://{address}{path}: status {answer.status}: {text[:300]!r}")
    return json.loads(text)


def wait_for(what, probe, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException, Failure):
            if found := probe():
                return found
        if time.monotonic() > deadline:
            raise Failure(f"{seconds} s went by before {what}", "see the logs above, or run it again")
        time.sleep(0.2)


class Test:
    def __init__(self, deployment):
        self.deployment = deployment
        address = lambda name: f"127.0.0.1:{deployment.environment[name]}"
        self.envoy, self.prometheus = address("ENVOY_PORT"), address("PROMETHEUS_PORT")
        self.grafana, self.control = address("GRAFANA_PORT"), address("CONTROL_PORT")
        self.envoy_metrics = address("ENVOY_METRICS_PORT")

    def start_and_abort(self):
        """A start that is killed halfway leaves things behind, which the next one must cope with."""
        command = [*self.deployment.command, "up", "--detach"]
        with subprocess.Popen(command, env=self.deployment.environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True) as started:
            wait_for("the aborted start had made a container", lambda: "container" in left())
            os.killpg(started.pid, signal.SIGKILL)

    def containers(self):
        found = self.deployment.containers()
        check(found.keys() == SERVICES, f"services: {sorted(found)}")
        return found

    def confinement(self):
        """Users, file systems, privileges, ports and networks."""
        for name, it in self.containers().items():
            user = it["Config"]["User"].split(":")[0]
            check(user not in ("", "0", "root"), f"{name} runs as root")
            host = it["HostConfig"]
            check(host["ReadonlyRootfs"], f"{name} can write to its file system")
            check(host["CapDrop"] == ["ALL"] and not host["Privileged"], f"{name} has capabilities")
            check("no-new-privileges:true" in host["SecurityOpt"], f"{name} can gain privileges")
            ports = [bind for binds in (host["PortBindings"] or {}).values() for bind in binds]
            check(all(bind["HostIp"] == "127.0.0.1" for bind in ports), f"{name} is open to others")
            joined = {net.removeprefix(f"{PROJECT}_") for net in it["NetworkSettings"]["Networks"]}
            expected = {"render": {"none"}, "redis": {"store"}, "cache": {"default", "store"},
                        "control": {"default", "store"}}.get(name, {"default"})
            check(joined == expected, f"{name} is in {joined}")
            if it["State"]["Running"]:
                processes = docker("top", it["Id"], "-eo", "pid,uid").splitlines()[1:]
                check(all(line.split()[1] != "0" for line in processes), f"{name}: {processes}")
                wrote = subprocess.run(["docker", "exec", it["Id"], "sh", "-c", "echo > /usr/x"],
                                       capture_output=True, text=True)
                check("Read-only file system" in wrote.stderr, f"{name}: {wrote.stderr}")
        rendered = self.inside("envoy", "ls", "-ln", "/rendered").splitlines()[1:]
        modes = {line.split()[-1]: line.split()[0] for line in rendered}
        check(modes["filter.yaml"].startswith("-rw-------"), f"others read the secrets: {modes}")

    def inside(self, service, *command):
        return docker("exec", self.containers()[service]["Id"], *command)

    def hits(self):
        """Every prompt twice; what is cacheable must hit the second time."""
        pairs = compose.ask_all(self.envoy)
        for first, again in pairs:
            check(first["target"] == first["reached"], f"sent elsewhere: {first}")
            expected = {"miss": "hit-exact", "bypass": "bypass"}[first["cache"]]
            check(again["cache"] == expected, f"{first} and then {again}")
        check({first["target"] for first, _ in pairs} == {"cheap", "strong"}, "one target got everything")
        return len(pairs)

    def reached(self):
        """The targets that answer some prompts."""
        return {compose.ask(self.envoy, body, prompt)["reached"] for body, prompt, _ in prompts()[:9]}

    def learnt(self):
        """How many decisions the control plane counts."""
        _, text = exchange(self.control, "GET", "/metrics")
        counts = re.findall(r"(?m)^pointsman_serve_decisions_total\S* (\S+)$", text.decode())
        return sum(float(count) for count in counts)

    def query(self, expression):
        """The value of an expression of one series, or None."""
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        result = fetch(self.prometheus, path)["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def metrics(self, asked):
        """What was asked is counted by all three, and Prometheus has it."""
        for expression, least in {
            "sum(pointsman_decisions)": 2 * asked,
            'sum(pointsman_cache_requests_total{result="hit-exact"})': asked * 0.8,
            "sum(pointsman_serve_decisions_total)": 2 * asked,
            "sum(pointsman_spend_nano)": 1,
        }.items():
            wait_for(f"{expression} >= {least}", lambda: (self.query(expression) or 0) >= least)
        targets = fetch(self.prometheus, "/api/v1/targets")["data"]["activeTargets"]
        check({it["labels"]["job"] for it in targets} == {"envoy", "cache", "control", "prometheus"}, str(targets))
        check(all(it["health"] == "up" for it in targets), str([it["lastError"] for it in targets]))
        groups = fetch(self.prometheus, "/api/v1/rules")["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        wait_for("every rule was evaluated", lambda: all(
            rule["health"] == "ok" for group in fetch(self.prometheus, "/api/v1/rules")["data"]["groups"]
            for rule in group["rules"]))
        self.media_types()
        return len(rules)

    def media_types(self):
        """Prometheus 3 refuses what has no media type that it knows, where 2 took it for text."""
        script = "import urllib.request as r; print(r.urlopen('http://cache:9100/metrics').headers['content-type'])"
        cache = self.inside("cheap", "python3", "-c", script)
        others = [exchange(self.envoy_metrics, "GET", "/stats/prometheus"), exchange(self.control, "GET", "/metrics")]
        for kind in [cache, *(answer.getheader("content-type") for answer, _ in others)]:
            check(kind and kind.split(";")[0] == "text/plain", f"metrics have the media type {kind}")

    def dashboard(self):
        """Asks, through Grafana and its data source, for what each panel shows."""
        dashboard = fetch(self.grafana, "/api/dashboards/uid/pointsman")["dashboard"]
        shown, empty = [], []
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"].replace("$__rate_interval", "1m").replace("$__range", "1m")
                path = "/api/datasources/proxy/uid/prometheus/api/v1/query?"
                answer = fetch(self.grafana, path + urllib.parse.urlencode({"query": expression}))
                check(answer["status"] == "success", f"{panel['title']}: {answer}")
                (shown if answer["data"]["result"] else empty).append(panel["title"])
        return set(shown), set(empty) - set(shown)

    def whole_dashboard(self):
        """Waits for what must be there: a rate shows nothing before a counter was read twice."""
        necessary = {"Requests decided", "Classification coverage"}
        wait_for(f"{sorted(necessary)} showed something", lambda: necessary <= self.dashboard()[0])
        shown, empty = self.dashboard()
        return len(shown), sorted(empty)


class Load:
    """Clients that ask all the time, half of the time something new."""

    def __init__(self, address):
        self.address, self.bodies = address, [body for body, _, _ in prompts() if not body.get("stream")]
        self.answers, self.running = [], True
        self.threads = [threading.Thread(target=self.ask, args=(n,), daemon=True) for n in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        for thread in self.threads:
            thread.join()

    def ask(self, client):
        number = 0
        while self.running:
            number += 1
            body = self.bodies[(client + number) % len(self.bodies)]
            if number % 2:
                new = {"role": "system", "content": f"This is request {client}-{number}-{time.time_ns()}."}
                body = {**body, "messages": [new, *body["messages"]]}
            begun = time.monotonic()
            try:
                answer, text = exchange(self.address, "POST", "/v1/chat/completions", body)
                outcome = outcome_of(answer, text)
            except (OSError, http.client.HTTPException) as error:
                outcome = f"no answer: {type(error).__name__}"
            self.answers.append((begun, time.monotonic(), outcome))
            time.sleep(PAUSE_SECONDS)

    def during(self, begun, ended):
        """The outcomes of what was under way in this time."""
        return [it for it in list(self.answers) if it[1] >= begun and it[0] <= ended]


def outcome_of(answer, text):
    """`answered` when the target that was decided for has; otherwise what happened instead."""
    try:
        value = json.loads(text)
        if answer.status != 200:
            return f"error {answer.status}" if value["error"]["message"] else "an error without a message"
        own = value["model"] == MODELS[answer.getheader("x-pointsman-target")]
        return "answered" if own else INSTEAD
    except (ValueError, KeyError, TypeError):
        return f"neither an answer nor an error: {answer.status} {text[:100]!r}"


def disturb(test, load, service, how):
    """Restarts or kills a service under load, and looks at what the clients got meanwhile."""
    before = test.containers()[service]
    begun = time.monotonic()
    if how == "restarted":
        docker("restart", before["Id"])
    else:
        # From outside, as the kernel does it: what the engine kills it does not start again.
        os.kill(before["State"]["Pid"], signal.SIGKILL)

    def back():
        it = test.containers()[service]
        new = it["State"]["StartedAt"] != before["State"]["StartedAt"]
        return new and condition(service, it["State"]) is None

    wait_for(f"{service} was back", back)
    recovered = time.monotonic()
    time.sleep(1)
    answers = load.during(begun, time.monotonic())
    counts = collections.Counter(outcome for _, _, outcome in answers)
    slowest = max(ended - begun for begun, ended, _ in answers)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    print(f"{service:<11} {how:<10} healthy after {recovered - begun:4.1f} s; {told}; "
          f"slowest {1000 * slowest:.0f} ms", flush=True)
    check(counts["answered"], f"nobody got an answer after {service} was {how}")
    allowed = {"answered", *ALLOWED.get(service, ())}
    wrong = [it for it in answers if not it[2].startswith(tuple(allowed))]
    check(not wrong, f"{service} was {how}, and clients got {wrong[:3]}")
    late = [it for it in answers if it[0] > recovered and it[2].startswith(("error", "no answer"))]
    check(not late, f"{service} was back, and clients got {late[:3]}")


def roll_out(test, load):
    """Renders another configuration into the running deployment: Envoy takes it between two requests."""
    begun = time.monotonic()
    text = (ROOT / "envoy/compose/pointsman.yaml").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="pointsman-") as folder:
        other = Path(folder, "pointsman.yaml")
        other.write_text(text.replace("mode: route", "mode: observe"), encoding="utf-8")
        os.chmod(folder, 0o755)
        os.chmod(other, 0o644)
        command = "pointsman render xds --file /other.yaml --out /rendered --wasm /rendered/pointsman.wasm"
        test.deployment.run("run", "--rm", "--volume", f"{other}:/other.yaml:ro", "render", command,
                            hint="see above", quiet=True)
        wait_for("everything went to the strong target", lambda: test.reached() == {"strong"})
    test.deployment.run("up", "render", hint="see above", quiet=True)
    wait_for("the former configuration was back", lambda: test.reached() == {"cheap", "strong"})
    answers = load.during(begun, time.monotonic())
    wrong = [it for it in answers if it[2] not in ("answered", INSTEAD)]
    check(not wrong, f"during a roll-out clients got {wrong[:3]}")
    print(f"two roll-outs without a restart; all of {len(answers)} requests answered", flush=True)


def run(test):
    begun = time.monotonic()
    lap = lambda what: print(f"[{time.monotonic() - begun:5.1f} s] {what}", flush=True)
    test.start_and_abort()
    lap("a start was aborted")
    test.deployment.start(quiet=True)
    test.deployment.wait_until_healthy()
    lap("everything is healthy")
    test.confinement()
    lap("no root, no writable file system, no open port")
    asked = test.hits()
    lap(f"{asked} prompts, twice: what is cacheable was a hit the second time")
    rules = test.metrics(asked)
    lap(f"decisions, hits and the control plane's metrics are in Prometheus; {rules} alert rules")
    shown, empty = test.whole_dashboard()
    lap(f"the dashboard has data in {shown} panels; empty: {', '.join(empty) or 'none'}")
    with Load(test.envoy) as load:
        time.sleep(1)
        roll_out(test, load)
        for service, how in DISTURBANCES:
            learnt = test.learnt()
            disturb(test, load, service, how)
            check(test.learnt() >= learnt, f"the control plane forgot when {service} was {how}")
    lap(f"{len(load.answers)} requests while every container was restarted or killed")
    again = [it["cache"] for body, prompt, _ in prompts() for it in [compose.ask(test.envoy, body, prompt)]]
    check("miss" not in again, f"answers were lost: {again}")
    lap("what had been cached still is")


def main():
    why = engine()
    if why:
        say(f"skipped: {why}")
        return 1 if os.environ.get("POINTSMAN_REQUIRE_DOCKER") else 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    names = []
    try:
        with tempfile.TemporaryDirectory(prefix="pointsman-") as folder, contextlib.ExitStack() as undo:
            remove()
            undo.callback(remove)
            undo.callback(images.remove)
            # What an earlier build of our own image has left without a name.
            undo.callback(docker, "image", "prune", "--force", "--filter",
                          "label=org.opencontainers.image.title=pointsman")
            begun = time.monotonic()
            images.provide()
            print(f"images after {time.monotonic() - begun:.0f} s", flush=True)
            images.print_gaps()
            env = Path(folder, "env")
            write_env(env, PROJECT)
            test = Test(Deployment(env, free_ports()))
            try:
                run(test)
            except Failure:
                LOGS.parent.mkdir(parents=True, exist_ok=True)
                logs = test.deployment.run("logs", "--no-color", "--timestamps", hint="", quiet=True)
                LOGS.write_text(logs, encoding="utf-8")
                say(f"the containers' logs are in {LOGS.relative_to(ROOT)}")
                raise
        check(not left(), f"left behind: {left()}")
    except (Failure, images.Missing) as failure:
        say(f"error: {failure}")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
