"""Bad files, a full disk, a wrong clock: a clear word or a counted refusal, and what was good beside it is kept."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2pshare.limits import MIB

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end

GREEN = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"


@pytest.fixture(scope="module")
def alpha(shared_company: Company) -> Partner:
    """alpha has a partner to publish to; no daemon runs."""
    left, _ = shared_company.linked("alpha", "bravo")
    return left


def indicator(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--00000000-0000-4000-8000-{number:012x}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "valid_from": "2026-01-01T00:00:00Z",
        "pattern": f"[domain-name:value = 'bad-input-{number}.example']",
        "pattern_type": "stix",
        "object_marking_refs": [GREEN],
    } | changes


def bundle(*objects: dict[str, Any]) -> bytes:
    return json.dumps(
        {"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000000", "objects": objects}
    ).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b'{"type": "bundle", "objects": [',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"type": "bundle", "type": "bundle", "objects": []}',
        b'{"type": "bundle", "id": NaN, "objects": []}',
        b'{"type": "report"}',
        b"\xff\xfe\x00\x01",
        b"",
    ],
    ids=["cut", "deep", "duplicate-key", "nan", "no-bundle", "binary", "empty"],
)
def test_a_file_that_is_no_bundle_is_refused_with_a_hint_and_nothing_is_kept(
    alpha: Partner, raw: bytes
) -> None:
    held = alpha.status()["envelopes"]["held"]
    said = alpha.cli("publish", "-", "--format", "stix", "--tlp", "green", "--yes", stdin=raw, code=1).err
    assert "error: " in said
    assert "\nhint: " in said
    assert alpha.status()["envelopes"]["held"] == held


def test_one_bad_object_among_good_ones_is_refused_alone(alpha: Partner) -> None:
    raw = bundle(indicator(1), {"type": 7}, indicator(2, object_marking_refs=[]), indicator(3))
    done = alpha.cli_json("publish", "-", "--format", "stix", "--yes", "--json", stdin=raw, code=6)
    assert (done["read"], done["published"], done["observables"]) == (4, 2, 2)
    assert sum(refusal["count"] for refusal in done["refused"]) == 2
    assert {"bad-input-1.example", "bad-input-3.example"} <= alpha.values()
    assert "bad-input-2.example" not in alpha.values()


def test_a_list_with_all_the_usual_dirt_gives_its_good_values(alpha: Partner) -> None:
    raw = b"\n".join(
        (
            b"\xef\xbb\xbf# a comment\r",
            b"dirt-one.example\r",
            b"",
            b"hxxp://dirt-two[.]example/x",
            b"\x00\x01\x02\xff",
            b"a" * 1_000_000,
            b"999.1.1.1",
            b"192.0.2.77 # with a comment",
        )
    )
    done = alpha.cli_json(
        "publish", "-", "--format", "list", "--tlp", "green", "--yes", "--json", stdin=raw, code=6
    )
    assert done["published"] == 3
    assert done["read"] == done["published"] + sum(refusal["count"] for refusal in done["refused"])
    assert {"dirt-one.example", "http://dirt-two.example/x", "192.0.2.77"} <= alpha.values()


def test_unmarked_input_needs_tlp_and_amber_needs_names(alpha: Partner) -> None:
    held = alpha.status()["envelopes"]["held"]
    unmarked = alpha.cli("publish", "-", "--format", "list", "--yes", stdin=b"x.example\n", code=5)
    assert "--tlp" in unmarked.err
    amber = alpha.cli(
        "publish", "-", "--format", "list", "--tlp", "amber", "--yes", stdin=b"x.example\n", code=5
    )
    assert "--to" in amber.err
    assert alpha.status()["envelopes"]["held"] == held


def test_a_dry_run_shows_everything_and_keeps_nothing(alpha: Partner) -> None:
    held = alpha.status()["envelopes"]["held"]
    done = alpha.publish("dry.example\n", "--dry-run")
    assert (done["read"], done["published"], done["envelopes"], done["recipients"]) == (1, 1, [], ["bravo"])
    assert alpha.status()["envelopes"]["held"] == held
    alpha.cli("lookup", "dry.example", code=3)


SILENT_HARM = {
    "urls.txt": b"http://shared-host.example/;x=1\nhttp://other-host.example/;x=2\n",
    "victims.csv": b"victim_ip,port,seen\n198.51.100.61,3389,2026-01-08\n",
    "people.csv": b"name,mail\nA. Analyst,analyst@silent.example\n",
    "scan.csv": b"timestamp,ip,hostname,tag,naics\n2026-01-08,198.51.100.10,cust1.silent.example,rdp,0\n",
    "ranges.txt": b"198.51.100.0-255\n198.51.100.1-5\n198.51.100.0/24/\n",
    "quotes.txt": "silent.example\u201d\nsilent\u2013host.example\nsilent.example\xb9\n".encode(),
    "patterns.json": bundle(
        indicator(90, pattern="[domain-name:value = 'silent.example'"),
        indicator(91, valid_until="2026-01-01T00:00:00Z"),
        indicator(92, pattern="[domain-name:value LIKE '%.silent.example']"),
    ),
}


def test_with_a_daemon_no_input_does_harm_in_silence(company: Company, tmp_path: Path) -> None:
    """What leaves is what was written; a block list made of it never loses what it had."""
    left, right = company.linked("alpha", "bravo")
    left.start()
    right.start()
    options = ("--tlp", "green", "--yes", "--json")
    for name, raw in SILENT_HARM.items():
        (tmp_path / name).write_bytes(raw)
        code = {"urls.txt": 0, "patterns.json": 6}.get(name, 1)
        said = left.cli("publish", str(tmp_path / name), *options, code=code)
        if name == "patterns.json":
            answer = json.loads(said.out)
            assert {one["reason"] for one in answer["refused"]} == {"already-over", "bad-pattern"}
            assert [(one["reason"], one["count"]) for one in answer["notes"]] == [("opaque-pattern", 1)]
    expected = {"http://shared-host.example/;x=1", "http://other-host.example/;x=2"}
    right.wait_for(*expected)
    left.publish("last-silent.example\n")
    right.wait_for("last-silent.example")
    assert right.values() == expected | {"last-silent.example"}
    target = tmp_path / "block.txt"
    right.cli("export", "--format", "list", "-o", str(target))
    assert set(target.read_text().split()) == right.values()
    right.cli("export", "--format", "list", "--type", "sha256", "-o", str(target), code=1)
    assert set(target.read_text().split()) == right.values()


def test_an_unknown_recipient_is_refused_with_the_nearest_name(alpha: Partner) -> None:
    said = alpha.cli("publish", "-", "--tlp", "green", "--to", "brvo", "--yes", stdin=b"x.example\n", code=5)
    assert "did you mean 'bravo'?" in said.err


def test_a_wrong_fingerprint_adds_nobody(company: Company) -> None:
    alpha, bravo = company.found("alpha"), company.found("bravo")
    card = str(bravo.home / "card.p2pcard")
    wrong = alpha.cli("partner", "add", card, "--fingerprint", alpha.fingerprint, code=5)
    assert wrong.out == ""
    assert bravo.fingerprint not in wrong.err
    missing = alpha.cli("partner", "add", card, code=2)
    assert "needs --fingerprint" in missing.err
    assert alpha.cli_json("partner", "list", "--json") == []


def test_bytes_that_are_no_card_add_nobody(company: Company) -> None:
    alpha, bravo = company.found("alpha"), company.found("bravo")
    raw = (bravo.home / "card.p2pcard").read_bytes()
    flipped = raw[: len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 1]) + raw[len(raw) // 2 + 1 :]
    for number, bad in enumerate((b"", raw[:-1], flipped, b"\x00" * 1000)):
        path = company.folder / f"bad-{number}"
        path.write_bytes(bad)
        alpha.cli("partner", "add", str(path), "--fingerprint", bravo.fingerprint, code=1)
        assert alpha.cli_json("verify", str(path), "--json", code=1)["verdict"] == "bad"
    assert alpha.cli_json("partner", "list", "--json") == []


class FullDisk:
    """A disk that is full for one node: its floor of free space lies just below what is free, and then a file is made.

    No root and no file system of its own is needed; the margin is wide, for others write to this disk as well.
    """

    MARGIN_MIB = 768  # reading begins 256 MiB above the floor

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"
        self.free_mib = shutil.disk_usage(folder).free // MIB

    @property
    def floor_mib(self) -> int:
        return self.free_mib - self.MARGIN_MIB

    def fill(self) -> None:
        with self._ballast.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, 2 * self.MARGIN_MIB * MIB)

    def make_room(self) -> None:
        self._ballast.unlink(missing_ok=True)


@pytest.fixture
def disk(company: Company) -> Iterator[FullDisk]:
    made = FullDisk(company.folder)
    if made.free_mib < 4 * made.MARGIN_MIB:
        pytest.skip("skipped: less than 3 GiB of disk is free")
    yield made
    made.make_room()


def test_a_disk_that_fills_up_keeps_nothing_says_so_and_later_there_is_room(
    company: Company, disk: FullDisk
) -> None:
    alpha, _ = company.linked("alpha", "bravo")
    alpha.configure("free_space_mib_min", str(disk.floor_mib))
    alpha.start()
    disk.fill()
    said = alpha.cli("publish", "-", "--tlp", "green", "--yes", stdin=b"full.example\n", code=1).err
    assert "error: " in said
    assert "hint: free some space" in said
    assert alpha.status()["envelopes"]["held"] == 0
    disk.make_room()
    alpha.publish("full.example\n")
    assert alpha.status()["envelopes"]["held"] == 1


def test_a_recipient_whose_disk_is_full_acknowledges_nothing_and_gets_it_later(
    company: Company, disk: FullDisk, eventually: Any
) -> None:
    alpha, bravo = company.linked("alpha", "bravo")
    bravo.configure("free_space_mib_min", str(disk.floor_mib))
    alpha.start()
    bravo.start()
    disk.fill()
    alpha.publish("patience.example\n")
    eventually(lambda: "could be stored: disk-full" in bravo.log(), "bravo says that its disk is full")
    assert alpha.status()["envelopes"]["pending"] == 1
    disk.make_room()
    bravo.stop()  # or alpha would wait a minute before it asks again
    bravo.start()
    bravo.wait_for("patience.example")


def test_an_author_whose_clock_is_two_days_ahead_is_refused_and_counted_until_it_is_right(
    company: Company, eventually: Any
) -> None:
    alpha, bravo = company.linked("alpha", "bravo")
    alpha.start(clock_ahead_seconds=2 * 86_400)
    bravo.start()
    eventually(lambda: alpha.status()["partners"][0]["state"] == "connected", "the link is up")
    assert "clock-skew" in alpha.log()
    alpha.publish("from-the-future.example\n")  # pushed by its author; nobody would ask for it
    eventually(lambda: bravo.status()["refused"].get("from-the-future"), "bravo counts the refusal")
    alpha.stop()
    alpha.start()
    alpha.publish("on-time.example\n")
    bravo.wait_for("on-time.example")
    assert "from-the-future.example" not in bravo.values()
