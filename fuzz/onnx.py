#!/usr/bin/env python3
"""Writes corpus/model: a manifest in the first line, then a small graph, for each seed.

The graphs take a few of the features, so that a seed has hundreds of bytes and not thousands. ONNX's
protobuf is written by hand, because no package that knows it is needed elsewhere. SCHEMA, ANSWERS and
WIDTH stand for the numbers of the program that reads them.
"""

import json
import struct
from pathlib import Path

FLOAT, INT64, FLOAT16 = 1, 7, 10


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, dims, values, kind=FLOAT):
    code = {FLOAT: "f", INT64: "q", FLOAT16: "e"}[kind]
    raw = b"".join(struct.pack("<" + code, value) for value in values)
    return b"".join(field(1, size) for size in dims) + field(2, kind) + field(8, name) + field(9, raw)


def node(operator, inputs, output, **attributes):
    out = b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, operator)
    for name, value in attributes.items():
        if isinstance(value, bytes):
            out += field(5, field(1, name) + field(5, value) + field(20, 4))
        else:
            out += field(5, field(1, name) + field(3, value) + field(20, 2))
    return out


def model(nodes, tensors, outputs=("scores",)):
    graph = b"".join(field(1, it) for it in nodes) + b"".join(field(5, it) for it in tensors)
    graph += field(11, field(1, "features")) + b"".join(field(12, field(1, it)) for it in outputs)
    return field(7, graph)


def manifest(schema="SCHEMA", targets=1, **fields):
    if schema == "ANSWERS":
        of_kind = {"features": "WIDTH", "accept_below": 0.5}
    else:
        one = {"name": "cheap", "threshold": 0.5, **fields.pop("target", {})}
        of_kind = {"features": 1, "targets": [one] * targets}
    text = json.dumps({"format": 1, "version": "seed", "schema_hash": schema, **of_kind, **fields})
    return text.replace('"WIDTH"', "WIDTH")


ROOT = Path(__file__).resolve().parent
RANGE = [tensor("zero", [1], [0], INT64), tensor("two", [1], [2], INT64), tensor("one", [1], [1], INT64)]
HEAD = node("Slice", ["features", "zero", "two", "one"], "head")
WEIGHTS = tensor("weights", [2, 1], [0.5, -0.25])
BIAS = tensor("bias", [1], [0.1])

