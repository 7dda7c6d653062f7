"""What all checks share: what clients send, and a line for each check."""

import contextlib
import hashlib
import os
import random
import time
from pathlib import Path

from stand_in import INPUT_TOKENS, OUTPUT_TOKENS

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("POINTSMAN", str(ROOT / "target/release/pointsman"))
WASM = os.environ.get("WASM", str(ROOT / "dist/pointsman.wasm"))

CLIENT_KEY = "sk-the-clients-own-key"
COOKIE = "the-clients-cookie"
CLIENT_ADDRESS = "203.0.113.77"
SECRETS = [CLIENT_KEY, COOKIE, CLIENT_ADDRESS]
# What a client may send and a provider must not see.
FORGED = {
    "cookie": f"session={COOKIE}",
    "x-forwarded-for": CLIENT_ADDRESS,
    "x-pointsman-cluster": "strong",
    "x-pointsman-target": "strong",
    "x-envoy-max-retries": "0",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-original-path": "/forged",
    "x-api-key": CLIENT_KEY,
    "api-key": CLIENT_KEY,
}
# Names that the gateway uses itself.
OWN = {f"x-pointsman-{name}": "forged" for name in ("key", "cluster", "target", "source", "reason", "x")}
TOOL = {
    "name": "weather",
    "description": "The weather of a place",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
PRICES = {"cheap": (1, 2), "strong": (10, 20)}
COST = {name: (INPUT_TOKENS * i + OUTPUT_TOKENS * o) / 1e6 for name, (i, o) in PRICES.items()}

# The deployment of the two that speak OpenAI's API.
OPENAI_FILE = """
listen: 127.0.0.1:10400
admin: 127.0.0.1:9940
providers:
  small: {kind: openai-compatible, url: "http://127.0.0.1:9501", key: {env: SMALL_KEY}}
  openai: {url: "http://127.0.0.1:9502/v1"}
targets:
- {name: cheap, model: small/small-1, threshold: 0.0, price: {input: 1, output: 2}}
- {name: strong, model: openai/large-1, price: {input: 10, output: 20}}
policy: {rules: [{name: hard, target: strong, when: {user: {contains: HARD}}}]}
"""

faults = []


def say(kind, text):
    print(f"{kind:<5} {text}", flush=True)
    if kind == "FAULT":
        faults.append(text)


@contextlib.contextmanager
def check(text, *stand_ins):
    """One line; a fault when something is raised, or when a stand-in had to refuse a request."""
    before = [len(it.faults) for it in stand_ins]
    begun = time.monotonic()
    try:
        yield
        found = [fault for it, at in zip(stand_ins, before) for fault in it.faults[at:]]
        assert not found, "; ".join(found)
    except Exception as error:  # a library's own errors are findings, too
        found = [fault for it, at in zip(stand_ins, before) for fault in it.faults[at:]]
        why = " ".join(f"{type(error).__name__}: {error}".split())
        say("FAULT", f"{text}: {why[:400]}" + (f" [{found[0][:200]}]" if found else ""))
    else:
        took = time.monotonic() - begun
        say("ok", f"{text} ({took:.1f} s)" if took > 1 else text)


def same(found, expected, what):
    assert found == expected, f"{what} is {found!r}, not {expected!r}"


def within(seconds, condition, what):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def image(size, seed):
    """Base64 of random bytes behind a PNG's first ones, and their SHA-256."""
    import base64

    raw = b"\x89PNG\r\n\x1a\n" + random.Random(seed).randbytes(size)
    return base64.b64encode(raw).decode(), hashlib.sha256(raw).hexdigest()


def user(text):
    return [{"role": "user", "content": text}]


@contextlib.contextmanager
def failing(stand_in, status, **headers):
    stand_in.failing = status
    stand_in.failing_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        yield
    finally:
        stand_in.failing, stand_in.failing_headers = None, {}


# OpenAI's SDK.
