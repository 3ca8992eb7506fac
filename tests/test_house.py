"""The house: floors, circles and names are kept by a machine, and the machine is shown to see a breach."""

from __future__ import annotations

import ast
import graphlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

BANNED_CLASS = re.compile(r"(Manager|Handler|Context|App|Daemon)$")
BANNED_MODULES = frozenset({"utils", "common", "helpers", "base", "misc"})
PURE_ROOMS = ("intel", "envelope", "gossip", "policy", "topology", "importers", "spaces")
IMPURE = frozenset(
    {"asyncio", "aiohttp", "sqlite3", "apsw", "socket", "time", "random", "threading", "ssl", "os"}
)

# One breach for each contract in pyproject.toml: (file, line added, what import-linter must call broken).
BREACHES = [
    ("intel/marking.py", "import p2pshare.knowledge.knowledge", "imports run down the floors only"),
    ("log/sequences.py", "import p2pshare.knowledge.chunk", "imports run down the floors only"),
    ("log/expiry.py", "import p2pshare.partners.partners", "imports run down the floors only"),
    ("queries/lookup.py", "import p2pshare.daemon.clock", "imports run down the floors only"),
    ("queries/lookup.py", "import p2pshare.operations.table", "imports run down the floors only"),
    ("peering/client.py", "import p2pshare.partners.roster", "imports run down the floors only"),
    ("sharing/intake.py", "import p2pshare.queries.status", "imports run down the floors only"),
    ("importers/csaf.py", "import p2pshare.node.store", "imports run down the floors only"),
    ("topology/circles.py", "import p2pshare.policy.gate", "imports run down the floors only"),
    ("spaces/fold.py", "import p2pshare.queries.status", "imports run down the floors only"),
    ("spaces/authority.py", "import p2pshare.operations.table", "imports run down the floors only"),
    ("spaces/authority.py", "import time", "pure rooms touch no clock, network, disk or database"),
    ("spaces/notebook.py", "import datetime", "operations, queries, spaces and sharing are handed the clock"),
    ("spaces/fold.py", "import p2pshare.spaces.space_store", "what a space comes to knows no tables"),
    ("spaces/fold.py", "import apsw", "only rooms that own tables speak SQL"),
    ("spaces/acts.py", "import cryptography", "only envelope and the key file import cryptography"),
    (
        "knowledge/effective_state.py",
        "import asyncio",
        "pure rooms touch no clock, network, disk or database",
    ),
    ("topology/graph.py", "import apsw", "pure rooms touch no clock, network, disk or database"),
    ("node/node.py", "import cryptography", "only envelope and the key file import cryptography"),
    ("operations/looking.py", "import time", "operations, queries, spaces and sharing are handed the clock"),
    ("queries/status.py", "import random", "operations, queries, spaces and sharing are handed the clock"),
    ("gossip/engine.py", "import time", "pure rooms touch no clock, network, disk or database"),
    ("queries/lookup.py", "import sqlite3", "only rooms that own tables speak SQL"),
    ("knowledge/claims.py", "import cryptography", "only envelope and the key file import cryptography"),
    ("cli/run.py", "import aiohttp", "only http_server, peering and the daemon import aiohttp"),
    ("http_server/rates.py", "import p2pshare.peering.tls", "imports run down the floors only"),
    ("http_server/rates.py", "import p2pshare.gossip.messages", "imports run down the floors only"),
    ("risk/ranking.py", "import p2pshare.knowledge.knowledge", "risk imports nothing that sends"),
    ("risk/risk_store.py", "import socket", "risk imports nothing that sends"),
    ("risk/matching.py", "import p2pshare.node.node", "imports run down the floors only"),
    ("daemon/run.py", "import p2pshare.risk.risk_store", "nothing that has a socket imports risk"),
    ("risk/sources/kev_catalogue.py", "import apsw", "what risk reads and decides knows no tables"),
    ("http_server/tally.py", "import p2pshare.identifiers", "http_server names no partner and no envelope"),
    ("cli/session.py", "import p2pshare.risk.words", "nothing that has a socket imports risk"),
    ("cli/risk/exposure.py", "import p2pshare.risk.responses", "nothing that has a socket imports risk"),
    ("cli/risk/aggregate.py", "import p2pshare.risk.words", "nothing that has a socket imports risk"),
    ("daemon/run.py", "import p2pshare.engines.launch", "nothing that has a socket imports engines"),
    ("engines/launch.py", "import p2pshare.config", "engines knows nothing of the house"),
    ("engines/walls.py", "import subprocess", "of engines launch alone starts a process"),
    (
        "exporters/plain_list.py",
        "import p2pshare.database.exercise_schema",
        "what is real opens no file of an exercise",
    ),
    (
        "queries/searching.py",
        "import p2pshare.node.exercise_file",
        "what is real opens no file of an exercise",
    ),
    (
        "risk/ranking.py",
        "import p2pshare.database.exercise_schema",
        "what is real opens no file of an exercise",
    ),
    ("database/connection.py", "import subprocess", "risk imports nothing that sends"),
    (
        "cli/risk/worker.py",
        "import p2pshare.cli.session",
        "commands that open the inventory ask no daemon and start nothing",
    ),
]


