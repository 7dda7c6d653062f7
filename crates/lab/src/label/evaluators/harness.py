"""Calls one function of answer.py with many arguments and prints what each call does.

usage: harness.py FUNCTION [COUNT]: with COUNT arguments, otherwise as many as it requires.
Lines of outcome begin with U+0001, to stand out from the answer's own output: first the number of
arguments, then for each call the types of its arguments, U+0002, and the outcome."""
import copy
import inspect
import itertools
import signal
import sys

sys.path.insert(0, "")
name = sys.argv[1]
scope = {"__name__": "answer"}
exec(compile(open("answer.py").read(), "answer.py", "exec"), scope)
function = scope[name]

POOL = [
    0, 1, 2, 7, -3, 10, 2.5, "", "a", "hello world", "racecar", "12 3", [], [1], [3, 1, 2, 2],
    [5, -1, 0, 4, 4], ["b", "a", "a"], [[1, 2], [3, 4]], (1, 2, 3), {"a": 1, "b": 2}, True, None,
]
required = [
    p for p in inspect.signature(function).parameters.values()
    if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
]
count = int(sys.argv[2]) if len(sys.argv) > 2 else len(required)
print("\n\x01%d" % count)
if count <= 1:
    calls = [(value,) for value in POOL][: len(POOL) if count else 1]
    calls = calls if count else [()]
elif count == 2:
    calls = list(itertools.product(POOL, POOL))
else:
    calls = [tuple(POOL[(i * (k + 1) + k) % len(POOL)] for k in range(count)) for i in range(200)]
    calls += [tuple([value] * count) for value in POOL]


def stop(*_):
    raise TimeoutError()


def show(value):
    if inspect.isgenerator(value) or isinstance(value, (map, filter, zip, range)):
        value = list(itertools.islice(value, 1000))
    if isinstance(value, float):
        return "float %.9g" % value
    if isinstance(value, (set, frozenset)):
        return "set %s" % sorted(map(repr, value))
    return repr(value)[:2000].replace("\n", "\\n")


signal.signal(signal.SIGALRM, stop)
for arguments in calls:
    arguments = copy.deepcopy(arguments)
    types = ",".join(type(argument).__name__ for argument in arguments)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        outcome = show(function(*arguments)) + " " + repr(arguments)[:2000]
    except (Exception, SystemExit) as error:
        outcome = "error " + type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    print("\n\x01" + types + "\x02" + outcome.replace("\n", "\\n"))
