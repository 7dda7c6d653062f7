"""Bodies with the structure of real agents' requests: which text of them is judged.

The structure was seen in requests of the versions that docs/configuration.md names; the words are ours.
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path

from checks import PROGRAM, check, same

BODIES = Path(__file__).resolve().parent / "agents"


def exactly(question):
    """A matcher for this text, but for the white space around it."""
    return {"regex": rf"^\s*{escaped(question)}\s*$"}


def escaped(text):
    return re.sub(r"[.?+*()\[\]{}|^$\\]", r"\\\g<0>", text)


def agent_bodies():
    for file in sorted(BODIES.glob("*.json")):
        for case in json.loads(file.read_text()):
            with check(f"{file.stem}: {case['name']}"):
                decision = explain(case)
                expected = "housekeeping" if case.get("housekeeping") else "asked"
                same(decision["reason"], expected, "reason")


def explain(case):
    asked = exactly(case["question"]) if "question" in case else {"present": False}
    rules = [
        {"name": "housekeeping", "target": "cheapest", "when": {"housekeeping": True}},
        {"name": "asked", "target": "strongest", "when": {"user": asked}},
        {"name": "other", "target": "strongest", "when": {}},
    ]
    targets = [{"name": name, "cluster": name} for name in ("cheap", "strong")]
    targets[0]["threshold"] = 0.5
    file = {"targets": targets, "default": "strong", "policy": {"rules": rules}}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as configuration:
        json.dump(file, configuration)
        configuration.flush()
        path = case.get("path", "/v1/chat/completions")
        command = [PROGRAM, "explain", "--json", "--config", configuration.name, "--path", path, "-"]
        body = json.dumps(case["body"])
        done = subprocess.run(command, input=body, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
