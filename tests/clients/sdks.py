#!/usr/bin/env python3
"""Real SDKs through a real `pointsman up`, in front of strict stand-in providers.

    make clients

One line for each check: "ok …" or "FAULT …". Exit status: 1 on any fault, 2 when something that the
checks need is missing. The environment names other files than those of the checkout: POINTSMAN, WASM,
ENVOY. Ports: 104xx for the gateway, 994x for Envoy's admin interface, 95xx for the stand-ins.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from stand_in import INPUT_TOKENS, OUTPUT_TOKENS, StandIn
from up import LINE, Up

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("POINTSMAN", str(ROOT / "target/release/pointsman"))
WASM = os.environ.get("WASM", str(ROOT / "dist/pointsman.wasm"))

CLIENT_KEY = "sk-the-clients-own-key"
COOKIE = "the-clients-cookie"
CLIENT_ADDRESS = "203.0.113.77"
SECRETS = [CLIENT_KEY, COOKIE, CLIENT_ADDRESS]
# What a client may send and a provider must not see.
FORGED = {
    "cookie": f"session={COOKIE}",
    "x-forwarded-for": CLIENT_ADDRESS,
    "x-pointsman-cluster": "strong",
    "x-pointsman-target": "strong",
    "x-envoy-max-retries": "0",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-original-path": "/forged",
    "x-api-key": CLIENT_KEY,
    "api-key": CLIENT_KEY,
}
# Names that the gateway uses itself.
OWN = {f"x-pointsman-{name}": "forged" for name in ("key", "cluster", "target", "source", "reason", "x")}
TOOL = {
    "name": "weather",
    "description": "The weather of a place",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
PRICES = {"cheap": (1, 2), "strong": (10, 20)}
COST = {name: (INPUT_TOKENS * i + OUTPUT_TOKENS * o) / 1e6 for name, (i, o) in PRICES.items()}

faults = []


def say(kind, text):
    print(f"{kind:<5} {text}", flush=True)
    if kind == "FAULT":
        faults.append(text)


@contextlib.contextmanager
def check(text, *stand_ins):
    """One line; a fault when something is raised, or when a stand-in had to refuse a request."""
    before = [len(it.faults) for it in stand_ins]
    begun = time.monotonic()
    try:
        yield
        found = [fault for it, at in zip(stand_ins, before) for fault in it.faults[at:]]
        assert not found, "; ".join(found)
    except Exception as error:  # a library's own errors are findings, too
        found = [fault for it, at in zip(stand_ins, before) for fault in it.faults[at:]]
        why = " ".join(f"{type(error).__name__}: {error}".split())
        say("FAULT", f"{text}: {why[:400]}" + (f" [{found[0][:200]}]" if found else ""))
    else:
        took = time.monotonic() - begun
        say("ok", f"{text} ({took:.1f} s)" if took > 1 else text)


def same(found, expected, what):
    assert found == expected, f"{what} is {found!r}, not {expected!r}"


def within(seconds, condition, what):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def image(size, seed):
    """Base64 of random bytes behind a PNG's first ones, and their SHA-256."""
    import base64

    raw = b"\x89PNG\r\n\x1a\n" + random.Random(seed).randbytes(size)
    return base64.b64encode(raw).decode(), hashlib.sha256(raw).hexdigest()


def user(text):
    return [{"role": "user", "content": text}]


@contextlib.contextmanager
def failing(stand_in, status, **headers):
    stand_in.failing = status
    stand_in.failing_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        yield
    finally:
        stand_in.failing, stand_in.failing_headers = None, {}


# OpenAI's SDK.


