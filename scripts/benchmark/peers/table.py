"""The other programs that `scripts/bench --peers` measures beside this one, and how each is found.

None is a dependency of p2pshare. A peer in Python is run by the interpreter of the virtual environment that
P2PSHARE_PEERS_VENV names, else by the `python3` on PATH; other peers are executables on PATH.

What one program of this folder and the benchmark say to each other: it is started in an empty folder that holds
`stored.json` (STIX objects to be there before anything is measured), `objects.json` (those to hand in) and
`questions.json` (pairs: a value, whether it is among them). The last line it prints is JSON:

    held              how many the peer holds in the end, by its own account
    in_cpu_seconds    CPU time of the peer for the objects handed in
    out_count, out_cpu_seconds    how many answers it gave and the CPU time for them; absent if it has no way out
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

VENV_VARIABLE = "P2PSHARE_PEERS_VENV"
VERSION_SECONDS_MAX = 60
ADDRESSES = ("ipv4-addr:value", "ipv6-addr:value")


@dataclass(frozen=True)
class Peer:
    """One of them.

    `objects` are generated and `stored` of them are there before; only those about `paths` are used (all if empty).
    """

    name: str
    program: str
    objects: int
    way_in: str
    module: str = ""  # what the interpreter must know; its distribution has the same name
    executables: tuple[str, ...] = ()
    install: str = ""
    stored: int = 0
    paths: tuple[str, ...] = ()
    merges_values: bool = False  # it keeps one of each value, not one of each object
    way_out: str = ""


PEERS = (
    Peer(
        "CrowdSec",
        "crowdsec_lapi.py",
        objects=20_000,
        paths=ADDRESSES,
        way_in="cscli decisions import",
        way_out="GET /v1/decisions?ip=",
        executables=("crowdsec", "cscli"),
        install="Debian package crowdsec",
    ),
    Peer(
        "OpenTAXII",
        "opentaxii_server.py",
        objects=1_000,
        way_in="POST, 1,000 objects each",
        way_out="GET pages of 1,000",
        module="opentaxii",
    ),
    Peer(
        "medallion",
        "medallion_server.py",
        objects=10_500,
        stored=10_000,
        way_in="POST, all in one",
        way_out="GET one object by its id",
        module="medallion",
    ),
    Peer(
        "IntelMQ",
        "intelmq_chain.py",
        objects=3_000,
        merges_values=True,
        way_in="parser, deduplicator, file output",
        module="intelmq",
    ),
)


@dataclass(frozen=True)
class Found:
    """A peer that is there: what starts its program, and its version."""

    interpreter: str
    version: str


def interpreter(environment: Mapping[str, str]) -> str | None:
    """What runs the peers in Python, or None."""
    if venv := environment.get(VENV_VARIABLE):
        path = Path(venv, "bin", "python").absolute()  # its program runs in another folder
        return str(path) if path.exists() else None
    return shutil.which("python3", path=environment.get("PATH"))


def find(peer: Peer, environment: Mapping[str, str], own_interpreter: str) -> Found | None:
    """The peer on this machine, or None if it is not installed. Whether it works, its run will tell."""
    if peer.module:
        python = interpreter(environment)
        code = f"from importlib.metadata import version; print(version('{peer.module}'))"
        version = _version([python, "-c", code], environment) if python else ""
        return Found(python, version) if python and version else None
    if not all(shutil.which(name, path=environment.get("PATH")) for name in peer.executables):
        return None
    return Found(own_interpreter, _version([peer.executables[0], "-version"], environment))


def how_to_install(peer: Peer) -> str:
    if peer.install:
        return peer.install
    return f"pip install {peer.module} in a virtual environment of its own, and {VENV_VARIABLE}=ITS FOLDER"


def clean_environment() -> dict[str, str]:
    """Ours without what leads an interpreter to our own modules."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}


def _version(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The first thing in its output that looks like a version; empty if it has none to tell."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            timeout=VERSION_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(rb"[0-9]+(?:\.[0-9]+)+", done.stdout)
    return found.group().decode() if found and done.returncode == 0 else ""
