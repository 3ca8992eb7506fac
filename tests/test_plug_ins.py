"""What a plug-in costs: one new file and one new row, for each kind of plug-in, in a copy of the tree that is then run as it is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from difflib import ndiff
from pathlib import Path

import pytest
from free_port import free_port
from running_nodes import PATIENCE_SECONDS
from whole_nodes import World, befriend, send

from p2pshare.errors import OperatorError
from p2pshare.exporters.interface import FolderFormat, Format
from p2pshare.exporters.registry import EXPORTERS, load_exporter
from p2pshare.importers.interface import ObjectFormat, ValueFormat
from p2pshare.importers.registry import IMPORTERS, load_importer
from p2pshare.operations.payload_readers import load_readers
from p2pshare.sharing import payload_kinds
from p2pshare.sharing.payload_kinds import PAYLOAD_KINDS, STIX
from p2pshare.sharing.stix_reader import StixReader

LINE_LENGTH_MAX = 110


@dataclass(frozen=True)
class PlugIn:
    """A toy: a file with its text, and its row, which goes above the line of `registry` that begins with `below`."""

    file: str
    text: str
    registry: str
    row: str
    below: str


PLUG_INS: Mapping[str, PlugIn] = {
    "importer of values": PlugIn(
        "importers/toy.py",
        '''"""Toy lists: a value behind each `>> `."""

from collections.abc import Iterator
from typing import BinaryIO

from p2pshare.importers.interface import InputSource, ValueFormat
from p2pshare.importers.interface import ListValue, ReadValue
from p2pshare.intel.observable import detect


def read_toy(stream: BinaryIO, source: InputSource) -> Iterator[ReadValue]:
    for number, line in enumerate(stream, 1):
        yield ListValue(detect(line.decode().removeprefix(">> ").strip()), number)


FORMAT = ValueFormat(read_toy, lambda head, is_named_so: is_named_so or head.startswith(b">> "))
''',
        "importers/registry.py",
        '    "toy": Importer("p2pshare.importers.toy:FORMAT", "a value behind each >>", (".toy",)),',
        '    "csv": ',
    ),
    "importer of objects": PlugIn(
        "importers/toy.py",
        '''"""Toy boxes: STIX objects in JSON that calls them toys."""

from p2pshare.importers.interface import InputSource, ObjectFormat
from p2pshare.intel.bundle import Reading, read_stix


def read_toy(raw: bytes, source: InputSource) -> Reading:
    return read_stix(raw.replace(b'"toys"', b'"objects"'))


FORMAT = ObjectFormat(read_toy)
''',
        "importers/registry.py",
        '    "toy": Importer("p2pshare.importers.toy:FORMAT", "a box of toys", json_keys=("toys",)),',
        '    "csv": ',
    ),
    "exporter": PlugIn(
        "exporters/toy.py",
        '''"""Toy lists: a value behind each `>> `."""

from collections.abc import Iterator

from p2pshare.exporters.interface import Format, Selection
from p2pshare.knowledge.knowledge import KnowledgeReading
from p2pshare.policy.gate import Use, strictest_pap


def render(knowledge: KnowledgeReading, selection: Selection) -> Iterator[bytes]:
    for _, value in knowledge.values(
        selection.now_us, type=selection.type, tlp_max=selection.tlp_max, pap_max=strictest_pap(Use.DETECT)
    ):
        yield f">> {value}\\n".encode()


FORMAT = Format(render)
''',
        "exporters/registry.py",
        '    "toy": Exporter("p2pshare.exporters.toy:FORMAT", "a value behind each >>"),',
        '    "misp": ',
    ),
    "exporter of a folder": PlugIn(
        "exporters/toy.py",
        '''"""Toy boxes: a file a value."""

import re
from collections.abc import Iterator

from p2pshare.exporters.interface import FolderFormat, Selection
from p2pshare.knowledge.knowledge import KnowledgeReading
from p2pshare.policy.gate import Use, strictest_pap


def render(knowledge: KnowledgeReading, selection: Selection) -> Iterator[tuple[str, bytes]]:
    for type_, value in knowledge.values(
        selection.now_us, type=selection.type, tlp_max=selection.tlp_max, pap_max=strictest_pap(Use.DETECT)
    ):
        yield f"{value}.toy", type_.encode()


FORMAT = FolderFormat(render, stale=re.compile(r".*\\.toy"))
''',
        "exporters/registry.py",
        '    "toy": Exporter("p2pshare.exporters.toy:FORMAT", "a folder with a file a value"),',
        '    "misp": ',
    ),
    "command": PlugIn(
        "cli/toy.py",
        '''"""`p2pshare toy`: says a word."""

from pathlib import Path

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command


@click.command(cls=Command)
@click.argument("word")
@click.pass_obj
def toy(home: Path, word: str) -> int:
    """say WORD, and where"""
    console.print_result(f"{word} in {home.name}")
    return 6
''',
        "cli/program.py",
        '    "toy": ("p2pshare.cli.toy:toy", "say a word"),',
        '    "doctor": ',
    ),
    "payload kind": PlugIn(
        "sharing/toy_reader.py",
        '''"""The reader of toys: what a frame says is put into the settings."""

from collections import Counter

from p2pshare.database.settings import Setting
from p2pshare.log.interface import EnvelopeOrigin
from p2pshare.node.node import Node
from p2pshare.sharing.payload_kinds import Place, ReceivedPayload, Steps


class ToyReader:
    def __init__(self, node: Node) -> None:
        self._database = node.store.database

    def begin(self, now: int, *, is_hurried: bool) -> None:
        """Nothing depends on the time."""

    def read(
        self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
    ) -> Steps:
        for number, frame in enumerate(payload.frames[sum(place) :], sum(place) + 1):
            self._database.put_setting(Setting("toy", str), f"{payload.kind.name}: {frame.decode()}")
            yield (number,)

    def finish(self) -> None:
        """Nothing was gathered."""
''',
        "sharing/payload_kinds.py",
        '    PayloadKind("toy", 1, 1_000, 1, frozenset({4}), "p2pshare.sharing.toy_reader:ToyReader"),',
        "    PayloadKind(",
    ),
    "space kind": PlugIn(
        "spaces/toy.py",
        '''"""Toy chests: how many toys were put in, and whether the lead has locked it."""

from collections.abc import Iterator, Sequence

from p2pshare.spaces.acts import decode_plain
from p2pshare.spaces.interface import EntryKind, FoldView, Json, SpaceKind
from p2pshare.spaces.vertex import Vertex


class ChestFold:
    def __init__(self, view: FoldView) -> None:
        self.counts = {"toy": 0, "lock": 0}

    def whole(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        for vertex in vertices:
            self.add(vertex)
            yield

    def add(self, vertex: Vertex) -> bool:
        if vertex.has_effect and vertex.kind in self.counts:
            self.counts[vertex.kind] += 1
        return True

    def canonical(self) -> Json:
        return {"locked": self.counts["lock"] > 0, "toys": self.counts["toy"]}


KIND = SpaceKind(
    "toy",
    {"toy": EntryKind(False, False, bytes), "lock": EntryKind(True, True, decode_plain)},
    "",
    ChestFold,
)
''',
        "spaces/registry.py",
        '    "toy": "p2pshare.spaces.toy:KIND",',
        '    "note": ',
    ),
}

# A chest into which two members put toys, and which the other one cannot lock.
TOY_CHEST = """
from space_histories import Teller

