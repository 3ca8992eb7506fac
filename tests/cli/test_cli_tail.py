"""`tail` and `consumer`: a reader misses nothing, whatever becomes of the feed, and no value ends its own line."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_line import Home, Said, found_pair

KEYS = [
    "cursor", "op", "type", "value", "score", "confidence", "tlp", "pap", "valid_from", "valid_until", "authors", "sources", "reason", "at",
]  # fmt: skip
ODD = ["evil.example", "198.51.100.7", "http://evil.example/a|b=c", "2001:db8::7", "a" * 64]


@pytest.fixture
def alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    home = found_pair(tmp_path, capsys, monkeypatch)["alpha"]
    publish(home, ODD)
    return home


def publish(home: Home, values: Iterable[str]) -> None:
    text = "".join(f"{value}\n" for value in values)
    assert home("publish", "-", "--tlp", "green", "--format", "list", stdin=text.encode()).code == 0


def lines(said: Said) -> list[dict[str, Any]]:
    assert said.code == 0, said.err
    return [json.loads(line) for line in said.out.splitlines()]


class Reader:
    """A SIEM that keeps what is active by lines of `tail` alone."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.held: dict[tuple[str, str], str] = {}
        self._again: set[tuple[str, str]] | None = None
        self._until = ""

    def apply(self, told: Iterable[dict[str, Any]]) -> None:
        for line in told:
            self.cursor = line["cursor"]
            if line["op"] == "reset":
                self._again, self._until = set(), line["until"]
                continue
            key = line["type"], line["value"]
            if line["op"] == "remove":
                self.held.pop(key, None)
            else:
                self.held[key] = line["cursor"]
                if self._again is not None:
                    self._again.add(key)
        if self._again is not None:  # the end of the lines is the end of the feed: the drop is due
            self.held = {key: at for key, at in self.held.items() if key in self._again}
            self._again = None

    def follow(self, home: Home) -> None:
        self.apply(lines(home("tail", *(["--after", self.cursor] if self.cursor else []))))


def active(home: Home) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(f"file:{home.path / 'store.sqlite'}?mode=ro", uri=True)) as store:
        return set(store.execute("SELECT type, value FROM v1_indicators WHERE active"))


def test_a_line_has_the_promised_keys_and_the_last_cursor_leads_on(alpha: Home) -> None:
    told = lines(alpha("tail"))
    assert [list(line) for line in told] == [KEYS] * len(ODD)
    assert {line["op"] for line in told} == {"add"} and {line["value"] for line in told} == set(ODD)
    last = told[-1]["cursor"]
    assert lines(alpha("tail", "--after", last)) == []
    publish(alpha, ["more.example"])
    [more] = lines(alpha("tail", "--after", last))
    assert more["value"] == "more.example"
    assert lines(alpha("tail", "--after", "now")) == []


def test_a_withdrawal_is_a_removal_with_its_reason(alpha: Home) -> None:
    reader = Reader()
    reader.follow(alpha)
    [found] = alpha("lookup", "evil.example", "--json").json[0]["claims"]
    assert alpha("withdraw", found["object_id"], "--reason", "false-positive", "--yes").code == 0
    gone = [line for line in lines(alpha("tail", "--after", str(reader.cursor))) if line["op"] == "remove"]
    assert [(line["value"], line["reason"]) for line in gone] == [("evil.example", "withdrawn")]
    reader.follow(alpha)
    assert set(reader.held) == active(alpha) and ("domain", "evil.example") not in reader.held


def put_another_feed(home: Home) -> None:
    """As after a restore: the store is another feed's."""
    (home.path / "feed.mark").write_text("")
    publish(home, ["after.restore.example"])


def fall_behind(home: Home) -> None:
    """As after retention: what is below is not complete."""
    with closing(sqlite3.connect(home.path / "store.sqlite")) as store:
        store.execute("UPDATE setting SET value = 1000 WHERE name = 'complete_from'")
        store.execute("UPDATE setting SET value = 2000 WHERE name = 'last_change'")
        store.commit()


