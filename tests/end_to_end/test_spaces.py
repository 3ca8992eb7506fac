"""Spaces on real daemons: what members write reaches those who may have it, and nobody else; whoever was away, late or alone included.

One company for all tests of this file, each going on where the one before ended: alpha leads, bravo is partner of all, charlie listens nowhere and dials
bravo alone, delta is a partner that is no member at first. alpha and charlie are no partners of each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import space_operations

from p2pshare.cli.session import connect
from p2pshare.envelope.entry import decode_header
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.operations.table import OPERATIONS
from p2pshare.spaces.acts import Ack, Inviting, Removal, Takeover

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end

AMBER, RED = 2, 4
WEEKS = "+42d"
# The pauses of docs/spaces.md, a fiftieth as long: a daemon reads them from the module each time.
QUICK = """
import p2pshare.spaces.travel as travel
for name in dir(travel):
    if name.endswith("_SECONDS") and name not in ("RESEND_SECONDS", "INVITE_SECONDS"):
        setattr(travel, name, getattr(travel, name) / 50)
"""


def say(
    partner: Partner, space: str, kind: str, content: bytes, *, tlp: int = AMBER, to: Iterable[Partner] = ()
) -> str:
    request = space_operations.SayAnything(space, kind, content, tlp, tuple(one.partner_id for one in to))
    with connect(partner.home) as session:
        return session.run(request).entry


def note(partner: Partner, space: str, text: str) -> str:
    return str(partner.cli_json("space", "note", space, text, "--json")["entry"])


def join(partner: Partner, space: str) -> None:
    with connect(partner.home) as session:
        session.run(space_operations.JoinInvited(space))


def shown(partner: Partner, space: str) -> Any:
    """What `space show` says; None where the opening is not held."""
    if not any(one["space"] == space for one in partner.cli_json("space", "list", "--json")):
        return None
    return partner.cli_json("space", "show", space, "--json")


def status_of(partner: Partner, space: str, member: Partner) -> str:
    found = shown(partner, space) or {"members": []}
    return next((one["status"] for one in found["members"] if one["id"] == member.partner_id), "")


def texts(partner: Partner, space: str) -> list[str | None]:
    return [one["text"] for one in (shown(partner, space) or {"state": {"notes": []}})["state"]["notes"]]


def canonical(partner: Partner, space: str) -> str:
    return partner.cli("space", "show", space, "--canonical").out


def body_of(partner: Partner, entry: str) -> bytes | str | None:
    """The body of an entry as the store has it; "absent" where not even the header is held."""
    rows = partner.query(f"SELECT body FROM space_entry WHERE hex(entry_id) = '{entry.upper()}'")
    return rows[0][0] if rows else "absent"


def link(left: Partner, right: Partner) -> None:
    left.trust(right)
    right.trust(left)


class Line(NamedTuple):
    alpha: Partner
    bravo: Partner
    charlie: Partner
    delta: Partner
    space: str


@pytest.fixture(scope="module", autouse=True)
def _operations() -> Iterator[None]:
    space_operations.register()
    yield
    del OPERATIONS["test-space-say"], OPERATIONS["test-space-join"]


@pytest.fixture(scope="module")
def line(shared_company: Company, eventually: Callable[..., Any]) -> Line:
    """A space of alpha, bravo and charlie; all have joined."""
    alpha, bravo, delta = (shared_company.found(name) for name in ("alpha", "bravo", "delta"))
    charlie = shared_company.found("charlie", is_dialable=False)
    for one in (alpha, charlie, delta):
        link(one, bravo)
    for one in (alpha, bravo, charlie, delta):
        one.preface = space_operations.PREFACE + QUICK
        one.start()
    done = bravo.cli_json(
        "space",
        "open",
        "--title",
        "ours",
        "--tlp",
        "amber",
        "--invite",
        "alpha",
        "--invite",
        "charlie",
        "--yes",
        "--json",
    )
    space = str(done["space"])
    for one in (alpha, charlie):
        eventually(lambda one=one: shown(one, space), f"{one.name} is invited")
        join(one, space)
    for one in (alpha, bravo, charlie):
        for member in (alpha, charlie):
            eventually(
                lambda one=one, member=member: status_of(one, space, member) == "joined",
                f"{one.name} knows that {member.name} has joined",
            )
    return Line(alpha, bravo, charlie, delta, space)


def test_what_one_end_writes_is_with_the_other_though_they_are_no_partners(
    line: Line, eventually: Callable[..., Any]
) -> None:
    """One of them can be dialled by nobody, and takes part like everybody."""
    alpha, bravo, charlie, _, space = line
    began = time.monotonic()
    note(alpha, space, "from one end")
    eventually(lambda: "from one end" in texts(charlie, space), "it came through")
    took = time.monotonic() - began
    note(charlie, space, "from the other")
    eventually(lambda: "from the other" in texts(alpha, space), "and back")
    print(f"through the middle: {took:.2f} s")
    eventually(
        lambda: len({canonical(one, space) for one in (alpha, bravo, charlie)}) == 1, "all show the same"
    )
    assert {row[0] for row in charlie.query("SELECT count(*) FROM introduced_card")} == {1}, (
        "alpha's card came beside"
    )


def test_who_is_outside_an_audience_holds_the_header_alone_and_a_partner_that_is_no_member_nothing(
    line: Line, eventually: Callable[..., Any]
) -> None:
    alpha, bravo, charlie, delta, space = line
    sealed = say(bravo, space, "note", b"for charlie and me", tlp=RED, to=[bravo, charlie])
    after = note(bravo, space, "after it")
    for one in (alpha, charlie):
        eventually(lambda one=one: body_of(one, after) != "absent", f"{one.name} holds what follows")
    assert body_of(alpha, sealed) is None
    assert b"for charlie and me" in (body_of(charlie, sealed) or b"")  # type: ignore[operator]
    assert canonical(alpha, space) == canonical(charlie, space)
    assert shown(delta, space) is None
    assert delta.query("SELECT count(*) FROM space_entry") == [(0,)]
    assert delta.query("SELECT count(*) FROM space_waiting") == [(0,)]


def test_who_joins_late_gets_all_that_was_written(line: Line, eventually: Callable[..., Any]) -> None:
    alpha, bravo, charlie, delta, space = line
    invited = Inviting(((PartnerId.parse(delta.partner_id), ""),)).encode()
    say(bravo, space, "invite", invited)
    eventually(lambda: shown(delta, space) or waiting(delta, space), "delta is invited")
    assert body_of(delta, heads_but_the_last(bravo, space)) == "absent"
    join(delta, space)
    eventually(lambda: status_of(delta, space, delta) == "joined", "delta has joined")
    eventually(lambda: canonical(delta, space) == canonical(bravo, space), "delta holds all")
    eventually(lambda: canonical(charlie, space) == canonical(bravo, space), "and so do the others")
    assert "from one end" in texts(delta, space)
    note(delta, space, "late")
    eventually(lambda: "late" in texts(alpha, space), "and is heard")


def waiting(partner: Partner, space: str) -> bool:
    return bool(partner.query(f"SELECT id FROM space_waiting WHERE hex(space_id) = '{space.upper()}'"))


def heads_but_the_last(partner: Partner, space: str) -> str:
    """An entry that nobody was handed who is only invited."""
    notes = shown(partner, space)["state"]["notes"]
    return str(notes[0]["id"])


def test_who_was_removed_is_told_and_hears_nothing_after(line: Line, eventually: Callable[..., Any]) -> None:
    alpha, bravo, charlie, delta, space = line
    say(bravo, space, "remove", Removal((PartnerId.parse(delta.partner_id),)).encode())
    eventually(lambda: status_of(delta, space, delta) == "removed", "delta is told")
    after = note(alpha, space, "without delta")
    eventually(lambda: body_of(charlie, after) != "absent", "the others hear it")
    assert body_of(delta, after) == "absent"
    delta.kill()


def test_a_lead_that_was_killed_for_good_is_taken_over(line: Line, eventually: Callable[..., Any]) -> None:
    alpha, bravo, charlie, _, space = line
    bravo.kill()
    link(alpha, charlie)  # without bravo they have no way to each other
    proposal = say(alpha, space, "takeover", Takeover(1, 1).encode())
    eventually(lambda: body_of(charlie, proposal) != "absent", "charlie sees the proposal")
    say(charlie, space, "ack", Ack(EntryId.parse(proposal)).encode())
    for one in (alpha, charlie):
        eventually(
            lambda one=one: shown(one, space)["lead"] == alpha.partner_id, f"alpha leads at {one.name}"
        )
    closing = say(alpha, space, "close", b"\x80")
    eventually(lambda: body_of(charlie, closing) != "absent", "the new lead is heard")
    assert shown(charlie, space)["state"]["closed"]
    eventually(lambda: canonical(alpha, space) == canonical(charlie, space), "both show the same")


def test_who_was_away_for_six_weeks_holds_all_again(line: Line, eventually: Callable[..., Any]) -> None:
    """Meanwhile the keys were renewed with which entries are signed, and every envelope that carried them has expired."""
    alpha, _, charlie, _, space = line
    charlie.kill()
    missed = [note(alpha, space, f"missed {number}") for number in range(3)]
    alpha.stop()
    alpha.start(faketime=WEEKS)
    missed.append(note(alpha, space, "with the new key"))
    charlie.start(faketime=WEEKS)
    eventually(lambda: all(body_of(charlie, one) != "absent" for one in missed), "charlie holds all")
    key_ids = {decode_header(row[0]).key_id for row in charlie.query("SELECT header FROM space_entry")}
    assert len(key_ids) >= 4
    note(charlie, space, "back again")
    eventually(lambda: "back again" in texts(alpha, space), "charlie is heard")
    eventually(lambda: canonical(alpha, space) == canonical(charlie, space), "both show the same")
