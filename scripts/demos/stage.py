"""The stage on which each demo is told: homes in ./demo-home, commands shown as they are typed, daemons that end with it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
HOMES = TOP / "demo-home"
SAMPLE = TOP / "config" / "demo"
PROGRAM = str(Path(sys.executable).with_name("p2pshare"))
PATIENCE_SECONDS = 60


class Road:
    """The way from others to one node: a port that hands all through to it, and can be cut and mended."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._leads_to = 0
        self._is_cut = False
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._serve, daemon=True).start()

    def leads_to(self, port: int) -> None:
        self._leads_to = port

    def cut(self) -> None:
        self._is_cut = True
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._door.close()

    def _serve(self) -> None:
        while True:
            try:
                came, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(came,), daemon=True).start()

    def _carry(self, came: socket.socket) -> None:
        with came, suppress(OSError):
            if self._is_cut:
                return
            with socket.create_connection(("127.0.0.1", self._leads_to)) as there:
                self._open |= {came, there}
                back = threading.Thread(target=_drive, args=(there, came), daemon=True)
                back.start()
                _drive(came, there)
                back.join()
                self._open -= {came, there}


def _drive(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def clear() -> None:
    """Makes the folder of the homes anew."""
    shutil.rmtree(HOMES, ignore_errors=True)
    HOMES.mkdir()


def start(name: str) -> subprocess.Popen[bytes]:
    """Starts a daemon and waits until it answers."""
    print(f"$ p2pshare --home {shown(HOMES / name)} run &")
    with (HOMES / f"{name}.log").open("wb") as log:
        daemon = subprocess.Popen([*program(name), "run"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_up() -> bool:
        if daemon.poll() is not None:
            raise SystemExit(f"error: {name} did not start\n{(HOMES / f'{name}.log').read_text()}")
        return (HOMES / name / "run" / "control.sock").is_socket()

    try:
        wait_until(is_up, f"{name} answers")
    except BaseException:
        daemon.terminate()
        raise
    return daemon


@contextmanager
def running(names: Sequence[str]) -> Iterator[None]:
    """Starts a daemon for each of these, and stops them all in the end, whatever was told."""
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for name in names:
            daemons.append(start(name))
        yield
    finally:
        stop(daemons)


def stop(daemons: Sequence[subprocess.Popen[bytes]]) -> None:
    for daemon in daemons:
        daemon.terminate()
    for daemon in daemons:
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def run(name: str, *arguments: str, expect: int = 0, quiet: bool = False) -> None:
    """Runs a command as it is shown; ends the demo when it answers with another exit code than expected."""
    command = [*program(name), *arguments]
    if not quiet:
        print("$ p2pshare --home", shown(HOMES / name), shlex.join(shown(one) for one in arguments))
    # 6 is "partly done": your own file may hold values that are refused, and says so
    output = subprocess.DEVNULL if quiet else None
    code = subprocess.run(command, check=False, stdout=output, stderr=output).returncode
    if code not in (expect, 6):
        raise SystemExit(f"error: p2pshare {arguments[0]} answered with exit code {code}")


def run_json(name: str, *arguments: str) -> Any:
    done = subprocess.run([*program(name), *arguments, "--json"], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def program(name: str) -> list[str]:
    return [PROGRAM, "--home", str(HOMES / name)]


def card_of(name: str) -> Path:
    return HOMES / f"{name}.p2pcard"


def shown(path: Path | str) -> str:
    """A path as it is typed from the checkout's top."""
    return str(path).removeprefix(f"{TOP}{os.sep}")


def title(text: str) -> None:
    print(f"\n# {text}")


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, all held until the last is found so that they differ."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait_until(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            raise SystemExit(f"error: not within {PATIENCE_SECONDS} s: {what}")
        time.sleep(0.1)
