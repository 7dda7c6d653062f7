"""A strict stand-in for OpenAI or Anthropic on loopback, for sdks.py.

It refuses what the provider would refuse, and what should never reach a provider: a client's key or
cookie, headers between client and gateway. Each such request is also written down in `faults`.

The last thing that the user says steers the answer:

    TOOL      calls the first tool, unless its result is there
    HOLD      a stream pauses after its sixth event until `released` is set
    ENDLESS   a stream goes on until the client is gone
    SLEEP     no answer until the client is gone
    REJECT    400
"""

import base64
import dataclasses
import email
import email.policy
import hashlib
import json
import re
import select
import socket
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Longest that an answer waits for something that the test does.
PATIENCE_SECONDS = 8
# Headers with which clients say who they are.
CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie")
# What is between client and gateway, or between gateway and filter.
INTERNAL = re.compile(r"x-forwarded-.*|x-pointsman-.*|x-envoy-.*|x-conversation-id|x-client-trace-id")
# Token counts of every answer, so that what the gateway says of them can be checked.
INPUT_TOKENS, OUTPUT_TOKENS = 1000, 100


class Refused(Exception):
    """An error of the provider's own."""

    def __init__(self, status, code, text):
        super().__init__(text)
        self.status = status
        self.code = code


@dataclasses.dataclass
class Seen:
    """A request that arrived."""

    method: str
    path: str
    headers: dict
    body: object
    # SHA-256 of each image in the body, and of an uploaded file.
    hashes: list
    at: float
    status: int = 0
    # When the client was found to be gone before its answer was complete.
    gone_at: float = 0.0


class StandIn(ThreadingHTTPServer):
    """`kind` is openai or anthropic; `key` is the only key that is right; `secrets` never arrive."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, name, kind, port, model, key, secrets):
        super().__init__(("127.0.0.1", port), Handler)
        self.name = name
        self.kind = kind
        self.model = model
        self.key = key
        self.secrets = secrets
        self.faults = []
        self.seen = []
        self.released = threading.Event()
        # A status that all requests to the APIs get, and headers with it.
        self.failing = None
        self.failing_headers = {}
        # What this provider keeps.
        self.responses = {}
        self.files = {}
        self.calls = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        import traceback

        self.faults.append(f"{self.name}: {traceback.format_exc(limit=-2)}")

    def last(self):
        return self.seen[-1] if self.seen else None

    def stop(self):
        self.shutdown()
        self.server_close()


def unique(pairs):
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field is there twice")
    return fields


def new_id(prefix):
    return f"{prefix}{uuid.uuid4().hex[:24]}"


def text_of(content):
    """The text of a message's content, or of a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part.get("text", "") for part in parts if isinstance(part, dict))


def last_text(turns):
    said = [text_of(turn.get("content")) for turn in turns if turn.get("role") == "user"]
    return next((text for text in reversed(said) if text), "")