def openai_checks(base, cheap, strong):
    import openai

    def client(**more):
        options = {"api_key": CLIENT_KEY, "base_url": f"{base}/v1", "default_headers": FORGED}
        return openai.OpenAI(**(options | {"max_retries": 0, "timeout": 20} | more))

    both = (cheap, strong)
    sdk = client()

    with check("openai: chat", *both):
        raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=user("Hello"))
        answer = raw.parse()
        same(answer.model, "small-1", "model")
        same(answer.usage.total_tokens, INPUT_TOKENS + OUTPUT_TOKENS, "usage")
        same(raw.headers.get("x-pointsman-target"), "cheap", "x-pointsman-target")
        same(raw.headers.get("x-pointsman-source"), "classifier", "x-pointsman-source")
        assert raw.headers.get("x-pointsman-reason"), "no x-pointsman-reason"
        internal = [name for name in raw.headers if name.startswith("x-envoy-")]
        same(internal, [], "Envoy's own headers in the answer")

    with check("openai: a rule sends chat to the other provider, with its own key and model", *both):
        raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=user("HARD one"))
        same(raw.parse().model, "large-1", "model")
        found = [raw.headers.get(f"x-pointsman-{name}") for name in ("target", "source", "reason")]
        same(found, ["strong", "rule", "hard"], "decision")

    with check("openai: chunks of a stream arrive before it ends", *both):
        cheap.released.clear()
        stream = sdk.chat.completions.create(
            model="auto", messages=user("HOLD"), stream=True, stream_options={"include_usage": True}
        )
        got, usage = "", None
        for chunk in stream:
            got += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            usage = chunk.usage or usage
            if got:
                cheap.released.set()
        assert got.endswith("Ülgii lies in the west."), got
        same(usage.completion_tokens, OUTPUT_TOKENS, "usage")

    with check("openai: tools, twice around, on one target", *both):
        tools = [{"type": "function", "function": TOOL}]
        turns = user("TOOL: weather in Ülgii?")
        raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=turns, tools=tools)
        message = raw.parse().choices[0].message
        call = message.tool_calls[0]
        same(json.loads(call.function.arguments), {"city": "Ülgii"}, "arguments")
        turns = [*turns, message.model_dump(exclude_none=True)]
        # The words of the result must not move the conversation.
        turns.append({"role": "tool", "tool_call_id": call.id, "content": "HARD frost, -20 °C"})
        again = sdk.chat.completions.with_raw_response.create(model="auto", messages=turns, tools=tools)
        same(again.parse().choices[0].finish_reason, "stop", "finish_reason")
        targets = [it.headers["x-pointsman-target"] for it in (raw, again)]
        assert targets[0] == targets[1], targets

    with check("openai: a tool's call as a stream", *both):
        tools = [{"type": "function", "function": TOOL}]
        turns = user("TOOL: weather in Ülgii, please?")
        with sdk.chat.completions.stream(model="auto", messages=turns, tools=tools) as stream:
            final = stream.get_final_completion()
        arguments = final.choices[0].message.tool_calls[0].function.arguments
        same(json.loads(arguments), {"city": "Ülgii"}, "arguments")

    for size, text in [(600_000, "600 KB"), (3_000_000, "3 MB")]:
        for ask, target in [("What is it?", cheap), ("HARD: what is it?", strong)]:
            with check(f"openai: an image of {text} arrives whole at {target.name}", *both):
                data, sha = image(size, size)
                parts = [
                    {"type": "text", "text": ask},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
                ]
                answer = sdk.chat.completions.create(model="auto", messages=user(parts))
                same(answer.model, target.model, "model")
                same(target.last().hashes, [sha], "hash")

    with check("openai: completions", *both):
        answer = sdk.completions.create(model="auto", prompt="Once upon a time")
        same(answer.model, "small-1", "model")

    responses(sdk, both)
    with check("openai: headers of the gateway's own do not arrive when a client sends them", *both):
        sdk.chat.completions.create(model="auto", messages=user("Hello"), extra_headers=OWN)

    with check("openai: models.list", *both):
        names = [model.id for model in sdk.models.list()]
        assert names and set(names) <= {"small-1", "large-1"}, names

    with check("openai: files.create, files.content", *both):
        content = random.Random(7).randbytes(2_000_000)
        made = sdk.files.create(file=("batch.jsonl", content), purpose="batch")
        same(made.bytes, len(content), "bytes")
        assert sdk.files.content(made.id).content == content, "the file came back changed"

    with check("openai: embeddings keep the client's model", *both):
        answer = sdk.embeddings.create(model="text-embedding-3-small", input="Ülgii")
        same(len(answer.data[0].embedding), 8, "dimensions")

    for status in (503, 429):
        with check(f"openai: {status} from cheap, and strong answers", *both), failing(cheap, status):
            raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=user("Hi"))
            same(raw.parse().model, "large-1", "model")
            same(raw.headers["x-served-by"], "strong", "x-served-by")

    with check("openai: 600 KB to a target that fails, and another answers", *both), failing(cheap, 503):
        data, sha = image(600_000, 1)
        url = {"url": f"data:image/png;base64,{data}"}
        parts = [{"type": "text", "text": "And this?"}, {"type": "image_url", "image_url": url}]
        same(sdk.chat.completions.create(model="auto", messages=user(parts)).model, "large-1", "model")
        same(strong.last().hashes, [sha], "hash")

    with check("openai: 429 from all passes through, with retry-after", *both):
        with failing(cheap, 429, retry_after="7"), failing(strong, 429, retry_after="7"):
            try:
                sdk.chat.completions.create(model="auto", messages=user("Hi again"))
                raise AssertionError("no error")
            except openai.RateLimitError as error:
                same(error.response.headers.get("retry-after"), "7", "retry-after")
                same(error.code, "failing", "code")

    with check("openai: the SDK's own retry succeeds after 503 from all", *both):
        timer = threading.Timer(0.3, lambda: setattr(cheap, "failing", None))
        with failing(cheap, 503), failing(strong, 503):
            timer.start()
            answer = client(max_retries=3).chat.completions.create(model="auto", messages=user("Yo"))
        assert answer.model in ("small-1", "large-1"), answer.model

    with check("openai: a 400 passes through, and nobody else is asked", *both):
        before = len(strong.seen)
        try:
            sdk.chat.completions.create(model="auto", messages=user("REJECT"))
            raise AssertionError("no error")
        except openai.BadRequestError as error:
            same(error.code, "rejected", "code")
        same(len(strong.seen), before, "requests at strong")

    with check("openai: a path that no provider has is an error that the SDK can read", *both):
        try:
            sdk.post("/nowhere", cast_to=object, body={})
            raise AssertionError("no error")
        except openai.NotFoundError as error:
            assert "no provider here" in str(error), error

    with check("openai: a client's timeout ends the request at the provider", *both):
        try:
            client(timeout=0.5).chat.completions.create(model="auto", messages=user("SLEEP"))
            raise AssertionError("no error")
        except openai.APITimeoutError:
            pass
        seen = cheap.last()
        within(3, lambda: seen.gone_at, "the provider hears of it")

    with check("openai: a cancelled stream ends at the provider", *both):
        stream = sdk.chat.completions.create(model="auto", messages=user("ENDLESS"), stream=True)
        for _, _chunk in zip(range(8), stream):
            pass
        seen = cheap.last()
        stream.close()
        within(3, lambda: seen.gone_at, "the provider hears of it")

    with check("openai: 50 async requests at once, half of them streams", *both):
        asyncio.run(fifty_chats(openai, base))


