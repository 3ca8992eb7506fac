"""Names: one word for one thing. Public types are unique in the program, file names nearly so, and what a text cites exists."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

# Files that a column of rooms shares, each the same part of its own room: a command, its operation, its service.
SHARED_FILE_NAMES = {
    "interface.py": "what a room promises",
    "assessing.py": "object, service, operation",
    "withdrawing.py": "object, service, operation",
    "publishing.py": "service, operation",
    "history.py": "service, operation",
    "forwarding.py": "rows, service",
    "staging.py": "numbers and rows, service",
    "partners.py": "tables, service, operation",
    "notices.py": "tables, service",
    "introductions.py": "tables, what they allow",
    "introducing.py": "service, operation",
    "pending.py": "tables, service, operation",
    "searching.py": "statement, query, operation",
    "explaining.py": "query, operation",
    "lookup.py": "query, command",
    "doctor.py": "query, command",
    "status.py": "query, operation, command",
    "init.py": "making a home, command",
    "card.py": "format, command",
    "envelope.py": "format, command",
    "config.py": "format, command",
    "run.py": "daemon, command",
    "misp.py": "importer, exporter",
    "stix.py": "importer, exporter",
    "already_held.py": "service, operation",
    "inviting.py": "service, operation",
    "spaces.py": "service, operation",
    "framework.py": "kind of space, command",
    "bodies.py": "any server's, a partner's",
    "server.py": "any server, the one for partners",
    "tls.py": "any server's, a partner's",
    "refusals.py": "of what was read, of a request",
    "connection.py": "to a database, to a caller",
    "registry.py": "formats in, formats out",
    "audit.py": "of what partners hold, command",
    "fetching.py": "rows, bodies",
    "incident.py": "kind of space, command",
    "lab.py": "kind of space, command",
    "training.py": "operation, command",
    "exercise.py": "kind of space, command",
    "backup.py": "what is done, command",
    "restore.py": "what is done, command",
}


def sources(folder: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(folder.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def public_types(tree: ast.Module) -> Iterator[str]:
    """Yields classes, and names in CamelCase that a module gives to a type."""
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name):
                pass
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if not re.fullmatch(r"[A-Z][A-Za-z]*[a-z][A-Za-z]*", name):
                    continue
            case _:
                continue
        if not name.startswith("_"):
            yield name


def doubles(files: Iterable[tuple[Path, ast.Module]]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path, tree in files:
        for name in public_types(tree):
            found[name].append(path.as_posix())
    return {name: places for name, places in found.items() if len(places) > 1}


def test_a_public_type_has_a_name_of_its_own(repository: Path) -> None:
    assert not doubles(sources(repository / "src"))


@pytest.mark.parametrize(
    "text",
    ["class Verdict: pass", "Verdict = int | str", "Verdict: TypeAlias = int"],
)
def test_a_second_type_of_one_name_is_seen(text: str) -> None:
    twins = [(Path("a.py"), ast.parse(text)), (Path("b.py"), ast.parse("class Verdict:\n    pass"))]
    assert doubles(twins) == {"Verdict": ["a.py", "b.py"]}
    assert not doubles([(Path("a.py"), ast.parse("class _Verdict: pass\nVERDICT = 1\nT = 2"))] * 2)


def test_a_file_name_is_shared_only_by_what_is_one_column(repository: Path) -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in (repository / "src").rglob("*.py"):
        if path.name != "__init__.py":
            places[path.name].append(path.as_posix())
    shared = {name for name, found in places.items() if len(found) > 1}
    assert shared == SHARED_FILE_NAMES.keys()
