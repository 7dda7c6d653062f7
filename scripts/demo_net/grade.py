"""Grades answers by what a program can check, and reads OpenAI's format for that.

A grade is {"kind": …, "expected": …}:

number  the last number of the text is the expected one
label   the text is the expected word, but for capital letters and punctuation
json    the text parses, fits the request's json_schema, and has the expected members
tool    one call, of the expected function, with the expected arguments
checks  every check of `expected` holds: see CHECKS
"""

import json
import re

TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool) or isinstance(v, float) and v.is_integer(),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "null": lambda v: v is None,
}


def words(text):
    return re.findall(r"[^\W_]+(?:['’.@-][^\W_]+)*", text)


def lines(text):
    return [line for line in text.splitlines() if line.strip()]


def sentences(text):
    return re.findall(r"[^.!?]+[.!?]+(?=\s|$)", text.strip() + ("" if text.strip().endswith((".", "!", "?")) else "."))


def has(text, part):
    """Whether the words of `part` are in the text; capital letters count only if `part` has no small ones."""
    exact = part.isupper() and len(part) > 3
    return bool(re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text, 0 if exact else re.IGNORECASE))


# What an entry of `checks` demands of a text and of the answer's finish_reason.
CHECKS = {
    "contains": lambda text, finish, parts: all(has(text, part) for part in parts),
    "excludes": lambda text, finish, parts: not any(has(text, part) for part in parts),
    "matches": lambda text, finish, pattern: bool(re.search(pattern, text.strip().replace("’", "'"))),
    "max_words": lambda text, finish, count: 0 < len(words(text)) <= count,
    "min_words": lambda text, finish, count: len(words(text)) >= count,
    "lines": lambda text, finish, count: len(lines(text)) == count,
    "min_lines": lambda text, finish, count: len(lines(text)) >= count,
    "sentences": lambda text, finish, count: len(sentences(text)) == count,
    "complete": lambda text, finish, wanted: (finish == "stop") is wanted,
}


def grade(row, answer):
    """Whether a chat completion is right by the row's grade."""
    choice = answer["choices"][0]
    text = choice["message"].get("content") or ""
    kind, expected = row["grade"]["kind"], row["grade"]["expected"]
    if kind == "tool":
        calls = choice["message"].get("tool_calls") or []
        return len(calls) == 1 and same_call(calls[0]["function"], expected)
    if kind == "number":
        numbers = re.findall(r"-?\d+(?:\.\d+)?", re.sub(r"(?<=\d)[, ](?=\d{3}\b)", "", text))
        return bool(numbers) and float(numbers[-1]) == expected
    if kind == "label":
        return text.strip().strip("\"'.!»«").lower() == expected
    if kind == "json":
        try:
            value = json.loads(text)
        except ValueError:
            return False
        return fits(value, row["request"]["response_format"]["json_schema"]["schema"]) and all(
            alike(value.get(key), wanted, row["grade"].get("any_order")) for key, wanted in expected.items())
    assert kind == "checks", kind
    return all(CHECKS[name](text, choice["finish_reason"], wanted) for name, wanted in expected.items())


def same_call(function, expected):
    try:
        arguments = json.loads(function["arguments"])
    except ValueError:
        return False
    return function["name"] == expected["name"] and isinstance(arguments, dict) \
        and arguments.keys() == expected["arguments"].keys() \
        and all(alike(arguments[key], value) for key, value in expected["arguments"].items())


def alike(value, wanted, any_order=False):
    """Equal, without regard to capital letters."""
    if isinstance(wanted, list):
        if not isinstance(value, list) or len(value) != len(wanted):
            return False
        order = (lambda items: sorted(items, key=lambda item: str(item).lower())) if any_order else list
        return all(map(alike, order(value), order(wanted)))
    if isinstance(wanted, str):
        return isinstance(value, str) and value.strip().lower() == wanted.lower()
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted


def fits(value, schema):
    """Whether a value fits a JSON schema: of its words, those that the requests use."""
    if "type" in schema and not TYPES[schema["type"]](value):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return all(key in value for key in schema.get("required", ())) \
            and (schema.get("additionalProperties", True) or value.keys() <= properties.keys()) \
            and all(fits(member, properties.get(key, {})) for key, member in value.items())
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(fits(item, schema.get("items", {})) for item in value)
    return True