def responses(sdk, both):
    cheap, strong = both

    with check("openai: responses, as they are and as a stream", *both):
        answer = sdk.responses.create(model="auto", input="Hello", instructions="Be brief.")
        same(answer.model, "small-1", "model")
        assert "Ülgii" in answer.output_text, answer.output_text
        cheap.released.clear()
        got = ""
        with sdk.responses.stream(model="auto", input="HOLD") as stream:
            for event in stream:
                if event.type == "response.output_text.delta":
                    got += event.delta
                    cheap.released.set()
            final = stream.get_final_response()
        same(got, final.output_text, "text")

    for ask, follow, target in [("Hello", "HARD now", cheap), ("HARD", "and an easy one", strong)]:
        for streamed in (False, True):
            how = "streamed " if streamed else ""
            text = f"openai: what follows a {how}response goes to the same target ({target.name})"
            with check(text, *both):
                if streamed:
                    with sdk.responses.stream(model="auto", input=ask) as stream:
                        first = stream.until_done().get_final_response()
                else:
                    first = sdk.responses.create(model="auto", input=ask)
                same(first.model, target.model, "model")
                second = sdk.responses.with_raw_response.create(
                    model="auto", input=follow, previous_response_id=first.id
                )
                same(second.parse().model, target.model, "model of the second")
                same(second.headers["x-pointsman-reason"], "provider_state", "reason")

    with check("openai: responses: a tool's result goes to who called it", *both):
        tools = [{"type": "function", **TOOL}]
        first = sdk.responses.create(model="auto", input="TOOL: weather in Ülgii?", tools=tools)
        call = next(item for item in first.output if item.type == "function_call")
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "HARD frost"}
        second = sdk.responses.create(
            model="auto", input=[result], previous_response_id=first.id, tools=tools
        )
        same(second.model, first.model, "model")

    for ask, target in [("Hello", cheap), ("HARD", strong)]:
        with check(f"openai: responses.retrieve and delete of what {target.name} keeps", *both):
            made = sdk.responses.create(model="auto", input=ask)
            same(sdk.responses.retrieve(made.id).id, made.id, "ID")
            sdk.responses.delete(made.id)
            assert made.id not in target.responses, "it is still there"


async def fifty_chats(openai, base):
    options = {"api_key": CLIENT_KEY, "base_url": f"{base}/v1", "max_retries": 0, "timeout": 30}
    async with openai.AsyncOpenAI(**options, default_headers=FORGED) as sdk:

        async def one(number):
            text = f"Question {number}" + (" HARD" if number % 3 == 0 else "")
            expected = "large-1" if number % 3 == 0 else "small-1"
            if number % 2:
                stream = await sdk.chat.completions.create(
                    model="auto", messages=user(text), stream=True
                )
                models = {chunk.model async for chunk in stream}
                same(models, {expected}, "models")
            else:
                answer = await sdk.chat.completions.create(model="auto", messages=user(text))
                same(answer.model, expected, "model")

        await asyncio.gather(*(one(number) for number in range(50)))


# Anthropic's SDK.


