#!/usr/bin/env python3
"""A stand-in for a model: an OpenAI-compatible upstream that needs nothing but Python.

    python3 envoy/upstream.py --name cheap --model small-model --port 9011

It answers POST /v1/chat/completions with its own model name, as one JSON object or, with
"stream": true, as server-sent events with short pauses. GET /healthz answers "ok".
With --recorded LOG it answers the questions of a log (JSONL) with the log's `cheap_response`.
With --port 0 the system picks a port; the first line on stdout is the address that is served.
"""

import argparse
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY_BYTES = 64 * 1024 * 1024
PAUSE_SECONDS = 0.02


class BadRequest(Exception):
    """The request cannot be answered; the text says why."""


class Upstream(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, name, model, recorded):
        super().__init__(address, Handler)
        self.name = name
        self.model = model
        # Answers by question.
        self.recorded = recorded


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Each write below is one whole piece of the answer, so waiting to fill packets only delays it.
    disable_nagle_algorithm = True
    timeout = 120

    def do_GET(self):
        if self.path == "/healthz":
            self.send_whole(200, "text/plain", b"ok\n")
        else:
            self.send_error_object(404, "there is only /v1/chat/completions and /healthz")

    def do_POST(self):
        try:
            body = self.read_body()
        except BadRequest as error:
            # What is left of the body cannot be told from the next request.
            self.close_connection = True
            self.send_error_object(400, str(error))
            return
        if self.path.split("?")[0] != "/v1/chat/completions":
            self.send_error_object(404, "there is only /v1/chat/completions and /healthz")
            return
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            self.send_error_object(400, "the body is not JSON")
            return
        if not isinstance(request, dict) or not isinstance(request.get("messages"), list):
            self.send_error_object(400, "`messages` must be an array")
            return
        text = f"This is {self.server.model}, behind the cluster {self.server.name}."
        text = self.server.recorded.get(last_text(request["messages"]), text)
        words = text.split(" ")
        usage = {
            "prompt_tokens": max(1, len(body) // 4),
            "completion_tokens": len(words),
            "total_tokens": max(1, len(body) // 4) + len(words),
        }
        if request.get("stream") is True:
            self.send_stream(words, usage)
        else:
            message = {"role": "assistant", "content": " ".join(words)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self.send_object(200, self.envelope("chat.completion", [choice], usage))

    def read_body(self):
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return self.read_chunks()
        try:
            length = int(self.headers.get("content-length", 0))
        except ValueError:
            raise BadRequest("content-length is not a number") from None
        if not 0 <= length <= MAX_BODY_BYTES:
            raise BadRequest(f"content-length is not within 0..{MAX_BODY_BYTES}")
        return self.rfile.read(length)

    def read_chunks(self):
        body = bytearray()
        while True:
            try:
                size = int(self.rfile.readline(1024).split(b";")[0], 16)
            except ValueError:
                raise BadRequest("a chunk has no size") from None
            if size < 0 or len(body) + size > MAX_BODY_BYTES:
                raise BadRequest(f"the body is larger than {MAX_BODY_BYTES} bytes")
            if size == 0:
                while self.rfile.readline(65536).strip():  # trailers
                    pass
                return bytes(body)
            body += self.rfile.read(size)
            self.rfile.readline(16)

    def envelope(self, kind, choices, usage=None):
        answer = {
            "id": f"chatcmpl-{self.server.name}-{time.time_ns():x}",
            "object": kind,
            "created": int(time.time()),
            "model": self.server.model,
            "choices": choices,
        }
        if usage is not None:
            answer["usage"] = usage
        return answer

    def send_stream(self, words, usage):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for position, word in enumerate(words):
            delta = {"content": word if position == 0 else f" {word}"}
            if position == 0:
                delta["role"] = "assistant"
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            self.send_event(json.dumps(self.envelope("chat.completion.chunk", [choice])))
            time.sleep(PAUSE_SECONDS)
        choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
        self.send_event(json.dumps(self.envelope("chat.completion.chunk", [choice], usage)))
        self.send_event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def send_event(self, data):
        event = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))

    def send_error_object(self, status, message):
        kind = "invalid_request_error"
        self.send_object(status, {"error": {"message": message, "type": kind}})

    def send_object(self, status, value):
        self.send_whole(status, "application/json", json.dumps(value).encode())

    def send_whole(self, status, content_type, body):
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass  # the client went away; that is its right

    def log_message(self, format, *args):
        pass  # Envoy's access log tells more


def last_text(messages):
    """The text of the last message; None for anything but plain text."""
    content = messages[-1].get("content") if messages and isinstance(messages[-1], dict) else None
    return content if isinstance(content, str) else None


def read_recorded(path):
    with open(path, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {last_text(row["request"]["messages"]): row["cheap_response"] for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True, help="the cluster this upstream stands for")
    parser.add_argument("--model", required=True, help="the model name in every answer")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: loopback)")
    parser.add_argument("--port", type=int, required=True, help="port to bind; 0 picks a free one")
    parser.add_argument("--recorded", metavar="LOG", help="answer with this log's cheap answers")
    arguments = parser.parse_args()
    try:
        recorded = read_recorded(arguments.recorded) if arguments.recorded else {}
        address = (arguments.host, arguments.port)
        server = Upstream(address, arguments.name, arguments.model, recorded)
    except OSError as error:
        place = error.filename or f"{arguments.host}:{arguments.port}"
        print(f"error: {place}: {error.strerror}", file=sys.stderr)
        return 1
    print("{}:{}".format(*server.server_address), flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
