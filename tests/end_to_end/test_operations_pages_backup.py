"""The restore drill, with three real daemons: a disk dies after a backup, and the pages of docs/operations/ are followed to the letter."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from free_port import free_port
from page_commands import run_page

from p2pshare.envelope import age_format
from p2pshare.envelope.card import believe_chain, fingerprint

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]
AN_HOUR_BEHIND = "import time\ntrue_time = time.time\ntime.time = lambda: true_time() - 3_600\n"
PASSPHRASE = "five random words are here\n"


@contextmanager
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A person's folder, with the passphrase of backups in it."""
    file = folder / "backup.pass"
    file.write_text(PASSPHRASE)
    file.chmod(0o600)
    with monkeypatch.context() as patched:
        patched.chdir(folder)
        patched.setattr(age_format, "SCRYPT_LOG_N", 4)  # commands run in this process
        yield folder


def alarms(partner: Partner) -> set[str]:
    return {alarm["word"] for alarm in partner.status()["alarms"]}


def knows(partner: Partner, value: str) -> bool:
    return bool(partner.query(f"SELECT 1 FROM observable WHERE value = '{value}'"))


def is_withdrawn(partner: Partner, value: str) -> bool:
    return bool(partner.query("SELECT 1 FROM withdrawal"))


def version_at(partner: Partner, other: str) -> int:
    ((version,),) = partner.query(f"SELECT card_version FROM partner WHERE alias = '{other}'")
    return int(version)


def feed_of(partner: Partner) -> str:
    ((feed,),) = partner.query("SELECT feed_id FROM v1_feed")
    return str(feed)


def restore(partner: Partner) -> Any:
    """Takes the home away and puts the backup there."""
    shutil.rmtree(partner.home)
    return partner.cli_json("restore", "node.age", "--passphrase-file", "backup.pass", "--json")


def freeze(partner: Partner) -> None:
    """As a second card of one version would (tests/sharing/test_sharing_restored_card.py); its daemon does not run."""
    with closing(sqlite3.connect(partner.home / "store.sqlite")) as store, store:
        store.execute("UPDATE partner SET is_frozen = 1")


