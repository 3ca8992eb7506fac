"""A home that is put back from a backup, and one that is copied and started twice, with real daemons."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]


def store_of(partner: Partner) -> Path:
    return partner.home / "store.sqlite"


def back_up(partner: Partner) -> None:
    """While its daemon is stopped: the file is whole."""
    shutil.copyfile(store_of(partner), partner.home.parent / "yesterday.sqlite")


def put_back(partner: Partner) -> None:
    for suffix in ("-wal", "-shm"):
        store_of(partner).with_name(f"store.sqlite{suffix}").unlink(missing_ok=True)
    shutil.copyfile(partner.home.parent / "yesterday.sqlite", store_of(partner))


def claims(partner: Partner, value: str) -> list[tuple[str, bool]]:
    """(author, whether it took the claim back) of each claim, whatever its marking."""
    answers = partner.cli_json("lookup", value, "--json", code=0) if knows(partner, value) else []
    return [(claim["author"], claim["withdrawal"] is not None) for one in answers for claim in one["claims"]]


def knows(partner: Partner, value: str) -> bool:
    return bool(partner.query(f"SELECT 1 FROM observable WHERE value = '{value}'"))


@pytest.mark.parametrize("who_dials_out", ["nobody", "alpha", "bravo"])
def test_an_author_set_back_to_yesterdays_backup_reads_withdraws_and_counts_its_own(
    company: Company, eventually: Eventually, who_dials_out: str
) -> None:
    """Whichever end can be dialled, its own comes home, what went direct as well."""
    alpha, bravo = (company.found(name, is_dialable=name != who_dials_out) for name in ("alpha", "bravo"))
    alpha.trust(bravo)
    bravo.trust(alpha)
    alpha.start()
    bravo.start()
    alpha.publish("before.example\n")
    bravo.wait_for("before.example")
    alpha.stop()
    back_up(alpha)
    alpha.start()
    alpha.publish("after.example\n")
    alpha.publish("secret.example\n", "--tlp", "red", "--to", "bravo")
    alpha.cli("withdraw", "before.example", "--reason", "false-positive", "--yes")
    for value in ("after.example", "secret.example"):
        eventually(lambda value=value: knows(bravo, value), f"bravo has {value}")
    eventually(lambda: claims(bravo, "before.example")[0][1], "bravo has the withdrawal")
    alpha.stop()
    put_back(alpha)
    assert not knows(alpha, "after.example")
    assert not claims(alpha, "before.example")[0][1]
    alpha.start()
    alpha.wait_for("after.example")
    eventually(lambda: knows(alpha, "secret.example"), "the direct envelope comes home")
    eventually(lambda: claims(alpha, "before.example")[0][1], "the withdrawal comes home")
    assert alpha.query("SELECT active FROM v1_indicators WHERE value = 'after.example'") == [(1,)]
    alpha.publish("today.example\n")
    bravo.wait_for("today.example")
    for value, code in (
        ("after.example", 0),
        ("secret.example", 6),
    ):  # 6: there may have been more recipients
        said = alpha.cli_json("withdraw", value, "--reason", "mistake", "--yes", "--json", code=code)
        assert said["recipients"] == ["bravo"]
        assert [one["reason"] for one in said["skipped"]] == ["audience-incomplete"] * bool(code)
        eventually(lambda value=value: claims(bravo, value)[0][1], f"bravo hears that {value} is withdrawn")
    for partner in (alpha, bravo):
        assert partner.status()["alarms"] == []


def test_a_home_that_was_copied_twice_and_is_started_thrice_is_told_by_all_and_by_their_partner(
    company: Company, eventually: Eventually
) -> None:
    """What each of them publishes reaches the partner, though they take one another's place there; and what it publishes reaches
    the one that it can dial."""
    alpha, bravo = company.pair()
    alpha.publish("before.example\n")
    bravo.wait_for("before.example")
    alpha.stop()
    copies = [company.found(name) for name in ("copy", "another")]
    for copy in copies:
        shutil.rmtree(copy.home)
        shutil.copytree(alpha.home, copy.home)
        copy.configure("listen", f'"127.0.0.1:{copy.port}"')
    for one in (alpha, *copies):
        one.start()
        time.sleep(
            1
        )  # another second, another incarnation: in one they would sign one number twice, which is told as well
    for n, one in enumerate((alpha, *copies, alpha, *copies)):
        one.publish(f"twice{n}.example\n")
        bravo.wait_for(f"twice{n}.example")
        time.sleep(1)
    bravo.publish("of-the-partner.example\n")
    alpha.wait_for("of-the-partner.example")
    for one in (alpha, *copies, bravo):
        eventually(lambda one=one: "identity-used-twice" in words(one), f"{one.name} tells it")
        [alarm] = [alarm for alarm in one.status()["alarms"] if alarm["word"] == "identity-used-twice"]
        assert alarm["partner_id"] == alpha.partner_id
        assert ("stop the copy" in alarm["hint"]) == (one is not bravo)
        assert words(one) == {"identity-used-twice"}


def words(partner: Partner) -> set[str]:
    return {alarm["word"] for alarm in partner.status()["alarms"]}
