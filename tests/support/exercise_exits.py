"""Every place in which something of an exercise could be seen that must not be: a list that each later exit joins.

An exit is a name and a function that yields (place, bytes) of a partner's home, as whoever uses it sees them. A new table, view, format, page, metric or
command that shows content joins `EXITS`; files, tables and exporters join by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from store_rows import rows

from p2pshare.envelope.payload import inflate_frame
from p2pshare.errors import PeerError
from p2pshare.exporters.registry import EXPORTERS
from p2pshare.node.home import EXERCISES_NAME

ZSTD = b"\x28\xb5\x2f\xfd"


class Told(Protocol):
    """What a command answered."""

    @property
    def out(self) -> str: ...
    @property
    def err(self) -> str: ...


class Player(Protocol):
    """A partner whose home is searched: `tests/end_to_end/conftest.py` has it."""

    home: Path

    @property
    def log_path(self) -> Path: ...

    def cli(self, *arguments: str, codes: tuple[int, ...] = ()) -> Told: ...


Look = Callable[[Player, Sequence[str]], Iterator[tuple[str, bytes]]]


class Exit(NamedTuple):
    name: str
    look: Look


def _files(player: Player, needles: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """All files of the home but those of exercises, byte for byte: pages that are free again, the write-ahead log, what waits to be sealed."""
    for path in sorted(player.home.rglob("*")):
        if path.is_file() and player.home / EXERCISES_NAME not in path.parents:
            yield f"file {path.relative_to(player.home)}", path.read_bytes()


def _tables(player: Player, needles: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """All tables and views of the store, row by row, what is compressed in them inflated."""
    store = player.home / "store.sqlite"
    names = rows(store, "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view')")
    assert any(name.startswith("v1_") for _, name in names)
    for kind, name in names:
        for row in rows(store, f'SELECT * FROM "{name}"'):
            yield f"{kind} {name}", b"\n".join(map(_plain, row))


def _plain(value: Any) -> bytes:
    if not isinstance(value, bytes):
        return str(value).encode()
    if value.startswith(ZSTD):
        try:
            return value + inflate_frame(value)
        except PeerError:
            return value
    return value


def _exports(player: Player, needles: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for name in EXPORTERS:
        to = ("-o", str(player.home.parent / f"{player.home.name}-{name}")) if name.endswith("-feed") else ()
        yield f"export {name}", _said(player, "export", "--format", name, *to)
        for path in Path(to[1]).rglob("*") if to else ():
            if path.is_file():
                yield f"export {name} {path.name}", path.read_bytes()


def _commands(player: Player, needles: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """What asks of what is real, or tells of this node; the daemon answers by the control socket where it runs."""
    for arguments in (
        ("status",),
        ("status", "--json"),
        ("doctor", "--json"),
        ("partner", "list", "--json"),
        ("search", "--json"),
        ("tail",),
        ("audit", "list", "--json"),
        ("share", "history", "bravo", "--dry-run", "--json"),
        ("space", "list", "--json"),
        ("incident", "list", "--json"),
        ("incident", "list", "--archived", "--json"),
        ("incident", "watch", "list", "--json"),
        ("lab", "list", "--json"),
        ("playbook", "list", "--json"),
        ("warninglist", "list", "--json"),
        ("allow", "list", "--json"),
        ("risk", "source", "list", "--json"),
    ):
        yield " ".join(arguments), _said(player, *arguments)
    for one in needles:
        yield f"lookup {one}", _answered(player, one, "lookup", one, "--json")
        yield f"explain {one}", _answered(player, one, "explain", one)
        yield f"recall {one}", _answered(player, one, "recall", "status", one)


def _spaces(player: Player, needles: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Every real space that is held, shown and as a file."""
    for one in json.loads(player.cli("space", "list", "--json").out):
        if one["status"] in ("joined", "lead", "invited"):
            yield f"space {one['space'][:10]}", _said(player, "space", "show", one["space"], "--canonical")
            file = player.home.parent / f"{player.home.name}-{one['space'][:10]}"
            _said(player, "space", "export", one["space"], "-o", str(file))
            if file.exists():
                yield f"space export {one['space'][:10]}", file.read_bytes()


def _logs(player: Player, needles: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    if player.log_path.exists():
        yield "log of the daemon", player.log_path.read_bytes()


def _said(player: Player, *arguments: str) -> bytes:
    said = player.cli(*arguments, codes=(0, 1, 2, 3, 4, 5, 6))
    return (said.out + said.err).encode()


def _answered(player: Player, asked: str, *arguments: str) -> bytes:
    """What is said of a value, without the value that was asked for: only more than that is an answer."""
    said = _said(player, *arguments).decode()
    return said.replace(asked, "", 1).encode() if said.count(asked) <= 1 else said.encode()


SEARCHED = frozenset(
    [
        "allow",
        "audit",
        "doctor",
        "explain",
        "export",
        "incident",
        "lab",
        "lookup",
        "partner",
        "playbook",
        "recall",
        "risk",
        "search",
        "share",
        "space",
        "status",
        "tail",
        "warninglist",
    ]
)
"""Commands whose answers are searched above."""
NOT_SEARCHED = {
    "backup": "writes the whole home, encrypted: of an exercise too, which `exercise remove` cannot take out of it",
    "consumer": "keeps cursors",
    "introduce": "reads and writes lists of members",
    "invite": "makes a line, and shows cards",
    "join": "shows cards",
    "restore": "makes a home of a backup",
    "service": "installs the service",
    "support-bundle": "writes figures alone (tests/cli/test_cli_support_bundle.py)",
    "asset": "reads the inventory alone (tests/end_to_end/test_risk_stays_here.py)",
    "card": "reads cards",
    "config": "reads the configuration, which is among the files",
    "envelope": "writes sealed envelopes as they were received",
    "exercise": "is the door to exercises themselves",
    "framework": "shows playbooks, which are searched by `playbook`",
    "init": "makes a home",
    "opinion": "says something, and shows nothing",
    "passphrase": "reads the key file",
    "propose": "says something, and shows nothing",
    "publish": "says something, and shows nothing of what is held",
    "run": "is the daemon, whose log is searched",
    "show": "shows what `search` has found, which is nothing",
    "sight": "says something, and shows nothing",
    "training": "keeps courses and results, and holds nothing of an exercise with others",
    "verify": "reads a file that it is given",
    "withdraw": "says something, and shows nothing",
}
"""Commands that are not, and why."""

EXITS: tuple[Exit, ...] = (
    Exit("files of the home", _files),
    Exit("tables and views", _tables),
    Exit("exports", _exports),
    Exit("commands and control answers", _commands),
    Exit("real spaces", _spaces),
    Exit("logs", _logs),
)


class Searched(NamedTuple):
    """What a search came to: place -> which needles are to be seen there; and the exits at which there was anything to look at."""

    leaks: dict[str, list[str]]
    looked_at: set[str]


def search(player: Player, needles: Sequence[str]) -> Searched:
    """Search every exit of a partner for these."""
    found = Searched({}, set())
    for one in EXITS:
        for place, content in one.look(player, needles):
            seen = [needle for needle in needles if needle.encode() in content]
            if seen:
                found.leaks[f"{one.name}: {place}"] = seen
            if content:
                found.looked_at.add(one.name)
    return found
