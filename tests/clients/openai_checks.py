"""OpenAI's SDK against a running gateway."""

import asyncio
import json
import random
import threading

from checks import CLIENT_KEY, FORGED, OWN, TOOL, check, failing, image, same, user, within
from stand_in import INPUT_TOKENS, OUTPUT_TOKENS


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
