"""The promises of docs/cli.md: keys of each JSON answer, exit codes, what goes to which stream, files that appear whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Home, Said, found_pair
from copies import copy_of

from p2pshare.cli import publish
from p2pshare.exporters import plain_list
from p2pshare.exporters.interface import Format
from p2pshare.sharing.spool import NOT_PREPARED

AMBER_AND_GREEN = {
    "type": "bundle",
    "id": "bundle--00000000-0000-4000-8000-000000000000",
    "objects": [
        {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--00000000-0000-4000-8000-{number:012x}",
            "created": "2026-01-01T00:00:00.000Z",
            "modified": "2026-01-01T00:00:00.000Z",
            "valid_from": "2026-01-01T00:00:00Z",
            "pattern": f"[domain-name:value = 'contract-{number}.example']",
            "pattern_type": "stix",
            "object_marking_refs": [marking],
        }
        for number, marking in enumerate(
            (
                "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
                "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
            )
        )
    ],
}


@pytest.fixture
def alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    """alpha, who trusts bravo and has published three values."""

    def make(folder: Path) -> None:
        home = found_pair(folder, capsys, monkeypatch)["alpha"]
        values = b"one.example\n192.0.2.1\nhxxp://two[.]example/x\n"
        assert home("publish", "-", "--tlp", "green", stdin=values).code == 0

    return Home(copy_of("contract", make, tmp_path) / "alpha", capsys, monkeypatch)


def test_card_show_has_its_promised_keys(alpha: Home) -> None:
    shown = alpha("card", "show", "--json").json
    assert list(shown) == ["partner_id", "name", "fingerprint", "version", "urls", "expires", "keys"]


def test_partner_list_has_its_promised_keys(alpha: Home) -> None:
    [partner] = alpha("partner", "list", "--json").json
    assert {"alias", "partner_id", "name", "url", "state", "last_exchange", "circles"} <= set(partner)
    assert (partner["alias"], partner["state"], partner["circles"]) == ("bravo", "stopped", ["main"])


def test_publish_has_its_promised_keys_and_what_was_read_adds_up(alpha: Home) -> None:
    said = alpha(
        "publish", "-", "--tlp", "green", "--json", stdin=b"three.example\nthree.example\n999.1.1.1\n"
    )
    answer = said.json
    assert said.code == 6
    assert {"read", "published", "observables", "refused", "envelopes", "recipients"} <= set(answer)
    assert answer["refused"][0].keys() == {"reason", "count", "examples"}
    assert answer["read"] == answer["published"] + answer["merged"] + answer["refused"][0]["count"] == 3
    assert answer["recipients"] == ["bravo"]


def test_a_bundle_of_two_markings_is_partly_refused_and_goes_whole_to_a_named_partner(alpha: Home) -> None:
    raw = json.dumps(AMBER_AND_GREEN).encode()
    for_all = alpha("publish", "-", "--json", stdin=raw)
    assert (for_all.code, for_all.json["published"]) == (6, 1)
    assert [one["reason"] for one in for_all.json["refused"]] == ["names-needed"]
    for_bravo = alpha("publish", "-", "--to", "bravo", "--json", stdin=raw)
    assert (for_bravo.code, len(for_bravo.json["envelopes"])) == (0, 2)


def test_what_was_assumed_about_a_list_is_told(alpha: Home) -> None:
    said = alpha("publish", "-", "--tlp", "green", "--json", stdin=b"203.0.113.9:8080\n*.four.example\n")
    assert {note["reason"]: note["examples"] for note in said.json["notes"]} == {
        "port-dropped": ["line 1: 203.0.113.9"],
        "wildcard-dropped": ["line 2: four.example"],
    }
    plain = alpha("publish", "-", "--tlp", "green", "--dry-run", stdin=b"203.0.113.9:8080\n")
    assert "note: 1 port-dropped, for example line 1: 203.0.113.9\n" in plain.err


def test_what_is_published_without_a_daemon_is_said_to_wait_for_it(alpha: Home) -> None:
    waiting = "no daemon is running: it leaves when `p2pshare run` starts"
    assert waiting in alpha("publish", "-", "--tlp", "green", stdin=b"five.example\n").err
    assert waiting not in alpha("publish", "-", "--tlp", "green", "--dry-run", stdin=b"six.example\n").err


def test_an_empty_input_publishes_nothing_and_is_no_error(alpha: Home) -> None:
    said = alpha("publish", "-", "--tlp", "green", "--json", stdin=b"# only a comment\n")
    assert (said.code, said.json["published"], said.json["envelopes"]) == (0, 0, [])


def test_lookup_has_its_promised_keys_and_answers_each_value_in_order(alpha: Home) -> None:
    said = alpha("lookup", "ONE[.]example", "-", "--json", stdin=b"nowhere.example\n\n192.0.2.1\nno value\n")
    assert said.code == 0
    assert [one["found"] for one in said.json] == [True, False, True, False]
    assert {"value", "type", "found", "active", "authors", "claims"} <= set(said.json[0])
    claim = {"author", "object_id", "tlp", "confidence", "valid_from", "valid_until", "received_at"}
    assert claim <= set(said.json[0]["claims"][0])
    assert alpha("lookup", "nowhere.example", "--json").code == 3


def test_status_has_its_promised_keys(alpha: Home) -> None:
    answer = alpha("status", "--json").json
    assert {"partner_id", "name", "running", "partners", "envelopes", "observables", "refused"} <= set(answer)
    assert answer["envelopes"] == {
        "held": 1,
        "opened": 1,
        "unread": 0,
        "relayed": 0,
        "pending": 1,
        "no_room": 0,
    }
    assert answer["observables"] == {"domain": 1, "ipv4": 1, "url": 1}
    assert answer["running"] is False
    assert answer["disk"]["store_bytes"] > 0
    assert answer["disk"]["author_bytes_max"] == 1 << 30


def test_export_gives_lines_by_format_and_type(alpha: Home) -> None:
    assert sorted(alpha("export", "--format", "list").out.split()) == [
        "192.0.2.1",
        "http://two.example/x",
        "one.example",
    ]
    assert alpha("export", "--format", "list", "--type", "domain").out == "one.example\n"
    rows = [json.loads(line) for line in alpha("export", "--format", "ndjson").out.splitlines()]
    assert {row["type"] for row in rows} == {"domain", "ipv4", "url"}
    assert alpha("export", "--format", "list", "--type", "sha256") == Said(0, "", "")


def test_a_mistyped_type_is_no_empty_block_list(alpha: Home) -> None:
    said = alpha("export", "--format", "list", "--type", "ip")
    assert (said.code, said.out) == (2, "")
    assert "ipv4" in said.err


def test_an_export_file_appears_whole_or_not_at_all(
    alpha: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "block.txt"
    assert alpha("export", "--format", "list", "--type", "domain", "-o", str(target)).code == 0
    assert target.read_text() == "one.example\n"

    def fail_midway(*_: object) -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plain_list, "FORMAT", Format(fail_midway))
    said = alpha("export", "--format", "list", "-o", str(target))
    assert said.code == 1
    assert said.err.startswith(f"error: cannot write {target}: no space left on device\nhint: ")
    assert target.read_text() == "one.example\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("block")] == ["block.txt"]


@pytest.mark.parametrize(
    ("before", "type_", "allowed", "reason"),
    [
        ("a.example\n", "sha256", "--allow-empty", "the new list is empty"),
        ("a.example\n" * 7, "sha256", "--allow-empty", "the new list is empty"),
        ("a.example\nb.example\n\nc.example", "domain", "--allow-shrink", "has 1 line,"),
        ("a.example\n" * 900, "domain", "--allow-shrink", "has 900"),
        ("x" * 200_000 + "\n" + "a.example\n" * 2, "domain", "--allow-shrink", "has 3"),
    ],
)
def test_a_good_list_is_not_replaced_by_an_empty_one_or_by_one_of_less_than_half(
    alpha: Home, tmp_path: Path, before: str, type_: str, allowed: str, reason: str
) -> None:
    target, link = tmp_path / "block.txt", tmp_path / "link.txt"
    target.write_text(before)
    link.symlink_to(target)
    arguments = ("export", "--format", "list", "--type", type_, "-o", str(link))
    other = {"--allow-empty": "--allow-shrink", "--allow-shrink": "--allow-empty"}[allowed]
    for options in ((), (other,)):
        said = alpha(*arguments, *options)
        assert (said.code, said.out) == (1, "")
        assert reason in said.err
        assert allowed in said.err
        assert target.read_text() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
    assert alpha(*arguments, allowed).code == 0
    assert target.read_text() == ("" if type_ == "sha256" else "one.example\n")


def test_a_list_of_half_the_lines_and_an_empty_one_over_nothing_are_written(
    alpha: Home, tmp_path: Path
) -> None:
    target = tmp_path / "block.txt"
    assert alpha("export", "--format", "list", "--type", "sha256", "-o", str(target)).code == 0
    for before in ("", "\n\n", "a.example\nb.example\n"):
        target.write_text(before)
        assert alpha("export", "--format", "list", "--type", "domain", "-o", str(target)).code == 0
        assert target.read_text() == "one.example\n"
    said = alpha("export", "--format", "ndjson", "--allow-empty", "-o", str(target))
    assert (said.code, target.read_text()) == (2, "one.example\n")


def test_a_feed_is_a_folder_without_what_counts_no_more(alpha: Home, tmp_path: Path) -> None:
    folder = tmp_path / "feed"
    assert alpha("export", "--format", "misp-feed").code == 2
    assert alpha("export", "--format", "misp-feed", "-o", str(folder)).code == 0
    manifest = json.loads((folder / "manifest.json").read_text())
    [name] = manifest
    event = json.loads((folder / f"{name}.json").read_text())["Event"]
    assert {one["value"] for one in event["Attribute"]} >= {"one.example", "192.0.2.1"}
    stale = folder / "00000000-0000-4000-8000-000000000000.json"
    for path in (stale, folder / "notes.json"):
        path.write_text("{}")
    assert alpha("export", "--format", "misp-feed", "-o", str(folder)).code == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [f"{name}.json", "hashes.csv", "manifest.json", "notes.json"]
    )
    assert alpha("export", "--format", "misp-feed", "-o", str(tmp_path / "no" / "folder")).code == 1


def test_a_column_makes_a_table_of_the_input_and_is_refused_beside_another_format(alpha: Home) -> None:
    raw = b"seen,loader,panel\n2026,l.example,https://p.example/\n"
    both = alpha("publish", "-", "--tlp", "green", "--json", "--column", "loader", "--column", "3", stdin=raw)
    assert (both.code, both.json["published"]) == (0, 2)
    undecided = alpha("publish", "-", "--format", "csv", "--tlp", "green", stdin=raw)
    assert undecided.code == 1
    assert "column 2 (loader)" in undecided.err
    assert "--column" in undecided.err
    assert alpha("publish", "-", "--format", "stix", "--column", "1", stdin=raw).code == 2


def test_publish_knows_the_word_for_what_waits_no_more() -> None:
    assert publish.NOT_PREPARED == NOT_PREPARED


def test_verify_tells_good_bad_and_what_it_cannot_check(alpha: Home, tmp_path: Path) -> None:
    card = (alpha.path / "card.p2pcard").read_bytes()
    (tmp_path / "bad").write_bytes(card[:-1] + bytes([card[-1] ^ 1]))
    assert alpha("verify", str(alpha.path / "card.p2pcard"), "--json").json["verdict"] == "good"
    said = alpha("verify", str(tmp_path / "bad"), "--json")
    assert (said.code, said.json["verdict"]) == (1, "bad")
    assert alpha("verify", str(tmp_path / "nowhere")).code == 1


def test_a_file_that_is_no_card_is_named_with_a_mend(alpha: Home, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes((alpha.path / "card.p2pcard").read_bytes()[:500])
    for command in (("card", "show"), ("partner", "add", "--fingerprint", "x")):
        said = alpha(*command, str(tmp_path / "cut"))
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith(f"error: {tmp_path / 'cut'} is no card that can be trusted: ")
        assert "\nhint: " in said.err


def test_removing_a_partner_that_is_unknown_is_not_found(alpha: Home) -> None:
    assert alpha("partner", "remove", "nobody").code == 3
    assert alpha("partner", "remove", "bravo", "--json").json["alias"] == "bravo"
    assert alpha("partner", "list", "--json").json == []


def test_init_refuses_a_home_that_is_one_and_config_check_is_json(alpha: Home) -> None:
    again = alpha("init", "--name", "x", "--url", "https://127.0.0.1:1")
    assert (again.code, again.out) == (1, "")
    assert alpha("config", "check", "--json").json["config"]["name"] == "alpha"


def test_a_home_that_lost_its_config_is_told_so_and_keeps_its_key(alpha: Home) -> None:
    (alpha.path / "config.toml").unlink()
    key = (alpha.path / "identity.p2pkey").read_bytes()
    assert (alpha("status").code, alpha("config", "check").code) == (78, 78)
    again = alpha("init", "--name", "x", "--url", "https://127.0.0.1:1")
    assert again.code == 1
    assert "holds a key file but no config.toml" in again.err
    assert (alpha.path / "identity.p2pkey").read_bytes() == key


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("evil\x1b[31m", "https://a.example:1"),
        ("del\x7f", "https://a.example:1"),
        ("a", 'https://a"\n.example:1'),
        ("a", "https://b\u00fccher.example:1"),
        ("a", "https://a\udcff.example:1"),
        ("a", "https://b%C3%BCcher.example:1"),
    ],
)
def test_init_with_an_unusable_name_or_url_says_so_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    home = Home(tmp_path / "new", capsys, monkeypatch)
    said = home("init", "--name", name, "--url", url)
    assert said.code in (1, 78)
    assert "a bug" not in said.err
    assert "\nhint: " in said.err
    assert not home.path.exists()


def test_what_was_found_in_a_report_is_shown_before_it_leaves(alpha: Home) -> None:
    report = (
        b"It called evil[.]example (CVE-2021-44228), says \x1b[31mwww.vendor.com\x1b[0m in its blog of May.\n"
    )
    arguments = ("publish", "-", "--format", "text", "--tlp", "green", "--dry-run")
    said = alpha(*arguments, stdin=report)
    assert said.out == "domain evil.example\ncve CVE-2021-44228\n"
    assert "\x1b" not in said.err
    assert alpha(*arguments, "--json", stdin=report).json["values"] == [
        {"type": "domain", "value": "evil.example"},
        {"type": "cve", "value": "CVE-2021-44228"},
    ]
    plain = report.replace(b"\x1b[31m", b"").replace(b"\x1b[0m", b"")
    assert "domain www.vendor.com\n" in alpha(*arguments, "--undefanged", stdin=plain).out


def test_every_exit_code_that_the_page_names_stands_in_its_table(repository: Path) -> None:
    """Once it said 65 of a backup that is none, which no command ends with."""
    page = (repository / "docs" / "cli.md").read_text(encoding="utf-8")
    table = {int(code) for code in re.findall(r"^\| (\d+) \| ", page, re.MULTILINE)}
    named = re.findall(r"`[a-z-]+` \((\d+)\)|\((\d+): `|`[a-z]+-[a-z-]+`, (\d+)\)", page)
    codes = {int(next(filter(None, one))) for one in named}
    assert {1, 5, 6, 66} <= codes <= table
