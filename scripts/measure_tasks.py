"""Measure the tasks of docs/operations/tasks.md: two or three daemons on loopback, the commands that each person types, and how long it is from the
first of them until the result is seen on both sides. What a person reads, says by telephone and types is not in it.

A command that this version does not have is told as that, and not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 300.0
LINE = re.compile(r"p2pshare-[a-z2-7]{40,}")


class Terminal:
    """A command at a terminal that asks; what is typed is answered by `answer`."""

    def __init__(self, node: Node, *arguments: str) -> None:
        node.typed += 1
        self.shown = ""
        child, self._terminal = pty.fork()
        if not child:
            os.execv(sys.executable, [sys.executable, "-m", "p2pshare", "--home", str(node.home), *arguments])
        self._child = child

    def read_until(self, wanted: str) -> str:
        """Returns what was shown since the last question, up to what matches the expression `wanted`."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            if found := re.search(wanted, self.shown):
                before, self.shown = self.shown[: found.end()], self.shown[found.end() :]
                return before
            if select.select([self._terminal], [], [], 0.1)[0]:
                self.shown += os.read(self._terminal, 65_536).decode()
        raise SystemExit(f"{wanted} was not shown: {self.shown}")

    def answer(self, text: str) -> None:
        os.write(self._terminal, f"{text}\n".encode())

    def end(self) -> None:
        """Waits for the end of the command, which has to have done all."""
        try:
            while os.read(self._terminal, 65_536):
                pass
        except OSError:  # Linux says EIO where the other side is closed
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])
        if code:
            raise SystemExit(f"a command ended with {code}: {self.shown}")


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
            wait_for(lambda: not self.ask("status")["running"])
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


def by_card_files(alpha: Node, bravo: Node) -> float:
    began = time.monotonic()
    add(alpha, bravo)
    add(bravo, alpha)
    wait_for(lambda: is_connected(alpha, bravo))
    seconds = time.monotonic() - began
    for one, other in ((alpha, bravo), (bravo, alpha)):
        one.run("partner", "remove", other.name)
    return seconds


def meet(host: Node, guest: Node) -> None:
    """`invite` at one terminal, `join` at the other; both persons say yes."""
    inviting = Terminal(host, "invite", guest.name)
    line = inviting.read_until(LINE.pattern + r"\s").split()[-1]
    joining = Terminal(guest, "join", "--alias", host.name)
    joining.read_until("invitation: ")
    joining.answer(line)
    for one in (joining, inviting):
        one.read_until(r"\[yes/no")
        one.answer("yes")
    for one in (joining, inviting):
        one.end()
    wait_for(lambda: is_connected(host, guest))


def two_partners(alpha: Node, bravo: Node) -> float:
    began = time.monotonic()
    meet(alpha, bravo)
    values = alpha.home.parent / "first.txt"
    values.write_text("198.51.100.7\n")
    bravo.run("publish", str(values), "--to", alpha.name, "--tlp", "green", "--yes")
    wait_for(lambda: alpha.ask("status")["observables"].get("ipv4") == 1)
    return time.monotonic() - began


def one_more(alpha: Node, bravo: Node) -> float:
    """charlie comes to a circle in which alpha has compared everybody: alpha invites, and the others accept alpha's list."""
    charlie = Node(alpha.home.parent, "charlie")
    try:
        charlie.begin()
        began = time.monotonic()
        meet(alpha, charlie)
        alpha.run("introduce", "export", str(alpha.home.parent / "circle.p2pintro"))  # once a circle
        charlie.types("introduce", "accept", alpha.name, "--yes")
        bravo.types("introduce", "accept", alpha.name, "--yes")
        values = alpha.home.parent / "third.txt"
        values.write_text("203.0.113.9\n")
        bravo.run("publish", str(values), "--tlp", "green", "--yes")
        wait_for(lambda: charlie.ask("status")["observables"].get("ipv4") == 1)
        seconds = time.monotonic() - began
        alpha.typed = max(alpha.typed, charlie.typed)
    finally:
        charlie.stop()
    alpha.run("partner", "remove", charlie.name)
    return seconds


