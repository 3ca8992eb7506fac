"""What the programs of this folder share: a server process on loopback, requests to it, and the CPU time it used.

Only the standard library: these programs are run by the peer's interpreter, which does not know p2pshare.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

START_SECONDS_MAX = 60  # a loaded machine needs some for the imports alone
LOG_LINES = 8


def told(**result: object) -> None:
    """The last line of a program's output is its result; see table.py for the words in it."""
    print(json.dumps(result))


def read_objects(path: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(Path(path).read_text())
    return found


def value_of(indicator: Mapping[str, object]) -> tuple[str, str]:
    """(object path, value) of the one comparison in a pattern of material.py."""
    path, _, value = str(indicator["pattern"])[1:-2].partition(" = '")
    return path, value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Server:
    """A process that listens on loopback; `log` is what it printed."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self._process, self._log = process, log
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> object:
        """The JSON of the answer; anything but a success ends the program."""
        self._connection.request(method, path, body, dict(headers))
        answer = self._connection.getresponse()
        raw = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {raw[:200]!r}\n{self.last_lines()}")
        return json.loads(raw)

    def cpu_seconds(self) -> float:
        """What the process and its descendants used so far, with those it has waited for."""
        return tree_cpu_seconds(self._process.pid)

    def last_lines(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES:])

    def wait_until_listening(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit(f"the server did not start\n{self.last_lines()}")


@contextmanager
def serving(
    command: Sequence[str], port: int, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Starts `command`, waits until it listens on `port`, and ends it."""
    log = Path("server.log")
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        ) as process,
    ):
        server = Server(process, port, log)
        try:
            server.wait_until_listening(port)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def children_cpu_seconds() -> float:
    """Of the children that have ended and been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tree_cpu_seconds(root: int) -> float:
    """proc(5), /proc/PID/stat: utime, stime and those of the children waited for, in clock ticks."""
    ticks: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()  # the name before it may hold spaces
        except OSError:  # it ended meanwhile
            continue
        pid = int(path.parent.name)
        children.setdefault(int(fields[1]), []).append(pid)
        ticks[pid] = sum(map(int, fields[11:15]))
    waiting, total = [root], 0
    while waiting:
        pid = waiting.pop()
        total += ticks.get(pid, 0)
        waiting += children.get(pid, [])
    return total / os.sysconf("SC_CLK_TCK")