def anthropic_checks(base, haiku, opus):
    import anthropic

    options = {"api_key": CLIENT_KEY, "base_url": base, "max_retries": 0, "timeout": 20}
    headers = {name: value for name, value in FORGED.items() if name != "x-api-key"}
    sdk = anthropic.Anthropic(**options, default_headers=headers)
    both = (haiku, opus)
    ask = {"model": "claude-whatever", "max_tokens": 100}
    tools = [{"name": "weather", "input_schema": TOOL["parameters"]}]

    with check("anthropic: messages", *both):
        raw = sdk.messages.with_raw_response.create(**ask, system="Be brief.", messages=user("Hello"))
        answer = raw.parse()
        same(answer.model, haiku.model, "model")
        same(answer.usage.output_tokens, OUTPUT_TOKENS, "usage")
        same(raw.headers.get("x-pointsman-target"), "haiku", "x-pointsman-target")

    with check("anthropic: headers of the gateway's own do not arrive when a client sends them", *both):
        sdk.messages.create(**ask, messages=user("Hello, you"), extra_headers=OWN)

    with check("anthropic: a rule chooses the other model", *both):
        same(sdk.messages.create(**ask, messages=user("HARD")).model, opus.model, "model")

    with check("anthropic: events of a stream arrive before it ends", *both):
        haiku.released.clear()
        got = ""
        with sdk.messages.stream(**ask, messages=user("HOLD")) as stream:
            for text in stream.text_stream:
                got += text
                haiku.released.set()
            same(stream.get_final_message().usage.output_tokens, OUTPUT_TOKENS, "usage")
        assert got.endswith("Ülgii lies in the west."), got

    for streamed in (False, True):
        how = "as a stream" if streamed else "as they are"
        with check(f"anthropic: tools, twice around, on one target, {how}", *both):
            turns = user(f"TOOL: weather in Ülgii, {how}?")

            def turn():
                if not streamed:
                    return sdk.messages.create(**ask, system="Be brief.", tools=tools, messages=turns)
                with sdk.messages.stream(**ask, system="Be brief.", tools=tools, messages=turns) as it:
                    return it.get_final_message()

            first = turn()
            call = next(block for block in first.content if block.type == "tool_use")
            same(call.input, {"city": "Ülgii"}, "input")
            turns.append({"role": "assistant", "content": first.to_dict()["content"]})
            result = {"type": "tool_result", "tool_use_id": call.id, "content": "HARD frost"}
            turns += user([result])
            second = turn()
            same((second.stop_reason, second.model), ("end_turn", first.model), "second answer")

    with check("anthropic: an image of 900 KB arrives whole", *both):
        data, sha = image(900_000, 3)
        source = {"type": "base64", "media_type": "image/png", "data": data}
        parts = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
        answer = sdk.messages.create(**ask, messages=user(parts))
        served = haiku if answer.model == haiku.model else opus
        same(served.last().hashes, [sha], "hash")

    with check("anthropic: count_tokens", *both):
        counted = sdk.messages.count_tokens(model="claude-whatever", messages=user("Hello"))
        same(counted.input_tokens, INPUT_TOKENS, "tokens")

    with check("anthropic: models.list", *both):
        assert [model.id for model in sdk.models.list()], "no models"

    with check("anthropic: 529 from haiku, and opus answers", *both), failing(haiku, 529):
        same(sdk.messages.create(**ask, messages=user("Hi")).model, opus.model, "model")

    with check("anthropic: a 400 passes through", *both):
        try:
            sdk.messages.create(**ask, messages=user("REJECT"))
            raise AssertionError("no error")
        except anthropic.BadRequestError as error:
            same(error.body["error"]["type"], "invalid_request_error", "type")

    with check("anthropic: OpenAI's API is refused with an error that can be read", *both):
        try:
            sdk.post("/v1/chat/completions", cast_to=object, body={"model": "x", "messages": user("x")})
            raise AssertionError("no error")
        except anthropic.NotFoundError as error:
            assert "no target serves" in str(error), error

    with check("anthropic: a cancelled stream ends at the provider", *both):
        with sdk.messages.stream(**ask, messages=user("ENDLESS")) as stream:
            for _, _event in zip(range(6), stream):
                pass
            seen = haiku.last()
        within(3, lambda: seen.gone_at, "the provider hears of it")

    with check("anthropic: 50 async requests at once", *both):
        asyncio.run(fifty_messages(anthropic, options, headers, haiku, opus))

    with check("anthropic: a second request of the same words comes from the cache", *both):
        asked = user("Which aimag is Ülgii the capital of?")
        first = sdk.messages.with_raw_response.create(**ask, messages=asked)
        before = len(haiku.seen) + len(opus.seen)
        second = sdk.messages.with_raw_response.create(**ask, messages=asked)
        same(second.headers.get("x-pointsman-cache"), "hit-exact", "x-pointsman-cache")
        same(second.parse().content, first.parse().content, "content")
        same(len(haiku.seen) + len(opus.seen), before, "requests at the providers")


async def fifty_messages(anthropic, options, headers, haiku, opus):
    async with anthropic.AsyncAnthropic(**options, default_headers=headers) as sdk:

        async def one(number):
            text = f"Question {number}" + (" HARD" if number % 3 == 0 else "")
            expected = opus.model if number % 3 == 0 else haiku.model
            ask = {"model": "auto", "max_tokens": 50, "messages": user(text)}
            if number % 2:
                async with sdk.messages.stream(**ask) as stream:
                    answer = await stream.get_final_message()
            else:
                answer = await sdk.messages.create(**ask)
            same(answer.model, expected, "model")

        await asyncio.gather(*(one(number) for number in range(50)))