from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold

told = Teller("LA", kind="toy")
told.write("A", "toy", b"a ball")
told.write("L", "toy", b"a kite")
told.write("A", "lock", b"\\x80")
space = SpaceFold()
for number, entry in enumerate(told.entries.values()):
    space.add(entry)
    space.state()
print(canonical(space.state()).decode())
"""

# alpha and bravo, linked, with an envelope of the new kind waiting in the log of alpha, as a publisher of it would store it.
TWO_HOMES = """
import sys, time
from pathlib import Path

from whole_nodes import befriend, seal_unchecked

from p2pshare.envelope.envelope import decode_envelope
from p2pshare.envelope.payload import ALONE, PayloadHeader
from p2pshare.envelope.envelope import SealedEnvelope
from p2pshare.identifiers import PublicationId
from p2pshare.intel.marking import Tlp
from p2pshare.log.interface import NewEnvelope
from p2pshare.node.init import found_home
from p2pshare.node.node import close_node, open_node
from p2pshare.sharing.drafting import DraftPart

now, nodes = int(time.time()), []
for name, port in zip(("alpha", "bravo"), sys.argv[2:]):
    home, address = Path(sys.argv[1]) / name, f"127.0.0.1:{port}"
    found_home(home, name=name, url=f"https://{address}", listen=address, passphrase=None, now=now)
    nodes.append(open_node(home))
alpha, bravo = nodes
befriend(alpha, bravo, now=now)
befriend(bravo, alpha, now=now)
header = PayloadHeader("toy", now, "", 1, PublicationId(bytes(16)), ALONE)
wire = seal_unchecked(alpha, DraftPart(Tlp.GREEN, (b"hello",), 1), bravo, now, header=header)
envelope = decode_envelope(wire)
recipient = bravo.identity.partner_id
with alpha.store.transaction():
    alpha.store.log.add([
        NewEnvelope(
            SealedEnvelope(envelope.envelope_id, envelope.core, wire),
            received_from=None,
            received_at=now,
            awaits_first_hop=True,
            recipient_sequences={recipient: 1},
            audience=(recipient,),
        )
    ])