def set_back(home: Home) -> None:
    """As where a backup was put in the store's place and nobody noticed: the cursor stands beyond the end."""
    with closing(sqlite3.connect(home.path / "store.sqlite")) as store:
        store.execute("UPDATE setting SET value = 1 WHERE name = 'last_change'")
        store.execute("DELETE FROM effective_state WHERE seq > 1")
        store.commit()


@pytest.mark.parametrize("happening", [put_another_feed, fall_behind, set_back])
def test_who_stands_where_nothing_holds_is_told_to_begin_again_and_ends_equal(
    alpha: Home, happening: Callable[[Home], None]
) -> None:
    reader = Reader()
    reader.follow(alpha)
    reader.held["domain", "only.the.reader.has.it"] = "stale"
    happening(alpha)
    told = lines(alpha("tail", "--after", str(reader.cursor)))
    assert told[0]["op"] == "reset" and told[0]["cursor"].endswith("-0")
    assert list(told[0]) == ["cursor", "op", "until"]
    assert all(line["op"] != "reset" for line in told[1:])
    reader.apply(told)
    assert set(reader.held) == active(alpha)


@pytest.mark.parametrize(
    "cursor", ["", "1", "x" * 40, "0" * 16, f"{'0' * 16}-", f"{'0' * 16}--1", f"{'0' * 16}-01", f"{'G' * 16}-1", f"{'0' * 16}-{2**63}",
               f"{'0' * 16}-١", f"{'0' * 17}-1"]
)  # fmt: skip
def test_what_is_no_cursor_is_refused_and_not_taken_for_the_beginning(alpha: Home, cursor: str) -> None:
    said = alpha("tail", "--after", cursor)
    assert said.code == 2 and said.out == "" and "cursor" in said.err


def test_a_consumer_goes_on_where_it_was_and_is_told_once(alpha: Home) -> None:
    assert alpha("tail", "--consumer", "siem").code == 3
    added = alpha("consumer", "add", "siem", "--json").json
    assert (added["state"], added["lag"] > 0, added["moved_at"]) == ("behind", True, None)
    assert len(lines(alpha("tail", "--consumer", "siem"))) == len(ODD)
    assert lines(alpha("tail", "--consumer", "siem")) == []
    [row] = alpha("consumer", "list", "--json").json
    assert (row["name"], row["state"], row["lag"]) == ("siem", "current", 0) and row["moved_at"]
    publish(alpha, ["more.example"])
    [row] = alpha("status", "--json").json["consumers"]
    assert (row["state"], row["lag"]) == ("behind", 1) and row["behind_since"]
    assert [line["value"] for line in lines(alpha("tail", "--consumer", "siem"))] == ["more.example"]
    assert alpha("consumer", "add", "siem", "--json").json["state"] == "current", "added twice it stays"
    assert alpha("consumer", "reset", "siem", "--json").json["state"] == "reset"
    again = lines(alpha("tail", "--consumer", "siem"))
    assert again[0]["op"] == "reset" and {line["value"] for line in again[1:]} == {*ODD, "more.example"}
    assert alpha("consumer", "remove", "siem").code == 0
    assert alpha("consumer", "remove", "siem").code == 3 and alpha("consumer", "list", "--json").json == []


def test_a_cursor_of_a_consumer_never_goes_back_in_its_feed(alpha: Home) -> None:
    """Of two that read under one name the slower must not have the other told everything again."""
    from p2pshare.cli.session import ask
    from p2pshare.operations.consumers import AdvanceConsumer

    alpha("consumer", "add", "siem")
    lines(alpha("tail", "--consumer", "siem"))
    [before] = alpha("consumer", "list", "--json").json
    feed = before["cursor"].partition("-")[0]
    assert ask(alpha.path, AdvanceConsumer("siem", f"{feed}-1")).cursor == before["cursor"]