LOGISTIC = model(
    [HEAD, node("MatMul", ["head", "weights"], "product"), node("Add", ["product", "bias"], "logit"),
     node("Sigmoid", ["logit"], "scores")],
    [*RANGE, WEIGHTS, BIAS],
)
# Two trees of depth one, as ../crates/lab/src/learn/export.rs spells them out.
FOREST = model(
    [node("Gather", ["features", "picked"], "values", axis=1), node("Less", ["thresholds", "values"], "above"),
     node("Cast", ["above"], "numbers", to=FLOAT), node("Reshape", ["numbers", "by_level"], "levels"),
     node("Gemm", ["powers", "levels", "starts"], "entries"), node("Cast", ["entries"], "index", to=INT64),
     node("Reshape", ["index", "flat"], "places"), node("Gather", ["leaves", "places"], "found", axis=1),
     node("Gemm", ["found", "ones", "bias"], "logit"), node("Sigmoid", ["logit"], "scores")],
    [tensor("picked", [2], [0, 7], INT64), tensor("thresholds", [1, 2], [2.0, 0.5]),
     tensor("by_level", [2], [1, 2], INT64), tensor("powers", [1, 1], [1.0]),
     tensor("starts", [1, 2], [0.0, 2.0]), tensor("flat", [1], [2], INT64),
     tensor("leaves", [1, 4], [0.1, -0.2, 0.3, 0.4]), tensor("ones", [2, 1], [1.0, 1.0]),
     tensor("bias", [1, 1], [0.1])],
)
ENDLESS = tensor("by_level", [2], [1 << 62, 2], INT64)
SEEDS = {
    "logistic": (manifest(), LOGISTIC),
    "answers": (manifest("ANSWERS"), LOGISTIC),
    "two-targets": (
        manifest(targets=2),
        model(
            [HEAD, node("Gemm", ["head", "weights", "bias"], "logit"), node("Sigmoid", ["logit"], "scores")],
            [*RANGE, tensor("weights", [2, 2], [1.0, 0.0, -1.0, 2.0]), tensor("bias", [2], [0.0, 0.5])],
        ),
    ),
    "gain": (
        manifest(objective="satisfy", target={"gain_threshold": 0.4}),
        model(
            [HEAD, node("MatMul", ["head", "weights"], "logit"), node("Sigmoid", ["logit"], "scores"),
             node("Sub", ["logit", "bias"], "less"), node("Sigmoid", ["less"], "gain")],
            [*RANGE, WEIGHTS, tensor("bias", [1, 1], [0.1])],
            ("scores", "gain"),
        ),
    ),
    "half-floats": (
        manifest(),
        model(
            [HEAD, node("Cast", ["half"], "weights", to=FLOAT), node("MatMul", ["head", "weights"], "logit"),
             node("Sigmoid", ["logit"], "scores")],
            [*RANGE, tensor("half", [2, 1], [0.5, 1.5], FLOAT16)],
        ),
    ),
    "columns": (
        manifest(),
        model(
            [node("Gather", ["features", "picked"], "three", axis=1), node("Relu", ["three"], "positive"),
             node("Clip", ["positive", "low", "high"], "clipped"), node("Less", ["clipped", "limits"], "is_less"),
             node("Cast", ["is_less"], "numbers", to=FLOAT), node("MatMul", ["numbers", "ones"], "sum"),
             node("Tanh", ["sum"], "small"), node("Mul", ["small", "half"], "less"),
             node("Identity", ["less"], "scores")],
            [tensor("picked", [3], [0, 5, 90], INT64), tensor("low", [], [0.0]), tensor("high", [], [6.0]),
             tensor("limits", [1, 3], [1.0, 2.0, 3.0]), tensor("ones", [3, 1], [1.0, 1.0, 1.0]),
             tensor("half", [1, 1], [0.5])],
        ),
    ),
    "shapes": (
        manifest(),
        model(
            [HEAD, node("Concat", ["head", "head"], "four", axis=1), node("Reshape", ["four", "square"], "matrix"),
             node("MatMul", ["row", "matrix"], "pair"), node("Div", ["pair", "pair_of_twos"], "halves"),
             node("Constant", [], "columns", value=tensor("", [2, 1], [0.1, 0.2])),
             node("MatMul", ["halves", "columns"], "logit"), node("Sigmoid", ["logit"], "scores")],
            [*RANGE, tensor("square", [2], [2, 2], INT64), tensor("row", [1, 2], [1.0, 1.0]),
             tensor("pair_of_twos", [1, 2], [2.0, 2.0])],
        ),
    ),
    "forest": (
        manifest(),
        FOREST,
    ),
    # As many levels as no machine has, in a shape.
    "endless-forest": (manifest(), FOREST.replace(tensor("by_level", [2], [1, 2], INT64), ENDLESS)),
    "unknown-operator": (manifest(), model([node("Softmax", ["features"], "scores")], [])),
    "wrong-shape": (manifest(targets=2), LOGISTIC),
    "not-a-number": (
        manifest(),
        model([HEAD, node("MatMul", ["head", "weights"], "scores")], [*RANGE, tensor("weights", [2, 1], [float("nan"), 0.0])]),
    ),
    "nothing-in-a-tensor": (
        manifest(),
        model([HEAD, node("MatMul", ["head", "weights"], "scores")], [*RANGE, tensor("weights", [0, 1 << 62], [])]),
    ),
    "endless-reshape": (
        manifest(),
        model(
            [HEAD, node("Reshape", ["head", "shape"], "scores")],
            [*RANGE, tensor("shape", [3], [1 << 62, 1 << 62, 1 << 62], INT64)],
        ),
    ),
    "no-graph": (manifest(), b""),
    "another-digest": (manifest(version="0123456789ab"), LOGISTIC),
    "novelty": (manifest(novelty={"mean": [0.0], "inverse_deviation": [1.0], "limit": 1.5}), LOGISTIC),
}


def main():
    folder = ROOT / "corpus/model"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (text, graph) in SEEDS.items():
        (folder / name).write_bytes(text.encode() + b"\n" + graph)


main()
