"""A hub with one partner who can be dialled and one who only dials: behind a single path whatever is given up must come again.

alpha - hub - hidden, which has no address; alpha and hidden know one another and have no link.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]
Three = tuple["Partner", "Partner", "Partner"]


@pytest.fixture(scope="module")
def three(shared_company: Company) -> Three:
    alpha, hub = shared_company.found("alpha"), shared_company.found("hub")
    hidden = shared_company.found("hidden", is_dialable=False)
    for one in (alpha, hidden):
        one.trust(hub)
        hub.trust(one)
    alpha.trust(hidden, "--no-link")
    hidden.trust(alpha, "--no-link")
    for one in (alpha, hub, hidden):
        one.start()
    return alpha, hub, hidden


def store_of(partner: Partner) -> Path:
    return partner.home / "store.sqlite"


def pending(partner: Partner) -> int:
    """Envelopes of its own of which it does not know that they have arrived."""
    return int(partner.status()["envelopes"]["pending"])


def knows(partner: Partner, value: str) -> bool:
    return bool(partner.query(f"SELECT 1 FROM observable WHERE value = '{value}'"))


def test_what_a_hub_could_not_hand_over_comes_once_its_disk_is_put_back(
    three: Three, eventually: Eventually
) -> None:
    """It had the key and not the bytes. Whoever asked for them then asked never again: behind one path they never came."""
    alpha, hub, hidden = three
    hidden.stop()
    alpha.publish("lost.example\n")
    hub.wait_for("lost.example")
    alpha.publish("whole.example\n")
    hub.wait_for("whole.example")
    hub.stop()
    backup = hub.home.parent / "hub.sqlite"
    shutil.copyfile(store_of(hub), backup)
    with closing(sqlite3.connect(store_of(hub))) as store:
        store.execute("DELETE FROM wire WHERE lsn = (SELECT min(lsn) FROM wire)")
        store.commit()
    hub.start()
    hidden.start()
    hidden.wait_for("whole.example")  # both were asked for at once
    assert not knows(hidden, "lost.example")
    hub.stop()
    shutil.copyfile(backup, store_of(hub))
    hub.start()
    hidden.wait_for("lost.example")


def test_who_only_dials_and_its_hub_know_of_each_direct_envelope_that_it_has_arrived(
    three: Three, eventually: Eventually
) -> None:
    """Both ways, with the hub killed between the envelope and the word that it is held."""
    _, hub, hidden = three
    for n in range(2):
        hub.publish(f"to-hidden{n}.example\n", "--tlp", "red", "--to", "hidden")
        hidden.publish(f"to-hub{n}.example\n", "--tlp", "red", "--to", "hub")
        if not n:
            hub.kill()
            hidden.publish("while-it-is-away.example\n", "--tlp", "red", "--to", "hub")
            hub.start()
    for n in range(2):
        eventually(lambda n=n: knows(hidden, f"to-hidden{n}.example"), "hidden has what the hub sent")
        eventually(lambda n=n: knows(hub, f"to-hub{n}.example"), "the hub has what hidden sent")
    eventually(lambda: knows(hub, "while-it-is-away.example"), "and what it wrote meanwhile")
    for one in (hub, hidden):
        eventually(lambda one=one: pending(one) == 0, f"{one.name} knows that all has arrived")


def test_a_clock_that_jumps_a_hundred_days_ahead_and_back_empties_no_relay_and_deafens_nobody(
    three: Three, eventually: Eventually
) -> None:
    alpha, hub, hidden = three
    offset = hub.home.parent / "offset"
    offset.write_text("+0\n")
    hub.stop()
    hub.start(faketime=str(offset))
    alpha.publish("before.example\n")
    hidden.wait_for("before.example")
    carried = "SELECT count(*) FROM envelope WHERE stage = 0"
    shown = hub.values()
    before = hub.query(carried)
    offset.write_text("+100d\n")
    jumps = "the clock jumped by"
    eventually(lambda: jumps in hub.log(), "the hub notices the jump")
    alarms = {alarm["word"]: alarm for alarm in hub.status()["alarms"]}
    assert "jumped ahead by 86400" in alarms["clock-jumped"]["message"]
    hub.signal(signal.SIGHUP)  # what it reads again it also sweeps
    eventually(lambda: "config reloaded" in hub.log(), "the hub has swept by the wrong clock")
    alpha.publish("meanwhile.example\n")
    offset.write_text("+0\n")
    eventually(lambda: hub.log().count(jumps) == 2, "the hub follows the clock back")
    assert hub.query(carried) >= before
    assert shown <= hub.values()
    alpha.publish("after.example\n")
    for one in (hub, hidden):
        # on a machine with much to do a turn may have cost 0.1 s, after which its author rests for up to a minute (sharing.reading)
        one.wait_for("meanwhile.example", "after.example", seconds=90)
    hub.publish("from-the-hub.example\n", "--tlp", "red", "--to", "hidden")
    eventually(lambda: knows(hidden, "from-the-hub.example"), "and is heard")
    eventually(lambda: pending(hub) == 0, "and knows it")