# Frameworks.


def framework_checks(openai_base, anthropic_base, stand_ins):
    # Without it, the library downloads a list of prices when it is imported.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    common = {"api_key": CLIENT_KEY, "num_retries": 0, "timeout": 20}

    with check("litellm: completion, as it is and as a stream", *stand_ins):
        ask = {"model": "openai/auto", "api_base": f"{openai_base}/v1", **common}
        answer = litellm.completion(**ask, messages=user("HARD one"))
        same(answer.usage.total_tokens, INPUT_TOKENS + OUTPUT_TOKENS, "usage")
        got = [chunk.choices[0].delta.content or "" for chunk in
               litellm.completion(**ask, messages=user("Hello"), stream=True)]
        assert "".join(got).endswith("in the west."), got

    with check("litellm: tools", *stand_ins):
        tools = [{"type": "function", "function": TOOL}]
        answer = litellm.completion(**ask, messages=user("TOOL: weather?"), tools=tools)
        arguments = answer.choices[0].message.tool_calls[0].function.arguments
        same(json.loads(arguments), {"city": "Ülgii"}, "arguments")

    with check("litellm: Anthropic's API", *stand_ins):
        ask = {"model": "anthropic/claude-whatever", "api_base": anthropic_base, **common}
        answer = litellm.completion(**ask, max_tokens=50, messages=user("Hello from litellm"))
        assert "Ülgii" in answer.choices[0].message.content, answer

    with check("langchain-openai: invoke, stream, tools", *stand_ins):
        from langchain_openai import ChatOpenAI

        model = ChatOpenAI(
            model="auto", base_url=f"{openai_base}/v1", api_key=CLIENT_KEY, max_retries=0
        )
        assert "Ülgii" in model.invoke("Hello from langchain").content
        assert "".join(chunk.content for chunk in model.stream("Hello")).endswith("west.")
        tool = {"type": "function", "function": TOOL}
        same(model.bind_tools([tool]).invoke("TOOL: weather?").tool_calls[0]["args"],
             {"city": "Ülgii"}, "arguments")

    with check("pydantic-ai: an agent with a tool", *stand_ins):
        from pydantic_ai import Agent
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        asked = []

        def weather(city: str) -> str:
            """The weather of a place."""
            asked.append(city)
            return "HARD frost"

        provider = OpenAIProvider(base_url=f"{openai_base}/v1", api_key=CLIENT_KEY)
        agent = Agent(OpenAIChatModel("auto", provider=provider), tools=[weather])
        assert "Ülgii" in agent.run_sync("TOOL: weather?").output
        same(asked, ["Ülgii"], "calls")


# What `up` prints.


def printed_checks(up, base, cheap, strong):
    import openai

    sdk = openai.OpenAI(api_key=CLIENT_KEY, base_url=f"{base}/v1", max_retries=0, timeout=20)

    def ask(text, count=1):
        """The lines that requests of this text give."""
        time.sleep(0.3)
        before = len(up.lines)
        for _ in range(count):
            with contextlib.suppress(openai.APIStatusError):
                sdk.chat.completions.create(model="auto", messages=user(text))
        lines = up.wait_lines(before + count)
        time.sleep(0.2)
        same(len(up.lines) - before, count, "number of lines")
        return lines

    with check("up: where to send requests, as shell commands"):
        same(up.lines[0], f"export OPENAI_BASE_URL={base}/v1", "first line")

    with check("up: a line for a request: target, why, status, time, tokens, cost, saved"):
        before = float(up.requests()[-1]["saved"] or 0) if up.requests() else 0.0
        (line,) = ask("Hello")
        found = fields_of(line)
        same((found["target"], found["status"]), ("cheap", "200"), "target and status")
        assert found["why"].startswith("classifier "), line
        same((found["input"], found["output"]), (str(INPUT_TOKENS), str(OUTPUT_TOKENS)), "tokens")
        same(found["cost"], f"${COST['cheap']:.5f}", "cost")
        saved = [float(it["saved"]) for it in up.requests() if it["saved"]]
        gained = saved[-1] - (saved[-2] if len(saved) > 1 else before)
        assert abs(gained - (COST["strong"] - COST["cheap"])) < 2e-5, f"saved {gained}"

    with check("up: a line for a rule's decision, with the dearer cost"):
        (line,) = ask("HARD")
        found = fields_of(line)
        same((found["target"], found["why"]), ("strong", "rule: hard"), "target and why")
        same(found["cost"], f"${COST['strong']:.5f}", "cost")

    with check("up: a line says who took over"), failing(cheap, 503):
        (line,) = ask("Hello")
        found = fields_of(line)
        same((found["target"], found["cost"]), ("cheap → strong", f"${COST['strong']:.5f}"), "target, cost")

    with check("up: a line for a request that was refused"):
        (line,) = ask("REJECT")
        same(fields_of(line)["status"], "400", "status")

    with check("up: 20 requests, 20 lines"):
        ask("Hello", 20)

    with check("up: no prompt and no key is in anything that it prints or keeps"):
        kept = "\n".join(up.lines + up.messages)
        for path in Path(up.directory).rglob("*"):
            if path.is_file() and path.suffix != ".key":
                kept += path.read_text(errors="replace")
        for secret in [*SECRETS, "Ülgii", cheap.key, strong.key]:
            assert secret not in kept, f"{secret} is"


