"""A support bundle: needles in every place of a home, and none in it."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from command_line import run_here
from whole_nodes import World, befriend, send

from p2pshare.node.keyfile import PASSPHRASE_FILE_VARIABLE
from p2pshare.queries.supporting import HOLDS, reduced_log

NEEDLES = [
    "needle-organisation",
    "needle-alias",
    "needle-circle",
    "needle-group",
    "needle.values.example",
    "needle.internal.example",
    "needle.host.example",
    "needle-passphrase",
    "needle-in-a-file-name",
    "needle-in-the-log",
    "needle-reason",
    "needle title",
    "10.11.12.13",
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    now = int(time.time())
    world = World(tmp_path / "needle-in-a-path", now)
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo, now=now)
    send(alpha, ["needle.values.example"], to=["bravo"], now=now)
    # as a hostile partner may have it: a reason that is none of ours
    alpha.store.partners.add_accounting([(bravo.identity.partner_id, "refused", "needle-reason")])
    world.close()
    path = alpha.home / "config.toml"
    text = path.read_text()
    for key, value in (
        ("name", '"needle-organisation"'),
        ("circles", '["needle-circle", "main"]'),
        ("internal_domains", '["needle.internal.example"]'),
        ("listen", '"10.11.12.13:8443"'),
    ):
        text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert count == 1, key
    text += '\nneedle-group = ["needle-alias"]\n'
    path.write_text(text)
    (alpha.home / "needle-in-a-file-name").write_text("needle-passphrase")
    (alpha.home / "spool").mkdir(exist_ok=True)
    (alpha.home / "spool" / "needle-in-a-file-name").write_text("needle title")
    assert run_here(["--home", str(alpha.home), "partner", "rename", "bravo", "needle-alias"]).code == 0
    assert "needle-alias" in run_here(["--home", str(alpha.home), "status"]).out
    return alpha.home


LOG = """\
2026-12-01T06:00:00Z INFO p2pshare.daemon.run: listening on 10.11.12.13 port 8443
2026-12-01T06:00:01Z INFO p2pshare.daemon.driver: partner 68c88a4424: clock-skew
2026-12-01T06:00:02Z INFO p2pshare.daemon.driver: partner 68c88a4424: needle-in-the-log
2026-12-01T06:00:03Z ERROR p2pshare.daemon.driver: the roster was not read again: disk-full
<6>p2pshare.daemon.run: ready
Dec 01 06:00:04 needle.host.example p2pshare[7]: p2pshare.daemon.run: ready
  File "/home/needle-organisation/lib/p2pshare/daemon/run.py", line 12, in needle_title
  File "/home/needle-organisation/lib/p2pshare/needle.py", line 12, in ready
needle title: somebody else's line
"""


def bundle_of(
    home: Path, folder: Path, *arguments: str, stdin: bytes = b""
) -> tuple[Any, dict[str, bytes], bytes]:
    file = folder / "bundle.zip"
    said = run_here(["--home", str(home), "support-bundle", str(file), *arguments, "--json"], stdin)
    assert said.code == 0, said
    raw = file.read_bytes()
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return json.loads(said.out), {name: archive.read(name) for name in archive.namelist()}, raw


def test_no_needle_of_any_place_is_in_it(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "passphrase"
    given.write_text("needle-passphrase")
    given.chmod(0o600)
    monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, str(given))
    monkeypatch.setenv("P2PSHARE_NEEDLE", "needle-passphrase")
    answer, members, raw = bundle_of(home, tmp_path, "--log", "-", stdin=LOG.encode())
    assert list(members) == [one["name"] for one in answer["members"]] == list(HOLDS)
    assert answer["bytes"] == len(raw)
    everything = b"\n".join(members.values())
    keys = (home / "identity.p2pkey").read_bytes()
    ids = [json.loads(run_here(["--home", str(home), "status", "--json"]).out)["partner_id"]]
    ids += [
        row["partner_id"]
        for row in json.loads(run_here(["--home", str(home), "partner", "list", "--json"]).out)
    ]
    secrets = [keys[at : at + 16] for at in range(40, len(keys) - 16, 16)]
    wanted = [*NEEDLES, str(home), "needle", *ids, *(one[:10] for one in ids)]
    forms = [
        form
        for one in wanted
        for form in (one.encode(), one.encode().hex().encode(), base64.b64encode(one.encode()))
    ]
    forms += [form for one in secrets for form in (one, one.hex().encode(), base64.b64encode(one))]
    assert [form for form in forms if form.lower() in everything.lower()] == []


def test_it_says_what_a_maintainer_needs(home: Path, tmp_path: Path) -> None:
    _, members, _ = bundle_of(home, tmp_path, "--log", "-", stdin=LOG.encode())
    read = {name: json.loads(member) for name, member in members.items()}
    assert {"check": "daemon", "level": "warn", "fault": "not-running"} in read["doctor.json"]
    (partner,) = read["status.json"]["partners"]
    assert partner["partner"].startswith("partner-") and partner["state"] == "stopped"
    assert read["status.json"]["refused"] == {"other": 1}
    assert read["config.json"]["limits.author_mib"] == 1024
    assert (read["config.json"]["name"], read["config.json"]["gossip.circles"]) == ("set", 2)
    assert read["files.json"]["store.sqlite"]["mode"] == "0600"
    assert read["files.json"]["others"] >= 1
    assert read["log.json"]["lines"]["ready"]["count"] == 2
    assert read["log.json"]["places"] == {"p2pshare/daemon/run.py:12": 1}
    assert read["log.json"]["others"] == 2


def test_pseudonyms_stay_and_tell_partners_apart(home: Path, tmp_path: Path) -> None:
    def names() -> list[str]:
        _, members, _ = bundle_of(home, tmp_path)
        return [one["partner"] for one in json.loads(members["status.json"])["partners"]]

    assert names() == names()


def test_a_home_that_is_broken_still_makes_one(home: Path, tmp_path: Path) -> None:
    (home / "identity.p2pkey").write_bytes(b"no key")
    (home / "store.sqlite").write_bytes(b"no store" * 1_000)
    (home / "config.toml").write_text('needle = "needle title"')
    _, members, _ = bundle_of(home, tmp_path)
    assert json.loads(members["status.json"]) is json.loads(members["config.json"]) is None
    faults = {one["fault"] for one in json.loads(members["doctor.json"])}
    assert {"config", "key-file-damaged", "store-damaged"} <= faults
    assert b"needle" not in b"".join(members.values())


def test_a_line_that_says_nothing_of_ours_is_counted_and_no_more() -> None:
    assert reduced_log(["needle"] * 3 + ["x" * 5_000]) == {"lines": {}, "places": {}, "others": 4}


def test_a_line_that_is_nearly_one_of_ours_takes_no_longer_than_others() -> None:
    line = "2026-12-01T06:00:00Z CRITICAL p2pshare.daemon.run: the audit log lacks: uid " + " " * 1_900
    script = f"from p2pshare.queries.supporting import reduced_log; print(reduced_log([{line!r}]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=True)
    assert b"'count': 1" in done.stdout  # as one that says what failed, and why


def test_what_is_in_it_is_said(home: Path, tmp_path: Path) -> None:
    said = run_here(["--home", str(home), "support-bundle", str(tmp_path / "bundle.zip")])
    assert (said.code, said.out) == (0, "")
    assert all(name in said.err and holds in said.err for name, holds in HOLDS.items() if name != "log.json")
    assert (tmp_path / "bundle.zip").stat().st_mode & 0o777 == 0o600
