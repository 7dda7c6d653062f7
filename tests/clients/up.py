"""`pointsman up` under observation: what it prints, which processes it starts, how it ends."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

READY_SECONDS = 90
END_SECONDS = 10
# "10:11:12  cheap  classifier 0.81 ≥ 0.60  200  812 ms  1000+100 tokens  $0.00120  saved $0.01080 so far"
LINE = re.compile(
    r"\d\d:\d\d:\d\d  (?P<target>\S+(?: → \S+)?)\s+(?P<why>\S.*?)\s+(?P<status>\d{3})\s+(?P<ms>\d+) ms"
    r"(?:  (?P<input>\d+)\+(?P<output>\d+) tokens(?:  (?P<cost>\$\d+\.\d+|cached))?"
    r"(?:  saved \$(?P<saved>-?\d+\.\d+) so far)?)?"
)


class Up:
    def __init__(self, program, directory, arguments, environment):
        self.directory = str(directory)
        # Of the environment only what any shell has: no keys, proxies or certificates.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        self.process = subprocess.Popen(
            [program, "up", "--dir", directory, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=kept | environment,
            # Where no Envoy and no module lies about.
            cwd=Path(directory).parent,
            text=True,
            encoding="utf-8",
        )
        self.lines, self.messages = [], []
        for stream, lines in [(self.process.stdout, self.lines), (self.process.stderr, self.messages)]:
            threading.Thread(target=self.follow, args=(stream, lines), daemon=True).start()
        self.known = set()

    @staticmethod
    def follow(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def said(self):
        return "\n".join(self.messages[-5:])

    def wait_ready(self, lines=1):
        """Until it has printed where to send requests, in so many lines."""
        until = time.monotonic() + READY_SECONDS
        while len(self.lines) < lines:
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"it is not ready: {self.said()}")
            time.sleep(0.02)
        self.known |= family(self.process.pid)

    def wait_lines(self, count, seconds=5):
        """The lines from the first one on that `count` names, when so many are there."""
        until = time.monotonic() + seconds
        while len(self.lines) < count and time.monotonic() < until:
            time.sleep(0.02)
        return self.lines[count - 1 :]

    def wait_message(self, part, seconds=END_SECONDS):
        until = time.monotonic() + seconds
        while not any(part in message for message in self.messages):
            if time.monotonic() > until:
                raise AssertionError(f"no message has {part!r}: {self.said()}")
            time.sleep(0.02)

    def end(self, how=signal.SIGINT):
        """Ends it; the exit status, and seconds until it and all that it started were gone."""
        self.known |= family(self.process.pid)
        begun = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            status = self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it runs {END_SECONDS} s after {how.name}") from None
        while left := self.left():
            if time.monotonic() - begun > END_SECONDS:
                raise AssertionError(f"left after {END_SECONDS} s: {', '.join(left)}")
            time.sleep(0.05)
        return status, time.monotonic() - begun

    def left(self):
        """Commands of processes that it started and that still run."""
        running = {pid: start for pid, _, start in processes()}
        known = {pid for pid, start in self.known if running.get(pid) == start}
        commands = {pid: command(pid) for pid in running}
        ours = {pid for pid, text in commands.items() if self.directory in text and pid != os.getpid()}
        return [f"{pid} {commands.get(pid, '')[:60]}" for pid in sorted(known | ours)]

    def requests(self):
        """The lines for requests, read."""
        found = [LINE.fullmatch(line) for line in self.lines]
        return [match.groupdict() for match in found if match]

    def records(self):
        return [json.loads(line) for line in self.lines]


def processes():
    """ID, parent and start time of all that run; a zombie does not."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":
            found.append((int(entry.name), int(fields[1]), fields[19]))
    return found


def family(ancestor):
    """What a process started, and what that started: IDs with start times."""
    found, all_of_them = {ancestor}, processes()
    grown = True
    while grown:
        more = {pid for pid, parent, _ in all_of_them if parent in found} - found
        found |= more
        grown = bool(more)
    return {(pid, start) for pid, _, start in all_of_them if pid in found}


def command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