def fields_of(line):
    found = LINE.fullmatch(line)
    assert found, f"this line cannot be read: {line!r}"
    return found.groupdict()


def json_checks(up, base):
    import openai

    sdk = openai.OpenAI(api_key=CLIENT_KEY, base_url=f"{base}/v1", max_retries=0, timeout=20)
    with check("up --json: each line is an object: where to send requests, then the access log"):
        for text in ("Hello", "HARD", "Hello"):
            sdk.chat.completions.create(model="auto", messages=user(text))
        up.wait_lines(4)
        first, *records = up.records()
        same(first["openai_base_url"], f"{base}/v1", "openai_base_url")
        same([record["answered"] for record in records], ["cheap", "strong", "cheap"], "answered")
        same({record["status"] for record in records}, {200}, "statuses")
        decision, usage = json.loads(records[0]["decision"]), json.loads(records[0]["usage"])
        same(decision["target"], "cheap", "decision")
        same((usage["input"], usage["output"]), (INPUT_TOKENS, OUTPUT_TOKENS), "usage")

    with check("up --json: a request right before Ctrl-C has its line"):
        before = len(up.lines)
        sdk.chat.completions.create(model="auto", messages=user("Hello"))
        # Its end is checked by whoever called.
        up.process.send_signal(signal.SIGINT)
        up.process.wait(10)
        time.sleep(0.1)
        same(len(up.lines) - before, 1, "number of lines")


# How `up` ends.


def endings(start, base, one):
    """`one` runs; `start` starts the same deployment again, with more arguments."""
    import openai

    sdk = openai.OpenAI(api_key=CLIENT_KEY, base_url=f"{base}/v1", max_retries=0, timeout=20)
    with check("up: Envoy is gone within 10 s after kill -9 of up"):
        same(one.end(signal.SIGKILL)[0], -signal.SIGKILL, "exit status")
    two = start("--json")
    with check("up: starts again in the same directory right after kill -9"):
        two.wait_ready()
    json_checks(two, base)
    with check("up: nothing is left within 10 s after Ctrl-C"):
        same(two.end()[0], 0, "exit status")
    three = start()
    with check("up: starts again in the same directory right after Ctrl-C"):
        three.wait_ready()
        answer = sdk.chat.completions.create(model="auto", messages=user("Hello"))
        same(answer.model, "small-1", "model")
    with check("up: a second one in the same directory is refused"):
        refused(start(), 2, "another `pointsman up` runs", "--dir")
    with check("up: Ctrl-C with a stream that goes on ends everything within 10 s"):
        stream = sdk.chat.completions.create(model="auto", messages=user("ENDLESS"), stream=True)
        next(iter(stream))
        same(three.end()[0], 0, "exit status")
    with check("up: Ctrl-C while Envoy starts ends everything within 10 s"):
        four = start("--envoy", idle_envoy(Path(three.directory).parent))
        four.wait_message("starting Envoy")
        time.sleep(0.3)
        four.end()


def idle_envoy(folder):
    """An Envoy that never gets ready."""
    version = (ROOT / "envoy/versions").read_text().split()[0]
    path = folder / "idle-envoy"
    path.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = --version ] && exec echo "envoy  version: 0/{version}/Clean/RELEASE/BoringSSL"\n'
        "exec sleep 60\n"
    )
    path.chmod(0o755)
    return path


def ended(up, status):
    """What it said, when it has ended by itself with this exit status and was never ready."""
    try:
        within(60, lambda: up.process.poll() is not None or up.lines, "it ends")
        assert not up.lines, f"it says that it is ready: {up.lines[0]} ({up.said()})"
        # Until all of its output is here.
        time.sleep(0.1)
        said = " / ".join(up.messages)
        same(up.process.poll(), status, f"exit status ({said})")
        return said
    finally:
        if up.process.poll() is None:
            up.end()


def refused(up, status, problem, hint):
    """It ended by itself, with this exit status, one sentence and, unless that is empty, a hint."""
    said = ended(up, status)
    errors = [line for line in up.messages if line.startswith("error: ")]
    assert len(errors) == 1 and problem in errors[0], f"said: {said}"
    hints = [line for line in up.messages if line.startswith("hint: ")]
    assert not hint or (len(hints) == 1 and hint in hints[0]), f"no hint of {hint!r}: {said}"
    assert "panicked" not in said, said


