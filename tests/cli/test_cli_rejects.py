"""`--rejects`: every refusal with its place, adding up, safe to print and its owner's alone."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from command_line import Home, found_pair

from p2pshare.limits import REJECT_CHARACTERS_MAX


@pytest.fixture
def alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    return found_pair(tmp_path, capsys, monkeypatch)["alpha"]


STIX_WITH_FAULTS = {"type": "bundle", "objects": [7, {"type": "\u001b[31m"}]}
MISP_WITH_FAULTS = {
    "info": "Case",
    "date": "2026-01-01",
    "Attribute": [
        {"type": "domain", "value": "x.example", "to_ids": True},
        {"type": "md5", "value": "\u001b[2J\n", "to_ids": True},
    ],
}
REFUSED_INPUTS = {
    "list": b"a.example\n999.1.1.1\nevil\xff.example\nhttp://b.exam...\n\x1b]0;x\x07\n",
    "csv": b"ioc,n\na.example,1\nx,2\n,\n,,,,,9\n",
    "stix": json.dumps(STIX_WITH_FAULTS).encode(),
    "misp": json.dumps(MISP_WITH_FAULTS).encode(),
}


@pytest.mark.parametrize("kind", REFUSED_INPUTS)
def test_rejects_hold_every_refusal_and_add_up(alpha: Home, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "rejects.ndjson"
    arguments = ("publish", "-", "--format", kind, "--tlp", "green", "--rejects", str(path), "--json")
    said = alpha(*arguments, stdin=REFUSED_INPUTS[kind])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(line.keys() == {"reason", "where", "text", "count"} for line in lines)
    counted: dict[str, int] = {}
    for line in lines:
        counted[line["reason"]] = counted.get(line["reason"], 0) + line["count"]
    assert counted == {one["reason"]: one["count"] for one in said.json["refused"]}
    assert len(counted) > 0
    assert all((line["text"] + line["where"]).isprintable() for line in lines)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("rejects")] == ["rejects.ndjson"]


def test_refusals_never_replace_the_input(alpha: Home, tmp_path: Path) -> None:
    source = tmp_path / "input.txt"
    source.write_bytes(REFUSED_INPUTS["list"])
    link = tmp_path / "link.txt"
    link.symlink_to(source)
    for name in (source, link, tmp_path / "." / "input.txt"):
        said = alpha("publish", str(source), "--tlp", "green", "--dry-run", "--rejects", str(name))
        assert (said.code, "would replace the input" in said.err) == (2, True)
    assert source.read_bytes() == REFUSED_INPUTS["list"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["alpha", "bravo", "input.txt", "link.txt"]


def test_rejects_say_where(alpha: Home, tmp_path: Path) -> None:
    path = tmp_path / "rejects.ndjson"
    for kind, where in {
        "list": "line 2",
        "csv": "line 3, column 1",
        "stix": "objects[0]",
        "misp": "/Attribute/1",
    }.items():
        alpha(
            "publish",
            "-",
            "--format",
            kind,
            "--tlp",
            "green",
            "--rejects",
            str(path),
            stdin=REFUSED_INPUTS[kind],
        )
        assert json.loads(path.read_text().splitlines()[0])["where"] == where


def test_rejects_tell_why_a_whole_file_was_refused(alpha: Home, tmp_path: Path) -> None:
    path = tmp_path / "rejects.ndjson"
    raw = b'{"type": "bundle", "objects": [\n' + b" \n" * 37_372 + b"oops]}"
    said = alpha("publish", "-", "--tlp", "green", "--rejects", str(path), stdin=raw)
    assert said.code == 1
    line = json.loads(path.read_text())
    assert (line["reason"], line["text"]) == ("not-json", "not JSON: line 37374, column 1")


@pytest.mark.parametrize(("name", "code"), [("no/such/folder/x", 1), ("-", 2)])
def test_rejects_that_cannot_be_written_publish_nothing(
    alpha: Home, tmp_path: Path, name: str, code: int
) -> None:
    said = alpha("publish", "-", "--tlp", "green", "--rejects", name if name == "-" else str(tmp_path / name), stdin=b"new.example\n")  # fmt: skip
    assert (said.code, said.out) == (code, "")
    assert alpha("lookup", "new.example").code == 3


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_text_of_a_reject_is_clipped_at_its_limit(alpha: Home, tmp_path: Path, beyond: int) -> None:
    path = tmp_path / "rejects.ndjson"
    text = "x" * (REJECT_CHARACTERS_MAX + beyond)
    alpha("publish", "-", "--format", "list", "--tlp", "green", "--rejects", str(path), stdin=text.encode())
    kept = json.loads(path.read_text())["text"]
    assert kept == (text if beyond <= 0 else text[: REJECT_CHARACTERS_MAX - 1] + "\u2026")
