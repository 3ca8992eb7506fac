"""An envelope leaves as it was received, and whoever gets the file can check it offline."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from whole_nodes import World, befriend, send

from p2pshare.cli.program import run_program


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, str]:
    """The home of a node, and the id of an envelope in its store."""
    now = int(time.time())
    world = World(tmp_path, now)
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo, now=now)
    envelope_id = send(alpha, ["evil.example"], to=["bravo"], now=now).envelopes[0].text
    world.close()
    return tmp_path / "alpha", envelope_id


def test_exported_envelope_verifies_and_a_flipped_byte_does_not(
    published: tuple[Path, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    home, envelope_id = published
    file = tmp_path / "one.envelope"
    assert run_program(["--home", str(home), "envelope", "export", envelope_id, str(file)]) == 0
    capfd.readouterr()
    assert run_program(["--home", str(home), "verify", str(file), "--json"]) == 0
    described = json.loads(capfd.readouterr().out)
    assert (described["kind"], described["identifier"]) == ("envelope", envelope_id)
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    assert run_program(["--home", str(home), "verify", str(file)]) == 1
    assert b"evil.example" not in raw


@pytest.mark.parametrize(("envelope_id", "code"), [("ab" * 32, 3), ("ab", 1), ("zz" * 32, 1)])
def test_unknown_and_unreadable_ids_are_told(
    published: tuple[Path, str], envelope_id: str, code: int
) -> None:
    home, _ = published
    assert run_program(["--home", str(home), "envelope", "export", envelope_id, "-"]) == code