def refusals(work, envoy, keys):
    """What keeps `up` from starting: ports, keys, programs, directories, files."""
    number = 0
    file = work / "refused.yaml"
    file.write_text(OPENAI_FILE.replace(":10400", ":10402").replace(":9940", ":9942"))

    def up(*arguments, environment=keys, directory=None, envoy=envoy, wasm=WASM):
        nonlocal number
        number += 1
        named = [*(["--envoy", envoy] if envoy else []), "--wasm", wasm]
        return Up(PROGRAM, directory or work / f"refused-{number}", [*arguments, *named], environment)

    with check("up: a port that is taken"), socket.create_server(("127.0.0.1", 10403)):
        refused(up("--file", file, "--listen", "127.0.0.1:10403"), 2, "listen: 127.0.0.1:10403", "stop")
    with check("up: an admin port that is taken"), socket.create_server(("127.0.0.1", 9942)):
        refused(up("--file", file), 2, "admin: 127.0.0.1:9942", "stop")
    with check("up: no key"):
        some = dict(list(keys.items())[1:])
        refused(up("--file", file, environment=some), 2, f"variable {list(keys)[0]} is not set", "key:")
    with check("up: an empty key"):
        some = keys | {list(keys)[0]: " \n"}
        refused(up("--file", file, environment=some), 2, "holds no key", "key:")
    with check("up: no key, with two models in the place of a file"):
        both = ["--cheap", "openai/gpt-4o-mini", "--strong", "openai/gpt-4o"]
        refused(up(*both, environment={}), 2, "OPENAI_API_KEY is not set", "export")
    with check("up: no Envoy"):
        # A shell, so that the only thing that is missing is Envoy.
        folder = work / "bin"
        folder.mkdir()
        for name in ("sh", "sleep", "cat", "kill"):
            if found := shutil.which(name):
                (folder / name).symlink_to(found)
        bare = keys | {"PATH": str(folder)}
        refused(up("--file", file, environment=bare, envoy=None), 1, "no Envoy found", "install one")
    with check("up: an Envoy that is none"):
        refused(up("--file", file, envoy="/bin/true"), 1, "/bin/true", "install one")
    with check("up: no such module"):
        refused(up("--file", file, wasm=work / "no.wasm"), 2, "no.wasm: No such file", "build")
    with check("up: a module that is none"):
        (work / "bad.wasm").write_text("not a module")
        refused(up("--file", file, wasm=work / "bad.wasm"), 1, "Envoy refuses", "")
    with check("up: a file in the place of the directory"):
        (work / "a-file").write_text("")
        refused(up("--file", file, directory=work / "a-file"), 2, "a-file", "--dir")
    with check("up: a directory that cannot be written"):
        unwritable(work, file, envoy, keys)
    with check("up: no file"):
        refused(up("--file", work / "no.yaml"), 2, "no.yaml: No such file", "pointsman init")
    bad = {
        "no YAML": ("targets: [", "neither YAML nor JSON", "docs/gateway.md"),
        "a field that is unknown": ("tarrgets: []", "tarrgets", "docs/gateway.md"),
        "a provider that is unknown": (
            "targets: [{name: a, model: nobody/x}, {name: b, model: openai/y}]",
            "targets[0].model",
            "docs/gateway.md",
        ),
        "a key in the file": (
            "providers: {openai: {key: sk-123}}\ntargets: [{name: a, model: openai/x}]",
            "providers.openai.key",
            "docs/gateway.md",
        ),
    }
    # What only the whole router finds, and Envoy would say late.
    middle = "- {name: middle, model: small/middle-1, threshold: 0.5}\n"
    text = file.read_text().replace("- {name: strong", f"{middle}- {{name: strong")
    bad["thresholds in the wrong order"] = (text, "middle", "docs/gateway.md")
    for what, (text, problem, hint) in bad.items():
        with check(f"up: a file with {what}"):
            path = work / "bad.yaml"
            path.write_text(text)
            refused_file(up("--file", path), problem, hint)


def refused_file(up, problem, hint):
    """Errors of a file stand below the first line, one each."""
    said = ended(up, 2)
    assert up.messages[0].startswith("error: ") and problem in said, said
    assert up.messages[-1].startswith("hint: ") and hint in up.messages[-1], said
    assert "sk-123" not in said, "the key is shown"


def unwritable(work, file, envoy, keys):
    """Root may write everywhere, so it becomes somebody else, who needs programs and files to read."""
    folder = work / "read-only"
    folder.mkdir()
    if os.getuid() != 0:
        folder.chmod(0o555)
        arguments = ["--file", file, "--envoy", envoy, "--wasm", WASM]
        return refused(Up(PROGRAM, folder / "here", arguments, keys), 2, "read-only/here", "--dir")
    os.chmod(work, 0o755)
    copy = work / "pointsman"
    shutil.copy(PROGRAM, copy)
    copy.chmod(0o755)
    os.chmod(file, 0o644)
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(copy)]
    arguments = ["up", "--dir", str(folder / "here"), "--file", str(file), "--envoy", envoy]
    done = subprocess.run(drop + arguments, env=keys | {"PATH": os.environ["PATH"]}, text=True,
                          capture_output=True, timeout=20)
    same(done.returncode, 2, f"exit status ({done.stderr})")
    errors = done.stderr.splitlines()
    assert errors[0].startswith("error: ") and "read-only/here" in errors[0], done.stderr
    assert errors[1].startswith("hint: --dir") and len(errors) == 2, done.stderr


