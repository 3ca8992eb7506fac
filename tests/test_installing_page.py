"""What docs/operations/installing.md tells a person to type is what scripts/prove_packages.sh runs in a clean Debian (`.ci/run`)."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

CHOSEN = re.compile(r"https?://|Hospital|\.(?:deb|whl|lock)$")  # what each installation has another of


def typed(page: str) -> list[list[str]]:
    """The commands of a page's console blocks, without what is chosen each time."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("# ") for block in blocks for line in block.splitlines()]
    return [[word for word in shlex.split(line) if not CHOSEN.search(word)] for line in lines]


def is_run(words: list[str], script: str) -> bool:
    """Whether a line of the script has these words in their order."""
    lines = [line.split() for line in script.splitlines()]
    return any(all(word in rest for word in words) for rest in map(iter, lines))


def test_every_command_of_the_page_is_run(repository: Path) -> None:
    script = (repository / "scripts" / "prove_packages.sh").read_text()
    commands = typed((repository / "docs" / "operations" / "installing.md").read_text())
    assert len(commands) > 10
    assert [words for words in commands if not is_run(words, script)] == []


@pytest.mark.parametrize("line", ["p2pshare service remove", "status p2pshare service"])
def test_one_that_is_not_run_is_seen(repository: Path, line: str) -> None:
    assert not is_run(line.split(), (repository / "scripts" / "prove_packages.sh").read_text())
