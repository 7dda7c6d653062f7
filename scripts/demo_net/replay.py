"""The recorded answers, as a server sends them.

Each line of answers.jsonl has `id`, `request`, `grade`, and for `cheap` and `strong` a `response`: a whole
chat completion. For a streamed request, `pieces` are the texts of its chunks. `group` is `faults` where the
cheap answer is constructed; `raw` is then what is sent, byte for byte, `sign` what has to be seen in it, and
`shows` what the table says.
"""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ANSWERS = Path(__file__).resolve().parent / "answers.jsonl"


def load(path=ANSWERS):
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def key(request):
    """What a request is found by; a router may change the model's name, but no message."""
    return json.dumps(request["messages"], sort_keys=True)


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def body(row, side):
    """The bytes of an answer."""
    recorded = row[side]
    if "raw" in recorded:
        return recorded["raw"].encode()
    if row["request"].get("stream"):
        return "".join(f"data: {event}\n\n" for event in [*map(compact, chunks(recorded)), "[DONE]"]).encode()
    return compact(recorded["response"]).encode()


def chunks(recorded):
    """The chunks of a streamed answer, made from the whole one and its pieces."""
    whole = recorded["response"]
    choice = whole["choices"][0]
    head = {"id": whole["id"], "object": "chat.completion.chunk", "created": whole["created"], "model": whole["model"]}
    deltas = [{"role": "assistant", "content": None if choice["message"].get("tool_calls") else ""}]
    deltas += [{"content": piece} for piece in recorded["pieces"]]
    deltas += [{"tool_calls": [{"index": number, **call}]}
               for number, call in enumerate(choice["message"].get("tool_calls") or ())]
    for delta in deltas:
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    if whole.get("usage"):
        yield {**head, "choices": [], "usage": whole["usage"]}


class Model(ThreadingHTTPServer):
    """A stand-in for a model on loopback: it answers with what is recorded for `side`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port, side, rows):
        super().__init__(("127.0.0.1", port), Handler)
        self.answers = {key(row["request"]): (body(row, side), bool(row["request"].get("stream"))) for row in rows}
        self.asked = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def do_POST(self):
        if "content-length" in self.headers:
            text = self.rfile.read(int(self.headers["content-length"]))
        else:
            text = b"".join(self.chunks_read())
        self.server.asked += 1
        found = self.server.answers.get(key(json.loads(text)))
        if found is None:
            self.whole(404, b'{"error":{"message":"nothing is recorded for this request"}}')
        elif found[1]:
            self.stream(found[0])
        else:
            self.whole(200, found[0])

    def chunks_read(self):
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass

    def whole(self, status, text):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def stream(self, text):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in text.split(b"\n\n")[:-1]:
            event += b"\n\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            time.sleep(0.0005)  # So that chunks arrive as chunks.
        self.wfile.write(b"0\r\n\r\n")

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass  # Envoy went away; that is its right.

    def log_message(self, format, *args):
        pass
