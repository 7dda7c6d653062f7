#!/usr/bin/env python3
"""Plays recorded answers of a small model through a real Envoy that catches the bad ones.

    python3 scripts/demo_net.py           # a table, and what it cost and brought
    python3 scripts/demo_net.py --json    # the same as one JSON object

Everything runs on loopback, with the deployment of envoy/net/. Two stand-in models replay
scripts/demo_net/answers.jsonl; every request goes to the cheap one first. What the filter does is judged by
the bytes that come back: the cheap recording where nothing was caught, the strong one where something was.
Progress and errors are on stderr. Exit status: 1 when an answer is another than the headers say or something
failed, 2 when the call itself was wrong.
"""

import argparse
import collections
import json
import re
import statistics
import sys
import threading
import time
from pathlib import Path

import demo
from demo import Failure, say

sys.path.insert(0, str(demo.ROOT / "scripts/demo_net"))
import grade  # noqa: E402
import replay  # noqa: E402

CONFIGURATION = demo.ROOT / "envoy/net/envoy.yaml"
PORTS = {"cheap": 9031, "strong": 9032}
SIDES = list(PORTS)

NOTE = """\
The cheap answers are recordings of a real model, Gemma 3 270M, which is far weaker than any that one would
pay for. The strong answers are written by hand, so "always strong" is right by construction. Quality is that
of these {count} requests, graded by a program. The constructed faults count in no total."""


def start_models(rows, running):
    models = {}
    for side, port in PORTS.items():
        try:
            model = models[side] = replay.Model(port, side, rows)
        except OSError as error:
            raise Failure(f"127.0.0.1:{port}: {error.strerror}", "stop what uses that port") from error
        thread = threading.Thread(target=model.serve_forever, daemon=True)
        thread.start()
        running.callback(model.server_close)
        running.callback(model.shutdown)
    return models


def prices():
    """USD per million tokens in and out, by target: the lines of pointsman.yaml that name them."""
    text = demo.read(CONFIGURATION.with_name("pointsman.yaml"))
    found = re.findall(r"(?ms)^- name: (\w+)$.*?^  price: \{input: ([\d.]+), output: ([\d.]+)\}", text)
    return {name: (float(taken), float(given)) for name, taken, given in found}


def cost(row, side, price):
    usage = row[side]["response"]["usage"]
    return (usage["prompt_tokens"] * price[side][0] + usage["completion_tokens"] * price[side][1]) / 1e6


def ask(envoy, row, models):
    """Sends one request; returns what happened to it, with `faults` for what should not have."""
    before = {side: model.asked for side, model in models.items()}
    begun = time.monotonic()
    answer, text = envoy.ask(row["request"])
    took = time.monotonic() - begun
    asked = [side for side in SIDES if models[side].asked > before[side]]
    sign, kept = answer.getheader("x-pointsman-escalated"), answer.getheader("x-pointsman-kept")
    whose = next((side for side in SIDES if text == replay.body(row, side)), None)
    expected = "strong" if sign else "cheap"
    faults = []
    if answer.status != 200:
        faults.append(f"status {answer.status}: {text[:200]!r}")
    elif whose is None:
        faults.append(f"the body is of neither recording: {text[:200]!r}")
    elif whose != expected:
        faults.append(f"the body is the {whose} recording, the headers say {expected}")
    if answer.getheader("x-pointsman-target") != "cheap":
        faults.append(f"decided: {answer.getheader('x-pointsman-target')}, not cheap")
    if asked != (SIDES if sign else ["cheap"]):
        faults.append(f"asked: {' and '.join(asked) or 'no model'}")
    constructed = row.get("group") == "faults"
    if constructed and sign != row["cheap"]["sign"]:
        faults.append(f"sign: {sign}, not {row['cheap']['sign']}")
    right = {side: None if constructed and side == "cheap" else grade.grade(row, row[side]["response"])
             for side in SIDES}
    return {"id": row["id"], "constructed": constructed, "sign": sign, "kept": kept, "answered_by": whose,
            "cheap_right": right["cheap"], "net_right": right["strong" if sign else "cheap"],
            "strong_right": right["strong"], "milliseconds": round(1000 * took, 1), "faults": faults}


def first_words(text, length):
    line = " ".join(text.split())
    return line if len(line) <= length else line[:length - 1] + "…"


def beginning(row):
    """The cheap answer's first words."""
    if "raw" in row["cheap"]:
        return row["cheap"]["shows"]
    message = row["cheap"]["response"]["choices"][0]["message"]
    if message.get("tool_calls"):
        function = message["tool_calls"][0]["function"]
        return f"→ {function['name']}({function['arguments']})"
    return message["content"]


def print_row(row, result):
    graded = {True: "right", False: "wrong", None: "-"}
    text = next(m["content"] for m in reversed(row["request"]["messages"]) if m["role"] == "user")
    stream = "~" if row["request"].get("stream") else " "
    fate = result["sign"] or (f"kept: {result['kept']}" if result["kept"] else "passed")
    wrong = "".join(f"   <-- {fault}" for fault in result["faults"])
    print(f"{row['id']:<8}{stream} {first_words(text, 38):<38}  {first_words(beginning(row), 38):<38}  {fate:<17} "
          f"{result['answered_by'] or '?':<6}  {graded[result['cheap_right']]:<5}  {graded[result['net_right']]}{wrong}",
          flush=True)


def print_head():
    print(f"{'id':<9} {'request':<38}  {'cheap answer':<38}  {'sign':<17} {'by':<6}  {'cheap':<5}  with the net")


