#!/usr/bin/env python3
"""What a few labels of one's own are worth, from nothing and from the shipped model.

usage: learning-curves.py FILE...     (labelled rows, JSONL or gzipped JSONL, with `split`)

For each file, draws 50, 100, 200 and 500 of its train rows, trains on them from nothing and with
`--init model`, and measures on all of its validation rows. Each is the mean of three draws. Prints a
Markdown table.
"""

import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = os.environ.get("POINTSMAN", "target/release/pointsman")
SIZES, DRAWS = (50, 100, 200, 500), 3
SHIPPED = Path(__file__).parent.parent / "model"


def main():
    print("| rows | labels | from nothing | from the shipped model |\n|---|---:|---:|---:|")
    for path in map(Path, sys.argv[1:]):
        rows = read(path)
        train = [row for row in rows if row.get("split") == "train"]
        held_out = [row for row in rows if row.get("split") == "val"]
        if not train or not held_out:
            sys.exit(f"error: {path}: needs rows of the splits train and val")
        name = path.name.split(".")[0]
        with tempfile.TemporaryDirectory() as directory:
            directory = Path(directory)
            shipped = measure(write(directory / "val.jsonl", held_out), SHIPPED)
            print(f"| {name} | 0 | – | {shipped:.3f} |", flush=True)
            for size in SIZES:
                if size > len(train):
                    break
                figures = [draw(directory, train, size, number) for number in range(DRAWS)]
                fresh, warm = (mean(column) for column in zip(*figures))
                print(f"| {name} | {size} | {fresh} | {warm} |", flush=True)


def draw(directory, train, size, number):
    """AUROC from nothing and from the shipped model, on labels that the trainer splits itself."""
    drawn = random.Random(number).sample(train, size)
    labels = write(directory / "labels.jsonl", [{key: value for key, value in row.items() if key != "split"} for row in drawn])
    figures = []
    for more in [], ["--init", SHIPPED]:
        model = directory / "model"
        command = [PROGRAM, "train", "--seed", number, "--data", labels, "--out", model, *more]
        run = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        # Fifty rows may hold one class only.
        figures.append(measure(directory / "val.jsonl", model) if run.returncode == 0 else None)
    return figures


def measure(data, model):
    command = [PROGRAM, "evaluate", "--split", "all", "--json", "--objective", "gain"]
    run = subprocess.run([*command, "--data", data, "--model", model], capture_output=True, check=True)
    return json.loads(run.stdout)["auroc"]


def mean(figures):
    known = [figure for figure in figures if figure is not None]
    return f"{statistics.mean(known):.3f}" if known else "–"


def read(path):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write(path, rows):
    with path.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    return path


if __name__ == "__main__":
    main()