def restore(alpha: Node, bravo: Node) -> float:
    """The disk of alpha is gone; the second command is the start of the service."""
    passphrase, file = alpha.home.parent / "passphrase", alpha.home.parent / "alpha.age"
    passphrase.write_text("five random words of a dice\n")
    passphrase.chmod(0o600)
    alpha.run("backup", str(file), "--passphrase-file", str(passphrase))
    values = alpha.home.parent / "since.txt"
    values.write_text("192.0.2.55\n")
    alpha.run("publish", str(values), "--tlp", "green", "--yes")
    known = alpha.ask("status")["observables"]
    wait_for(lambda: bravo.ask("status")["observables"] == known)
    alpha.stop()
    shutil.rmtree(alpha.home)
    began = time.monotonic()
    alpha.types("restore", str(file), "--passphrase-file", str(passphrase))
    alpha.typed += 1
    alpha.start()
    wait_for(lambda: is_connected(alpha, bravo) and alpha.ask("status")["observables"] == known)
    return time.monotonic() - began


def rotate(alpha: Node, bravo: Node) -> float:
    before = bravo.partner(alpha)["card_version"]
    began = time.monotonic()
    alpha.types("card", "rotate")
    wait_for(lambda: bravo.partner(alpha)["card_version"] > before)
    return time.monotonic() - began


def revoke(alpha: Node, bravo: Node) -> float:
    before = bravo.partner(alpha)["card_version"]
    began = time.monotonic()
    keys = json.loads(alpha.types("card", "show", "--json"))["keys"]
    key = next(one["key_id"] for one in keys if (one["kind"], one["state"]) == ("sign", "current"))
    alpha.types("card", "revoke", key, "--reason", "compromised")
    wait_for(lambda: bravo.partner(alpha)["card_version"] > before and is_connected(alpha, bravo))
    return time.monotonic() - began


def new_address(alpha: Node, bravo: Node) -> float:
    """The second command is the restart of the service, after two lines of config.toml."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    alpha.types("card", "set", "--url", f"https://127.0.0.1:{port}")
    wait_for(lambda: str(port) in bravo.partner(alpha)["url"])
    config = alpha.home / "config.toml"
    config.write_text(config.read_text().replace(str(alpha.port), str(port)))
    alpha.port = port
    alpha.typed += 1
    alpha.stop()
    alpha.start()
    wait_for(lambda: is_connected(alpha, bravo))
    return time.monotonic() - began


def partner_leaves(alpha: Node, bravo: Node) -> float:
    """Of 10,000 values that it has published."""
    values = alpha.home.parent / "values.txt"
    values.write_text("".join(f"value-{number}.example\n" for number in range(10_000)))
    bravo.run("publish", str(values), "--format", "list", "--tlp", "green", "--yes")
    wait_for(lambda: alpha.ask("status")["observables"].get("domain") == 10_000)
    began = time.monotonic()
    alpha.types("partner", "distrust", bravo.name)
    if alpha.run("export", "--format", "list"):
        raise SystemExit("something of it counts")
    alpha.types("partner", "remove", bravo.name)
    return time.monotonic() - began


TASKS: dict[str, Callable[[Node, Node], float]] = {
    "two partners, by card files": by_card_files,
    "two partners": two_partners,
    "twentieth partner": one_more,
    "rotate the keys": rotate,
    "revoke a key": revoke,
    "new address": new_address,
    "restore": restore,
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of: {', '.join(TASKS)}; else all")
    chosen = parser.parse_args().tasks or list(TASKS)
    if unknown := sorted(set(chosen) - set(TASKS)):
        parser.error(f"no such task: {', '.join(unknown)}")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    with two_nodes() as (alpha, bravo):
        if chosen[0] not in ("two partners, by card files", "two partners"):
            meet(alpha, bravo)
        for name, task in ((name, task) for name, task in TASKS.items() if name in chosen):
            alpha.typed = bravo.typed = 0
            seconds = task(alpha, bravo)
            typed = max(alpha.typed, bravo.typed)
            print(f"{name}: {typed} commands a person at most, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
