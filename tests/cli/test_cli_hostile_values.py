"""No text from a partner, a file or an argument can begin a line, steer a terminal, be a formula or be markup in any output.

One object is stored for each hostile text, with the text wherever STIX and the store let one stand. Then every command
that shows what is held is run once, and every command that is handed a text once for each.
"""

from __future__ import annotations

import json
import unicodedata
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Home, Said, found_pair
from copies import copy_of
from playbooks_made import raw, sound_playbook, step_id

from p2pshare.cli.program import COMMANDS
from p2pshare.exporters.interface import FolderFormat
from p2pshare.exporters.registry import EXPORTERS, load_exporter
from p2pshare.importers.registry import IMPORTERS

FORGED = "FORGED-LINE"
HOSTILE = {
    "newline": f"a\n{FORGED}",
    "return": f"a\r{FORGED}",
    "both": f"a\r\n{FORGED}",
    "tab": "a\tb",
    "formula": "=cmd|' /C calc'!A0",
    "formula-at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "c1": "\x9b2J",
    "backspace": "good\x08\x08\x08\x08evil",
    "delete": "a\x7fb",
    "bidi": "\u202egnp.exe\u202c",
    "isolate": "\u2066x\u2069",
    "zero-width": "pay\u200bpal",
    "nul": "a\x00b",
    "script": "<script>alert(1)</script>",
    "quotes": "\"'`;--",
    "line-separator": f"a\u2028{FORGED}",
    "paragraph-separator": f"a\u2029{FORGED}",
    "next-line": f"a\x85{FORGED}",
    "surrogate": "a\ud800b",
    "comma": 'a,"b",c',
}
# commands whose texts come from elsewhere than the store of what is shared, and where they are tried
ELSEWHERE = {
    "asset": "test_cli_risk.py",
    "risk": "test_cli_risk.py",
    "incident": "test_cli_incident.py",
    "framework": "test_cli_framework.py",
    "consumer": "test_cli_tail.py",
    "tail": "test_cli_tail.py",
    "lab": "test_cli_lab.py",
    "exercise": "test_cli_exercise.py",
    "playbook": "test_cli_playbook.py",
    "training": "test_cli_training.py",
    "introduce": "test_cli_introduce.py",
    "invite": "test_cli_inviting.py",
    "join": "test_cli_inviting.py",
    "support-bundle": "test_cli_support_bundle.py",
    "backup": "test_cli_backup.py",
    "restore": "test_cli_backup.py",
}
STORED = {name: text for name, text in HOSTILE.items() if name != "surrogate"}  # JSON readers refuse that one
SAFE_IN_TEXT = {"\n"}
GREEN = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"


def id_of(type_: str, name: str) -> str:
    return f"{type_}--{uuid.uuid5(uuid.NAMESPACE_URL, name)}"


def objects(name: str, text: str) -> Iterator[dict[str, Any]]:
    """The text in every place of a family, of an indicator with a claim, and of an opaque rule."""
    common = {
        "spec_version": "2.1",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "object_marking_refs": [GREEN],
        "name": text,
        "description": text,
        "labels": [text],
        "x_custom": {text: [text]},
        "external_references": [{"source_name": text, "description": text}],
    }
    yield common | {"type": "malware", "id": id_of("malware", name), "is_family": True, "aliases": [text]}
    indicator = common | {"type": "indicator", "valid_from": "2026-01-01T00:00:00Z"}
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    for path in ("file:name", "mutex:name", "url:value"):
        value = f"https://evil.example/{quoted}" if path == "url:value" else quoted
        pattern = {"pattern": f"[{path} = '{value}']", "pattern_type": "stix"}
        yield indicator | pattern | {"id": id_of("indicator", name + path)}
    yield indicator | {"id": id_of("indicator", f"{name}-rule"), "pattern": text, "pattern_type": "sigma"}


