#!/usr/bin/env python3
"""Real coding agents through a real `pointsman up`, in front of stand-in providers.

    AIDER=/tmp/aider/bin/aider python3 tests/clients/agents.py

README.md says how to install them. Each agent whose variable is set gets a hard question, a short one
in the same session, and a short one in a new session, each in a repository with one file. One line for
each check, and the exit status, as in sdks.py; POINTSMAN, WASM and ENVOY as there. Ports: 10406 and 10407
for the gateways, 9946 and 9947 for Envoy's admin interfaces, 9506 to 9509 for the stand-ins.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agent_bodies import exactly
from checks import CLIENT_KEY, PROGRAM, WASM, check, faults, same
from sdks import find_envoy
from stand_in import Handler, StandIn, new_id
from up import Up

HARD = "Prove that reversing a text twice changes nothing, then add a function that reverses one."
SHORT = "And what is 2+2?"
NEW = "What is the capital of Mongolia?"
BEFORE = "def one():\n    return 1\n"
ADDED = "\n\ndef reverse(text):\n    return text[::-1]\n"
COMMAND = "printf '\\n\\ndef reverse(text):\\n    return text[::-1]\\n' >> util.py"
OPENAI, ANTHROPIC = "http://127.0.0.1:10406", "http://127.0.0.1:10407"
SECONDS = 120

# Tools that run a command, and what they are called with.
SHELLS = {
    "Bash": {"command": COMMAND, "description": "Append"},
    "bash": {"command": COMMAND},
    "shell": {"command": COMMAND},
    "exec_command": {"cmd": COMMAND},
    "terminal": {"command": COMMAND, "security_risk": "LOW", "summary": "Append"},
}


class Model(Handler):
    """Answers as a model that edits util.py: by a tool once, else in the format that is asked for."""

    def call_for(self, body, text, answered):
        tools = [(tool.get("function") or tool).get("name") for tool in body.get("tools") or []]
        ours = [name for name in answered if name in self.server.current]
        shell = next((name for name in tools if name in SHELLS), None)
        if not shell or len(ours) > 1:
            return None
        name, arguments = shell, SHELLS[shell]
        if ours:
            if "finish" not in tools:
                return None
            name, arguments = "finish", {"message": "Done."}
        call = new_id("toolu_" if self.server.kind == "anthropic" else "call_")
        self.server.current.add(call)
        self.server.calls.add(call)
        return name, arguments, call

    def words(self):
        said = json.dumps(self.seen.body)
        if "Git commit messages" in said:
            return "feat: add a function"
        if "SEARCH/REPLACE" in said:
            edit = f"<<<<<<< SEARCH\n    return 1\n=======\n    return 1\n{ADDED}>>>>>>> REPLACE"
            return f"I add it.\n\nutil.py\n```python\n{edit}\n```\n"
        return "Done."

    def need(self, condition, text):
        # Anthropic takes instructions between the messages now.
        if not text.startswith("roles"):
            super().need(condition, text)

    def steer(self, text):
        """An agent's own words steer nothing."""


def aider(program, home, question, again):
    # Its format depends on the model's name. Without an own name for a session, a file continues it.
    more = ["--restore-chat-history"] if again else []
    base = ["--model", "openai/auto", "--openai-api-base", f"{OPENAI}/v1", "--edit-format", "diff"]
    quiet = ["--no-check-update", "--no-analytics", "--no-show-model-warnings", "--no-pretty"]
    return [program, *base, *quiet, "--yes-always", *more, "--message", question, "util.py"], {}


