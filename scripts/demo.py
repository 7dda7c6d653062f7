#!/usr/bin/env python3
"""Routes the prompts of envoy/prompts.jsonl through a real Envoy with the filter.

    python3 scripts/demo.py            # Envoy asks the stand-in models directly
    python3 scripts/demo.py --cache    # each model behind a `pointsman cache`; every prompt twice

Everything runs on loopback. Two stand-in models answer with their own names, so the table shows where
each request really went, next to what the filter decided. Progress and errors are on stderr. Exit
status: 1 when a request landed elsewhere or something failed, 2 when the call itself was wrong.
"""

import argparse
import collections
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WASM = ROOT / "dist/pointsman.wasm"
PROGRAM = ROOT / "target/release/pointsman"
LOGS = ROOT / "target/demo"

# The targets of envoy.yaml and the model names that their stand-ins answer with.
MODELS = {"cheap": "small-model", "strong": "large-model"}

# Runs its arguments as a child and kills it as soon as our end of its standard input closes. The kernel
# closes that whichever way we end.
SUPERVISOR = """
exec 3<&0
"$@" </dev/null 3<&- & child=$!
{ cat <&3 >/dev/null; kill -9 "$child"; } 2>/dev/null & watcher=$!
wait "$child"; status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"""


class Failure(Exception):
    """What went wrong, what to do about it, and the exit status."""

    def __init__(self, problem, hint, status=1):
        super().__init__(problem)
        self.hint = hint
        self.status = status


class Process:
    """A program that cannot outlive us; its output goes to NAME.out and NAME.err in LOGS."""

    def __init__(self, name, command, running):
        self.name = name
        self.stdout = LOGS / f"{name}.out"
        self.stderr = LOGS / f"{name}.err"
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self.supervisor = subprocess.Popen(
                ["sh", "-c", SUPERVISOR, name, *map(str, command)],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=out, stderr=err,
                # Ctrl-C reaches us alone, and we end the others in order.
                start_new_session=True,
            )
        running.callback(self.stop)

    def stop(self):
        self.supervisor.stdin.close()
        self.supervisor.wait()

    def ended(self):
        """The exit status if the program has ended by itself, otherwise None."""
        return self.supervisor.poll()

    def wait_for(self, what, probe, hint, seconds=20):
        """Polls until `probe` returns something."""
        deadline = time.monotonic() + seconds
        while True:
            found = probe()
            if found is not None:
                return found
            if self.ended() is not None:
                raise self.failure(f"{self.name} ended with status {self.ended()} before {what}", hint)
            if time.monotonic() > deadline:
                raise self.failure(f"{self.name}: {seconds} s went by before {what}", hint)
            time.sleep(0.02)

    def address(self, path, hint):
        """The address that the program says it serves."""
        said = lambda: re.search(r"(127\.0\.0\.1:\d+)/?\n", read(path))
        return self.wait_for("it said where it listens", said, hint)[1]

    def failure(self, problem, hint):
        """A failure that shows what the program has logged: the errors, if it marks them."""
        lines = read(self.stderr).splitlines()
        lines = [line for line in lines if re.search(r"\[(error|critical)\]", line)] or lines
        where = self.stderr.relative_to(ROOT)
        log = "".join(f"\n  {line}" for line in [f"{where} ends:", *lines[-12:]] if lines)
        if any("cannot bind" in line for line in lines):
            hint = "stop what uses that port, or write another one into Envoy's configuration"
        elif lines and self.ended() is not None:
            hint = f"the lines above say why; all of them are in {where}"
        return Failure(problem + log, hint)