@pytest.fixture
def alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    def make(folder: Path) -> None:
        home = found_pair(folder, capsys, monkeypatch)["alpha"]
        everything = [one for name, text in STORED.items() for one in objects(name, text)]
        bundle = {"type": "bundle", "id": f"bundle--{uuid.uuid4()}", "objects": everything}
        said = home("publish", "-", "--format", "stix", "--json", stdin=json.dumps(bundle).encode())
        harmless(said, is_json=True)
        assert said.out, said.err
        assert said.json["published"] > len(STORED) * 3

    return Home(copy_of("hostile values", make, tmp_path) / "alpha", capsys, monkeypatch)


def harmless(said: Said, *, is_json: bool = False) -> None:
    """Nothing in either stream steers a terminal or begins a line that only a value asked for."""
    for stream in (said.out, said.err):
        for character in stream:
            category = unicodedata.category(character)
            assert character in SAFE_IN_TEXT or category not in ("Cc", "Cf", "Cs", "Zl", "Zp"), (
                f"{character!r} in {stream[:2000]!r}"
            )
        assert not any(line.lstrip().startswith(FORGED) for line in stream.split("\n")), stream[:2000]
    assert "a bug of p2pshare" not in said.err
    if is_json and said.out:
        json.loads(said.out)
        assert "<script" not in said.out
    if is_json and said.code in (1, 2, 5) and not said.out:
        assert json.loads(said.err.splitlines()[-1])["error"]["exit_code"] == said.code
        assert "<script" not in said.err


def test_commands_that_show_what_is_held(alpha: Home) -> None:
    envelopes = {one["envelope_id"] for one in alpha("search", "--json", "--limit", "500").json}
    shown: list[list[str]] = [
        ["search", "--limit", "500"],
        ["status"],
        ["partner", "list"],
        ["config", "check"],
        ["audit", "list"],
    ]
    shown += [
        ["partner", "preview", "bravo"],
        ["share", "history", "bravo", "--dry-run"],
        ["warninglist", "list"],
        ["allow", "--list"],
        ["card", "show"],
    ]
    shown += [["propose", "--list"], *(["show", envelope] for envelope in envelopes)]
    for name in STORED:
        ids = [
            id_of("malware", name),
            id_of("indicator", name + "file:name"),
            id_of("indicator", f"{name}-rule"),
        ]
        shown += [["show", one] for one in ids]
        shown.append(["explain", ids[0], "--partner", "bravo"])
    for arguments in shown:
        said = alpha(*arguments)
        harmless(said)
        harmless(alpha(*arguments, "--json"), is_json=True)
    names = [one["title"] for one in alpha("search", "--type", "malware", "--limit", "500", "--json").json]
    assert set(names) == set(STORED.values())


