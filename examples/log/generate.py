#!/usr/bin/env python3
"""Writes the sample log: made-up traffic of a shop's assistant, the same bytes in every run.

    python3 examples/log/generate.py > examples/log/log.jsonl

A line holds a request, the strong model's answer and the cheap model's recorded answer. The cheap
model is good at single steps, facts and flat JSON, and often wrong on chained sums, on riddles of
order and on nested JSON.
"""

import json
import random
import sys

NAMES = ["Ada", "Bashir", "Chen", "Dalia", "Emeka", "Freya", "Goran", "Hana", "Ivo", "Jun", "Kofi",
         "Lena", "Mateo", "Nils", "Oyelaran", "Priya", "Quinn", "Rosa", "Sana", "Tomas"]
GOODS = ["lamps", "chairs", "kettles", "notebooks", "candles", "mugs", "blankets", "clocks",
         "baskets", "shelves", "pillows", "vases", "rugs", "frames", "stools", "trays"]
PLACES = ["Lisbon", "Oslo", "Nairobi", "Kyoto", "Lima", "Riga", "Hanoi", "Quito", "Tunis", "Turin",
          "Ghent", "Perth", "Cork", "Izmir", "Porto", "Tartu"]
FACTS = [
    ("chemical symbol of gold", "Au"), ("capital of Mongolia", "Ulaanbaatar"),
    ("largest planet of the solar system", "Jupiter"), ("author of Hamlet", "William Shakespeare"),
    ("currency of Japan", "Yen"), ("freezing point of water in Celsius", "Zero degrees"),
    ("longest river of Africa", "Nile"), ("inventor of the telephone", "Alexander Graham Bell"),
    ("capital of Iceland", "Reykjavik"), ("smallest prime number", "Two"),
    ("language spoken in Brazil", "Portuguese"), ("metal that is liquid at room temperature", "Mercury"),
    ("highest mountain on Earth", "Mount Everest"), ("organ that pumps blood", "Heart"),
    ("capital of Kenya", "Nairobi"), ("painter of the Mona Lisa", "Leonardo da Vinci"),
    ("gas that plants take in", "Carbon dioxide"), ("ocean between Europe and America", "Atlantic"),
    ("hardest natural mineral", "Diamond"), ("number of strings of a violin", "Four"),
]


def pick(rng, values, count):
    return rng.sample(values, count)


def single_step(rng):
    name, (good,) = rng.choice(NAMES), pick(rng, GOODS, 1)
    boxes, each = rng.randint(3, 30), rng.randint(4, 40)
    question = rng.choice([
        f"{name} packs {boxes} boxes with {each} {good} each. How many {good} is that?",
        f"A truck to {rng.choice(PLACES)} carries {boxes} crates of {each} {good}. How many {good} are there?",
        f"How many {good} do {boxes} shops sell if each sells {each} of them?",
    ])
    right = boxes * each
    return question, f"{boxes} x {each} = {right}\n#### {right}", lambda ok: f"#### {right if ok else right + each}", 0.96


def chained_sum(rng):
    name, other = pick(rng, NAMES, 2)
    first, second = pick(rng, GOODS, 2)
    a, b, c, rate = rng.randint(12, 60), rng.randint(5, 11), rng.randint(2, 9), rng.choice([10, 20, 25, 50])
    total = a * b - a * b * rate // 100 + c
    question = (
        f"{name} orders {a} {first} at {b} dollars each. Because the delivery from {rng.choice(PLACES)} "
        f"is late, {rate} percent of the price is given back. After that {other} adds {second} for "
        f"{c} dollars in total. If fractions of a dollar of the refund are dropped, how many dollars "
        f"are paid altogether? Explain each step, then state the number."
    )
    wrong = a * b + c
    steps = f"{a} x {b} = {a * b}, minus {a * b * rate // 100}, plus {c}"
    return question, f"{steps}\n#### {total}", lambda ok: f"#### {total if ok else wrong}", 0.25


def fact(rng):
    asked, answer = rng.choice(FACTS)
    place, name = rng.choice(PLACES), rng.choice(NAMES)
    question = rng.choice([
        f"What is the {asked}? It is for a quiz in {place}. Answer in a few words.",
        f"{name} wants to know: what is the {asked}? A few words, please.",
        f"Quiz night in {place}, question by {name}: what is the {asked}?",
    ])
    return question, answer, lambda ok: answer if ok else "I am not sure", 0.92


def order_riddle(rng):
    names = pick(rng, NAMES, 4)
    clues = [f"{a} stands directly in front of {b}." for a, b in zip(names, names[1:])]
    rng.shuffle(clues)
    letters = names[:]
    rng.shuffle(letters)
    options = "\n".join(f"{letter}) {name}" for letter, name in zip("ABCD", letters))
    right = "ABCD"[letters.index(names[0])]
    wrong = "ABCD"[letters.index(names[rng.randint(1, 3)])]
    question = (
        f"Four people queue at the shop in {rng.choice(PLACES)}. {' '.join(clues)} Suppose nobody else "
        f"is there. Who must therefore be first?\n{options}\nAnswer with the letter only."
    )
    return question, right, lambda ok: right if ok else wrong, 0.3


def flat_json(rng):
    name, good, place = rng.choice(NAMES), rng.choice(GOODS), rng.choice(PLACES)
    count = rng.randint(2, 90)
    question = (
        f"Extract name, goods, count and city as one JSON object: "
        f"\"{name} from {place} returned {count} {good}.\""
    )
    value = {"name": name, "goods": good, "count": count, "city": place}
    return question, json.dumps(value), lambda ok: json.dumps(value if ok else {"name": name}), 0.94


def nested_json(rng):
    people, goods, place = pick(rng, NAMES, 3), pick(rng, GOODS, 3), rng.choice(PLACES)
    counts = [rng.randint(2, 90) for _ in people]
    said = "; ".join(f"{n} ordered {c} {g}" for n, c, g in zip(people, counts, goods))
    question = (
        f"From {place}: {said}. Return JSON with a key \"city\" and a list \"orders\" of objects that "
        f"have \"customer\" and \"line\", where \"line\" has \"goods\" and \"count\". Only orders of "
        f"more than ten pieces must be in the list, sorted by count, without exception."
    )
    lines = [{"customer": n, "line": {"goods": g, "count": c}} for n, c, g in zip(people, counts, goods)]
    right = {"city": place, "orders": sorted((l for l in lines if l["line"]["count"] > 10),
                                             key=lambda l: l["line"]["count"])}
    wrong = {"orders": [{"customer": n} for n in people]}
    return question, json.dumps(right), lambda ok: json.dumps(right if ok else wrong), 0.3


KINDS = [single_step, single_step, fact, fact, flat_json, chained_sum, order_riddle, nested_json]


def completion(model, text, number):
    return {"id": f"chatcmpl-{number}", "object": "chat.completion", "model": model,
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 60, "completion_tokens": max(1, len(text) // 4)}}


def main():
    rng = random.Random(7)
    seen = set()
    while len(seen) < 480:
        kind = rng.choice(KINDS)
        question, strong, cheap, chance = kind(rng)
        cheap = cheap(rng.random() < chance)
        if question in seen:
            continue
        seen.add(question)
        row = {
            "id": f"log-{len(seen):04}",
            "source": kind.__name__.replace("_", "-"),
            "request": {"model": "large-model", "messages": [{"role": "user", "content": question}]},
            "response": completion("large-model", strong, len(seen)),
            "cheap_response": cheap,
        }
        json.dump(row, sys.stdout, separators=(",", ":"))
        print()


if __name__ == "__main__":
    main()
