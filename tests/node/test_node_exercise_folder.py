"""A pack's folder, linted: each rule is broken once and told with its place and how to mend, all at once, and hostile folders cost little."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from p2pshare.errors import AuthorError, OperatorError
from p2pshare.importers import exercise_lint
from p2pshare.intel.bundle import read_stix
from p2pshare.intel.exercise_manifest import MANIFEST_BYTES_MAX, PROBLEMS_MAX
from p2pshare.intel.exercise_pack import (
    MATCH_FIELDS,
    PAYLOAD_BYTES_MAX,
    inject_jcs,
    pack_hash,
    pack_leaves,
    read_inject,
)
from p2pshare.node import exercise_folder
from p2pshare.node.exercise_folder import LoadedPack, load_pack, shipped_packs

GOOD = """
format = "p2pshare-exercise/1"
id = "good"
version = "1.0.0"
name = "Good"
kind = "drill"
duration = "PT1H"
[[objective]]
id = "O1"
text = "Hear"
[[player]]
id = "control"
role = "white"
title = "Control"
[[player]]
id = "team"
role = "blue"
title = "Team"
[[player]]
id = "other"
role = "blue"
title = "Other"
[[inject]]
number = 1
at = "PT0S"
to = ["team"]
from = "Control"
channel = "feed"
objective = "O1"
payload = "payload/one.txt"
expected = "nothing"
[[inject.expect]]
id = "seen"
kind = "detect"
action = "sight"
match = { values = ["login.example.org"] }
within = "PT10M"
late_within = "PT20M"
[[inject]]
number = 2
at = "PT30M"
to = ["team", "other"]
from = "Control"
channel = "message"
text = "hello"
"""
HELLO = b"192.0.2.1 talks to login.example.org"
STIX = {
    "type": "bundle",
    "id": "bundle--39cb6bd5-feed-5119-a69e-96cf40fc2698",
    "objects": [
        {
            "type": "indicator",
            "spec_version": "2.1",
            "id": "indicator--b697d49f-a247-5a67-bb56-145994701f55",
            "created": "2026-03-02T07:00:00.000Z",
            "modified": "2026-03-02T07:00:00.000Z",
            "name": "one",
            "pattern": "[domain-name:value = 'a.example']",
            "pattern_type": "stix",
            "valid_from": "2026-03-02T07:00:00.000Z",
        }
    ],
}


def _folder(
    tmp_path: Path, manifest: str | bytes = GOOD, payload: bytes = HELLO, *, name: str = "exercise.toml"
) -> Path:
    folder = tmp_path / "pack"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "payload").mkdir(parents=True)
    (folder / name).write_bytes(manifest if isinstance(manifest, bytes) else manifest.encode())
    (folder / "payload" / "one.txt").write_bytes(payload)
    return folder


def _stix(**changed: object) -> bytes:
    return json.dumps(STIX | {"objects": [STIX["objects"][0] | changed]}).encode()  # type: ignore[index]


def _told(loaded: LoadedPack) -> set[tuple[str, str]]:
    return {(problem.rule, problem.where) for problem in loaded.problems}


def test_our_own_packs_are_clean_and_use_every_kind_of_expectation() -> None:
    kinds: set[str] = set()
    actions: set[str] = set()
    for name, folder in shipped_packs().items():
        loaded = load_pack(name)
        assert not loaded.problems
        pack = loaded.checked()
        assert pack.id == folder.name == name
        leaves = pack_leaves(pack, loaded.payloads, [bytes(16)] * len(pack.injects))
        assert len(set(leaves)) == len(pack.injects)
        assert all(read_inject(inject_jcs(inject)) == inject for inject in pack.injects)
        kinds |= {one.kind for inject in pack.injects for one in inject.expect}
        actions |= {one.action for inject in pack.injects for one in inject.expect}
        assert all(
            "EXERCISE" in (inject.text or loaded.payloads[inject.payload].decode()) for inject in pack.injects
        )
        # at sixty times speed a fulfilment has ten seconds of real time at least
        assert all(one.within >= 600 for inject in pack.injects for one in inject.expect)
    assert kinds == {"detect", "report", "share", "contain", "decide", "answer"}
    assert actions == set(MATCH_FIELDS)
    assert {name: len(load_pack(name).checked().injects) for name in shipped_packs()} == {
        "communication-check": 3,
        "ransomware-two-hospitals": 12,
    }


def test_a_good_pack_is_read_from_toml_and_json_alike(tmp_path: Path) -> None:
    import tomllib

    from_toml = load_pack(str(_folder(tmp_path)))
    as_json = json.dumps(tomllib.loads(GOOD))
    from_json = load_pack(str(_folder(tmp_path, as_json, name="exercise.json")))
    assert from_toml.problems == from_json.problems == []
    assert from_toml.pack == from_json.pack
    hashes = {pack_hash(one.checked(), one.payloads) for one in (from_toml, from_json)}
    assert len(hashes) == 1, "TOML and JSON of one pack have one hash"
    first = from_toml.checked().injects[0].expect[0]
    assert (first.by, first.within, first.late_within, first.weight) == (("team",), 600, 1_200, 1)


def test_values_of_a_match_are_compared_in_their_canonical_form(tmp_path: Path) -> None:
    manifest = GOOD.replace('["login.example.org"]', '["hxxps://LOGIN[.]example[.]org", "192.0.2.1"]')
    match = load_pack(str(_folder(tmp_path, manifest))).checked().injects[0].expect[0].match
    assert match == {"values": ("https://login.example.org/", "192.0.2.1")}


# (rule, place, what is replaced in GOOD, by what)
RULES: tuple[tuple[str, str, str, str], ...] = (
    ("format", "manifest: format", "p2pshare-exercise/1", "p2pshare-exercise/2"),
    ("format", "manifest: id", 'id = "good"', 'id = "Good"'),
    ("format", "manifest: version", 'version = "1.0.0"', ""),
    ("format", "manifest: duration", '"PT1H"', '"1 hour"'),
    ("format", "manifest: duration", '"PT1H"', '"P"'),
    ("format", "manifest: duration", '"PT1H"', '"PT"'),
    ("format", "manifest: duration", '"PT1H"', '"PT0S"'),
    ("format", "manifest: duration", '"PT1H"', '"P999D"'),
    ("format", "manifest: duration", '"PT1H"', "3600"),
    ("format", "manifest", 'kind = "drill"', 'kind = "drill"\nkin = "drill"'),
    ("format", "manifest: name", '"Good"', '"Go\\u001bod"'),
    ("format", "manifest: time_factor", 'kind = "drill"', 'kind = "drill"\ntime_factor = 0'),
    (
        "format",
        "manifest: time_factor",
        'kind = "drill"',
        'kind = "drill"\ntime_factor = 0xffffffffffffffffffffffff',
    ),
    ("format", "manifest: time_factor", 'kind = "drill"', 'kind = "drill"\ntime_factor = true'),
    ("format", "player 1: role", '"white"', '"grey"'),
    ("format", "player", '"white"', '"blue"'),
    ("format", "player 2: id", 'id = "team"', 'id = "observer"'),
    ("format", "inject 1: from", 'from = "Control"\nchannel = "feed"', 'channel = "feed"'),
    ("format", "inject 1: to", 'to = ["team"]', "to = []"),
    ("format", "inject 1: to", 'to = ["team"]', 'to = "team"'),
    ("format", "inject 1", "expected", "expects"),
    ("kind", "manifest: kind", '"drill"', '"war"'),
    ("kind", "inject 1: channel", '"feed"', '"rumour"'),
    ("kind", "inject 1, expect 1: kind", '"detect"', '"hack"'),
    ("time-backwards", "inject 2: at", 'at = "PT0S"', 'at = "PT31M"'),
    ("after-end", "inject 2: at", '"PT30M"', '"PT1H"'),
    ("number", "inject 2: number", "number = 2", "number = 3"),
    ("number", "inject 2: number", "number = 2", "number = -2"),
    ("unknown-player", "inject 1: to", 'to = ["team"]', 'to = ["team", "nobody"]'),
    (
        "unknown-player",
        "inject 1, expect 1 (seen): by",
        'within = "PT10M"',
        'within = "PT10M"\nby = ["nobody"]',
    ),
    ("unknown-objective", "inject 1: objective", 'objective = "O1"', 'objective = "O2"'),
    ("text-or-payload", "inject 2", 'text = "hello"', ""),
    ("text-or-payload", "inject 2", 'text = "hello"', 'text = "hello"\npayload = "payload/one.txt"'),
    ("path-outside", "inject 1: payload", '"payload/one.txt"', '"/etc/hostname"'),
    ("path-outside", "inject 1: payload", '"payload/one.txt"', '"../pack/payload/one.txt"'),
    ("path-outside", "inject 1: payload", '"payload/one.txt"', '"payload/../payload/one.txt"'),
    ("path-outside", "inject 1: payload", '"payload/one.txt"', "'..\\one.txt'"),
    ("path-outside", "inject 1: payload", '"payload/one.txt"', '"C:one.txt"'),
    ("path-outside", "inject 1: payload", '"payload/one.txt"', '"payload//one.txt"'),
    ("path-outside", "inject 1: payload", '"payload/one.txt"', '"pay\\u0000load"'),
    ("payload-missing", "inject 1: payload/two.txt", '"payload/one.txt"', '"payload/two.txt"'),
    ("payload-missing", "payload", '"payload/one.txt"', '"payload"'),
    ("real-observable", "inject 2: text", '"hello"', '"hello www.nato.int"'),
    ("real-observable", "inject 2: text", '"hello"', '"hello hxxp://nato[.]int/x"'),
    ("real-observable", "inject 1, expect 1 (seen): match", '"login.example.org"', '"8.8.8.8"'),
    ("real-observable", "inject 1, expect 1 (seen): match", '"login.example.org"', '"evil.sh"'),
    ("real-observable", "inject 1: expected", '"nothing"', '"write to someone@nato.int"'),
    ("real-observable", "objective O1", '"Hear"', '"hear of 8[.]8[.]8[.]8"'),
    ("real-observable", "player team: title", '"Team"', '"team of nato.int"'),
    ("real-observable", "name", 'name = "Good"', 'name = "www.nato.int"'),
    (
        "real-observable",
        "inject 2: from",
        'from = "Control"\nchannel = "message"',
        'from = "boss@nato.int"\nchannel = "message"',
    ),
    ("id-twice", "objective O1", "[[player]]", '[[objective]]\nid = "O1"\ntext = "x"\n[[player]]'),
    ("id-twice", "player team", 'id = "other"', 'id = "team"'),
    (
        "id-twice",
        "inject 2, expect 1 (seen): id",
        'text = "hello"',
        'text = "hello"\n[[inject.expect]]\nid = "seen"\nkind = "answer"\naction = "answer"\nwithin = "PT1M"',
    ),
    ("action", "inject 1, expect 1: action", '"sight"', '"hack"'),
    ("match-field", "inject 1, expect 1: match", "values =", "words ="),
    ("match-field", "inject 1, expect 1: match: values", '["login.example.org"]', '"login.example.org"'),
    ("match-field", "inject 1, expect 1: match: values", '["login.example.org"]', "[]"),
    ("match-field", "inject 1, expect 1: match: count_min", "values =", "count_min = 0, values ="),
    ("match-field", "inject 1, expect 1: match: false_positive", "values =", "false_positive = 1, values ="),
    (
        "match-field",
        "inject 1, expect 1: match: tlp_max",
        '"sight"\nmatch = {',
        '"publish"\nmatch = { tlp_max = "AMBER",',
    ),
    ("late-not-later", "inject 1, expect 1: late_within", '"PT20M"', '"PT10M"'),
    (
        "not-addressed",
        "inject 1, expect 1 (seen): by",
        'within = "PT10M"',
        'within = "PT10M"\nby = ["team", "other"]',
    ),
    ("active-content", "inject 2: text", '"hello"', '"hello <script>alert(1)</script>"'),
    ("active-content", "inject 2: text", '"hello"', '"hello <IMG src=x>"'),
    ("active-content", "inject 2: text", '"hello"', '"hello &lt;svg onload=x&gt;"'),
    ("active-content", "inject 2: text", '"hello"', '"hello [x](java\\u200bscript:alert(1))"'),
    ("active-content", "inject 2: text", '"hello"', '"hello \\u001b[2J"'),
    ("active-content", "inject 2: text", '"hello"', '"hello \\u202e"'),
)


@pytest.mark.parametrize(("rule", "where", "old", "new"), RULES)
def test_each_rule_is_told_with_its_place_and_how_to_mend(
    tmp_path: Path, rule: str, where: str, old: str, new: str
) -> None:
    assert old in GOOD
    loaded = load_pack(str(_folder(tmp_path, GOOD.replace(old, new, 1))))
    assert (rule, where) in _told(loaded)
    assert all(problem.message and problem.mend for problem in loaded.problems)
    with pytest.raises(AuthorError) as raised:
        loaded.checked()
    assert raised.value.reason == "bad-pack"


REAL_PAYLOADS: tuple[bytes, ...] = (
    b"seen: 8.8.8.8",
    b"seen: 8[.]8[.]8[.]8",
    b"seen: 8 (.) 8? no, hxxps://www[.]nato[.]int/x",
    b"seen: HTTPS://WWW.NATO.INT",
    b"seen: Evil.COM.",
    b"ftp://evil.com",
    "seen: \uff45\uff56\uff49\uff4c\uff0e\uff43\uff4f\uff4d".encode(),  # wide letters
    "seen: evil\u3002com".encode(),
    "seen: ev\u200bil.com".encode(),
    b"seen: evil&#46;com",
    b"seen: evil%2Ecom",
    rb"a rule: ^evil\.com$",
    b"10.0.0.0/8",
    b"10.1.2.3",
    b"192.0.2.0/23",
    b"192.0.2.1-192.0.3.9",
    b"2001:4860:4860::8888",
    b"[2001:4860:4860::8888]:443",
    b"http://[2001:4860:4860::8888]/",
    b"http://134744072/",
    b"http://example.com@evil.com/",
    b"example.com.evil.com",
    b"notexample.com",
    b"com.evil.net",
    b"evil.com/login?next=example.org",
    b"someone (at) nato [.] int; someone[@]nato[.]int",
    b"xn--80ak6aa92e.com",
    "\u0435xample.com".encode(),  # a Cyrillic letter in it
    b"MD5 d41d8cd98f00b204e9800998ecf8427e",
    b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    _stix(pattern="[domain-name:value = 'evil.local']"),
    _stix(pattern="[domain-name:value = 'a.example' AND ipv4-addr:value = '8.8.8.8']"),
    _stix(pattern="[url:value MATCHES '^https?://evil\\\\.com/']"),
    _stix(pattern="[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']"),
    _stix(pattern="[autonomous-system:number = 15169]"),
    _stix(pattern="[mac-addr:value = 'aa:bb:cc:dd:ee:ff']"),
    _stix(pattern="[email-addr:value = 'x@nato.int']"),
    _stix(pattern_type="sigma", pattern="detection: evil.com"),
    _stix(description="see hxxp://evil[.]com"),
    _stix(external_references=[{"source_name": "x", "url": "https://attack.mitre.org/x"}]),
    _stix(**{"evil.com": "x"}),
    json.dumps(
        {"document": {"csaf_version": "2.0", "publisher": {"namespace": "https://www.nato.int"}}}
    ).encode(),
    json.dumps({"document": {"csaf_version": "2.0"}, "x": [{"hashes": {"SHA-1": "0" * 40}}]}).encode(),
)


@pytest.mark.parametrize("payload", REAL_PAYLOADS)
def test_an_observable_that_may_be_somebodys_is_found_however_it_is_written(
    tmp_path: Path, payload: bytes
) -> None:
    assert ("real-observable", "inject 1: payload/one.txt") in _told(
        load_pack(str(_folder(tmp_path, payload=payload)))
    )


GOOD_PAYLOADS: tuple[bytes, ...] = (
    b"192.0.2.1 198.51.100.7:443 203.0.113.0/24 192.0.2.1-192.0.2.9 2001:db8::1 3fff:1::2 [2001:db8::1]:443",
    b"hxxps://login[.]example[.]org/x http://192.0.2.1/u www.example.com a.b.test x.invalid someone@mail.example.net",
    b"invoice.exe, backup.sh, Program.cs, e.g. this one, i.e. that, version 4.2.1, 12.30 p.m., CVE-2026-97001",
    b"EICAR: 275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f 44D88612FEA8A8F36DE82E1278ABB02F",
    b"a < b, 3 > 2, <none>, R&D, 100 %",
    _stix(),
    _stix(pattern="[file:name = 'backup.sh']"),
    _stix(pattern="[url:value = 'https://198.51.100.1/x' OR ipv6-addr:value = '2001:db8::/48']"),
    _stix(pattern="[autonomous-system:number = 64496]"),
    _stix(pattern="[mac-addr:value = '00:00:5e:00:53:01']"),
)


@pytest.mark.parametrize("payload", GOOD_PAYLOADS)
def test_what_is_kept_for_documentation_and_what_is_no_observable_may_stand(
    tmp_path: Path, payload: bytes
) -> None:
    assert load_pack(str(_folder(tmp_path, payload=payload))).problems == []


@pytest.mark.parametrize(
    ("rule", "payload"),
    (
        ("format", b""),
        ("format", b"  \n"),
        ("format", b"\xff\xfeh\x00i\x00"),
        ("format", b"caf\xe9"),
        ("format", b"{"),
        ("format", b"{}"),
        ("format", b'{"a":' * 100_000),
        ("format", b'{"type":"bundle","type":"bundle","objects":[]}'),
        ("format", b'{"type":"bundle","objects":[1]}'),
        ("format", b'{"type":"bundle","objects":[{"type":"indicator"}]}'),
        ("format", b'{"document":{"csaf_version":"2.0","title":"\\ud800"}}'),
        ("active-content", b"<!DOCTYPE html><p>hello"),
        ("active-content", b"< script >alert(1)"),
        ("active-content", b"a\x00b"),
        ("active-content", _stix(description="<iframe src=x>")),
        ("active-content", _stix(description="line\u2028line")),
        ("active-content", json.dumps(STIX | {"x": {"payload_bin": "AAAA"}}).encode()),
        ("too-many", b"x" * (PAYLOAD_BYTES_MAX + 1)),
    ),
)
def test_a_payload_that_is_none_or_would_run_is_told(tmp_path: Path, rule: str, payload: bytes) -> None:
    told = _told(load_pack(str(_folder(tmp_path, payload=payload))))
    assert any(found == rule and where.startswith("inject 1: payload/one.txt") for found, where in told)


def test_a_file_of_a_kind_that_runs_is_told_whatever_is_in_it(tmp_path: Path) -> None:
    folder = _folder(tmp_path, GOOD.replace("one.txt", "one.SVG"))
    (folder / "payload" / "one.SVG").write_text("hello")
    assert ("active-content", "inject 1: payload/one.SVG") in _told(load_pack(str(folder)))


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    broken = GOOD
    for _, _, old, new in (
        RULES[1],
        RULES[3],
        ("", "", 'to = ["team"]', 'to = ["nobody"]'),
        ("", "", '"feed"', '"rumour"'),
        ("", "", '"hello"', '"hello 8.8.8.8 <script>"'),
    ):
        broken = broken.replace(old, new, 1)
    told = _told(load_pack(str(_folder(tmp_path, broken, b"www.nato.int"))))
    assert {rule for rule, _ in told} >= {
        "format",
        "unknown-player",
        "kind",
        "real-observable",
        "active-content",
    }
    assert {"inject 1: payload/one.txt", "inject 2: text", "inject 1: to", "manifest: id"} <= {
        where for _, where in told
    }


@pytest.mark.parametrize(
    "manifest",
    (
        b"",
        b"\xff\xfe",
        b"\x00" * 100,
        b"x = " + b"[" * 200_000,
        b"x = " + b"{a=" * 50_000,
        b"a." * 500_000 + b"a = 1",
        b"a.b.c = 1\n" * 50_000,
        b'"a\\"".' * 100_000 + b"a = 1",
        b"[" + b"a." * 200_000 + b"a]",
        b"time_factor = " + b"9" * 100_000,
        b"time_factor = 0x" + b"f" * 100_000,
        b"inject = 1\nplayer = 1\nobjective = 1\nformat = 1979-05-27",
        b"inject = [1, 2]\nplayer = [[]]\nobjective = [{}]",
        b"# " + b"x" * MANIFEST_BYTES_MAX,
        b"id = '" + b"y" * 1_000_000 + b"'",
    ),
)
def test_a_manifest_that_wants_to_crash_or_hang_the_reader_is_told(tmp_path: Path, manifest: bytes) -> None:
    loaded = load_pack(str(_folder(tmp_path, manifest)))
    assert loaded.problems and all(len(problem.message) < 400 for problem in loaded.problems)
    as_json = load_pack(str(_folder(tmp_path, b"[" * 500_000, name="exercise.json")))
    assert as_json.problems[0].rule in ("format", "too-many")


def test_a_hundred_thousand_injects_are_refused_without_being_looked_at(tmp_path: Path) -> None:
    many = "".join(f"[[inject]]\nnumber={number}\n" for number in range(1, 50_001))
    loaded = load_pack(str(_folder(tmp_path, GOOD[: GOOD.index("[[inject]]")] + many)))
    assert ("too-many", "manifest: inject") in _told(loaded)
    assert len(loaded.problems) == PROBLEMS_MAX + 1 and loaded.problems[-1].rule == "too-many"
    as_json = json.dumps({"format": "p2pshare-exercise/1", "inject": [{}] * 100_000})
    assert _told(load_pack(str(_folder(tmp_path, as_json, name="exercise.json")))) == {
        ("too-many", "manifest")
    }


def _link(folder: Path) -> None:
    (folder / "payload" / "one.txt").unlink()
    (folder / "payload" / "one.txt").symlink_to("/etc/hostname")


def _link_inside(folder: Path) -> None:
    (folder / "real.txt").write_bytes(HELLO)
    (folder / "payload" / "one.txt").unlink()
    (folder / "payload" / "one.txt").symlink_to("../real.txt")


def _link_of_folder(folder: Path) -> None:
    shutil.move(folder / "payload", folder.parent / "elsewhere")
    (folder / "payload").symlink_to(folder.parent / "elsewhere")


def _fifo(folder: Path) -> None:
    (folder / "payload" / "one.txt").unlink()
    os.mkfifo(folder / "payload" / "one.txt")


def _large(folder: Path) -> None:
    with (folder / "payload" / "one.txt").open("wb") as stream:
        stream.truncate(2**30)


def _folder_in_its_place(folder: Path) -> None:
    (folder / "payload" / "one.txt").unlink()
    (folder / "payload" / "one.txt").mkdir()


def _file_for_its_folder(folder: Path) -> None:
    shutil.rmtree(folder / "payload")
    (folder / "payload").write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "rule"),
    (
        (_link, "path-outside"),
        (_link_inside, "path-outside"),
        (_link_of_folder, "path-outside"),
        (_fifo, "payload-missing"),
        (_folder_in_its_place, "payload-missing"),
        (_file_for_its_folder, "payload-missing"),
        (_large, "too-many"),
    ),
)
def test_what_lies_there_instead_of_a_payload_is_neither_followed_nor_waited_for(
    tmp_path: Path, change: Callable[[Path], None], rule: str
) -> None:
    folder = _folder(tmp_path)
    change(folder)
    loaded = load_pack(str(folder))
    assert [problem.rule for problem in loaded.problems] == [rule]
    assert "payload/one.txt" in loaded.problems[0].where


@pytest.mark.parametrize("kind", ("link", "fifo", "both", "none"))
def test_a_manifest_that_is_no_file_or_is_there_twice_is_told(tmp_path: Path, kind: str) -> None:
    folder = _folder(tmp_path)
    manifest = folder / "exercise.toml"
    if kind == "both":
        (folder / "exercise.json").write_text("{}")
    else:
        manifest.unlink()
    if kind == "link":
        manifest.symlink_to("/etc/hostname")
    elif kind == "fifo":
        os.mkfifo(manifest)
    loaded = load_pack(str(folder))
    assert [problem.rule for problem in loaded.problems] == ["format"] and loaded.pack is None


def test_a_folder_that_is_none_is_an_error_and_names_the_packs_that_are_here(tmp_path: Path) -> None:
    for name in ("no-such-pack", str(tmp_path / "no"), "", "a\0b"):
        with pytest.raises(OperatorError, match="cannot open") as raised:
            load_pack(name)
        assert "communication-check" in raised.value.hint


def test_the_payloads_of_all_injects_together_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exercise_folder, "PACK_BYTES_MAX", 64_000)
    injects = "".join(
        f'[[inject]]\nnumber={number}\nat="PT0S"\nto=["team"]\nfrom="x"\nchannel="feed"\npayload="{number}.txt"\n'
        for number in range(1, 19)
    )
    folder = _folder(tmp_path, GOOD[: GOOD.index("[[inject]]")] + injects)
    for number in range(1, 19):
        (folder / f"{number}.txt").write_bytes(b"x" * 4_096)
    assert ("too-many", "pack") in _told(load_pack(str(folder)))


@pytest.mark.parametrize(
    "payload",
    (
        b"".join(b"192.0.2.%d:%d " % (one % 256, one) for one in range(700)),
        b"192.0.2.1 " * 1_300,
        _stix(pattern=" AND ".join(f"[ipv4-addr:value = '192.0.2.{one % 256}']" for one in range(2_100))),
    ),
)
def test_more_values_than_anybody_looks_for_are_not_looked_at(
    tmp_path: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would be canonicalised: sixteen MiB of them would hold the reader for minutes."""
    monkeypatch.setattr(exercise_lint, "WORDS_MAX", 5_000)
    monkeypatch.setattr(exercise_lint, "DISTINCT_WORDS_MAX", 600)
    injects = "".join(
        f'[[inject]]\nnumber={number}\nat="PT0S"\nto=["team"]\nfrom="x"\nchannel="feed"\npayload="{number}.txt"\n'
        for number in range(1, 5)
    )
    folder = _folder(tmp_path, GOOD[: GOOD.index("[[inject]]")] + injects)
    for number in range(1, 5):
        (folder / f"{number}.txt").write_bytes(payload)
    assert ("too-many", "pack") in _told(load_pack(str(folder)))


def test_the_feeds_of_our_packs_are_stix_that_an_import_takes() -> None:
    for name in shipped_packs():
        for path, raw in load_pack(name).payloads.items():
            if path.endswith(".json") and b'"bundle"' in raw:
                reading = read_stix(raw)
                bundle = json.loads(raw)
                assert (reading.refusals.total, reading.notes.total) == (0, 0)
                assert len(reading.objects) == len(bundle["objects"])
                assert all(one["object_marking_refs"] for one in bundle["objects"])
                assert all(
                    one["name"].startswith("EXERCISE") or "EXERCISE" in one["description"]
                    for one in bundle["objects"]
                )