class Envoy:
    """A running Envoy, ready to serve."""

    def __init__(self, binary, configuration, running):
        self.admin_file = LOGS / "admin.address"
        # A file of an earlier run would name a port that is not ours.
        self.admin_file.unlink(missing_ok=True)
        self.process = Process("envoy", [
            binary, "--config-path", configuration, "--admin-address-path", self.admin_file,
            "--disable-hot-restart", "--concurrency", 2,
            # The access log is read while Envoy runs; by default it is written every 10 s.
            "--file-flush-interval-msec", 50,
        ], running)
        # Compiling the module takes seconds, and many more on a busy machine.
        self.admin = self.process.wait_for(
            "it was ready", self.live_admin,
            f"run it again when the machine is less busy; is {binary} an Envoy?", seconds=90)
        self.listener = self.find_listener()

    def live_admin(self):
        """The admin address as soon as Envoy is LIVE, and has found every cache in good health:
        before, it asks the models."""
        address = read(self.admin_file).strip()
        with contextlib.suppress(OSError, http.client.HTTPException):
            if address and exchange(address, "GET", "/ready")[1].strip() == b"LIVE":
                _, healthy = exchange(address, "GET", "/stats?filter=-cache.membership_healthy")
                return None if b": 0" in healthy else address
        return None

    def find_listener(self):
        _, answer = self.exchange(self.admin, "GET", "/listeners?format=json")
        for listener in json.loads(answer)["listener_statuses"]:
            if listener["name"] == "llm":
                return "{address}:{port_value}".format(**listener["local_address"]["socket_address"])
        raise Failure("Envoy has no listener `llm`", "the demo needs the one of envoy/envoy.yaml")

    def ask(self, body):
        """Sends one prompt; returns the answer's head and its body."""
        return self.exchange(self.listener, "POST", "/v1/chat/completions", body)

    def exchange(self, *request):
        try:
            return exchange(*request)
        except (OSError, http.client.HTTPException) as error:
            problem = f"no answer from Envoy to {request[1]} {request[2]}: {error}"
            raise self.process.failure(problem, "run it again, or name another Envoy with --envoy") \
                from error

    def decision(self, number):
        """The decision record with this ID, which is a part of a line in the access log."""

        def probe():
            for line in read(self.process.stdout).splitlines():
                # The last line may be half written.
                with contextlib.suppress(ValueError):
                    record = json.loads(line)["decision"]
                    if record and json.loads(record)["decision_id"] == number:
                        return json.loads(record)
            return None

        return self.process.wait_for(
            f"decision {number} was in the access log", probe,
            "envoy/envoy.yaml must log %FILTER_STATE(wasm.pointsman:PLAIN)% as `decision`")


def say(text):
    print(text, file=sys.stderr, flush=True)


