#!/usr/bin/env python3
"""Hands the filter's configuration to a running Envoy, without a restart or a new .wasm.

    python3 scripts/rollout.py DIR                       # once: what to start Envoy with
    envoy -c DIR/bootstrap.yaml
    python3 scripts/rollout.py DIR --show > running.json # the configuration as it is
    pointsman calibrate --config running.json … --config-only > filter.json
    python3 scripts/rollout.py DIR --config filter.json  # whenever the configuration changes

DIR is a copy of deploy/xds: Envoy watches its files, and replacing filter.yaml swaps the filter for
new requests, while open connections stay. With --config, the end of the line is Envoy's answer: exit
status 0 when it took the configuration; 1 when it refused it or did not answer, and then the old file
is back in its place; 2 when the call itself was wrong.
"""

import argparse
import http.client
import json
import os
import re
import sys
import time
import urllib.parse
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "deploy/xds"
STATISTICS = "extension_config_discovery.http_filter.pointsman."


class Failure(Exception):
    """What went wrong, what to do about it, and the exit status."""

    def __init__(self, problem, hint, status=1):
        super().__init__(problem)
        self.hint = hint
        self.status = status


def value_lines(text, path):
    """filter.yaml as lines, and where the configuration's value begins and ends."""
    lines = text.splitlines()
    margin = lambda line: len(line) - len(line.lstrip())
    first = next((n for n, line in enumerate(lines) if line.lstrip().startswith("value: ")), None)
    if first is None:
        raise Failure(f"{path}: there is no line `value: …` with the filter's configuration",
                      "remove the file, and run this without --config to write it again")
    last = first + 1
    while last < len(lines) and margin(lines[last]) > margin(lines[first]):
        last += 1
    return lines, first, last


def quoted(text):
    """As a string in double quotes of YAML, in ASCII."""
    escape = lambda match: f"\\U{ord(match[0]):08x}"
    return re.sub(r"[^\x20-\x7e]", escape, json.dumps(text, ensure_ascii=False))


def unquoted(string):
    """What `quoted` or JSON has made of a text."""
    plain = lambda match: chr(int(match[1], 16)) if match[1] else match[0]
    return json.loads(re.sub(r"\\(?:U([0-9a-f]{8})|.)", plain, string))


def configuration_in(text, path):
    """The filter's configuration in filter.yaml: a block, or a string in double quotes."""
    lines, first, last = value_lines(text, path)
    value = lines[first].split("value: ", 1)[1]
    try:
        if value != "|":
            value = unquoted(value)
            json.loads(value)
            return value
        return json.dumps(json.loads("\n".join(lines[first + 1 : last])), indent=2)
    except (TypeError, ValueError) as error:
        raise Failure(f"{path}: the filter's configuration there is not JSON: {error}",
                      "write it as this program does: `value: |` and a block, or one JSON string") \
            from error


def with_configuration(text, configuration, path):
    """filter.yaml with another configuration, byte for byte."""
    lines, first, last = value_lines(text, path)
    margin = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
    value = margin + "value: " + quoted(configuration)
    return "\n".join([*lines[:first], value, *lines[last:]]) + "\n"


