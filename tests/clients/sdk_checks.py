"""Anthropic's SDK and frameworks against a running gateway."""

import asyncio
import json
import os

from checks import CLIENT_KEY, FORGED, OWN, TOOL, check, failing, image, same, user, within
from stand_in import INPUT_TOKENS, OUTPUT_TOKENS

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