def summary(rows, results):
    """The totals of the recorded answers."""
    recorded = [(row, result) for row, result in zip(rows, results) if not result["constructed"]]
    price = prices()
    if set(price) != set(SIDES):
        raise Failure(f"prices of {sorted(price)} in envoy/net/pointsman.yaml", "it needs those of cheap and strong")
    caught = [result for _, result in recorded if result["sign"]]
    passed = [result for _, result in recorded if not result["sign"]]
    spent = {side: sum(cost(row, side, price) for row, _ in recorded) for side in SIDES}
    again = sum(cost(row, "strong", price) for row, result in recorded if result["sign"])
    wasted = sum(cost(row, "cheap", price) for row, result in recorded if result["sign"])
    share = lambda name: sum(result[name] for _, result in recorded) / len(recorded)
    median = lambda them: statistics.median(result["milliseconds"] for result in them) if them else None
    return {
        "requests": len(recorded),
        "streamed": sum(bool(row["request"].get("stream")) for row, _ in recorded),
        "passed_right": sum(result["cheap_right"] for result in passed),
        "passed_wrong": sum(not result["cheap_right"] for result in passed),
        "caught_wrong": sum(not result["cheap_right"] for result in caught),
        "caught_right": sum(result["cheap_right"] for result in caught),
        "caught": dict(collections.Counter(result["sign"] for result in caught).most_common()),
        "kept": dict(collections.Counter(result["kept"] for result in passed if result["kept"])),
        "usd": {"cheap": spent["cheap"], "net": spent["cheap"] + again, "strong": spent["strong"], "wasted": wasted},
        "quality": {"cheap": share("cheap_right"), "net": share("net_right"), "strong": share("strong_right")},
        "milliseconds": {"passed": median(passed), "caught": median(caught)},
    }


def print_summary(total):
    count, dollars = total["requests"], total["usd"]
    print(f"\n{count} requests with recorded answers, {total['streamed']} of them streamed (~):")
    print(f"{total['passed_right']:>4}  sound, and passed")
    print(f"{total['caught_wrong']:>4}  bad, and caught")
    print(f"{total['passed_wrong']:>4}  bad, and passed: wrong in good form")
    print(f"{total['caught_right']:>4}  graded right, but caught: false alarms")
    print("caught by: " + (", ".join(f"{sign} {n}" for sign, n in total["caught"].items()) or "nothing"))
    if total["kept"]:
        print("bad by a sign, but sent on: " + ", ".join(f"{why} {n}" for why, n in total["kept"].items()))
    print(f"\n{'':<15}{'graded right':>14}{'USD per 1000':>15}{'of strong':>11}")
    for name, label in {"cheap": "always cheap", "net": "with the net", "strong": "always strong"}.items():
        print(f"{label:<15}{total['quality'][name]:>13.0%} {1000 * dollars[name] / count:>14.3f}"
              f"{dollars[name] / dollars['strong']:>11.0%}")
    print(f"of the net's cost, {dollars['wasted'] / dollars['net']:.0%} went to cheap answers that nobody saw")
    shown = lambda value: "-" if value is None else f"{value:.1f} ms"
    print(f"median time: passed {shown(total['milliseconds']['passed'])}, caught {shown(total['milliseconds']['caught'])}; "
          "the stand-ins answer at once.\n"
          "A caught answer takes longer by the cheap model's whole time, and a held stream begins when it has ended.")
    print("\n" + NOTE.format(count=count), flush=True)


def run(arguments, running):
    """Runs the demo; returns how many answers were not what they should have been."""
    if not demo.WASM.is_file():
        raise Failure("dist/pointsman.wasm is missing", "run `make wasm` first, or just `make demo-net`")
    if arguments.envoy and not arguments.envoy.is_file():
        raise Failure(f"{arguments.envoy}: there is no such file", "--envoy names an Envoy", 2)
    demo.LOGS.mkdir(parents=True, exist_ok=True)
    rows = replay.load()
    binary = arguments.envoy.resolve() if arguments.envoy else demo.find_envoy()
    models = start_models(rows, running)
    say(f"starting {binary}; it loads the filter ({demo.WASM.stat().st_size / 1e6:.2f} MB, model included) ...")
    begun = time.monotonic()
    envoy = demo.Envoy(binary, CONFIGURATION, running)
    say(f"Envoy is ready after {time.monotonic() - begun:.1f} s\n")
    results = []
    for group in (False, True):
        chosen = [row for row in rows if (row.get("group") == "faults") is group]
        if not arguments.json:
            print("\nConstructed faults of providers, which the small model's own server does not show:"
                  if group else "Recorded answers:")
            print_head()
        for row in chosen:
            results.append(ask(envoy, row, models))
            if not arguments.json:
                print_row(row, results[-1])
    rows.sort(key=lambda row: row.get("group") == "faults")
    total = summary(rows, results)
    if arguments.json:
        print(json.dumps({**total, "answers": results}, ensure_ascii=False), flush=True)
    else:
        print_summary(total)
    for result in results:
        for fault in result["faults"]:
            say(f"{result['id']}: {fault}")
    if not total["caught"]:
        raise Failure("nothing was caught", "does envoy/net/envoy.yaml come from envoy/net/pointsman.yaml? `make render`")
    return sum(bool(result["faults"]) for result in results)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--envoy", metavar="PATH", type=Path, help="the Envoy binary (default: what "
                        "scripts/get-envoy.sh finds or installs)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    arguments = parser.parse_args()
    demo.LOGS = demo.ROOT / "target/demo-net"
    sys.exit(demo.finish(arguments, run, "answers are not what they should be"))


if __name__ == "__main__":
    main()
