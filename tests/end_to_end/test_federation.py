"""Federations of real daemons: rings that break and heal, clocks that are wrong, disks that come from yesterday."""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tcp_proxy import Roads

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="skipped: no /proc here"),
]
Eventually = Callable[[Callable[[], Any], str], Any]
HOURS = 3_600
KILLS = 6
SAID = 12
TRIED_MAX = 200  # publications, said or not, until so many were killed and said


@pytest.fixture
def roads(company: Company) -> Iterator[Roads]:
    def pids() -> dict[int, str]:
        return {one.process.pid: one.name for one in company.partners if one.process is not None}

    made = Roads(pids)
    yield made
    made.close()


def found(company: Company, roads: Roads, names: str) -> list[Partner]:
    """Partners who all trust one another, without links."""
    made: list[Partner] = []
    for name in names:
        made.append(company.found(name, url_port=roads.build(name)))
        roads.leads(name, made[-1].port)
        made[-1].stay_in_sight()  # the roads look at its descriptors
    for one in made:
        for other in made:
            if one is not other:
                one.trust(other, "--no-link")
    return made


def ring(company: Company, roads: Roads, names: str) -> list[Partner]:
    """Each with a link to the next."""
    made = found(company, roads, names)
    for number, one in enumerate(made):
        join(one, made[(number + 1) % len(made)])
    return made


def join(left: Partner, right: Partner) -> None:
    left.trust(right)
    right.trust(left)


def all_hold(partners: list[Partner], values: set[str]) -> bool:
    return all(values <= partner.values() for partner in partners)


def ids(partner: Partner) -> set[bytes]:
    """Every envelope its store holds."""
    return {row[0] for row in partner.query("SELECT envelope_id FROM envelope WHERE stage = 0")}


def test_a_ring_of_five_that_is_cut_in_two_holds_the_same_when_it_has_healed(
    company: Company, roads: Roads, eventually: Eventually
) -> None:
    partners = ring(company, roads, "abcde")
    for partner in partners:
        partner.start()
    a, b, c, d, e = partners
    a.publish("whole.example\n")
    eventually(lambda: all_hold(partners, {"whole.example"}), "all hold it while the ring is whole")
    roads.cut("b", "c")
    a.publish("one-cut.example\n")
    eventually(lambda: all_hold(partners, {"one-cut.example"}), "the other way round")
    roads.cut("d", "e")
    a.publish("left-half.example\n")
    c.publish("right-half.example\n")
    eventually(lambda: all_hold([a, b, e], {"left-half.example"}), "the left half")
    eventually(lambda: all_hold([c, d], {"right-half.example"}), "the right half")
    time.sleep(1)
    assert "left-half.example" not in c.values() | d.values()
    assert "right-half.example" not in a.values() | b.values() | e.values()
    roads.mend("b", "c")
    roads.mend("d", "e")
    eventually(lambda: all_hold(partners, {"left-half.example", "right-half.example"}), "the ring healed")
    assert len({frozenset(ids(partner)) for partner in partners}) == 1


def test_a_partner_restored_from_yesterdays_backup_gets_back_what_it_had_and_what_it_missed(
    company: Company, roads: Roads, eventually: Eventually
) -> None:
    a, b, c = ring(company, roads, "abc")
    for partner in (a, b, c):
        partner.start()
    b.publish("before-the-backup.example\n")
    eventually(lambda: all_hold([a, b, c], {"before-the-backup.example"}), "all hold the first")
    b.stop()
    backup = company.folder / "backup"
    shutil.copytree(b.home, backup)
    b.start()
    b.publish("own-after-the-backup.example\n")
    a.publish("red-for-b.example\n", "--tlp", "red", "--to", "b")
    c.publish("anothers-after-the-backup.example\n")
    late = {"own-after-the-backup.example", "anothers-after-the-backup.example"}
    eventually(lambda: all_hold([a, b, c], late), "all hold what came later")
    eventually(lambda: b.cli("lookup", "red-for-b.example", codes=(0, 3)).code == 0, "red for b")
    b.kill()
    shutil.rmtree(b.home)
    shutil.copytree(backup, b.home)
    a.publish("while-it-was-away.example\n")
    b.start()
    missed = {"anothers-after-the-backup.example", "while-it-was-away.example"}
    eventually(lambda: all_hold([b], missed), "b has again what others wrote")
    # Its own it carries again, sealed: an author is no recipient of what it writes.
    eventually(lambda: ids(a) <= ids(b), "b carries all of it again")
    eventually(
        lambda: b.cli("lookup", "red-for-b.example", codes=(0, 3)).code == 0,
        "its direct envelope, from its author",
    )
    b.publish("goes-on.example\n")  # under a new incarnation: its numbers were used since the backup
    eventually(lambda: all_hold([a, c], {"goes-on.example"}), "and it goes on")
    assert not a.query("SELECT 1 FROM sequence_fork") + c.query("SELECT 1 FROM sequence_fork")


