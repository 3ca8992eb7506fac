"""Who reads the memory of a process that holds keys: no core file, no debugger, no other program of the same user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import memory_thief
import pytest

from p2pshare.node.init import found_home

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="skipped: no prctl here")

# Each says "ready" once it has done what it is here for, and waits.
PROCESSES = {
    "reads the key file": """
        from p2pshare.node.keyfile import read_key_file
        read_key_file(home / "identity.p2pkey")
        """,
    "opens the node": """
        from p2pshare.node.node import open_node
        node = open_node(home)
        """,
    "makes a home": """
        from p2pshare.node.init import found_home
        found_home(home / "new", name="x", url="", listen="", passphrase=None, now=1_800_000_000)
        """,
    "opens the key file for another": """
        from p2pshare.node import keys_apart
        def read(path):
            print("ready", flush=True)
            time.sleep(60)
        keys_apart.read_completed_keys = read
        keys_apart.hand_over(home / "identity.p2pkey")
        """,
    "has the key file opened": """
        from p2pshare.node.keys_apart import read_operational_keys_apart
        keys = read_operational_keys_apart(home / "identity.p2pkey")
        """,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("undumpable") / "home"
    found_home(home, name="a", url="", listen="", passphrase=None, now=1_800_000_000)
    return home


def stolen(folder: Path, *command: str) -> dict[str, Any]:
    """What a thief gets of a process that runs `command`."""
    done = subprocess.run(
        [sys.executable, memory_thief.__file__, *command],
        cwd=folder,  # where a core file would lie
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    got: dict[str, Any] = json.loads(done.stdout)
    assert got["said"][-1].endswith("ready\n"), got
    return got


def program(home: Path, text: str = "") -> list[str]:
    before = f"import pathlib, time\nhome = pathlib.Path({str(home)!r})\n"
    return [sys.executable, "-c", f"{before}{text}\nprint('ready', flush=True)\ntime.sleep(60)\n"]


@pytest.fixture(scope="module")
def at_best(home: Path) -> dict[str, Any]:
    """What a thief gets where nobody keeps it out: memory at least, or nothing is proven. A container may write no core."""
    got = stolen(home.parent, *program(home))
    if not got["memory"] or not got["attached"]:
        pytest.skip("skipped: no process may read another here")
    return got


@pytest.mark.parametrize("what", PROCESSES)
def test_a_process_that_touches_keys_is_read_by_nobody(
    home: Path, at_best: dict[str, Any], tmp_path: Path, what: str
) -> None:
    got = stolen(tmp_path, *program(home, dedent(PROCESSES[what])))
    assert (got["memory"], got["attached"], got["core"]) == (False, False, False)
    assert list(tmp_path.glob("core*")) == []


def test_the_daemon_is_read_by_nobody_and_leaves_no_core_file(
    home: Path, at_best: dict[str, Any], tmp_path: Path
) -> None:
    """A core file of the daemon held every key, though the key file had a passphrase."""
    got = stolen(tmp_path, sys.executable, "-m", "p2pshare", "--home", str(home), "run")
    assert (got["memory"], got["attached"], got["core"]) == (False, False, False)
    assert list(tmp_path.glob("core*")) == []