@pytest.mark.parametrize("name", HOSTILE)
def test_commands_that_are_handed_a_text(alpha: Home, name: str) -> None:
    text = HOSTILE[name]
    if "\x00" in text or "\ud800" in text:  # no argument can hold them
        text = text.replace("\x00", "").replace("\ud800", "\udcff")  # what Python makes of a stray byte
    lines = f"{text}\nhttps://evil.example/{text}\n{text}@evil.example\n".encode("utf-8", "surrogateescape")
    handed: list[list[str]] = [
        ["lookup", text, f"https://evil.example/{text}", f"mutex-{text}"],
        ["search", "--text", text],
        ["search", "--label", text],
        ["show", text],
        ["show", f"malware--{text}"],
        ["explain", text, "--partner", "bravo"],
        ["explain", "evil.example", "--partner", text],
        ["partner", "preview", text],
        ["partner", "remove", text],
        ["warninglist", "check", text],
        ["allow", text, "--reason", text],
        ["sight", text],
        ["opinion", text, "agree", "--note", text],
        ["propose", text, "--note", text],
        ["card", "revoke", text, "--reason", "lost"],
        ["card", "sign", text, "-o", text],
        ["card", "install", text],
        ["card", "threshold", "1", "--drop-root", text],
        ["passphrase", "set", "--new-file", text],
        ["verify", text],
        ["playbook", "lint", text],
        ["playbook", "diff", text, text],
        ["playbook", "show", text, "--graph", "-o", text],
        ["space", "open", "--kind", text, "--title", text, "--tlp", "green", "--invite", text, "--yes"],
        ["space", "show", text],
        ["space", "note", text, text],
        ["withdraw", text, "--reason", text],
        ["recall", "status", text],
        ["share", "history", text, "--yes"],
        ["share", "history", "bravo", "--since", text, "--dry-run"],
        ["search", "--since", text],
        ["audit", "list", "--action", text],
        ["search", "--tlp", text],
        ["search", "--type", text],
        ["search", "--author", text],
    ]
    for arguments in handed:
        if text.startswith("-"):
            arguments = [arguments[0], "--", *arguments[1:]]
        harmless(alpha(*arguments))
        harmless(alpha(*arguments, "--json"), is_json=True)
    harmless(alpha("lookup", "-", "--json", stdin=lines), is_json=True)
    for format_name in ("auto", *IMPORTERS):
        said = alpha("publish", "-", "--tlp", "green", "--dry-run", "--format", format_name, stdin=lines)
        harmless(said)
    harmless(alpha("publish", text, "--tlp", "green"))
    harmless(alpha("publish", "-", "--tlp", text, "--to", text, stdin=b"192.0.2.1\n"))
    harmless(alpha(text))
    harmless(alpha("export", "--format", text))
    harmless(alpha("export", "--format", "list", "--type", text))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_playbooks_of_others(alpha: Home, text: str, tmp_path: Path) -> None:
    """What an author wrote stands in names, commands, ids, references and variables."""
    document = sound_playbook() | {"name": text}
    step = step_id("action", 1)
    document["workflow"][step] |= {"name": text, "agent": text, "on_completion": text}
    document["workflow"][step]["commands"] = [{"type": text, "command": f"{text} __a__:value"}]
    document["workflow"][text] = {"type": text}
    document["playbook_variables"][text] = {"type": "string", "value": text}
    sound, hostile = tmp_path / "sound.json", tmp_path / "hostile.json"
    sound.write_bytes(raw(sound_playbook()))
    hostile.write_bytes(raw(document))
    for command in (["lint", hostile], ["show", hostile], ["diff", sound, hostile], ["diff", hostile, sound]):
        harmless(alpha("playbook", *map(str, command)))
        harmless(alpha("playbook", *map(str, command), "--json"), is_json=True)
    harmless(alpha("playbook", "show", str(hostile), "--graph"))


def test_every_export(alpha: Home, tmp_path: Path) -> None:
    for format_name in EXPORTERS:
        if not isinstance(load_exporter(format_name), FolderFormat):
            said = alpha("export", "--format", format_name)
            harmless(said)
            assert said.out
            check_format(format_name, said.out)
            continue
        folder = tmp_path / format_name
        harmless(alpha("export", "--format", format_name, "-o", str(folder)))
        for path in folder.rglob("*"):
            harmless(Said(0, path.read_text("utf-8"), ""))
            if path.suffix == ".json":
                json.loads(path.read_text("utf-8"))


def check_format(format_name: str, text: str) -> None:
    """A reader of the format sees whole values in their places, and no formula."""
    values = set(HOSTILE.values())
    if format_name == "list":
        assert not values & set(text.split("\n")) - {
            HOSTILE[one] for one in ("formula", "formula-at", "script", "quotes", "comma")
        }
    elif format_name == "ndjson":
        rows = [json.loads(line) for line in text.splitlines()]
        assert all(isinstance(row["value"], str) and row["active"] is True for row in rows)
    else:
        json.loads(text)


def test_every_command_is_in_one_of_these_tables() -> None:
    """A new command must be thought of here. `run` logs no values; `init`, `card`, `envelope` and `service` show no one else's."""
    seen = set(Path(__file__).read_text("utf-8").split('"'))
    assert set(COMMANDS) - {"run", "init", "card", "envelope", "doctor", "service"} - set(ELSEWHERE) <= seen
    for name in set(ELSEWHERE.values()):
        assert "hostile" in Path(__file__).with_name(name).read_text("utf-8"), name