def replace(path, text):
    """Renames a complete file into place: Envoy sees the old one or the new one."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


class Admin:
    """Envoy's admin interface, where it counts what it took and what it refused."""

    def __init__(self, address, timeout):
        self.address = address
        self.timeout = timeout

    def counters(self):
        """How often Envoy took a file, and how often it did not. `config_reload` tells neither:
        Envoy counts it for a configuration that it refused as well."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request("GET", "/stats?filter=" + urllib.parse.quote("^" + STATISTICS))
            answer = connection.getresponse().read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"no answer from Envoy's admin interface at {self.address}: {error}",
                          "start Envoy, or name its admin interface with --admin; --no-wait writes "
                          "the file for an Envoy that starts later") from error
        finally:
            connection.close()
        pairs = (line.split(": ", 1) for line in answer.splitlines() if ": " in line)
        found = {name.removeprefix(STATISTICS): value for name, value in pairs}
        try:
            taken = int(found["update_success"])
            return taken, int(found["update_rejected"]) + int(found["update_failure"])
        except (KeyError, ValueError) as error:
            raise Failure(f"the Envoy at {self.address} does not read the filter from a file",
                          "start it with DIR/bootstrap.yaml, or name another with --admin") from error

    def answer(self, before):
        """Waits for more than `before`: True when Envoy took the file, False when it refused it,
        None when it did neither in time."""
        deadline = time.monotonic() + self.timeout
        while True:
            taken, refused = self.counters()
            if refused > before[1]:
                return False
            if taken > before[0]:
                return True
            if time.monotonic() > deadline:
                return None
            time.sleep(0.05)


def roll_out(path, text, admin, name):
    """Puts the file in place. What Envoy did not take does not stay there: the next start, and the
    next change of the listener, would meet it again."""
    before = admin.counters()
    old = path.read_text(encoding="utf-8")
    replace(path, text)
    try:
        taken = admin.answer(before)
    except Failure:
        replace(path, old)
        raise
    if taken:
        return
    before = admin.counters()
    replace(path, old)
    if taken is None:
        raise Failure(f"{name}: Envoy did not look at {path} within {admin.timeout:g} s; the old "
                      "file is back", f"was the Envoy at {admin.address} started with "
                      f"{path.parent}/bootstrap.yaml? If it is busy, give it more --timeout")
    back = admin.answer(before)
    problem = f"{name}: refused by Envoy; "
    problem += "the old configuration serves on" if back else f"{path} is as it was"
    raise Failure(problem, "Envoy's log says why (`pointsman configuration refused: …`), and so does "
                  f"`pointsman explain --config {name}`")


def run(arguments):
    folder = arguments.folder.resolve()
    path = folder / "filter.yaml"
    if arguments.show:
        if not path.exists():
            raise Failure(f"{path}: there is no such file", "run this without --show first", 2)
        text = path.read_text(encoding="utf-8")
        print(configuration_in(text, path))
        return
    configuration = None
    if arguments.config:
        try:
            configuration = arguments.config.read_text(encoding="utf-8")
            json.loads(configuration)
        except (OSError, ValueError) as error:
            raise Failure(f"{arguments.config}: {error}", "--config names a JSON file", 2) from error
    folder.mkdir(parents=True, exist_ok=True)
    # What is there may have been changed by its owner: another module, other clusters.
    for source in sorted(SOURCE.glob("*.yaml")):
        if not (folder / source.name).exists():
            text = source.read_text(encoding="utf-8").replace("deploy/xds", str(folder))
            replace(folder / source.name, text)
    if configuration is None:
        return
    text = with_configuration(path.read_text(encoding="utf-8"), configuration, path)
    if arguments.no_wait:
        replace(path, text)
        print(f"{arguments.config}: written to {path}; nobody was asked", file=sys.stderr)
        return
    roll_out(path, text, Admin(arguments.admin, arguments.timeout), arguments.config)
    print(f"{arguments.config}: accepted; new requests get it", file=sys.stderr)


def address(text):
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isdigit() and 0 < int(port) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="DIR", type=Path, help="the files that Envoy watches; "
                        "those that are missing are written")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--config", metavar="FILE", type=Path, help="roll out this configuration of "
                      "the filter, JSON")
    what.add_argument("--show", action="store_true", help="print the filter's configuration in DIR")
    parser.add_argument("--admin", metavar="HOST:PORT", type=address, default="127.0.0.1:9901",
                        help="Envoy's admin interface (default: %(default)s)")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=60, help="how long to "
                        "wait for Envoy's answer (default: %(default)s)")
    parser.add_argument("--no-wait", action="store_true", help="write the file and ask no Envoy")
    try:
        run(parser.parse_args())
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        print(f"hint: {failure.hint}", file=sys.stderr)
        return failure.status
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        print("hint: DIR must be a folder that can be written", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
