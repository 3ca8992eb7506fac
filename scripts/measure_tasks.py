"""Measure the tasks of docs/operations/tasks.md: two daemons on loopback, the commands that each person types, and how long it is from the
first of them until the result is seen on both sides. What a person reads, says by telephone and types is not in it.

A command that this version does not have is told as that, and not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 120.0


class Node:
    """A home on this machine, and what a person types there."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.home, self.typed = name, folder / name, 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str, stdin: str = "") -> str:
        command = [sys.executable, "-m", "p2pshare", "--home", str(self.home), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{self.name}: {' '.join(arguments)}: {done.returncode}\n{done.stderr}")
        return done.stdout

    def types(self, *arguments: str, stdin: str = "") -> str:
        self.typed += 1
        return self.run(*arguments, stdin=stdin)

    def ask(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def start(self) -> None:
        log = (self.home.parent / f"{self.name}.log").open("ab")
        command = [sys.executable, "-m", "p2pshare", "--home", str(self.home), "run"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: self.ask("status")["running"])

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def begin(self) -> None:
        self.run(
            "init",
            "--name",
            self.name,
            "--url",
            f"https://127.0.0.1:{self.port}",
            "--listen",
            f"127.0.0.1:{self.port}",
        )
        self.start()

    def partner(self, other: Node) -> Any:
        return next((row for row in self.ask("partner", "list") if row["alias"] == other.name), None)


def wait_for(happened: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if value := happened():
            return value
        time.sleep(0.2)
    raise SystemExit("that took too long")


def add(one: Node, other: Node) -> None:
    """What each types where cards are handed over as files."""
    card = one.home.parent / f"{other.name}.p2pcard"
    other.types("card", "export", str(card))
    told = other.ask("card", "show")["fingerprint"]  # by telephone
    one.types("partner", "add", str(card), "--fingerprint", told, "--alias", other.name)


def is_connected(one: Node, other: Node) -> bool:
    return all(a.partner(b) and a.partner(b)["state"] == "connected" for a, b in ((one, other), (other, one)))


def two_partners(alpha: Node, bravo: Node) -> None:
    add(alpha, bravo)
    add(bravo, alpha)
    wait_for(lambda: is_connected(alpha, bravo))


def rotate(alpha: Node, bravo: Node) -> None:
    before = bravo.partner(alpha)["card_version"]
    alpha.types("card", "rotate")
    wait_for(lambda: bravo.partner(alpha)["card_version"] > before)


def revoke(alpha: Node, bravo: Node) -> None:
    before = bravo.partner(alpha)["card_version"]
    keys = json.loads(alpha.types("card", "show", "--json"))["keys"]
    key = next(one["key_id"] for one in keys if (one["kind"], one["state"]) == ("sign", "current"))
    alpha.types("card", "revoke", key, "--reason", "compromised")
    wait_for(lambda: bravo.partner(alpha)["card_version"] > before and is_connected(alpha, bravo))


def new_address(alpha: Node, bravo: Node) -> None:
    """The second command is the restart of the service, after two lines of config.toml."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alpha.types("card", "set", "--url", f"https://127.0.0.1:{port}")
    wait_for(lambda: str(port) in bravo.partner(alpha)["url"])
    config = alpha.home / "config.toml"
    config.write_text(config.read_text().replace(str(alpha.port), str(port)))
    alpha.port = port
    alpha.typed += 1
    alpha.stop()
    alpha.start()
    wait_for(lambda: is_connected(alpha, bravo))


def partner_leaves(alpha: Node, bravo: Node) -> None:
    values = alpha.home.parent / "values.txt"
    values.write_text("".join(f"value-{number}.example\n" for number in range(10_000)))
    bravo.run("publish", str(values), "--format", "list", "--tlp", "green", "--yes")
    wait_for(lambda: alpha.ask("status")["observables"].get("domain") == 10_000)
    began = time.monotonic()
    alpha.types("partner", "distrust", bravo.name)
    if alpha.run("export", "--format", "list"):
        raise SystemExit("something of it counts")
    alpha.types("partner", "remove", bravo.name)
    print(f"  (of 10,000 values; {time.monotonic() - began:.1f} s from the first command on)")


TASKS: dict[str, Callable[[Node, Node], None]] = {
    "two partners, by card files": two_partners,
    "rotate the keys": rotate,
    "revoke a key": revoke,
    "new address": new_address,
    "a partner leaves": partner_leaves,
}


@contextmanager
def two_nodes() -> Iterator[tuple[Node, Node]]:
    with tempfile.TemporaryDirectory() as folder:
        nodes = Node(Path(folder), "alpha"), Node(Path(folder), "bravo")
        try:
            for node in nodes:
                node.begin()
            yield nodes
        finally:
            for node in nodes:
                node.stop()


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0]).parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    with two_nodes() as (alpha, bravo):
        for name, task in TASKS.items():
            alpha.typed = bravo.typed = 0
            began = time.monotonic()
            task(alpha, bravo)
            seconds = time.monotonic() - began
            print(
                f"{name}: {max(alpha.typed, bravo.typed)} commands a person at most, {seconds:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