def image_hashes(value):
    """SHA-256 of every image in a body: data URLs, and Anthropic's base64 sources."""
    found = []
    if isinstance(value, dict):
        if value.get("type") == "base64" and "data" in value:
            found.append(hashlib.sha256(base64.b64decode(value["data"], validate=True)).hexdigest())
        for item in value.values():
            found += image_hashes(item)
    elif isinstance(value, list):
        for item in value:
            found += image_hashes(item)
    elif isinstance(value, str) and value.startswith("data:image/"):
        data = value.partition(";base64,")[2]
        found.append(hashlib.sha256(base64.b64decode(data, validate=True)).hexdigest())
    return found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    # One request.

    def answer(self):
        raw = self.read_body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        path, _, query = self.path.partition("?")
        self.seen = Seen(self.command, path, headers, None, [], time.monotonic())
        self.server.seen.append(self.seen)
        try:
            self.check_headers(headers, raw)
            self.route(path, query, raw)
        except Refused as error:
            self.send_refusal(error)
        except (BrokenPipeError, ConnectionResetError):
            self.seen.gone_at = time.monotonic()
            self.close_connection = True

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_OPTIONS = answer

    def read_body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = bytearray()
        while size := int(self.rfile.readline(1024).split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline(16)
        while self.rfile.readline(65536).strip():  # trailers
            pass
        return bytes(body)

    def fault(self, status, text):
        self.server.faults.append(f"{self.server.name}: {self.command} {self.path}: {text}")
        raise Refused(status, "stand_in", text)

    def check_headers(self, headers, raw):
        server = self.server
        names = [name.lower() for name in self.headers.keys()]
        if len(set(names)) != len(names):
            self.fault(400, f"a header is there twice: {sorted(names)}")
        own, prefix = ("x-api-key", "") if server.kind == "anthropic" else ("authorization", "Bearer ")
        if headers.get(own) != prefix + server.key:
            self.fault(401, f"{own} is {headers.get(own)!r}, not this provider's key")
        for name in names:
            if (name in CREDENTIALS and name != own) or INTERNAL.fullmatch(name):
                self.fault(400, f"{name} arrived")
        everything = "\n".join(headers.values()).encode() + self.path.encode() + raw
        for secret in server.secrets:
            if secret.encode() in everything:
                self.fault(400, f"the client's secret arrived ({secret})")
        if headers.get("host") != "127.0.0.1:{}".format(server.server_address[1]):
            self.fault(400, f"host is {headers.get('host')}")
        if server.kind == "anthropic" and "anthropic-version" not in headers:
            self.fault(400, "no anthropic-version")

    def json(self, raw, model=None):
        """The body, which must name this provider's model, or another that is asked for."""
        kind = self.headers.get("content-type", "")
        if kind.partition(";")[0] != "application/json":
            self.fault(400, f"content-type is {kind!r}")
        try:
            body = json.loads(raw, object_pairs_hook=unique)
            self.seen.hashes = image_hashes(body)
        except ValueError as error:
            self.fault(400, f"the body cannot be read: {error}")
        self.seen.body = body
        if body.get("model") != (model or self.server.model):
            self.fault(404, f"model is {body.get('model')!r}")
        return body

    def route(self, path, query, raw):
        kept = re.fullmatch(r"/v1/(models|files|responses)/([^/]+)(/content)?", path)
        if query and not (self.server.kind == "anthropic" and query == "beta=true"):
            self.fault(404, f"query {query!r}")
        if self.command == "POST":
            if self.server.failing and path != "/v1/files":
                raise Refused(self.server.failing, "failing", "this provider fails for a while")
            openai = {
                "/v1/chat/completions": self.chat,
                "/v1/completions": self.completions,
                "/v1/responses": self.respond,
                "/v1/embeddings": self.embeddings,
                "/v1/files": self.upload,
            }
            anthropic = {"/v1/messages": self.messages, "/v1/messages/count_tokens": self.count}
            known = anthropic if self.server.kind == "anthropic" else openai
            if path in known:
                return known[path](raw)
        elif self.command == "GET" and path == "/v1/models":
            return self.models()
        elif self.command in ("GET", "DELETE") and kept:
            return self.stored(*kept.groups())
        self.fault(404, "there is no such path")

    # Answers.

    def send_object(self, value, status=200, headers=None):
        self.send_whole(json.dumps(value).encode(), "application/json", status, headers or {})

    def send_whole(self, body, kind, status=200, headers=None):
        self.seen.status = status
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-served-by", self.server.name)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_refusal(self, error):
        if self.server.kind == "anthropic":
            kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
            kind = kinds.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
            value = {"type": "error", "error": {"type": kind, "message": str(error)}}
        else:
            fields = {"message": str(error), "type": "invalid_request_error", "param": None}
            value = {"error": fields | {"code": error.code}}
        self.send_object(value, error.status, self.server.failing_headers)

    def send_stream(self, events, text):
        """`events` are pairs of a name, or None, and an object or a text."""
        self.seen.status = 200
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("x-served-by", self.server.name)
        self.end_headers()
        for at, (name, value) in enumerate(events):
            if at == 6 and "HOLD" in text and not self.server.released.wait(PATIENCE_SECONDS):
                self.server.faults.append(f"{self.server.name}: a stream's beginning did not arrive")
            self.send_event(name, value)
            if at == 6 and "ENDLESS" in text:
                self.go_on(name, value)
        self.wfile.write(b"0\r\n\r\n")

    def send_event(self, name, value):
        data = value if isinstance(value, str) else json.dumps(value)
        event = (f"event: {name}\n" if name else "") + f"data: {data}\n\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event.encode()), event.encode()))

    def go_on(self, name, value):
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            self.send_event(name, value)
            time.sleep(0.02)

    def wait_for_the_end(self):
        """Until the client hangs up."""
        readable, _, _ = select.select([self.connection], [], [], PATIENCE_SECONDS)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise ConnectionResetError
        raise Refused(500, "slept", "nobody hung up")

    def steer(self, text):
        if "REJECT" in text:
            raise Refused(400, "rejected", "this prompt is refused")
        if "SLEEP" in text:
            self.wait_for_the_end()

    def call_for(self, body, text, answered):
        """The name, the arguments and the ID of a call of the first tool, if one is wanted."""
        tools = body.get("tools")
        if not tools or "TOOL" not in text or answered:
            return None
        tool = tools[0].get("function", tools[0])
        call = new_id("toolu_" if self.server.kind == "anthropic" else "call_")
        self.server.calls.add(call)
        return tool["name"], {"city": "Ülgii"}, call

    def check_calls(self, ids):
        for call in ids:
            if call not in self.server.calls:
                self.fault(400, "the result of a call that this provider did not make")

    def need(self, condition, text):
        if not condition:
            self.fault(400, text)

    # OpenAI.

    def chat(self, raw):
        body = self.json(raw)
        turns = body.get("messages")
        self.need(isinstance(turns, list) and turns, "messages is not a list")
        text = last_text(turns)
        self.steer(text)
        results = [turn["tool_call_id"] for turn in turns if turn["role"] == "tool"]
        self.check_calls(results)
        call = self.call_for(body, text, results)
        usage = {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS}
        usage["total_tokens"] = INPUT_TOKENS + OUTPUT_TOKENS
        head = {"id": new_id("chatcmpl-"), "created": int(time.time()), "model": self.server.model}
        function = call and {"name": call[0], "arguments": json.dumps(call[1])}
        reason = "tool_calls" if call else "stop"
        if body.get("stream") is not True:
            message = {"role": "assistant", "content": None if call else self.words()}
            if call:
                message["tool_calls"] = [{"id": call[2], "type": "function", "function": function}]
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
            whole = {"object": "chat.completion", "choices": [choice], "usage": usage}
            return self.send_object(head | whole)

        def chunk(delta, reason=None):
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
            return None, head | {"object": "chat.completion.chunk", "choices": [choice]}

        events = [chunk({"role": "assistant", "content": None if call else ""})]
        if call:
            first = {"index": 0, "id": call[2], "type": "function"}
            events.append(chunk({"tool_calls": [first | {"function": function | {"arguments": ""}}]}))
            for piece in pieces(function["arguments"]):
                events.append(chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}))
        else:
            events += [chunk({"content": piece}) for piece in pieces(self.words())]
        events.append(chunk({}, reason))
        if (body.get("stream_options") or {}).get("include_usage"):
            last = {"object": "chat.completion.chunk", "choices": [], "usage": usage}
            events.append((None, head | last))
        self.send_stream(events + [(None, "[DONE]")], text)

    def completions(self, raw):
        body = self.json(raw)
        self.need(isinstance(body.get("prompt"), (str, list)), "no prompt")
        choice = {"text": self.words(), "index": 0, "logprobs": None, "finish_reason": "stop"}
        usage = {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS}
        usage["total_tokens"] = INPUT_TOKENS + OUTPUT_TOKENS
        head = {"id": new_id("cmpl-"), "object": "text_completion", "created": int(time.time())}
        head["model"] = self.server.model
        self.send_object(head | {"choices": [choice], "usage": usage})

    def respond(self, raw):
        body = self.json(raw)
        given = body.get("input")
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        self.need(isinstance(items, list) and items, "input is neither text nor a list")
        before = body.get("previous_response_id")
        if before and before not in self.server.responses:
            self.fault(400, f"there is no response {before} here")
        text = last_text(items)
        self.steer(text)
        results = [it["call_id"] for it in items if it.get("type") == "function_call_output"]
        self.check_calls(results)
        call = self.call_for(body, text, results)
        if call:
            made = {"type": "function_call", "id": new_id("fc_"), "status": "completed"}
            item = made | {"name": call[0], "arguments": json.dumps(call[1]), "call_id": call[2]}
        else:
            part = {"type": "output_text", "text": self.words(), "annotations": [], "logprobs": []}
            made = {"type": "message", "id": new_id("msg_"), "status": "completed"}
            item = made | {"role": "assistant", "content": [part]}
        usage = {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}
        usage["total_tokens"] = INPUT_TOKENS + OUTPUT_TOKENS
        usage |= {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
        usage |= {"output_tokens_details": {"reasoning_tokens": 0}}
        whole = {
            "id": new_id("resp_"),
            "object": "response",
            "created_at": int(time.time()),
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "instructions": body.get("instructions"),
            "metadata": {},
            "model": self.server.model,
            "output": [item],
            "parallel_tool_calls": True,
            "previous_response_id": before,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": body.get("tools") or [],
            "top_p": 1.0,
            "usage": usage,
        }
        if body.get("store") is not False:
            self.server.responses[whole["id"]] = whole
        if body.get("stream") is not True:
            return self.send_object(whole)
        begun = whole | {"status": "in_progress", "output": [], "usage": None}
        steps = [("created", {"response": begun}), ("in_progress", {"response": begun})]
        at = {"item_id": item["id"], "output_index": 0}
        empty = item | {"status": "in_progress"}
        if call:
            empty |= {"arguments": ""}
            steps.append(("output_item.added", {"output_index": 0, "item": empty}))
            for piece in pieces(item["arguments"]):
                steps.append(("function_call_arguments.delta", at | {"delta": piece}))
            done = {"arguments": item["arguments"], "name": item["name"]}
            steps.append(("function_call_arguments.done", at | done))
        else:
            at |= {"content_index": 0}
            steps.append(("output_item.added", {"output_index": 0, "item": empty | {"content": []}}))
            steps.append(("content_part.added", at | {"part": part | {"text": ""}}))
            for piece in pieces(part["text"]):
                steps.append(("output_text.delta", at | {"delta": piece, "logprobs": []}))
            steps.append(("output_text.done", at | {"text": part["text"], "logprobs": []}))
            steps.append(("content_part.done", at | {"part": part}))
        steps.append(("output_item.done", {"output_index": 0, "item": item}))
        steps.append(("completed", {"response": whole}))
        events = []
        for number, (name, fields) in enumerate(steps):
            name = f"response.{name}"
            events.append((name, {"type": name, "sequence_number": number} | fields))
        self.send_stream(events, text)

    def embeddings(self, raw):
        self.json(raw, "text-embedding-3-small")
        vector = base64.b64encode(bytes(8 * 4)).decode()
        data = [{"object": "embedding", "index": 0, "embedding": vector}]
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        head = {"object": "list", "model": "text-embedding-3-small"}
        self.send_object(head | {"data": data, "usage": usage})

    def upload(self, raw):
        kind = self.headers.get("content-type", "")
        message = b"content-type: " + kind.encode() + b"\r\n\r\n" + raw
        form = email.message_from_bytes(message, policy=email.policy.HTTP)
        self.need(form.is_multipart() and not form.defects, f"no form: {kind}")
        files = [part for part in form.iter_parts() if part.get_filename()]
        self.need(len(files) == 1, "not one file")
        content = files[0].get_payload(decode=True)
        self.seen.hashes = [hashlib.sha256(content).hexdigest()]
        name = new_id("file-")
        self.server.files[name] = content
        self.send_object(self.file(name))

    def file(self, name):
        head = {"id": name, "object": "file", "bytes": len(self.server.files[name])}
        rest = {"created_at": 1, "filename": "x.jsonl", "purpose": "batch", "status": "processed"}
        return head | rest

    def model(self):
        head = {"id": self.server.model, "created": 1, "owned_by": self.server.name}
        rest = {"display_name": self.server.model, "created_at": "2026-01-01T00:00:00Z"}
        return head | rest | {"object": "model", "type": "model"}

    def models(self):
        page = {"has_more": False, "first_id": None, "last_id": None}
        self.send_object({"object": "list", "data": [self.model()]} | page)

    def stored(self, kind, name, content):
        store = {"files": self.server.files, "responses": self.server.responses}.get(kind)
        if store is not None and name not in store:
            self.fault(404, f"there is no {name} here")
        if self.command == "DELETE":
            self.need(store is not None, "a model cannot be deleted")
            del store[name]
            return self.send_object({"id": name, "object": kind, "deleted": True})
        if content:
            return self.send_whole(store[name], "application/octet-stream")
        if kind == "models":
            return self.send_object(self.model())
        self.send_object(self.file(name) if kind == "files" else store[name])

    # Anthropic.

    def messages(self, raw):
        body = self.json(raw)
        turns = body.get("messages")
        self.need(isinstance(turns, list) and turns, "messages is not a list")
        self.need(isinstance(body.get("max_tokens"), int), "max_tokens is required")
        roles = {turn["role"] for turn in turns}
        # Claude Code sends turns of the system between the others.
        self.need(roles <= {"user", "assistant", "system"}, f"roles {roles}")
        text = last_text(turns)
        self.steer(text)
        parts = [part for turn in turns for part in turn["content"] if isinstance(part, dict)]
        results = [part["tool_use_id"] for part in parts if part.get("type") == "tool_result"]
        self.check_calls(results)
        call = self.call_for(body, text, results)
        block = {"type": "text", "text": self.words(), "citations": None}
        if call:
            block = {"type": "tool_use", "id": call[2], "name": call[0], "input": call[1]}
        head = {"id": new_id("msg_"), "type": "message", "role": "assistant"}
        head |= {"model": self.server.model, "stop_sequence": None}
        usage = {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}
        usage |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        reason = "tool_use" if call else "end_turn"
        if body.get("stream") is not True:
            return self.send_object(head | {"content": [block], "stop_reason": reason, "usage": usage})
        begun = head | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
        empty = block | ({"input": {}} if call else {"text": ""})
        steps = [
            ("message_start", {"message": begun}),
            ("content_block_start", {"index": 0, "content_block": empty}),
            ("ping", {}),
        ]
        for piece in pieces(json.dumps(call[1]) if call else block["text"]):
            delta = {"type": "text_delta", "text": piece}
            if call:
                delta = {"type": "input_json_delta", "partial_json": piece}
            steps.append(("content_block_delta", {"index": 0, "delta": delta}))
        steps.append(("content_block_stop", {"index": 0}))
        delta = {"stop_reason": reason, "stop_sequence": None}
        steps.append(("message_delta", {"delta": delta, "usage": {"output_tokens": OUTPUT_TOKENS}}))
        steps.append(("message_stop", {}))
        self.send_stream([(name, {"type": name} | fields) for name, fields in steps], text)

    def count(self, raw):
        body = self.json(raw)
        self.need(isinstance(body.get("messages"), list), "messages is not a list")
        self.send_object({"input_tokens": INPUT_TOKENS})

    def words(self):
        return f"An answer of {self.server.name}, long enough for several events: Ülgii lies in the west."

    def log_message(self, format, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass


def pieces(text, size=6):
    return [text[at : at + size] for at in range(0, len(text), size)]
