"""Draws the house between two marks in docs/ARCHITECTURE.md, from the imports themselves; scripts/draw-house explains it.

Floors and their order are those that import-linter keeps (pyproject.toml). A row is a room, and all that any of its files imports.
Files are not counted: a new file in a room is no new picture, a new import between rooms is.
"""

from __future__ import annotations

import sys
import textwrap
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp

TOP = Path(__file__).resolve().parent.parent
PACKAGE = "p2pshare"
PAGE = TOP / "docs" / "ARCHITECTURE.md"
BEGIN, END = "<!-- drawn by scripts/draw-house -->\n", "<!-- end of the picture -->\n"
WINGS = {12: "doors", 9: "what a partner does", 5: "what is kept", 3: "ground"}
"""By the highest floor of each."""
DOORS_BELOW = {"peering"}
"""Doors that stand on a lower floor than what they open to, for they are handed it."""
LINE_LENGTH = 110


def main(arguments: list[str]) -> int:
    text = PAGE.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        print(f"{PAGE.relative_to(TOP)} has no place for the picture: {BEGIN.strip()} and {END.strip()}")
        return 1
    drawn = f"{before}{BEGIN}```\n{picture()}```\n{END}{after}"
    if arguments == ["--check"]:
        if drawn != text:
            print(f"{PAGE.relative_to(TOP)} is not what the imports say; scripts/draw-house draws it anew")
        return int(drawn != text)
    PAGE.write_text(drawn)
    return 0


def picture() -> str:
    """The floors from the roof down: each room with the rooms it imports, highest first."""
    floors, imports = floors_of(), imports_of()
    height = {room: floor for floor, rooms in floors.items() for room in rooms}
    lines = [f"floor  {'room':<14} imports"]
    for floor in sorted(floors, reverse=True):
        if floor in WINGS:
            lines.append(f"--- {WINGS[floor]} ".ljust(LINE_LENGTH, "-"))
        for number, room in enumerate(floors[floor]):
            label = f"{'' if number else floor:>5}  {name_of(room):<14} "
            below = sorted(imports[room], key=lambda one: (-height[one], one))
            lines += list(wrapped(label, below)) or [label.rstrip()]
    lines.append("* a door as well: it is handed what it opens to")
    return "".join(f"{line}\n" for line in lines)


def name_of(room: str) -> str:
    is_file = (TOP / "src" / PACKAGE / f"{room}.py").is_file()
    return room + ".py" * is_file + "*" * (room in DOORS_BELOW)


def wrapped(label: str, rooms: list[str]) -> Iterator[str]:
    yield from textwrap.wrap(
        " ".join(rooms), LINE_LENGTH, initial_indent=label, subsequent_indent=" " * len(label)
    )


def floors_of() -> dict[int, list[str]]:
    """Floor -> its rooms, counted from the ground, by the contract on floors."""
    settings = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["importlinter"]
    [layers] = [one["layers"] for one in settings["contracts"] if one["id"] == "floors"]
    return {floor: layer.split(" | ") for floor, layer in enumerate(reversed(layers), start=1)}


def imports_of() -> Mapping[str, set[str]]:
    """Room -> the rooms that its files import, for type checkers alone or not."""
    sys.path.insert(0, str(TOP / "src"))
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for module in graph.modules:
        room = room_of(module)
        found[room] |= {room_of(one) for one in graph.find_modules_directly_imported_by(module)} - {room, ""}
    return found


def room_of(module: str) -> str:
    """The room of a dotted name; empty for the package itself, which holds its version and nothing else."""
    return module.removeprefix(PACKAGE).lstrip(".").partition(".")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
