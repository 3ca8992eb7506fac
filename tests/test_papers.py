"""The papers say what is there: the picture of the house, its rooms, the indexes, and every link and file that a page names."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from citations import Program

ROOM = re.compile(r"^\| (\d+) \| `(\w+)(?:\.py|/)` \|", re.MULTILINE)
IN_README = re.compile(r"^ *(\d*) ((?:\w+(?:\.py|/)?(?: +|$))+)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
DECISION = re.compile(r"^\| \[(\d{4})\]\(([\w-]+\.md)\) \| (.+?) \| (.+?) \|$", re.MULTILINE)
PATH_AND_NAME = re.compile(r"`((?:[a-z_]+/)+[a-z_]+(?:\.[A-Za-z_]\w*)+)`")


def pages(repository: Path) -> Iterator[Path]:
    """Every page that is kept up to date; decisions keep the names of their day."""
    yield from sorted(repository.glob("*.md"))
    yield from sorted((repository / "docs").glob("*.md"))
    yield from sorted((repository / "docs" / "operations").glob("*.md"))
    yield repository / "docs" / "decisions" / "README.md"
    yield repository / "config" / "README.md"


# --- the picture ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copied(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the picture is drawn from, and the page it is drawn in."""
    folder = tmp_path_factory.mktemp("papers")
    shutil.copytree(repository / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "docs/ARCHITECTURE.md", "scripts/draw_house.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(repository / name, folder / name)
    return folder


def draw(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(folder / "scripts" / "draw_house.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_picture_is_what_the_imports_say(repository: Path) -> None:
    done = draw(repository, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_import_that_the_picture_does_not_show_is_seen(copied: Path) -> None:
    path = copied / "src" / "p2pshare" / "exporters" / "ndjson.py"
    before, page = path.read_text(), copied / "docs" / "ARCHITECTURE.md"
    drawn = page.read_text()
    try:
        path.write_text(f"{before}\nimport p2pshare.topology.graph\n")
        assert draw(copied, "--check").returncode == 1
        assert page.read_text() == drawn
        assert draw(copied).returncode == 0
        assert "exporters      knowledge policy topology importers" in page.read_text()
        assert draw(copied, "--check").returncode == 0
    finally:
        path.write_text(before)
        page.write_text(drawn)


def test_a_page_without_a_place_for_the_picture_is_left_alone(copied: Path) -> None:
    page = copied / "docs" / "ARCHITECTURE.md"
    drawn = page.read_text()
    try:
        page.write_text("# Architecture\n")
        assert draw(copied).returncode == 1
        assert page.read_text() == "# Architecture\n"
    finally:
        page.write_text(drawn)


# --- rooms -----------------------------------------------------------------------------------------------


def floors(repository: Path) -> set[tuple[int, str]]:
    settings = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["importlinter"]
    [layers] = [one["layers"] for one in settings["contracts"] if one["id"] == "floors"]
    return {
        (floor, room) for floor, layer in enumerate(reversed(layers), start=1) for room in layer.split(" | ")
    }


def test_architecture_has_every_room_on_its_floor_and_no_other(repository: Path) -> None:
    text = (repository / "docs" / "ARCHITECTURE.md").read_text()
    told = [(int(floor), room) for floor, room in ROOM.findall(text)]
    assert len(told) == len(set(told))
    assert set(told) == floors(repository)


def test_readme_draws_every_room_on_its_floor_and_no_other(repository: Path) -> None:
    text = (repository / "README.md").read_text().partition("## The house")[2]
    block = text.partition("```\n")[2].partition("```")[0]
    told: set[tuple[int, str]] = set()
    floor = 0
    for number, rooms in IN_README.findall(block):
        floor = int(number or floor)
        told |= {(floor, re.sub(r"\.py$|/$", "", room)) for room in rooms.split() if is_room(room)}
    assert told == floors(repository)


def is_room(word: str) -> bool:
    return word.endswith(("/", ".py")) or word == "__main__"


# --- indexes ---------------------------------------------------------------------------------------------


def test_every_decision_is_in_the_index_and_every_entry_exists(repository: Path) -> None:
    folder = repository / "docs" / "decisions"
    assert wrong_in_index((folder / "README.md").read_text(), folder) == []


def wrong_in_index(index: str, folder: Path) -> list[str]:
    """Entries that are missing, of no file, under another number or title than the file's, out of order, or without a line."""
    found = {path.name: path.read_text().partition("\n")[0] for path in folder.glob("[0-9]*.md")}
    told = DECISION.findall(index)
    wrong = [f"not in the index: {name}" for name in sorted(found.keys() - {file for _, file, _, _ in told})]
    for number, file, title, line in told:
        if found.get(file) != f"# {number} {title}" or not file.startswith(f"{number}-") or not line.strip():
            wrong.append(f"{file}: {found.get(file)}")
    if [file for _, file, _, _ in told] != sorted({file for _, file, _, _ in told}):
        wrong.append("out of order, or twice")
    return wrong


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "| [0004](0004-an-epoch-is-one-start.md) | An epoch",
            "[0004](0004-an-epoch-is-one-start.md) | An epoch",
        ),
        ("| [0004](0004-an-epoch-is-one-start.md) |", "| [0004](0004-an-epoch-is-two.md) |"),
        ("| An epoch is one start of the daemon |", "| An epoch is a start |"),
        ("| [0004](0004-", "| [0010](0004-"),
    ],
)
def test_a_wrong_entry_in_the_index_is_seen(before: str, after: str, repository: Path) -> None:
    folder = repository / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    assert index.count(before) == 1
    assert wrong_in_index(index.replace(before, after), folder)


def test_the_index_of_documents_has_every_page(repository: Path) -> None:
    folder = repository / "docs"
    text = (folder / "README.md").read_text()
    told = set(re.findall(r"^\| \[[^\]]+\]\(([^)]+)\) \| .", text, re.MULTILINE))
    pages = [*folder.glob("*.md"), *folder.glob("operations/*.md")]
    there = {path.relative_to(folder).as_posix() for path in pages} | {"p2pshare.1", "decisions/README.md"}
    assert told == there - {"README.md"}


# --- what a page names -----------------------------------------------------------------------------------


def test_every_link_leads_somewhere(repository: Path) -> None:
    everything = {*pages(repository), *(repository / "docs" / "decisions").glob("*.md")}
    assert len(everything) > 50
    for page in sorted(everything):
        for target in LINK.findall(page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.fixture(scope="module")
def program(repository: Path) -> Program:
    return Program(repository, [repository / "src" / "p2pshare", repository / "scripts" / "simulator"])


def test_every_file_and_section_that_a_page_names_exists(repository: Path, program: Program) -> None:
    wrong = [
        f"{page.name}: {cited}"
        for page in pages(repository)
        for cited in wrong_in_page(page.read_text(), page.parent, program)
    ]
    assert wrong == []


def wrong_in_page(text: str, beside: Path, program: Program) -> list[str]:
    """Files and sections as in a docstring; `room/file.name`; sections as `[page](page), "Title"`."""
    linked = re.sub(r"\[[\w-]+\.md\]\(([\w-]+\.md)\), \"", r'docs/\1, "', text)
    wrong = [*program.missing_files(linked, beside)]
    for cited in PATH_AND_NAME.findall(text):
        if not program.is_path(cited, beside) and not program.is_name(cited.replace("/", ".")):
            wrong.append(cited)
    return wrong


@pytest.mark.parametrize(
    "text",
    [
        "see `sharing/waiting.py`",
        "by `sharing/publishing.prepare_all`",
        "by `gossip/engine.Engine.handel`",
        "by `service/publishing.prepare`",
        "in `scripts/simulator/weather.py`",
        '[store.md](store.md), "Standing"',
        '[gossip.md](gossip.md), "Spreading" and "Feeding"',
    ],
)
def test_a_wrong_name_in_a_page_is_seen(text: str, repository: Path, program: Program) -> None:
    assert wrong_in_page(text, repository / "docs", program)
