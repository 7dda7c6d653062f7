#!/usr/bin/env python3
"""Measure what training reaches on sources that it has not seen.

    scripts/leave-sources-out.py target/model/public-judged.jsonl model/data/*.jsonl.gz

Trains once for each fold of sources, on the rows of all others, and scores the fold's rows with
that model. Rows of one source, and sources that are two versions of one collection, are in one
fold. Prints a table in Markdown: AUROC on clear rows (judged 75 and more, or 45 and less), and the
share of pairs in the right order.
"""

import collections
import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = os.environ.get("POINTSMAN", "target/release/pointsman")
# Public collections first, each fold with own authors of another area.
FOLDS = [
    {"arena_hard_v01", "arena_hard_v20", "pointsman_d", "pointsman_r"},
    {"followbench", "mt_bench", "authored_a", "pointsman_e", "pointsman_s"},
    {"self_instruct_user", "self_instruct_seed", "authored_b", "pointsman_f", "pointsman_p"},
    {"bbh", "authored_c", "pointsman_g", "pointsman_q", "pointsman_l"},
    {"t0_tasks", "gpteacher_code", "pointsman_h", "pointsman_i", "pointsman_n"},
    {"wizardlm_test", "gpteacher_roleplay", "pointsman_j", "pointsman_k", "pointsman_m", "pointsman_o"},
]
EASY, HARD = 75, 45


def main():
    rows = [row for path in sys.argv[1:] for row in read(Path(path))]
    if unknown := {row["source"] for row in rows} - set().union(*FOLDS):
        sys.exit(f"error: no fold for {', '.join(sorted(unknown))}\nhint: put it into FOLDS")
    scored = []
    with tempfile.TemporaryDirectory() as directory:
        for number, fold in enumerate(FOLDS):
            out = [row for row in rows if row["source"] in fold]
            kept = [row for row in rows if row["source"] not in fold]
            scored += score(Path(directory), kept, out)
            print(f"fold {number + 1} of {len(FOLDS)}: {len(out)} rows", file=sys.stderr, flush=True)
    judged = {(row["source"], row["id"]): row for row in rows}
    by_source = collections.defaultdict(list)
    for row in scored:
        by_source[row["source"]].append((row["score"], judged[row["source"], row["id"]]))
    print("| source | clear rows | of them hard | AUROC | pairs | right order |\n|---|---:|---:|---:|---:|---:|")
    public = [pair for source, some in by_source.items() if not own(source) for pair in some]
    ours = [pair for source, some in by_source.items() if own(source) for pair in some]
    for source, some in [*sorted(by_source.items()), ("**public, together**", public),
                         ("**ours, together**", ours)]:
        print(line(source, some))


def own(source):
    return source.startswith(("pointsman_", "authored_"))


def read(path):
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8")
    with opened as lines:
        return [json.loads(line) for line in lines]


def score(directory, kept, out):
    train, test = directory / "train.jsonl", directory / "test.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    test.write_text("".join(json.dumps({**row, "split": "test"}) + "\n" for row in out), encoding="utf-8")
    model = directory / "model"
    subprocess.run([PROGRAM, "train", "--seed", "1", "--out", model, "--data", train], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lines = subprocess.run([PROGRAM, "evaluate", "--model", model, "--rows", "--data", test], check=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return [json.loads(line) for line in lines.splitlines()]


def line(name, some):
    easy = [score for score, row in some if row["judged"] >= EASY]
    hard = [score for score, row in some if row["judged"] <= HARD]
    ordered = sum((e > h) + (e == h) / 2 for e in easy for h in hard)
    auroc = f"{ordered / len(easy) / len(hard):.3f}" if min(len(easy), len(hard)) >= 10 else "–"
    pairs = collections.defaultdict(list)
    for score, row in some:
        if row.get("pair"):
            pairs[row["source"], row["pair"]].append((row["judged"], score))
    pairs = [sorted(pair) for pair in pairs.values() if len({judged for judged, _ in pair}) == 2]
    right = sum(low[1] < high[1] for low, high in pairs)
    share = f"{100 * right / len(pairs):.0f} %" if pairs else "–"
    return f"| {name} | {len(easy) + len(hard)} | {len(hard)} | {auroc} | {len(pairs)} | {share} |"


if __name__ == "__main__":
    main()
