"""The lock files: hashes for everything, no index, nothing a developer needs among what runs the program.

They are compared with pyproject.toml, so that who changes a dependency and forgets `scripts/lock` is told.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

RUN_TIME = "requirements.lock"
HEAD = re.compile(r"^([a-z0-9-]+)==([^\s;]+)( ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
COMMENT = re.compile(r"^ *#")
LOCKS = {
    RUN_TIME: ("dependencies",),
    "requirements-detect.lock": ("optional-dependencies", "detect"),
    "requirements-framework.lock": ("optional-dependencies", "framework"),
    "requirements-risk.lock": ("optional-dependencies", "risk"),
    "requirements-yara.lock": ("optional-dependencies", "yara"),
    "requirements-build.lock": ("dependency-groups", "build"),
    "requirements-dev.lock": ("dependency-groups", "dev"),
    "requirements-readers.lock": ("dependency-groups", "readers"),
}


@pytest.fixture(scope="module")
def declared(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text())


def pins(lock: Path) -> dict[str, Requirement]:
    """Name -> what is locked, with its marker."""
    heads = filter(None, map(HEAD.match, lock.read_text().splitlines()))
    return {head[1]: Requirement(head[0].removesuffix("\\")) for head in heads}


def wanted(declared: dict[str, Any], lock: str) -> list[Requirement]:
    """What pyproject.toml asks of `lock`."""
    kind, *name = LOCKS[lock]
    room = declared if kind == "dependency-groups" else declared["project"]
    return [Requirement(one) for one in (room[kind][name[0]] if name else room[kind])]


def holds_here(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def test_each_extra_and_group_has_its_lock_and_there_is_no_other(
    repository: Path, declared: dict[str, Any]
) -> None:
    names = [*declared["project"]["optional-dependencies"], *declared["dependency-groups"]]
    assert {RUN_TIME, *(f"requirements-{name}.lock" for name in names)} == set(LOCKS)
    assert {path.name for path in repository.glob("*.lock")} == set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_hashes_for_each_package_and_nothing_else(lock: str, repository: Path) -> None:
    """No index, no link, no option: an address in a lock would be asked by everybody who installs from it."""
    hashes: dict[str, int] = {}
    for line in (repository / lock).read_text().splitlines():
        if head := HEAD.match(line):
            name = head[1]
            hashes[name] = 0
        elif HASH.match(line):
            hashes[name] += 1
        else:
            assert COMMENT.match(line), line
            assert "://" not in line, line
    assert hashes and min(hashes.values()) > 0, hashes


def test_two_locks_never_name_two_versions_of_a_package(repository: Path) -> None:
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for name, pin in pins(repository / lock).items():
            versions.setdefault(name, set()).add(str(pin.specifier))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_a_fitting_version_of_all_that_is_declared(
    lock: str, repository: Path, declared: dict[str, Any]
) -> None:
    locked = pins(repository / RUN_TIME) | pins(repository / lock)
    for requirement in wanted(declared, lock):
        pin = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(str(pin.specifier).removeprefix("==")), requirement


def test_the_run_time_lock_is_what_the_program_needs_and_no_more(
    repository: Path, declared: dict[str, Any]
) -> None:
    """Followed from the declared dependencies through what is installed here."""
    needed: set[str] = set()
    waiting = wanted(declared, RUN_TIME)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in needed and holds_here(requirement):
            needed.add(name)
            waiting += map(Requirement, metadata.requires(name) or [])
    locked = {name for name, pin in pins(repository / RUN_TIME).items() if holds_here(pin)}
    assert locked == needed


def test_setup_does_not_empty_the_environment_of_another_checkout(repository: Path, tmp_path: Path) -> None:
    """It did: P2PSHARE_VENV named one that others worked with, and their tools were gone."""
    other, environment = tmp_path / "other checkout", tmp_path / "venv"
    (other / "scripts").mkdir(parents=True)
    (other / "scripts" / "setup").touch()
    environment.mkdir()
    for stamp in (".stamp", ".stamp-run-time"):
        (environment / stamp).write_text(f"1 2 Python 3.11.2 {other}")
        done = subprocess.run(
            ["sh", str(repository / "scripts" / "setup"), "--run-time"],
            env=os.environ | {"P2PSHARE_VENV": str(environment), "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, [one.name for one in environment.iterdir()]) == (78, [stamp]), done.stderr
        assert str(other) in done.stderr and "hint: " in done.stderr
        (environment / stamp).unlink()