def test_a_cursor_beyond_the_end_is_nobodys_place_and_does_not_have_a_consumer_told_everything_for_ever(
    alpha: Home,
) -> None:
    from p2pshare.cli.session import ask
    from p2pshare.operations.consumers import AdvanceConsumer

    alpha("consumer", "add", "siem")
    lines(alpha("tail", "--consumer", "siem"))
    [before] = alpha("consumer", "list", "--json").json
    feed = before["cursor"].partition("-")[0]
    assert ask(alpha.path, AdvanceConsumer("siem", f"{feed}-{2**63 - 1}")).cursor == before["cursor"]
    assert lines(alpha("tail", "--consumer", "siem")) == []


def test_a_daemon_that_restarts_does_not_end_who_follows_and_a_consumer_that_went_does(
    alpha: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from p2pshare.cli import tail
    from p2pshare.errors import DaemonUnreachable, NotFoundError

    told, asked = tail.ask, []

    def ask(home: Path, request: Any) -> Any:
        asked.append(request)
        if len(asked) == 1:
            raise DaemonUnreachable("it restarts")
        return told(home, request)

    monkeypatch.setattr(tail, "ask", ask)
    monkeypatch.setattr(tail, "ADVANCE_SECONDS", 0)
    alpha("consumer", "add", "siem")
    teller = tail._Teller(alpha.path, tail.load_change_exporter("ndjson"), "siem")
    with teller._opened() as (knowledge, _, _):
        teller._tell_page(knowledge, io.BytesIO())
        teller._keep_place_at_times()
        assert alpha("consumer", "list", "--json").json[0]["moved_at"] is None
        teller._keep_place_at_times()
        assert alpha("consumer", "list", "--json").json[0]["state"] == "current"
        alpha("consumer", "remove", "siem")
        publish(alpha, ["more.example"])
        teller._tell_page(knowledge, io.BytesIO())
        with pytest.raises(NotFoundError):
            teller._keep_place_at_times()


@pytest.mark.parametrize("name", ["", "-x", "a b", "a" * 65, "ä", "a/b", "a\n"])
def test_a_name_that_could_be_mistaken_is_no_consumers(alpha: Home, name: str) -> None:
    assert alpha("consumer", "add", "--", name).code in (1, 2)
    assert alpha("consumer", "list", "--json").json == []


def test_every_format_tells_each_change_on_one_line_whatever_its_value_is(alpha: Home) -> None:
    ecs = lines(alpha("tail", "--format", "ecs"))
    assert {line["threat"]["indicator"]["name"] for line in ecs} == set(ODD)
    by_name = {line["threat"]["indicator"]["name"]: line for line in ecs}
    address = by_name["198.51.100.7"]["threat"]["indicator"]
    assert (address["type"], address["ip"]) == ("ipv4-addr", "198.51.100.7")
    assert address["marking"] == {"tlp": "GREEN", "tlp_version": "2.0"}
    assert by_name["a" * 64]["threat"]["indicator"]["file"] == {"hash": {"sha256": "a" * 64}}
    assert by_name["evil.example"]["event"]["action"] == "add"
    rows = list(csv.DictReader(io.StringIO(alpha("tail", "--format", "csv").out, newline="")))
    assert {row["value"] for row in rows} == set(ODD) and list(rows[0]) == [*KEYS, "until"]
    events = alpha("tail", "--format", "cef").out.splitlines()
    assert len(events) == len(ODD) and all(line.startswith("CEF:0|p2pshare|p2pshare|") for line in events)
    [url] = [line for line in events if "request=" in line]
    assert "request=http://evil.example/a|b\\=c" in url and url.count("cs1=") == 1


FOLLOW = [sys.executable, "-m", "p2pshare", "--home"]


def test_who_follows_is_told_what_comes_and_across_a_store_that_is_put_back(alpha: Home) -> None:
    home = str(alpha.path)
    alpha("consumer", "add", "siem")
    backup = (alpha.path / "store.sqlite").read_bytes()
    with subprocess.Popen(
        [*FOLLOW, home, "tail", "--follow", "--consumer", "siem"],
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as following:
        try:
            follow_across(alpha, following, backup)
            following.send_signal(signal.SIGTERM)  # SIGINT is ignored where tests run in the background
            assert following.wait(20) == 128 + signal.SIGTERM
        finally:
            following.kill()
    assert alpha("consumer", "list", "--json").json[0]["state"] == "current"


def follow_across(alpha: Home, following: subprocess.Popen[str], backup: bytes) -> None:
    """Reads what `following` tells while values come, and while the store is put back to `backup`."""
    assert following.stdout is not None

    def until(value: str) -> list[dict[str, Any]]:
        read: list[dict[str, Any]] = []
        while not read or read[-1].get("value") != value:
            read.append(json.loads(following.stdout.readline()))  # type: ignore[union-attr]
        return read

    reader = Reader()
    reader.apply(until(lines(alpha("tail"))[-1]["value"]))
    publish(alpha, ["more.example"])
    reader.apply(until("more.example"))
    for name in ("store.sqlite-wal", "store.sqlite-shm"):
        (alpha.path / name).unlink(missing_ok=True)
    beside = alpha.path / "beside"
    beside.write_bytes(backup)
    beside.chmod(0o600)
    beside.replace(alpha.path / "store.sqlite")
    publish(alpha, ["after.example"])
    told = until("after.example")
    ops = [line["op"] for line in told]
    assert ops.count("reset") in (1, 2), (
        "once more where it looked before the next opening began another feed"
    )
    reader.apply(told[len(ops) - 1 - ops[::-1].index("reset") :])
    assert set(reader.held) == active(alpha)


def test_a_reader_that_goes_away_ends_it_and_nothing_is_counted_as_told(alpha: Home) -> None:
    """What stood in a pipe that broke was read by nobody."""
    alpha("consumer", "add", "siem")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*FOLLOW, str(alpha.path), "tail", "--consumer", "siem"],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert done.returncode != 0 and b"Traceback" not in done.stderr
    assert alpha("consumer", "list", "--json").json[0]["moved_at"] is None


HOSTILE = ["=cmd' C calc'!A0", 'x,"y",z', "a=b rt=1", "ümläut ﷽ name", "-1+1", "@SUM(1)"]


def test_hostile_names_stay_one_value_in_every_format(alpha: Home) -> None:
    """A file's name may hold what ends a field elsewhere, or what a spreadsheet computes."""
    objects = [
        {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--00000000-0000-4000-8000-0000000000{number:02}",
            "created": "2026-01-01T00:00:00.000Z",
            "modified": "2026-01-01T00:00:00.000Z",
            "pattern": "[file:name = '{}']".format(name.replace("\\", "\\\\").replace("'", "\\'")),
            "pattern_type": "stix",
            "valid_from": "2026-01-01T00:00:00Z",
            "object_marking_refs": ["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"],
        }
        for number, name in enumerate(HOSTILE)
    ]
    bundle = {"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000099", "objects": objects}
    assert alpha("publish", "-", "--format", "stix", stdin=json.dumps(bundle).encode()).code == 0
    told = [line for line in lines(alpha("tail")) if line["type"] == "file-name"]
    assert len(told) == len(HOSTILE)
    names = [line["value"] for line in told]
    ecs = lines(alpha("tail", "--format", "ecs"))
    assert [line["threat"]["indicator"]["name"] for line in ecs][-len(names) :] == names
    rows = list(csv.DictReader(io.StringIO(alpha("tail", "--format", "csv").out, newline="")))[-len(names) :]
    assert [row["value"].removeprefix("'") for row in rows] == names
    assert not any(row["value"].startswith(("=", "-", "+", "@")) for row in rows)
    for event, name in zip(
        alpha("tail", "--format", "cef").out.splitlines()[-len(names) :], names, strict=True
    ):
        fields = dict(re.findall(r"(\w+)=((?:\\.|[^\\=])*)(?= \w+=|$)", event.split("|", 7)[7]))
        assert re.sub(r"\\(.)", r"\1", fields["cs1"]) == name and fields["rt"].isdigit()