def read(path):
    """The text of a file; empty as long as the file does not exist."""
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def exchange(address, method, path, body=None):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        text = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        connection.request(method, path, text, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def start_model(name, running):
    """Starts a stand-in; returns the address that it picked."""
    command = ["envoy/upstream.py", "--name", name, "--model", MODELS[name], "--port", 0]
    process = Process(f"{name}-model", [sys.executable, *command], running)
    return process.address(process.stdout, "it needs nothing but a free port on 127.0.0.1")


def start_cache(name, model, running):
    """Starts a cache in front of a model; returns the address that it picked."""
    command = ["cache", "--target", name, "--upstream", f"http://{model}", "--listen", "127.0.0.1:0",
               "--anonymous"]  # The demo's client has no key.
    process = Process(f"{name}-cache", [PROGRAM, *command], running)
    return process.address(process.stderr, "run `make cli`: the program may be older than its source")


def deployment(addresses):
    """envoy/envoy.yaml with ports that the system picks and with these clusters at these addresses.

    Only addresses differ, and each is found by the line that names its owner."""
    text = (ROOT / "envoy/envoy.yaml").read_text(encoding="utf-8")
    owners = {"admin:": "127.0.0.1:0", "- name: llm": "127.0.0.1:0"}
    owners.update((f"cluster_name: {name}", address) for name, address in addresses.items())
    for line, address in owners.items():
        host, port = address.rsplit(":", 1)
        text, found = re.subn(
            rf"(?ms)^( *{line}\n(?:(?!cluster_name:).)*?socket_address: )\{{[^{{}}]*\}}",
            rf"\g<1>{{address: {host}, port_value: {port}}}", text, count=1)
        if not found:
            raise Failure(f"envoy/envoy.yaml has no `socket_address: {{…}}` below `{line}`",
                          "the demo needs the listener and the clusters that the file came with")
    (LOGS / "envoy.yaml").write_text(text, encoding="utf-8")
    return LOGS / "envoy.yaml"


def find_envoy():
    # Its progress and its errors are on stderr and pass through.
    found = subprocess.run([ROOT / "scripts/get-envoy.sh"], stdout=subprocess.PIPE, text=True)
    if found.returncode != 0:
        raise Failure(f"there is no Envoy: scripts/get-envoy.sh ended with status {found.returncode}",
                      "the lines above say why; --envoy PATH names one that you have")
    return Path(found.stdout.strip())


def prompts():
    """The requests, each with the beginning of its prompt and how it was judged."""
    bodies = []
    with (ROOT / "envoy/judged.json").open(encoding="utf-8") as file:
        judged = json.load(file)
    with (ROOT / "envoy/prompts.jsonl").open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                body = row["request"]
                bodies.append((body, prompt_start(body), judged.get(row["id"])))
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise Failure(f"envoy/prompts.jsonl:{number}: {error!r}",
                              'each line is {"id": …, "request": …} with a user message') from error
    if not bodies:
        raise Failure("envoy/prompts.jsonl is empty", "put a request into it")
    return bodies


def prompt_start(body):
    """The beginning of the last user message, on one line."""
    content = [m["content"] for m in body["messages"] if m["role"] == "user"][-1]
    text = content if isinstance(content, str) else content[0]["text"]
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"


def answering_target(text, stream):
    """Whose model name is in the answer; a streamed answer must also have come to its end."""
    try:
        if stream:
            events = text.decode().split("\n\n")
            if events[-2:] != ["data: [DONE]", ""]:
                raise ValueError("the stream has no end")
            text = events[0][len("data: "):]
        model = json.loads(text)["model"]
        return next(name for name, its_model in MODELS.items() if its_model == model)
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise Failure(f"an answer is from neither stand-in model: {text!r} ({error!r})",
                      "what Envoy did with the request is in target/demo/envoy.out") from error


def route(envoy, body, prompt):
    """Sends one prompt; returns what the filter decided, `reached` for who answered, and `prompt`."""
    answer, text = envoy.ask(body)
    number = answer.getheader("x-pointsman-decision-id")
    if answer.status != 200 or number is None:
        decided = "without a decision of the filter" if number is None else "instead of 200"
        raise Failure(f"status {answer.status} {decided} for {prompt!r}: {text[:200]!r}",
                      "the reason is in target/demo/envoy.err and target/demo/envoy.out")
    row = envoy.decision(number)
    row["target"] = answer.getheader("x-pointsman-target")
    row["source"] = answer.getheader("x-pointsman-source")
    row["reached"] = answering_target(text, body.get("stream") is True)
    row["prompt"] = prompt
    return row


def print_table(envoy, bodies):
    decimal = lambda value, digits=3: "-" if value is None else f"{value:.{digits}f}"
    print(f"{'#':>3}  {'target':<7} {'reached':<21} {'score':>6} {'threshold':>10} {'judged':>7} {'decision':>9}  prompt")
    rows = []
    for number, (body, prompt, judged) in enumerate(bodies, 1):
        row = route(envoy, body, prompt)
        row["judged"] = None if judged is None else judged / 100
        reached = f"{row['reached']} ({MODELS[row['reached']]})"
        lost = "" if row["target"] == row["reached"] else "   <-- NOT WHERE IT SHOULD BE"
        print(f"{number:>3}  {row['target']:<7} {reached:<21} {decimal(row.get('score')):>6} "
              f"{decimal(row.get('threshold')):>10} {decimal(row['judged'], 2):>7} {row['latency_us']:>6} µs  "
              f"{row['prompt']}{lost}",
              flush=True)
        rows.append(row)
    return rows


def print_summary(envoy, rows):
    print()
    for name, model in MODELS.items():
        count = sum(row["reached"] == name for row in rows)
        print(f"{name:<7} {count:>3} of {len(rows)} requests ({100 * count / len(rows):.0f} %), "
              f"by {model}")
    micros = sorted(row["latency_us"] for row in rows)
    # Nearest rank: a value that was really measured.
    percentile = lambda p: micros[-(-len(micros) * p // 100) - 1]
    print(f"decision time in the filter: p50 {percentile(50)} µs, p90 {percentile(90)} µs, "
          f"p99 {percentile(99)} µs")
    classified = counted = 0
    _, statistics = envoy.exchange(envoy.admin, "GET", "/stats?filter=pointsman_decisions")
    for line in statistics.decode().splitlines():
        name, value = line.split(": ")
        counted += int(value)
        classified += int(value) if ".source.classifier." in name else 0
    print(f"Envoy's counters: {counted} decisions, {classified} of them by the classifier "
          f"({100 * classified / max(counted, 1):.0f} %)", flush=True)
    asked = sum(row["source"] == "classifier" for row in rows)
    if (classified, counted) != (asked, len(rows)):
        raise Failure(f"Envoy counted {classified} of {counted} decisions by the classifier, the "
                      f"answers say {asked} of {len(rows)}", "look for errors in target/demo/envoy.err")


def print_agreement(rows):
    """How often the decision is the one that the blind reading would have made."""
    read = [row for row in rows if row["judged"] is not None and row.get("threshold") is not None]
    agreed = sum((row["judged"] >= row["threshold"]) == (row["target"] == "cheap") for row in read)
    print("judged: the probability, by a blind reading of the prompt, that a small model's answer is as "
          "good")
    print(f"agrees with the judged opinion on {agreed} of {len(read)}", flush=True)


def print_hits(envoy, bodies):
    """Asks every prompt once more and counts by target what came from the cache."""
    outcomes = collections.defaultdict(collections.Counter)
    for body, *_ in bodies:
        answer, _ = envoy.ask(body)
        target = answer.getheader("x-pointsman-target", "-")
        outcomes[target][answer.getheader("x-pointsman-cache", "-")] += 1
    print("\nThe same prompts again, by target:")
    for target, counts in sorted(outcomes.items()):
        counted = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        print(f"{target:<7} {counted}", flush=True)


def run(arguments, running):
    """Runs the demo; returns how many requests landed elsewhere than decided."""
    if not WASM.is_file():
        raise Failure("dist/pointsman.wasm is missing", "run `make wasm` first, or just `make demo`")
    if arguments.cache and not PROGRAM.is_file():
        raise Failure(f"{PROGRAM} is missing", "run `make cli` first, or just `make demo-cache`")
    if arguments.envoy and not arguments.envoy.is_file():
        raise Failure(f"{arguments.envoy}: there is no such file", "--envoy names an Envoy", 2)
    LOGS.mkdir(parents=True, exist_ok=True)
    bodies = prompts()
    binary = arguments.envoy.resolve() if arguments.envoy else find_envoy()

    addresses = {}
    for name in MODELS:
        model = start_model(name, running)
        cache = start_cache(name, model, running) if arguments.cache else model
        addresses.update({f"{name}-model": model, f"{name}-cache": cache})
    size = WASM.stat().st_size / 1e6
    say(f"starting {binary}; it loads the filter ({size:.2f} MB, model included) ...")
    begun = time.monotonic()
    envoy = Envoy(binary, deployment(addresses), running)
    say(f"Envoy is ready after {time.monotonic() - begun:.1f} s\n")
    rows = print_table(envoy, bodies)
    print_summary(envoy, rows)
    print_agreement(rows)
    if arguments.cache:
        print_hits(envoy, bodies)
    return sum(row["target"] != row["reached"] for row in rows)


def finish(arguments, run, wrong):
    """The exit status of a demo: `run` gives how many of its results are `wrong`."""
    # A terminal that cannot show a character shows another in its place.
    sys.stdout.reconfigure(errors="replace")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    folder = LOGS.relative_to(ROOT)
    try:
        with contextlib.ExitStack() as running:
            lost = run(arguments, running)
        if lost:
            raise Failure(f"{lost} {wrong}",
                          f"what Envoy did is in {folder}")
    except Failure as failure:
        say(f"error: {failure}\nhint: {failure.hint}")
        return failure.status
    except BrokenPipeError:
        # Whoever read the table has seen enough; Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        say(f"error: {error}\nhint: the demo writes to {folder} and needs a complete checkout")
        return 1
    except KeyboardInterrupt:
        say("\nstopped")
        return 128 + signal.SIGINT
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--envoy", metavar="PATH", type=Path, help="the Envoy binary (default: what "
                        "scripts/get-envoy.sh finds or installs)")
    parser.add_argument("--cache", action="store_true", help="put a cache in front of each model, and "
                        "ask every prompt twice")
    arguments = parser.parse_args()
    sys.exit(finish(arguments, run, "requests did not land where the filter decided"))


if __name__ == "__main__":
    main()