for node in nodes:
    close_node(node)
"""


class Tree:
    """A copy of `src` with a plug-in in it, and the program as it runs from there."""

    def __init__(self, repository: Path, folder: Path, plug_in: PlugIn) -> None:
        self.source = folder / "src"
        self._paths = os.pathsep.join([str(self.source), str(repository / "tests" / "support")])
        # compiled files are taken along, for they are good there, too; those that are being written are not
        shutil.copytree(repository / "src", self.source, ignore=shutil.ignore_patterns("*.pyc.*"))
        (self.source / "p2pshare" / plug_in.file).write_text(plug_in.text)
        registry = self.source / "p2pshare" / plug_in.registry
        lines = registry.read_text().split("\n")
        place = next(number for number, line in enumerate(lines) if line.startswith(plug_in.below))
        registry.write_text("\n".join([*lines[:place], plug_in.row, *lines[place:]]))

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": self._paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def says(self, home: Path, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """What one command says on stdout, or on stderr when it fails, which it does with `code`."""
        with self.start("-m", "p2pshare", "--home", home, *arguments) as process:
            out, err = process.communicate(stdin, timeout=60)
        assert process.returncode == code, err
        return out or err


@pytest.fixture
def plug_in(request: pytest.FixtureRequest) -> PlugIn:
    return PLUG_INS[request.param]


@pytest.fixture
def tree(repository: Path, tmp_path: Path, plug_in: PlugIn) -> Tree:
    return Tree(repository, tmp_path, plug_in)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """alpha, who trusts bravo and has published a value."""
    now = int(time.time())
    world = World(tmp_path, now)
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo, now=now)
    send(alpha, ["one.example"], to=["bravo"], now=now)
    world.close()
    return tmp_path / "alpha"


def texts(folder: Path) -> dict[str, str]:
    """The text of each file below `folder`, but for what Python compiled."""
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


# --- what it costs ---


@pytest.mark.parametrize("plug_in", PLUG_INS, indirect=True)
def test_a_plug_in_is_one_new_file_and_one_new_line(plug_in: PlugIn, tree: Tree, repository: Path) -> None:
    before, after = texts(repository / "src"), texts(tree.source)
    assert after.keys() - before.keys() == {f"p2pshare/{plug_in.file}"}
    assert not before.keys() - after.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {f"p2pshare/{plug_in.registry}"}
    [name] = changed
    lines = ndiff(before[name].splitlines(), after[name].splitlines())
    assert [line for line in lines if line[:1] in "+-?"] == [f"+ {plug_in.row}"]
    assert len(plug_in.row) <= LINE_LENGTH_MAX


# --- and does ---


@pytest.mark.parametrize("plug_in", ["importer of values"], indirect=True)
def test_a_new_format_of_values_is_asked_for_by_name_and_told_by_ending_and_beginning(
    tree: Tree, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "named.toy").write_text("named.example\n")
    for arguments, text in (
        (["-"], ">> begun.example\n"),
        ([str(tmp_path / "named.toy")], ""),
        (["-", "--format", "toy"], "asked.example\n"),
    ):
        tree.says(home, "publish", *arguments, "--tlp", "green", "--yes", stdin=text)
    values = tree.says(home, "export", "--format", "list").split()
    assert values == ["one.example", "begun.example", "named.example", "asked.example"]
    assert "toy, a value behind each >>;" in " ".join(tree.says(home, "publish", "--help").split())


@pytest.mark.parametrize("plug_in", ["importer of objects"], indirect=True)
def test_a_new_format_of_objects_is_told_by_its_keys(tree: Tree, home: Path) -> None:
    toy = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": "indicator--00000000-0000-4000-8000-000000000001",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "valid_from": "2026-01-01T00:00:00Z",
        "pattern": "[domain-name:value = 'toy.example']",
        "pattern_type": "stix",
    }
    box = json.dumps({"type": "bundle", "toys": [toy]})
    said = json.loads(tree.says(home, "publish", "-", "--tlp", "green", "--yes", "--json", stdin=box))
    assert (said["read"], said["published"]) == (1, 1)
    assert tree.says(home, "export", "--format", "list").split() == ["one.example", "toy.example"]


@pytest.mark.parametrize("plug_in", ["exporter"], indirect=True)
def test_a_new_format_out_is_written(tree: Tree, home: Path) -> None:
    assert tree.says(home, "export", "--format", "toy") == ">> one.example\n"
    assert "toy, a value behind each >>;" in " ".join(tree.says(home, "export", "--help").split())


@pytest.mark.parametrize("plug_in", ["exporter of a folder"], indirect=True)
def test_a_new_folder_is_written_and_what_is_stale_in_it_goes(tree: Tree, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "box"
    folder.mkdir()
    for name in ("stale.toy", "notes.txt"):
        (folder / name).touch()
    tree.says(home, "export", "--format", "toy", "-o", str(folder))
    assert texts(folder) == {"one.example.toy": "domain", "notes.txt": ""}


@pytest.mark.parametrize("plug_in", ["command"], indirect=True)
def test_a_new_command_is_listed_and_run_with_its_exit_code(tree: Tree, tmp_path: Path) -> None:
    assert tree.says(tmp_path / "nowhere", "toy", "hello", code=6) == "hello in nowhere\n"
    assert "toy say a word" in " ".join(tree.says(tmp_path, "--help").split())


@pytest.mark.parametrize("plug_in", ["space kind"], indirect=True)
def test_a_space_of_a_new_kind_is_folded(tree: Tree) -> None:
    with tree.start("-c", TOY_CHEST) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["state"] == {"locked": False, "toys": 2}


@pytest.mark.end_to_end
@pytest.mark.parametrize("plug_in", ["payload kind"], indirect=True)
def test_an_envelope_of_a_new_kind_is_read_by_the_daemon_of_a_partner(tree: Tree, tmp_path: Path) -> None:
    with tree.start("-c", TWO_HOMES, tmp_path, str(free_port()), str(free_port())) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    homes = [tmp_path / name for name in ("alpha", "bravo")]
    daemons = [tree.start("-m", "p2pshare", "--home", home, "run") for home in homes]
    try:
        wait_for(lambda: setting(homes[1], "toy") == "toy: hello", daemons)
    finally:
        for daemon in daemons:
            daemon.send_signal(signal.SIGTERM)
        said = [daemon.communicate(timeout=PATIENCE_SECONDS)[1] for daemon in daemons]
    assert [daemon.returncode for daemon in daemons] == [0, 0], said


def setting(home: Path, name: str) -> str | None:
    with closing(sqlite3.connect(f"file:{home / 'store.sqlite'}?mode=ro", uri=True, timeout=5)) as store:
        row = store.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    return row and row[0]


def wait_for(happened: Callable[[], bool], daemons: list[subprocess.Popen[str]]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        assert [daemon.poll() for daemon in daemons] == [None, None]
        time.sleep(0.05)


# --- what is wrong in a row ---


@pytest.mark.parametrize("name", EXPORTERS)
def test_each_row_of_a_format_out_names_one(name: str) -> None:
    assert isinstance(load_exporter(name), Format | FolderFormat)


@pytest.mark.parametrize("name", IMPORTERS)
def test_each_row_of_a_format_in_names_one(name: str) -> None:
    assert isinstance(load_importer(name), ObjectFormat | ValueFormat)


def test_no_two_formats_claim_one_ending_or_key() -> None:
    endings = [ending for row in IMPORTERS.values() for ending in row.endings]
    keys = [key for row in IMPORTERS.values() for key in row.json_keys]
    assert sorted(endings) == sorted(set(endings))
    assert sorted(keys) == sorted(set(keys))


def test_every_payload_kind_has_its_reader() -> None:
    assert load_readers().keys() == PAYLOAD_KINDS.keys()
    assert load_readers()[STIX.name] is StixReader


@pytest.mark.parametrize(
    "path",
    [
        "p2pshare.sharing.no_such_file:StixReader",
        "p2pshare.sharing.stix_reader:NoSuchReader",
        "p2pshare.sharing.stix_reader:Content",
        "p2pshare.sharing.stix_reader:Tlp.GREEN",
        "p2pshare.sharing.stix_reader",
        "stix reader",
        "",
    ],
)
def test_a_reader_that_is_missing_or_misnamed_is_told_by_its_kind(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {**PAYLOAD_KINDS, "toy": replace(STIX, name="toy", reader=path)}
    monkeypatch.setattr(payload_kinds, "PAYLOAD_KINDS", table)
    with pytest.raises(OperatorError, match=f"no reader for payloads of kind 'toy': {path}: ") as caught:
        load_readers()
    assert caught.value.reason == "no-payload-reader"


@pytest.mark.parametrize("plug_in", ["payload kind"], indirect=True)
def test_a_daemon_without_a_reader_does_not_start(plug_in: PlugIn, tree: Tree, tmp_path: Path) -> None:
    """Else what partners seal for it would be held and never read, and nobody would know."""
    (tree.source / "p2pshare" / plug_in.file).unlink()
    said = tree.says(tmp_path, "run", code=1)
    assert said.startswith(
        "error: there is no reader for payloads of kind 'toy': p2pshare.sharing.toy_reader:ToyReader: "
    )
    assert "\nhint: " in said
    assert "Traceback" not in said
