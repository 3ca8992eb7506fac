"""The commands that a page of docs/operations/ tells a person to type, and their run: so a page cannot say what does not work.

A page writes them in blocks of the language `console`, a prompt before each, and what it prints below without one::

    old$ p2pshare backup node.age --passphrase-file backup.pass
    new# systemctl start p2pshare

What stands before `$` (a user) or `#` (root) is the machine; the prompt may be bare. A line that ends with a backslash goes on in the next.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT = re.compile(r"^([a-z]*)([$#]) (.+)$")


class PageCommand(NamedTuple):
    """One command of a page: its line, the machine ("": the only one), whether root types it, and its words."""

    line: int
    machine: str
    is_roots: bool
    words: list[str]

    def __str__(self) -> str:
        return f"line {self.line}: {shlex.join(self.words)}"


def commands_of(page: Path, under: str = "") -> list[PageCommand]:
    """Returns the commands of a page in order, or of the section `under` that heading alone; one with none would be run by a test that
    checks nothing, so it is an error."""
    text = page.read_text()
    if under:
        before, heading, section = text.partition(f"\n## {under}\n")
        text = "\n" * (before + heading).count("\n") + section.partition("\n## ")[0]
    found = list(_commands(text))
    assert found, f"{page} has no command in a block of the language console {under}"
    return found


def _commands(text: str) -> Iterator[PageCommand]:
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1)) + 1
        lines = block[1].replace("\\\n", " \0").split("\n")  # a joined line keeps the count of what it took
        for line in lines:
            if prompt := PROMPT.match(line.replace("\0", "")):
                words = shlex.split(prompt[3], comments=True)
                yield PageCommand(first, prompt[1], prompt[2] == "#", words)
            first += 1 + line.count("\0")


def run_page(
    page: Path,
    p2pshare: Callable[[str, list[str]], object],
    others: Mapping[str, Callable[[str, list[str]], object]],
    values: Mapping[str, str],
    under: str = "",
) -> list[PageCommand]:
    """Run every command of a page in order, or of one section; returns them.

    `p2pshare` is called with (machine, arguments) and fails the test where the command fails. `others` does the same for the
    programs that the page names beside it, by their first word (`systemctl`, `scp`), as far as a test can play them: (machine,
    words after it). `values` says what stands in this test for a word of the page, or for a part of it (a name, an id, a path).
    """
    commands = commands_of(page, under)
    for command in commands:
        words = [_replaced(word, values) for word in command.words]
        words = words[1:] if words[0] == "sudo" else words
        if words[:2] == ["-u", "p2pshare"]:
            words = words[2:]
        if words[0] == "p2pshare":
            p2pshare(command.machine, words[1:])
        else:
            assert words[0] in others, f"{page.name}, {command}: no test plays `{words[0]}`"
            others[words[0]](command.machine, words[1:])
    return commands


def _replaced(word: str, values: Mapping[str, str]) -> str:
    for name in sorted(values, key=len, reverse=True):
        word = word.replace(name, values[name])
    return word
