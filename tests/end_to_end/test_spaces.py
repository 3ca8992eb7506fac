"""Spaces on real daemons: what members write reaches those who may have it, and nobody else; whoever was away, late or alone included.

One company for all tests of this file, each going on where the one before ended: bravo leads and is partner of both, charlie listens nowhere and is no
member at first. alpha and charlie are no partners of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import space_operations
from quick_spaces import QUICK_SPACES

from p2pshare.cli.session import connect
from p2pshare.envelope.entry import decode_header
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.operations.table import OPERATIONS
from p2pshare.spaces.acts import Ack, Inviting, Takeover

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end

AMBER, RED = 2, 4
WEEKS = "+42d"
LONG = 60.0  # seconds, on a busy machine


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
    return partner.cli_json("space", "show", space, "--json")


def status_of(partner: Partner, space: str, member: Partner) -> str:
    return next(one["status"] for one in shown(partner, space)["members"] if one["id"] == member.partner_id)


def texts(partner: Partner, space: str) -> list[str | None]:
    return [one["text"] for one in shown(partner, space)["state"]["notes"]]


def canonical(partner: Partner, space: str) -> str:
    return partner.cli("space", "show", space, "--canonical").out


def count(partner: Partner) -> int:
    """How many entries of spaces are held."""
    return int(partner.query("SELECT count(*) FROM space_entry")[0][0])


def waiting(partner: Partner) -> int:
    return int(partner.query("SELECT count(*) FROM space_waiting")[0][0])


def holds(partner: Partner, entry: str) -> bool:
    return bool(partner.query(f"SELECT id FROM space_entry WHERE hex(entry_id) = '{entry.upper()}'"))


def body_of(partner: Partner, entry: str) -> bytes | None:
    """The body of an entry that is held, as the store has it."""
    ((body,),) = partner.query(f"SELECT body FROM space_entry WHERE hex(entry_id) = '{entry.upper()}'")
    return body  # type: ignore[no-any-return]


def link(left: Partner, right: Partner) -> None:
    left.trust(right)
    right.trust(left)


class Line(NamedTuple):
    alpha: Partner
    bravo: Partner
    charlie: Partner
    space: str


@pytest.fixture(scope="module", autouse=True)
def _operations() -> Iterator[None]:
    space_operations.register()
    yield
    del OPERATIONS["test-space-say"], OPERATIONS["test-space-join"]


@pytest.fixture(scope="module")
def line(shared_company: Company, eventually: Callable[..., Any]) -> Line:
    """A space of bravo and alpha; both have joined."""
    alpha, bravo = (shared_company.found(name) for name in ("alpha", "bravo"))
    charlie = shared_company.found("charlie", is_dialable=False)
    for one in (alpha, charlie):
        link(one, bravo)
    for one in (alpha, bravo, charlie):
        one.preface = space_operations.PREFACE + QUICK_SPACES
        one.start()
    named = ("--title", "ours", "--tlp", "amber", "--invite", "alpha")
    space = str(bravo.cli_json("space", "open", *named, "--yes", "--json")["space"])
    eventually(lambda: holds(alpha, space), "alpha is invited", LONG)
    join(alpha, space)
    eventually(lambda: count(bravo) == 2, "bravo holds the join", LONG)
    return Line(alpha, bravo, charlie, space)


def test_a_partner_that_is_no_member_holds_nothing_of_a_space(
    line: Line, eventually: Callable[..., Any]
) -> None:
    alpha, bravo, charlie, space = line
    for number, one in enumerate((alpha, bravo, alpha)):
        said = note(one, space, f"early {number}")
        eventually(lambda said=said: holds(alpha, said) and holds(bravo, said), "both hold it", LONG)
    assert count(charlie) == waiting(charlie) == 0
    assert charlie.cli_json("space", "list", "--json") == []


def test_who_joins_late_gets_all_that_was_written(line: Line, eventually: Callable[..., Any]) -> None:
    alpha, bravo, charlie, space = line
    say(bravo, space, "invite", Inviting(((PartnerId.parse(charlie.partner_id), ""),)).encode())
    eventually(lambda: waiting(charlie) and count(charlie), "charlie holds invitation and opening", LONG)
    assert (waiting(charlie), count(charlie)) == (1, 1), "and no more"
    join(charlie, space)
    eventually(lambda: count(charlie) == count(bravo) == count(alpha), "all hold all", LONG)
    assert len({canonical(one, space) for one in (alpha, bravo, charlie)}) == 1
    assert status_of(alpha, space, charlie) == "joined"
    assert charlie.query("SELECT count(*) FROM introduced_card") == [(1,)], "alpha's card came beside"


def test_what_one_end_writes_is_with_the_other_though_they_are_no_partners(
    line: Line, eventually: Callable[..., Any]
) -> None:
    """One of them can be dialled by nobody, and takes part like everybody."""
    alpha, bravo, charlie, space = line
    there = note(alpha, space, "from one end")
    eventually(lambda: holds(charlie, there), "it came through", LONG)
    back = note(charlie, space, "from the other")
    eventually(lambda: holds(alpha, back), "and back", LONG)
    assert len({canonical(one, space) for one in (alpha, bravo, charlie)}) == 1
    assert texts(alpha, space)[-2:] == ["from one end", "from the other"]


def test_who_is_outside_an_audience_holds_the_header_alone(
    line: Line, eventually: Callable[..., Any]
) -> None:
    alpha, bravo, charlie, space = line
    sealed = say(bravo, space, "note", b"for charlie and me", tlp=RED, to=[bravo, charlie])
    after = note(bravo, space, "after it")
    for one in (alpha, charlie):
        eventually(lambda one=one: holds(one, after), f"{one.name} holds what follows", LONG)
    assert holds(alpha, sealed) and body_of(alpha, sealed) is None
    assert b"for charlie and me" in (body_of(charlie, sealed) or b"")
    assert canonical(alpha, space) == canonical(charlie, space)


def test_a_lead_that_was_killed_for_good_is_taken_over(line: Line, eventually: Callable[..., Any]) -> None:
    alpha, bravo, charlie, space = line
    bravo.kill()
    link(alpha, charlie)  # without bravo they have no way to each other
    proposal = say(alpha, space, "takeover", Takeover(1, 1).encode())
    eventually(lambda: holds(charlie, proposal), "charlie sees the proposal", LONG)
    ack = say(charlie, space, "ack", Ack(EntryId.parse(proposal)).encode())
    eventually(lambda: holds(alpha, ack), "alpha has its majority", LONG)
    closing = say(alpha, space, "close", b"\x80")
    eventually(lambda: holds(charlie, closing), "the new lead is heard", LONG)
    found = shown(charlie, space)
    assert found["lead"] == alpha.partner_id and found["state"]["closed"]
    assert canonical(alpha, space) == canonical(charlie, space)


def test_who_was_away_for_six_weeks_holds_all_again(line: Line, eventually: Callable[..., Any]) -> None:
    """Meanwhile the keys were renewed with which entries are signed, and every envelope that carried them has expired."""
    alpha, _, charlie, space = line
    charlie.kill()
    missed = [note(alpha, space, f"missed {number}") for number in range(3)]
    alpha.stop()
    alpha.start(faketime=WEEKS)
    missed.append(note(alpha, space, "with the new key"))
    charlie.start(faketime=WEEKS)
    eventually(lambda: all(holds(charlie, one) for one in missed), "charlie holds all", 2 * LONG)
    key_ids = {decode_header(row[0]).key_id for row in charlie.query("SELECT header FROM space_entry")}
    assert len(key_ids) >= 4
    back = note(charlie, space, "back again")
    eventually(lambda: holds(alpha, back), "charlie is heard", 2 * LONG)
    assert canonical(alpha, space) == canonical(charlie, space)
