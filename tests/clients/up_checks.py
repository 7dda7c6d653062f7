"""What `pointsman up` prints, how it ends, and what it refuses."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from checks import (
    CLIENT_KEY,
    COST,
    OPENAI_FILE,
    PROGRAM,
    ROOT,
    SECRETS,
    WASM,
    check,
    failing,
    same,
    user,
    within,
)
from stand_in import INPUT_TOKENS, OUTPUT_TOKENS
from up import LINE, Up


def printed_checks(up, base, cheap, strong):
    import openai

    sdk = openai.OpenAI(api_key=CLIENT_KEY, base_url=f"{base}/v1", max_retries=0, timeout=20)

    def ask(text, count=1):
        """The lines that requests of this text give."""
        time.sleep(0.3)
        before = len(up.lines)
        for _ in range(count):
            with contextlib.suppress(openai.APIStatusError):
                sdk.chat.completions.create(model="auto", messages=user(text))
        lines = up.wait_lines(before + count)
        time.sleep(0.2)
        same(len(up.lines) - before, count, "number of lines")
        return lines

    with check("up: where to send requests, as shell commands"):
        same(up.lines[0], f"export OPENAI_BASE_URL={base}/v1", "first line")

    with check("up: a line for a request: target, why, status, time, tokens, cost, saved"):
        before = float(up.requests()[-1]["saved"] or 0) if up.requests() else 0.0
        (line,) = ask("Hello")
        found = fields_of(line)
        same((found["target"], found["status"]), ("cheap", "200"), "target and status")
        assert found["why"].startswith("classifier "), line
        same((found["input"], found["output"]), (str(INPUT_TOKENS), str(OUTPUT_TOKENS)), "tokens")
        same(found["cost"], f"${COST['cheap']:.5f}", "cost")
        saved = [float(it["saved"]) for it in up.requests() if it["saved"]]
        gained = saved[-1] - (saved[-2] if len(saved) > 1 else before)
        assert abs(gained - (COST["strong"] - COST["cheap"])) < 2e-5, f"saved {gained}"

    with check("up: a line for a rule's decision, with the dearer cost"):
        (line,) = ask("HARD")
        found = fields_of(line)
        same((found["target"], found["why"]), ("strong", "rule: hard"), "target and why")
        same(found["cost"], f"${COST['strong']:.5f}", "cost")

    with check("up: a line says who took over"), failing(cheap, 503):
        (line,) = ask("Hello")
        found = fields_of(line)
        same((found["target"], found["cost"]), ("cheap → strong", f"${COST['strong']:.5f}"), "target, cost")

    with check("up: a line for a request that was refused"):
        (line,) = ask("REJECT")
        same(fields_of(line)["status"], "400", "status")

    with check("up: 20 requests, 20 lines"):
        ask("Hello", 20)

    with check("up: no prompt and no key is in anything that it prints or keeps"):
        kept = "\n".join(up.lines + up.messages)
        for path in Path(up.directory).rglob("*"):
            if path.is_file() and path.suffix != ".key":
                kept += path.read_text(errors="replace")
        for secret in [*SECRETS, "Ülgii", cheap.key, strong.key]:
            assert secret not in kept, f"{secret} is"


def fields_of(line):
    found = LINE.fullmatch(line)
    assert found, f"this line cannot be read: {line!r}"
    return found.groupdict()


def json_checks(up, base):
    import openai

    sdk = openai.OpenAI(api_key=CLIENT_KEY, base_url=f"{base}/v1", max_retries=0, timeout=20)
    with check("up --json: each line is an object: where to send requests, then the access log"):
        for text in ("Hello", "HARD", "Hello"):
            sdk.chat.completions.create(model="auto", messages=user(text))
        up.wait_lines(4)
        first, *records = up.records()
        same(first["openai_base_url"], f"{base}/v1", "openai_base_url")
        same([record["answered"] for record in records], ["cheap", "strong", "cheap"], "answered")
        same({record["status"] for record in records}, {200}, "statuses")
        decision, usage = json.loads(records[0]["decision"]), json.loads(records[0]["usage"])
        same(decision["target"], "cheap", "decision")
        same((usage["input"], usage["output"]), (INPUT_TOKENS, OUTPUT_TOKENS), "usage")

    with check("up --json: a request right before Ctrl-C has its line"):
        before = len(up.lines)
        sdk.chat.completions.create(model="auto", messages=user("Hello"))
        # Its end is checked by whoever called.
        up.process.send_signal(signal.SIGINT)
        up.process.wait(10)
        time.sleep(0.1)
        same(len(up.lines) - before, 1, "number of lines")


# How `up` ends.


def endings(start, base, one):
    """`one` runs; `start` starts the same deployment again, with more arguments."""
    import openai

    sdk = openai.OpenAI(api_key=CLIENT_KEY, base_url=f"{base}/v1", max_retries=0, timeout=20)
    with check("up: Envoy is gone within 10 s after kill -9 of up"):
        same(one.end(signal.SIGKILL)[0], -signal.SIGKILL, "exit status")
    two = start("--json")
    with check("up: starts again in the same directory right after kill -9"):
        two.wait_ready()
    json_checks(two, base)
    with check("up: nothing is left within 10 s after Ctrl-C"):
        same(two.end()[0], 0, "exit status")
    three = start()
    with check("up: starts again in the same directory right after Ctrl-C"):
        three.wait_ready()
        answer = sdk.chat.completions.create(model="auto", messages=user("Hello"))
        same(answer.model, "small-1", "model")
    with check("up: a second one in the same directory is refused"):
        refused(start(), 2, "another `pointsman up` runs", "--dir")
    with check("up: Ctrl-C with a stream that goes on ends everything within 10 s"):
        stream = sdk.chat.completions.create(model="auto", messages=user("ENDLESS"), stream=True)
        next(iter(stream))
        same(three.end()[0], 0, "exit status")
    with check("up: Ctrl-C while Envoy starts ends everything within 10 s"):
        four = start("--envoy", idle_envoy(Path(three.directory).parent))
        four.wait_message("starting Envoy")
        time.sleep(0.3)
        four.end()


def idle_envoy(folder):
    """An Envoy that never gets ready."""
    version = (ROOT / "envoy/versions").read_text().split()[0]
    path = folder / "idle-envoy"
    path.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = --version ] && exec echo "envoy  version: 0/{version}/Clean/RELEASE/BoringSSL"\n'
        "exec sleep 60\n"
    )
    path.chmod(0o755)
    return path


def ended(up, status):
    """What it said, when it has ended by itself with this exit status and was never ready."""
    try:
        within(60, lambda: up.process.poll() is not None or up.lines, "it ends")
        assert not up.lines, f"it says that it is ready: {up.lines[0]} ({up.said()})"
        # Until all of its output is here.
        time.sleep(0.1)
        said = " / ".join(up.messages)
        same(up.process.poll(), status, f"exit status ({said})")
        return said
    finally:
        if up.process.poll() is None:
            up.end()


def refused(up, status, problem, hint):
    """It ended by itself, with this exit status, one sentence and, unless that is empty, a hint."""
    said = ended(up, status)
    errors = [line for line in up.messages if line.startswith("error: ")]
    assert len(errors) == 1 and problem in errors[0], f"said: {said}"
    hints = [line for line in up.messages if line.startswith("hint: ")]
    assert not hint or (len(hints) == 1 and hint in hints[0]), f"no hint of {hint!r}: {said}"
    assert "panicked" not in said, said


def refusals(work, envoy, keys):
    """What keeps `up` from starting: ports, keys, programs, directories, files."""
    number = 0
    file = work / "refused.yaml"
    file.write_text(OPENAI_FILE.replace(":10400", ":10402").replace(":9940", ":9942"))

    def up(*arguments, environment=keys, directory=None, envoy=envoy, wasm=WASM):
        nonlocal number
        number += 1
        named = [*(["--envoy", envoy] if envoy else []), "--wasm", wasm]
        return Up(PROGRAM, directory or work / f"refused-{number}", [*arguments, *named], environment)

    with check("up: a port that is taken"), socket.create_server(("127.0.0.1", 10403)):
        refused(up("--file", file, "--listen", "127.0.0.1:10403"), 2, "listen: 127.0.0.1:10403", "stop")
    with check("up: an admin port that is taken"), socket.create_server(("127.0.0.1", 9942)):
        refused(up("--file", file), 2, "admin: 127.0.0.1:9942", "stop")
    with check("up: no key"):
        some = dict(list(keys.items())[1:])
        refused(up("--file", file, environment=some), 2, f"variable {list(keys)[0]} is not set", "key:")
    with check("up: an empty key"):
        some = keys | {list(keys)[0]: " \n"}
        refused(up("--file", file, environment=some), 2, "holds no key", "key:")
    with check("up: no key, with two models in the place of a file"):
        both = ["--cheap", "openai/gpt-4o-mini", "--strong", "openai/gpt-4o"]
        refused(up(*both, environment={}), 2, "OPENAI_API_KEY is not set", "export")
    with check("up: no Envoy"):
        # A shell, so that the only thing that is missing is Envoy.
        folder = work / "bin"
        folder.mkdir()
        for name in ("sh", "sleep", "cat", "kill"):
            if found := shutil.which(name):
                (folder / name).symlink_to(found)
        bare = keys | {"PATH": str(folder)}
        refused(up("--file", file, environment=bare, envoy=None), 1, "no Envoy found", "install one")
    with check("up: an Envoy that is none"):
        refused(up("--file", file, envoy="/bin/true"), 1, "/bin/true", "install one")
    with check("up: no such module"):
        refused(up("--file", file, wasm=work / "no.wasm"), 2, "no.wasm: No such file", "build")
    with check("up: a module that is none"):
        (work / "bad.wasm").write_text("not a module")
        refused(up("--file", file, wasm=work / "bad.wasm"), 1, "Envoy refuses", "")
    with check("up: a file in the place of the directory"):
        (work / "a-file").write_text("")
        refused(up("--file", file, directory=work / "a-file"), 2, "a-file", "--dir")
    with check("up: a directory that cannot be written"):
        unwritable(work, file, envoy, keys)
    with check("up: no file"):
        refused(up("--file", work / "no.yaml"), 2, "no.yaml: No such file", "pointsman init")
    bad = {
        "no YAML": ("targets: [", "neither YAML nor JSON", "docs/gateway.md"),
        "a field that is unknown": ("tarrgets: []", "tarrgets", "docs/gateway.md"),
        "a provider that is unknown": (
            "targets: [{name: a, model: nobody/x}, {name: b, model: openai/y}]",
            "targets[0].model",
            "docs/gateway.md",
        ),
        "a key in the file": (
            "providers: {openai: {key: sk-123}}\ntargets: [{name: a, model: openai/x}]",
            "providers.openai.key",
            "docs/gateway.md",
        ),
    }
    # What only the whole router finds, and Envoy would say late.
    middle = "- {name: middle, model: small/middle-1, threshold: 0.5}\n"
    text = file.read_text().replace("- {name: strong", f"{middle}- {{name: strong")
    bad["thresholds in the wrong order"] = (text, "middle", "docs/gateway.md")
    for what, (text, problem, hint) in bad.items():
        with check(f"up: a file with {what}"):
            path = work / "bad.yaml"
            path.write_text(text)
            refused_file(up("--file", path), problem, hint)


def refused_file(up, problem, hint):
    """Errors of a file stand below the first line, one each."""
    said = ended(up, 2)
    assert up.messages[0].startswith("error: ") and problem in said, said
    assert up.messages[-1].startswith("hint: ") and hint in up.messages[-1], said
    assert "sk-123" not in said, "the key is shown"


def unwritable(work, file, envoy, keys):
    """Root may write everywhere, so it becomes somebody else, who needs programs and files to read."""
    folder = work / "read-only"
    folder.mkdir()
    if os.getuid() != 0:
        folder.chmod(0o555)
        arguments = ["--file", file, "--envoy", envoy, "--wasm", WASM]
        return refused(Up(PROGRAM, folder / "here", arguments, keys), 2, "read-only/here", "--dir")
    os.chmod(work, 0o755)
    copy = work / "pointsman"
    shutil.copy(PROGRAM, copy)
    copy.chmod(0o755)
    os.chmod(file, 0o644)
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(copy)]
    arguments = ["up", "--dir", str(folder / "here"), "--file", str(file), "--envoy", envoy]
    done = subprocess.run(drop + arguments, env=keys | {"PATH": os.environ["PATH"]}, text=True,
                          capture_output=True, timeout=20)
    same(done.returncode, 2, f"exit status ({done.stderr})")
    errors = done.stderr.splitlines()
    assert errors[0].startswith("error: ") and "read-only/here" in errors[0], done.stderr
    assert errors[1].startswith("hint: --dir") and len(errors) == 2, done.stderr
