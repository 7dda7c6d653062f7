#!/usr/bin/env python3
"""Real SDKs through a real `pointsman up`, in front of strict stand-in providers.

    make clients

One line for each check: "ok …" or "FAULT …". Exit status: 1 on any fault, 2 when something that the
checks need is missing. The environment names other files than those of the checkout: POINTSMAN, WASM,
ENVOY. Ports: 104xx for the gateway, 994x for Envoy's admin interface, 95xx for the stand-ins.
"""

import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from agent_bodies import agent_bodies
from checks import OPENAI_FILE, PROGRAM, ROOT, SECRETS, WASM, check, faults, same
from openai_checks import openai_checks
from sdk_checks import anthropic_checks, framework_checks
from stand_in import StandIn
from up import Up
from up_checks import endings, printed_checks, refusals

ANTHROPIC_FILE = {
    "listen": "127.0.0.1:10401",
    "admin": "127.0.0.1:9941",
    "providers": {
        "claude": {"kind": "anthropic", "url": "http://127.0.0.1:9503", "key": {"file": "claude.key"}},
        "dear": {"kind": "anthropic", "url": "http://127.0.0.1:9504/", "key": {"env": "DEAR_KEY"}},
    },
    "targets": [
        {"name": "haiku", "model": "claude/haiku-1", "threshold": 0.0},
        {"name": "opus", "model": "dear/opus-1"},
    ],
    "policy": {"rules": [{"name": "hard", "target": "opus", "when": {"user": {"contains": "HARD"}}}]},
    "cache": {"tenant": "shared", "listen": "127.0.0.1:10440", "exact_only": True},
}


def find_envoy():
    if named := os.environ.get("ENVOY"):
        return named
    version = (ROOT / "envoy/versions").read_text().split()[0]
    return str(ROOT / f".envoy/{version}/envoy/_bin/envoy")


def main():
    envoy = find_envoy()
    for path, hint in [(PROGRAM, "make cli"), (WASM, "make wasm"), (envoy, "make envoy-versions")]:
        if not os.access(path, os.R_OK):
            print(f"error: {path} is missing\nhint: run `{hint}`", file=sys.stderr)
            return 2
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-clients-")))

        def stand_in(*arguments):
            it = StandIn(*arguments, SECRETS)
            stack.callback(it.stop)
            return it

        cheap = stand_in("cheap", "openai", 9501, "small-1", "sk-small-provider")
        strong = stand_in("strong", "openai", 9502, "large-1", "sk-large-provider")
        haiku = stand_in("haiku", "anthropic", 9503, "haiku-1", "sk-ant-haiku-provider")
        opus = stand_in("opus", "anthropic", 9504, "opus-1", "sk-ant-opus-provider")
        file = work / "openai.yaml"
        file.write_text(OPENAI_FILE)
        # White space at a key's end is no part of the key.
        (work / "claude.key").write_text(f"{haiku.key}\n")
        claude = json.dumps(ANTHROPIC_FILE).replace("claude.key", str(work / "claude.key"))
        (work / "claude.json").write_text(claude)
        keys = {"SMALL_KEY": cheap.key, "OPENAI_API_KEY": strong.key}

        def up(directory, arguments, environment):
            it = Up(PROGRAM, work / directory, ["--wasm", WASM, *arguments], environment)
            stack.callback(lambda: it.process.poll() is None and it.end())
            return it

        def first(*more):
            more = more if "--envoy" in more else ["--envoy", envoy, *more]
            return up("first", ["--file", file, *more], keys)

        one = first()
        two = up("second", ["--envoy", envoy, "--file", work / "claude.json"], {"DEAR_KEY": opus.key})
        bases = ["http://127.0.0.1:10400", "http://127.0.0.1:10401"]
        refusals(work, envoy, keys)
        agent_bodies()
        with check("up: ready, with caches as well"):
            one.wait_ready()
            two.wait_ready()
            same(two.lines[0], f"export ANTHROPIC_BASE_URL={bases[1]}", "first line")
        openai_checks(bases[0], cheap, strong)
        framework_checks(*bases, (cheap, strong, haiku, opus))
        printed_checks(one, bases[0], cheap, strong)
        # Its Envoys take their time to start.
        ending = threading.Thread(target=endings, args=(first, bases[0], one))
        ending.start()
        anthropic_checks(bases[1], haiku, opus)
        with check("up: SIGTERM ends everything within 10 s, caches as well"):
            same(two.end(signal.SIGTERM)[0], 0, "exit status")
        ending.join()
    print(f"{len(faults)} faults, {time.monotonic() - begun:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