def claude(program, home, question, again):
    more = ["--continue"] if again else []
    environment = {"ANTHROPIC_BASE_URL": ANTHROPIC, "IS_SANDBOX": "1", "DISABLE_AUTOUPDATER": "1"}
    environment["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] = "1"
    return [program, "--dangerously-skip-permissions", *more, "--print", question], environment


def codex(program, home, question, again):
    provider = f'{{name = "p", base_url = "{OPENAI}/v1", env_key = "OPENAI_API_KEY", wire_api = "responses"}}'
    more = ["-c", 'model="auto"', "-c", 'model_provider="p"', "-c", f"model_providers.p={provider}"]
    begin = ["exec", "resume", "--last"] if again else ["exec"]
    return [program, *begin, *more, "--dangerously-bypass-approvals-and-sandbox", question], {}


def vibe(program, home, question, again):
    file = home / ".vibe/config.toml"
    file.parent.mkdir(exist_ok=True)
    keys = f'name = "p"\napi_base = "{OPENAI}/v1"\napi_key_env_var = "OPENAI_API_KEY"\n'
    keys += 'api_style = "openai"\nbackend = "generic"'
    model = 'name = "auto"\nprovider = "p"\nalias = "auto"'
    head = 'active_model = "auto"\nenable_telemetry = false\nenable_update_checks = false'
    file.write_text(f"{head}\n[[providers]]\n{keys}\n[[models]]\n{model}\n")
    more = ["--continue"] if again else []
    return [program, "--trust", "--auto-approve", *more, "-p", question], {"VIBE_HOME": str(file.parent)}


def gptme(program, home, question, again):
    name = ["--name", "new" if again is False else "first"]
    command = [program, "--non-interactive", "-m", "local/auto", *name, question]
    return command, {"OPENAI_BASE_URL": f"{OPENAI}/v1"}


def openhands(program, home, question, again):
    environment = {"LLM_API_KEY": CLIENT_KEY, "LLM_BASE_URL": f"{OPENAI}/v1", "LLM_MODEL": "openai/auto"}
    return [program, "--headless", "--override-with-envs", "-t", question], environment


AGENTS = {"AIDER": aider, "CLAUDE": claude, "CODEX": codex}
AGENTS |= {"GPTME": gptme, "OPENHANDS": openhands, "VIBE": vibe}
# `again`: None begins a session, True goes on with it, False begins another one.
# Those that are not asked to go on: OpenHands needs the session's name.
ONCE = {"OPENHANDS"}


def deployment(listen, admin, kind, ports, names):
    rules = [
        {"name": "housekeeping", "target": "cheapest", "when": {"housekeeping": True}},
        {"name": "hard", "target": "strongest", "when": {"user": exactly(HARD)}},
        {"name": "short", "target": "cheapest", "when": {"user": exactly(SHORT)}},
        {"name": "new", "target": "cheapest", "when": {"user": exactly(NEW)}},
        {"name": "misread", "target": "strongest", "when": {}},
    ]
    providers = {
        name: {"kind": kind, "url": f"http://127.0.0.1:{port}", "key": {"env": f"{name.upper()}_KEY"}}
        for name, port in zip(names, ports)
    }
    targets = [{"name": name, "model": f"{name}/{name}-1"} for name in names]
    head = {"listen": f"127.0.0.1:{listen}", "admin": f"127.0.0.1:{admin}"}
    return head | {"providers": providers, "targets": targets, "policy": {"rules": rules}}


def repository(folder):
    folder.mkdir()
    (folder / "util.py").write_text(BEFORE)
    (folder / "README.md").write_text("# Tiny\n")
    own = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], [*own, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def run(agent, program, home, folder, question, again, up, current):
    """What was decided meanwhile: target, source and reason of each request with a body."""
    command, environment = AGENTS[agent](program, home, question, again)
    kept = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm", "LANG": "C.UTF-8"}
    kept |= {"OPENAI_API_KEY": CLIENT_KEY, "ANTHROPIC_API_KEY": CLIENT_KEY}
    for who in ("AUTHOR", "COMMITTER"):
        kept |= {f"GIT_{who}_NAME": "a", f"GIT_{who}_EMAIL": "a@example.org"}
    current.clear()
    before = len(up.lines)
    done = subprocess.run(
        command,
        cwd=folder,
        env=kept | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"exit status {done.returncode}: {(done.stderr or done.stdout)[-300:]}"
    time.sleep(1)
    records = [json.loads(line) for line in up.lines[before:]]
    same({record["status"] for record in records}, {200}, "statuses")
    decisions = [json.loads(record["decision"]) for record in records]
    return [(it["target"], it["source"], it["reason"]) for it in decisions]


def agent_checks(agent, program, work, up, targets, current, stand_ins):
    cheap, strong = targets
    home = work / f"{agent}-home"
    home.mkdir()
    first, second = (repository(work / f"{agent}-{name}") for name in ("first", "second"))
    name = agent.lower()

    def asked(folder, question, again):
        return run(agent, program, home, folder, question, again, up, current)

    def own(decisions):
        return [it for it in decisions if it[2] != "housekeeping"]

    with check(f"{name}: a hard question", *stand_ins):
        found = own(asked(first, HARD, None))
        same(found[0], (strong, "rule", "hard"), "first decision")
        same({it[0] for it in found}, {strong}, "targets")
        assert "def reverse" in (first / "util.py").read_text(), "the file was not edited"
    if agent not in ONCE:
        with check(f"{name}: a short one in the same session stays", *stand_ins):
            found = own(asked(first, SHORT, True))
            same(found[0], (strong, "sticky", "conversation"), "first decision")
            same({it[0] for it in found}, {strong}, "targets")
    with check(f"{name}: a short one in a new session is no part of it", *stand_ins):
        found = own(asked(second, NEW, False))
        same(found[0], (cheap, "rule", "new"), "first decision")
        same({it[0] for it in found}, {cheap}, "targets")


def main():
    chosen = {agent: os.environ[agent] for agent in AGENTS if os.environ.get(agent)}
    envoy = find_envoy()
    for path in [PROGRAM, WASM, envoy, *chosen.values()]:
        if not os.access(path, os.R_OK):
            print(f"error: {path} is missing", file=sys.stderr)
            return 2
    if not chosen:
        print(f"error: no agent to run\nhint: set one of {', '.join(AGENTS)}", file=sys.stderr)
        return 2
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-agents-")))
        current = set()

        def gateway(listen, admin, kind, ports, names):
            keys = {f"{name.upper()}_KEY": f"sk-{name}-provider" for name in names}
            its = []
            for name, port in zip(names, ports):
                it = StandIn(name, kind, port, f"{name}-1", f"sk-{name}-provider", [CLIENT_KEY])
                it.RequestHandlerClass, it.current = Model, current
                # A session's calls come back to whichever model it is on.
                it.calls = its[0].calls if its else it.calls
                stack.callback(it.stop)
                its.append(it)
            file = work / f"{kind}.json"
            file.write_text(json.dumps(deployment(listen, admin, kind, ports, names)))
            options = ["--json", "--wasm", WASM, "--envoy", envoy, "--file", file]
            up = Up(PROGRAM, work / f"{kind}-up", options, keys)
            stack.callback(lambda: up.process.poll() is None and up.end())
            up.wait_ready()
            return up, its

        openai = gateway(10406, 9946, "openai-compatible", (9506, 9507), ("cheap", "strong"))
        anthropic = gateway(10407, 9947, "anthropic", (9508, 9509), ("haiku", "opus"))
        for agent, program in chosen.items():
            up, stand_ins = anthropic if agent == "CLAUDE" else openai
            names = [it.name for it in stand_ins]
            agent_checks(agent, program, work, up, names, current, stand_ins)
    print(f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