@pytest.mark.parametrize("ahead", [2 * HOURS, -2 * HOURS])
def test_a_partner_whose_clock_is_two_hours_off_catches_up_and_is_told(
    company: Company, roads: Roads, eventually: Eventually, ahead: int
) -> None:
    a, b, c = ring(company, roads, "abc")
    a.start()
    b.start()
    for number in range(5):
        a.publish(f"number-{number}.example\n")
    c.start(clock_ahead_seconds=ahead)
    values = {f"number-{number}.example" for number in range(5)}
    if ahead > 0:
        eventually(
            lambda: all_hold([c], values), "what was published while it was down is found by comparing"
        )
    else:  # two hours in its future: kept aside until its clock says it is time
        deferred = "SELECT count(*) FROM deferred"
        eventually(lambda: c.query(deferred) == [(5,)], "what seems to be of the future is kept aside")
    eventually(lambda: "clock-skew" in a.log(), "the skew is in the log")


def test_a_partner_who_can_only_dial_out_gives_and_gets_everything(
    company: Company, roads: Roads, eventually: Eventually
) -> None:
    a, b = found(company, roads, "ab")
    hidden = company.found("hidden", is_dialable=False)
    for partner in (a, b):
        join(partner, hidden)
    for partner in (a, b, hidden):
        partner.start()
    assert "listening nowhere" in hidden.log()
    a.publish("for-all.example\n", "--to", "b", "--to", "hidden")
    hidden.wait_for("for-all.example")
    b.wait_for("for-all.example")  # through hidden: a and b have no link
    a.publish("red-for-hidden.example\n", "--tlp", "red", "--to", "hidden")
    eventually(
        lambda: hidden.cli("lookup", "red-for-hidden.example", codes=(0, 3)).code == 0, "red by the feed"
    )
    eventually(lambda: a.status()["envelopes"]["pending"] == 0, "its author knows that it has arrived")
    hidden.publish("from-hidden.example\n")
    a.wait_for("from-hidden.example")
    hidden.publish("red-from-hidden.example\n", "--tlp", "red", "--to", "b")
    eventually(lambda: b.cli("lookup", "red-from-hidden.example", codes=(0, 3)).code == 0, "red out of it")


def test_kill_9_at_random_moments_under_traffic_then_all_stores_are_equal(
    company: Company, roads: Roads, eventually: Eventually
) -> None:
    chance = random.Random(20_261_124)
    partners = ring(company, roads, "abcd")
    for partner in partners:
        partner.start()
    said: set[str] = set()
    number, kills = 0, 0
    while kills < KILLS or len(said) < SAID:
        author = chance.choice(partners)
        value = f"kill-{number}.example"
        number += 1
        assert number < TRIED_MAX, (kills, said)
        done = author.cli(
            *("publish", "-", "--format", "list", "--tlp", "green", "--yes", "--json"),
            stdin=value.encode(),
            codes=(0, 1, 2, 66, 69, 74, 75),
        )
        if done.code == 0:
            said.add(value)
        if chance.random() < 0.35:
            victim = chance.choice(partners)
            if victim.process is not None:
                victim.kill()
                kills += 1
        for partner in partners:
            if partner.process is None and chance.random() < 0.5:
                partner.start()
    for partner in partners:
        if partner.process is None:
            partner.start()
    eventually(
        lambda: all_hold(partners, said),
        f"all {len(said)} that were said to be published, after {kills} kills",
    )
    eventually(lambda: len({frozenset(ids(partner)) for partner in partners}) == 1, "the stores are equal")
