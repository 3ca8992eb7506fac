"""docs/operations/tasks.md: no task takes a person more than two commands, and each of them is one."""

from __future__ import annotations

import re
from pathlib import Path

WANTED = (
    "try it",
    "install",
    "two partners",
    "twentieth partner",
    "renew",
    "rotate",
    "revoke",
    "new address",
    "restore",
    "partner leaves",
)
ELSEWHERE = {"./scripts/demo", "dpkg -i", "systemctl restart", "systemctl start"}


def rows(repository: Path) -> list[list[str]]:
    text = (repository / "docs" / "operations" / "tasks.md").read_text()
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return found[2:]


def test_no_row_takes_a_person_more_than_two_commands(repository: Path) -> None:
    listed = rows(repository)
    assert all(any(task in row[0] for row in listed) for task in WANTED)
    for task, one, other, *_ in listed:
        for typed in (one, other):
            commands = re.findall(r"`([^`]+)`", typed.partition("(and")[0])
            assert len(commands) <= 2, task


def test_each_command_of_a_measured_row_is_one_of_this_program(repository: Path) -> None:
    reference = (repository / "docs" / "cli.md").read_text()
    for _, one, other, measured, *_ in rows(repository):
        for command in re.findall(r"`([^`]+)`", one + other) if measured else ():
            words = command.split()
            if " ".join(words[:2]) in ELSEWHERE or words[0] in (*ELSEWHERE, "url", "config.toml"):
                continue
            name = [words[0]]
            for word in words[1:]:
                if not re.fullmatch(r"[a-z]+(-[a-z]+)*", word):
                    break
                name.append(word)
            assert f"### `{' '.join(name)}" in reference, command