def sources(repository: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((repository / "src" / "p2pshare").rglob("*.py")):
        yield path, ast.parse(path.read_text())


def test_no_class_or_module_has_a_name_that_says_nothing(repository: Path) -> None:
    for path, tree in sources(repository):
        assert path.stem not in BANNED_MODULES, path
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                assert not BANNED_CLASS.search(node.name), f"{path.name}: {node.name}"


def test_every_module_says_what_it_is_for(repository: Path) -> None:
    for path, tree in sources(repository):
        if path.name != "__main__.py":
            assert ast.get_docstring(tree), path


def test_pure_rooms_import_nothing_of_the_outside(repository: Path) -> None:
    """Beside import-linter, which cannot see an import inside a function's text that is never run."""
    for path, tree in sources(repository):
        if path.relative_to(repository / "src" / "p2pshare").parts[0] not in PURE_ROOMS:
            continue
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            outside = {name.partition(".")[0] for name in names} & IMPURE
            assert outside <= {"random"}, f"{path.name}: {outside}"
            if (
                "random" in outside
            ):  # the engine is handed its generator; naming the type is no use of the clock
                assert isinstance(node, ast.ImportFrom) and [alias.name for alias in node.names] == [
                    "Random"
                ], path


def test_only_the_commands_of_risk_run_the_room(repository: Path) -> None:
    """Whatever is new in `cli/` as well: import-linter is told of rooms, and of the commands that send."""
    for path, tree in sources(repository):
        parts = path.relative_to(repository / "src" / "p2pshare").parts
        if parts[0] == "risk" or parts[:2] == ("cli", "risk"):
            continue
        for node in ast.walk(tree):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(re.match(r"p2pshare\.(cli\.)?risk\b", name) for name in names), path


def test_one_module_opens_the_files_of_exercises(repository: Path) -> None:
    """Whatever is new as well: import-linter is told of rooms."""
    doors = {"node/exercise_file.py", "node/bringing_forward.py", "spaces/exercise_grounds.py"}
    for path, tree in sources(repository):
        name = path.relative_to(repository / "src" / "p2pshare").as_posix()
        names = [one.module or "" for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)]
        names += [alias.name for one in ast.walk(tree) if isinstance(one, ast.Import) for alias in one.names]
        asks = {"p2pshare.node.exercise_file", "p2pshare.database.exercise_schema"} & set(names)
        assert not asks or name in doors, f"{name}: {asks}"


def test_no_module_imports_itself_through_others() -> None:
    """Those for types only are imports as well: whoever reads a module reads what it names."""
    graph = grimp.build_graph("p2pshare", exclude_type_checking_imports=False, cache_dir=None)
    order = graphlib.TopologicalSorter(
        {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    )
    order.prepare()  # raises CycleError, which names the circle


# What import-linter says of the tree in the folder of the moment, as it is and with each breach in turn; in one process, for most
# of a run alone is starting it.
LINT = """
import contextlib, io, json, sys
from pathlib import Path
sys.path.insert(0, "src")
from importlinter.application.output import console
from importlinter.cli import lint_imports

def lint():
    with console.capture() as said:
        code = lint_imports(no_cache=True)
    return code, said.get()

told = [lint()]
for file, line, _ in json.load(sys.stdin):
    path = Path("src/p2pshare") / file
    before = path.read_text()
    path.write_text(f"{before}\\n{line}\\n")
    told.append(lint())
    path.write_text(before)
json.dump(told, sys.stdout)
"""


@pytest.fixture(scope="module")
def linted(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str]]:
    """Exit code and words of import-linter: first over a copy of the tree as it is, then with each breach."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(repository / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repository / "pyproject.toml", folder)
    done = subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=folder,
        input=json.dumps(BREACHES),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [(code, said) for code, said in json.loads(done.stdout)]
    assert len(told) == 1 + len(BREACHES)
    return told


def test_the_floors_hold(linted: list[tuple[int, str]]) -> None:
    code, said = linted[0]
    assert code == 0, said


@pytest.mark.parametrize("number", range(len(BREACHES)), ids=["-".join(breach[:2]) for breach in BREACHES])
def test_a_deliberate_breach_is_seen(linted: list[tuple[int, str]], number: int) -> None:
    code, said = linted[1 + number]
    assert code != 0
    assert f"{BREACHES[number][2]} BROKEN" in said