def test_a_disk_that_died_is_replaced_and_then_the_node_moves(
    company: Company,
    eventually: Eventually,
    tmp_path: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Follows docs/operations/restoring.md, then moving.md, while partners run: nothing of its own is lost, and nobody takes it for a thief."""
    alpha, bravo, charlie = (company.found(name) for name in ("alpha", "bravo", "charlie"))
    for one, other in ((alpha, bravo), (alpha, charlie), (bravo, charlie)):
        one.trust(other)
        other.trust(one)
    for one in (alpha, bravo, charlie):
        one.start()
    alpha.publish("before.example\n")
    for one in (bravo, charlie):
        one.wait_for("before.example")
    invited = ("--invite", "bravo", "--tlp", "green", "--yes", "--json")
    space = alpha.cli_json("space", "open", "--title", "ours", *invited)["space"]
    alpha.cli("space", "note", space, "before the backup")
    alpha.cli("exercise", "import", "communication-check")
    exercise = alpha.cli_json(
        "exercise", "new", "communication-check", "--as", "partner=bravo", "--tlp", "green", "--json"
    )["exercise"]
    eventually(lambda: bravo.query("SELECT 1 FROM space"), "bravo is invited")
    bravo.cli("space", "join", space)
    first_feed = feed_of(alpha)

    with in_folder(tmp_path, monkeypatch):
        made = alpha.cli_json("backup", "node.age", "--passphrase-file", "backup.pass", "--json")
        assert made.keys() == {"file", "bytes", "created", "partner_id"}
        assert (made["partner_id"], made["bytes"]) == (alpha.partner_id, Path("node.age").stat().st_size)

        alpha.publish("after.example\n")
        alpha.publish("secret.example\n", "--tlp", "red", "--to", "charlie")
        alpha.cli("withdraw", "before.example", "--reason", "false-positive", "--yes")
        late = alpha.cli_json("space", "note", space, "after the backup", "--json")["entry"]
        alpha.cli("card", "rotate")
        bravo.wait_for("after.example")
        eventually(lambda: knows(charlie, "secret.example"), "charlie has the direct one")
        eventually(lambda: is_withdrawn(bravo, "before.example"), "bravo hears of the withdrawal")
        eventually(
            lambda: version_at(bravo, "alpha") == version_at(charlie, "alpha") == 2, "they have its new card"
        )
        eventually(lambda: has_entry(bravo, late), "bravo has the note")
        alpha.kill()
        told: list[Any] = []

        def type_at(machine: str, words: list[str]) -> None:
            partner = {"": alpha, "partner": bravo}[machine]
            if words[0] == "restore":
                told.append(restore(alpha))
                return
            if words[:3] == ["card", "renew", "--over-newer"] and "--card" not in words:
                come_home(alpha, told[0])
            elif words[:2] == ["partner", "card"]:
                eventually(lambda: version_at(bravo, "alpha") == 3, "bravo takes the card that went on")
                eventually(lambda: has_entry(alpha, late), "the own entry comes home", 60)
                alpha.cli("space", "note", space, "after the restore")
                assert not alarms(alpha) and not alarms(bravo) and not alarms(charlie)
                assert alpha.cli_json("card", "show", "--json")["version"] == 3
                alpha.stop()
                restore(alpha)
                bravo.stop()
            elif words[:2] == ["partner", "unfreeze"]:
                freeze(bravo)
            partner.cli(*words)

        def come_home(alpha: Partner, answer: Any) -> None:
            assert answer.keys() == {"feed_id", "incarnation", "coming_home", "missing"}
            assert feed_of(alpha) == answer["feed_id"] != first_feed
            assert {one["what"] for one in answer["coming_home"]} >= {"own-published", "spaces", "cards"}
            assert not knows(alpha, "after.example") and is_held(alpha, space) and is_held(alpha, exercise)
            checks = alpha.cli_json("doctor", "--json")
            checks = checks["checks"] if isinstance(checks, dict) else checks
            assert not [one for one in checks if "fail" in (one.get("level"), one.get("result"))]
            alpha.start()
            alpha.wait_for("after.example")
            eventually(lambda: knows(alpha, "secret.example"), "the direct envelope comes home")
            eventually(lambda: is_withdrawn(alpha, "before.example"), "the withdrawal comes home")
            assert feed_of(alpha) == answer["feed_id"], "one new feed, not two"
            eventually(
                lambda: alpha.query("SELECT 1 FROM setting WHERE name = 'own_card_newer'"),
                "a partner shows the newer card",
            )
            assert alarms(alpha) == {"own-card-newer"}
            alpha.publish("restored.example\n")
            for one in (bravo, charlie):
                one.wait_for("restored.example")

        run_page(
            repository / "docs" / "operations" / "restoring.md",
            type_at,
            {},
            {"FINGERPRINT": alpha.fingerprint},
        )
        assert version_at(bravo, "alpha") == 4
        alpha.start()
        bravo.start()
        alpha.wait_for("after.example", "restored.example")
        move(alpha, bravo, eventually, repository / "docs" / "operations" / "moving.md")
        bravo.publish("to-the-new-server.example\n")
        alpha.wait_for("before.example", "to-the-new-server.example")
        alpha.publish("from-the-new-server.example\n")
        for one in (bravo, charlie):
            one.wait_for("from-the-new-server.example")
        for one in (alpha, bravo, charlie):
            assert alarms(one) == set(), one.name


def move(alpha: Partner, bravo: Partner, eventually: Eventually, page: Path) -> None:
    """Follows the page with another address; systemctl and scp are played."""
    port, old_home = free_port(), alpha.home

    def type_at(machine: str, words: list[str]) -> None:
        if words[0] == "restore":
            assert machine == "new"
            alpha.home = old_home.parent / "new-server"
        if words[0] == "backup":
            words = [*words, "--force"]  # the drill has one of this name
        alpha.cli(*words)
        if words[0] == "restore":
            alpha.configure("url", f'"https://127.0.0.1:{port}"')
            alpha.configure("listen", f'"127.0.0.1:{port}"')

    def systemctl(machine: str, words: list[str]) -> None:
        if words[0] == "stop":
            eventually(lambda: version_at(bravo, "alpha") == 5, "bravo has the new address")
            alpha.stop()
        else:
            alpha.start()

    played = {"systemctl": systemctl, "scp": lambda machine, words: None}
    run_page(page, type_at, played, {"NEWPORT": str(port)})
    shutil.rmtree(old_home)
    [row] = [one for one in bravo.cli_json("partner", "list", "--json") if one["alias"] == "alpha"]
    assert str(port) in row["url"]


def is_held(partner: Partner, space: str) -> bool:
    """Of an exercise as of a space: what stands on the disk."""
    files = [partner.home / "store.sqlite", *(partner.home / "exercises").glob("*.sqlite")]
    for file in files:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
            if store.execute("SELECT 1 FROM space WHERE space_id = ?", (bytes.fromhex(space),)).fetchall():
                return True
    return False


def has_entry(partner: Partner, entry: str) -> bool:
    return bool(partner.query(f"SELECT 1 FROM space_entry WHERE entry_id = x'{entry}'"))


def test_a_restore_under_a_clock_that_is_an_hour_behind_uses_no_number_twice(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new machine has no time server at first: its command and its daemon live before the envelopes that were lost."""
    alpha, bravo = company.pair()
    with in_folder(tmp_path, monkeypatch):
        alpha.publish("before.example\n")
        alpha.cli("backup", "node.age", "--passphrase-file", "backup.pass")
        alpha.publish("lost.example\n")
        bravo.wait_for("lost.example")
        alpha.kill()
        shutil.rmtree(alpha.home)
        words = ("restore", "node.age", "--passphrase-file", "backup.pass", "--json")
        done = subprocess.run(alpha.command(*words, preface=AN_HOUR_BEHIND), capture_output=True, check=True)
        told = json.loads(done.stdout)
    ((lost,),) = bravo.query("SELECT max(incarnation) FROM envelope")
    assert told["incarnation"] > lost
    alpha.start(clock_ahead_seconds=-3_600)
    alpha.publish("behind.example\n")
    bravo.wait_for("behind.example")
    assert not {"sequence-fork", "card-fork"} & (alarms(alpha) | alarms(bravo))
    assert bravo.query("SELECT count(*), count(DISTINCT incarnation || '-' || sequence) FROM envelope") == [
        (3, 3)
    ]


def test_a_lost_key_is_a_new_identity_that_partners_take_in(
    company: Company, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Follows docs/operations/lost-key.md."""
    alpha, bravo = company.linked("alpha", "bravo")
    shutil.rmtree(alpha.home)
    new: dict[str, str] = {}

    def type_at(machine: str, words: list[str]) -> None:
        words = [new.get(word, word) for word in words]
        {"": alpha, "partner": bravo}[machine].cli(*words)
        if words[0] == "init":
            card = believe_chain((alpha.home / "card.p2pcard").read_bytes())
            new["FINGERPRINT"] = fingerprint(card.partner_id)

    with in_folder(tmp_path, monkeypatch):
        run_page(repository / "docs" / "operations" / "lost-key.md", type_at, {}, {"PORT": str(alpha.port)})
    alpha.trust(bravo)
    [row] = bravo.cli_json("partner", "list", "--json")
    assert (row["alias"], row["partner_id"]) == (
        "alpha",
        believe_chain((alpha.home / "card.p2pcard").read_bytes()).partner_id.text,
    )


def test_a_stolen_key_is_revoked(company: Company, repository: Path) -> None:
    """Follows docs/operations/stolen-key.md; tests/end_to_end/test_stolen_keys.py shows what it does to a thief."""
    alpha = company.found("alpha")
    [key] = [one for one in alpha.cli_json("card", "show", "--json")["keys"] if one["kind"] == "sign"]
    run_page(
        repository / "docs" / "operations" / "stolen-key.md",
        lambda machine, words: alpha.cli(*words),
        {},
        {"KEY": key["key_id"]},
    )
    states = {one["key_id"]: one["state"] for one in alpha.cli_json("card", "show", "--json")["keys"]}
    assert states[key["key_id"]] == "revoked"


def test_a_backup_is_made_as_the_page_says_and_age_reads_it(
    company: Company, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Follows docs/operations/backup.md. Where `age` is not installed, its part alone is skipped."""
    alpha = company.found("alpha")
    with in_folder(tmp_path, monkeypatch) as folder:
        recipient = "age13aqvttdk3ujkyjh9kg2w5an6dmy5mq5a84a4uxk3hfhnugfc9p0sy5p2wh"
        if has_age := shutil.which("age"):
            subprocess.run(["age-keygen", "-o", "identity.txt"], check=True, capture_output=True)
            told = subprocess.run(
                ["age-keygen", "-y", "identity.txt"], check=True, capture_output=True, text=True
            )
            replaced = {recipient: told.stdout.strip()}
        else:
            replaced = {}
        page = repository / "docs" / "operations" / "backup.md"
        run_page(page, lambda machine, words: alpha.cli(*words), {}, replaced)
        assert all((folder / name).stat().st_mode & 0o777 == 0o600 for name in ("node.age", "nightly.age"))
        if not has_age:
            pytest.skip("skipped: age not installed")
        plain = subprocess.run(
            ["age", "-d", "-i", "identity.txt", "nightly.age"], check=True, capture_output=True
        )
        (folder / "taken").mkdir()
        subprocess.run(["tar", "xf", "-", "-C", "taken"], input=plain.stdout, check=True)
        assert (folder / "taken" / "config.toml").read_bytes() == (alpha.home / "config.toml").read_bytes()
        told_of = json.loads((folder / "taken" / "p2pshare-backup.json").read_text())
        assert told_of["partner_id"] == alpha.partner_id
        again = subprocess.run(
            ["age", "-r", replaced[recipient]], input=plain.stdout, check=True, capture_output=True
        )
        (folder / "by-age.age").write_bytes(again.stdout)
        alpha.home = tmp_path / "restored"
        alpha.cli("restore", "by-age.age", "--identity", "identity.txt")
        assert alpha.cli_json("card", "show", "--json")["partner_id"] == alpha.partner_id