# The deployments.

OPENAI_FILE = """
listen: 127.0.0.1:10400
admin: 127.0.0.1:9940
providers:
  small: {kind: openai-compatible, url: "http://127.0.0.1:9501", key: {env: SMALL_KEY}}
  openai: {url: "http://127.0.0.1:9502/v1"}
targets:
- {name: cheap, model: small/small-1, threshold: 0.0, price: {input: 1, output: 2}}
- {name: strong, model: openai/large-1, price: {input: 10, output: 20}}
policy: {rules: [{name: hard, target: strong, when: {user: {contains: HARD}}}]}
"""

ANTHROPIC_FILE = {
    "listen": "127.0.0.1:10401",
    "admin": "127.0.0.1:9941",
    "providers": {
        "claude": {"kind": "anthropic", "url": "http://127.0.0.1:9503", "key": {"file": "claude.key"}},
        "dear": {"kind": "anthropic", "url": "http://127.0.0.1:9504/", "key": {"env": "DEAR_KEY"}},
    },
    "targets": [
        {"name": "haiku", "model": "claude/haiku-1", "threshold": 0.0},
        {"name": "opus", "model": "dear/opus-1"},
    ],
    "policy": {"rules": [{"name": "hard", "target": "opus", "when": {"user": {"contains": "HARD"}}}]},
    "cache": {"tenant": "shared", "listen": "127.0.0.1:10440", "exact_only": True},
}


def find_envoy():
    if named := os.environ.get("ENVOY"):
        return named
    version = (ROOT / "envoy/versions").read_text().split()[0]
    return str(ROOT / f".envoy/{version}/envoy/_bin/envoy")


def main():
    envoy = find_envoy()
    for path, hint in [(PROGRAM, "make cli"), (WASM, "make wasm"), (envoy, "make envoy-versions")]:
        if not os.access(path, os.R_OK):
            print(f"error: {path} is missing\nhint: run `{hint}`", file=sys.stderr)
            return 2
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-clients-")))

        def stand_in(*arguments):
            it = StandIn(*arguments, SECRETS)
            stack.callback(it.stop)
            return it

        cheap = stand_in("cheap", "openai", 9501, "small-1", "sk-small-provider")
        strong = stand_in("strong", "openai", 9502, "large-1", "sk-large-provider")
        haiku = stand_in("haiku", "anthropic", 9503, "haiku-1", "sk-ant-haiku-provider")
        opus = stand_in("opus", "anthropic", 9504, "opus-1", "sk-ant-opus-provider")
        file = work / "openai.yaml"
        file.write_text(OPENAI_FILE)
        # White space at a key's end is no part of the key.
        (work / "claude.key").write_text(f"{haiku.key}\n")
        claude = json.dumps(ANTHROPIC_FILE).replace("claude.key", str(work / "claude.key"))
        (work / "claude.json").write_text(claude)
        keys = {"SMALL_KEY": cheap.key, "OPENAI_API_KEY": strong.key}

        def up(directory, arguments, environment):
            it = Up(PROGRAM, work / directory, ["--wasm", WASM, *arguments], environment)
            stack.callback(lambda: it.process.poll() is None and it.end())
            return it

        def first(*more):
            more = more if "--envoy" in more else ["--envoy", envoy, *more]
            return up("first", ["--file", file, *more], keys)

        one = first()
        two = up("second", ["--envoy", envoy, "--file", work / "claude.json"], {"DEAR_KEY": opus.key})
        bases = ["http://127.0.0.1:10400", "http://127.0.0.1:10401"]
        refusals(work, envoy, keys)
        with check("up: ready, with caches as well"):
            one.wait_ready()
            two.wait_ready()
            same(two.lines[0], f"export ANTHROPIC_BASE_URL={bases[1]}", "first line")
        openai_checks(bases[0], cheap, strong)
        framework_checks(*bases, (cheap, strong, haiku, opus))
        printed_checks(one, bases[0], cheap, strong)
        # Its Envoys take their time to start.
        ending = threading.Thread(target=endings, args=(first, bases[0], one))
        ending.start()
        anthropic_checks(bases[1], haiku, opus)
        with check("up: SIGTERM ends everything within 10 s, caches as well"):
            same(two.end(signal.SIGTERM)[0], 0, "exit status")
        ending.join()
    print(f"{len(faults)} faults, {time.monotonic() - begun:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
