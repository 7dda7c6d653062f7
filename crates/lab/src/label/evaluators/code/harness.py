"""Says what the functions of answer.py do, for request.json: {mark, function, statements, constants, shape}.

It judges nothing: the values are compared outside, by a process that the answer cannot reach. Lines
of outcome begin with the mark, to stand out from the answer's own output: first the shape of the
calls as JSON; then for each assertion whether it holds and the values that it is about; then for each
call the types of its arguments, the value, and the arguments afterwards, split by U+0002; at last
"end"."""
import ast
import copy
import hashlib
import inspect
import itertools
import json
import os
import signal
import sys
import typing

out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
with open("request.json") as file:
    request = json.load(file)
mark, name = request["mark"], request["function"]
sys.path.insert(0, "")
scope = {"__name__": "answer"}
with open("answer.py") as file:
    exec(compile(file.read(), "answer.py", "exec"), scope)

POOL = [
    0, 1, 2, 7, -1, -3, 10, 100, 2.5, 0.0, "", "a", "hello world", "racecar", "12 3", "Ab", [], [1], [3, 1, 2, 2],
    [5, -1, 0, 4, 4], ["b", "a", "a"], ["x"], [4, 9], [7, 1, 10, 3],
    [[1, 2], [3, 4]], (), (1, 2, 3), {}, {"a": 1, "b": 2}, True, False, None,
]
for constant in request["constants"]:
    if type(constant) is int:
        POOL += [constant - 1, constant, constant + 1]
    else:
        POOL.append(constant)


def write(*fields):
    out.write("\n" + mark + "\x02".join(field.replace("\n", "\\n").replace("\x02", "?") for field in fields) + "\n")
    out.flush()


def show(value, depth=6):
    """The same text for the same value, whatever its class says of itself."""
    kind = type(value)
    if depth == 0:
        return "…"
    if value is None or kind is bool:
        return repr(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        number = float.__float__(value)
        whole = number == number and abs(number) < 1e15 and number == int(number)
        return int.__repr__(int(number)) if whole else "%.9g" % number
    if isinstance(value, str):
        return str.__repr__(value)
    inside = lambda items: ", ".join(show(item, depth - 1) for item in items)
    if isinstance(value, list):
        return "[" + inside(list.__iter__(value)) + "]"
    if isinstance(value, tuple):
        return "(" + inside(tuple.__iter__(value)) + ")"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(show(item, depth - 1) for item in value)) + "}"
    if isinstance(value, dict):
        pairs = sorted(show(k, depth - 1) + ": " + show(v, depth - 1) for k, v in dict.items(value))
        return "{" + ", ".join(pairs) + "}"
    if inspect.isgenerator(value) or isinstance(value, (map, filter, zip, range, reversed, enumerate)):
        return "[" + inside(itertools.islice(value, 1000)) + "]"
    if kind.__module__ == "answer":
        return kind.__name__ + show(vars(value) if hasattr(value, "__dict__") else {}, depth - 1)
    return kind.__name__ + " " + repr(value)


def short(text):
    return text if len(text) < 300 else text[:80] + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def stop(*_):
    raise TimeoutError()


def guarded(action):
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        return action()
    except BaseException as error:
        return "error " + type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def kind_of(value):
    kind = type(value).__name__
    if kind in ("list", "tuple"):
        return kind + ":" + (type(value[0]).__name__ if value else "")
    return kind


def kinds_of(annotation):
    """The kinds of values that an annotation allows; None for any."""
    if annotation is float:
        return ["int", "float"]
    if annotation in (int, str, bool, dict, set):
        return [annotation.__name__]
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (list, tuple) or origin in (list, tuple):
        base = (origin or annotation).__name__
        known = [base + ":" + item.__name__ for item in inside if isinstance(item, type)]
        return [base + ":"] + known if known else [base + ":" + item for item in ("", "int", "str", "list")]
    return [origin.__name__] if isinstance(origin, type) and origin is dict else None


def examples(tests):
    """The constant arguments with which the assertions call the function."""
    for test in tests:
        for node in ast.walk(test):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                try:
                    yield [ast.literal_eval(argument) for argument in node.args]
                except ValueError:
                    pass


def variants(value):
    yield value
    if type(value) is int:
        yield from (value - 1, value + 1, -value, 0)
    elif type(value) in (list, str, tuple):
        yield from (value[::-1], value[1:], value[:1], value + value, value[:0])


signal.signal(signal.SIGALRM, stop)
tests = []
for statement in request["statements"]:
    try:
        tests.append(ast.parse(statement).body[0].test)
    except (SyntaxError, AttributeError, IndexError):
        pass
given = list(examples(tests))
shape = request["shape"]
function = scope.get(name) if name else None
if shape is None and callable(function):
    required = [
        p for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    counts = {len(arguments) for arguments in given}
    count = counts.pop() if len(counts) == 1 else len(required)
    kinds = [sorted({kind_of(a[i]) for a in given if len(a) > i}) or None for i in range(count)]
    for i, parameter in enumerate(required[:count]):
        kinds[i] = kinds[i] or kinds_of(parameter.annotation)
    shape = {"count": count, "kinds": kinds}
write(json.dumps(shape))


def about(test):
    """The values that an assertion compares: those that are no constants."""
    parts = [test.left, *test.comparators] if isinstance(test, ast.Compare) else [test]
    parts = [part for part in parts if any(isinstance(node, ast.Name) for node in ast.walk(part))]
    run = lambda part: eval(compile(ast.Expression(part), "assertion", "eval"), scope)
    return ", ".join(show(run(part)) for part in parts)


for test in tests:
    holds = guarded(lambda: str(bool(eval(compile(ast.Expression(test), "assertion", "eval"), scope))))
    write("test", holds, short(guarded(lambda: about(test))))

if shape and callable(function):
    pools = []
    for i in range(shape["count"]):
        kinds = shape["kinds"][i]
        extra = [v for a in given if len(a) > i for v in variants(a[i])]
        fits = lambda value: kinds is None or kind_of(value) in kinds
        pools.append([value for value in extra + POOL if fits(value)] or POOL)
    calls = list(itertools.islice(itertools.product(*pools), 900)) if len(pools) < 3 else []
    if len(pools) >= 3:
        calls = [tuple(p[(i * (k + 1) + k) % len(p)] for k, p in enumerate(pools)) for i in range(400)]
    for arguments in calls:
        arguments = copy.deepcopy(arguments)
        types = ",".join(kind_of(argument) for argument in arguments)
        value = short(guarded(lambda: show(function(*arguments))))
        write(types, value, short(guarded(lambda: show(list(arguments)))))
write("end")
