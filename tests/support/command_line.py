"""The command line in this process: what it says on each stream and its exit code."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from copies import copy_of

from p2pshare.cli.program import run_program


class Said(NamedTuple):
    """What a command answered: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run_here(arguments: list[str], stdin: bytes = b"") -> Said:
    """Runs the program in this process, with its three standard streams replaced."""
    kept = sys.stdin, sys.stdout, sys.stderr
    out, err = io.BytesIO(), io.BytesIO()
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin)))
    sys.stdout, sys.stderr = io.TextIOWrapper(out), io.TextIOWrapper(err, write_through=True)
    try:
        code = run_program(arguments)
        sys.stdout.flush()
        return Said(code, out.getvalue().decode(), err.getvalue().decode())
    finally:
        sys.stdin, sys.stdout, sys.stderr = kept


class Home:
    """A home folder and the command line on it."""

    def __init__(self, path: Path, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.path, self._capture, self._patch = path, capture, patch

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Said:
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin))))
        self._capture.readouterr()
        code = run_program(["--home", str(self.path), *arguments])
        return Said(code, *self._capture.readouterr())


def found_pair(
    folder: Path, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
) -> dict[str, Home]:
    """alpha and bravo, each with a home; alpha trusts bravo."""

    def make(place: Path) -> None:
        homes = {name: Home(place / name, capture, patch) for name in ("alpha", "bravo")}
        for name, home in homes.items():
            assert home("init", "--name", name, "--url", "https://127.0.0.1:1").code == 0
        told = homes["bravo"]("card", "show", "--json").json["fingerprint"]
        card = str(place / "bravo" / "card.p2pcard")
        assert homes["alpha"]("partner", "add", card, "--fingerprint", told).code == 0

    copy_of("pair", make, folder)
    return {name: Home(folder / name, capture, patch) for name in ("alpha", "bravo")}
