"""Reading: nothing that a partner can time depends on who is addressed, and no crash loses or repeats what is read."""

from __future__ import annotations

import ast
import itertools
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from whole_nodes import (
    NOW,
    READERS,
    World,
    draft,
    seal_unchecked,
    seen_by_daemon,
    send,
    wire_of,
)

from p2pshare.database.connection import free_space_bytes
from p2pshare.errors import DiskFull
from p2pshare.gossip.messages import PutVerdict
from p2pshare.intel.observable import detect
from p2pshare.knowledge.interface import NewFrame
from p2pshare.limits import EXPIRED_UNREAD_ALARM_SECONDS, READING_SPACE_BYTES_MIN
from p2pshare.log.interface import ContentState, EnvelopeOrigin
from p2pshare.node.node import Node
from p2pshare.queries.status import status
from p2pshare.sharing import distrusting, intake, reading, stix_reader
from p2pshare.sharing.exchange import Exchange, ReceivedBody
from p2pshare.sharing.intake import Arrival
from p2pshare.sharing.payload_kinds import SLICE_SECONDS, Place, ReceivedPayload
from p2pshare.sharing.reading import ContentReader, read_all

KILLED = """
import os, random, signal, sys
from pathlib import Path
from p2pshare.node.node import open_node
from p2pshare.operations.payload_readers import load_readers
from p2pshare.sharing import reading, stix_reader
stix_reader.PIECE_ROWS = 3
steps = int(sys.argv[2])

def is_wanted():
    global steps
    steps -= 1
    if steps < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return True  # each life comes further by a step at least: two deaths at one place are two attempts

node = open_node(Path(sys.argv[1]))
reader = reading.ContentReader(node, load_readers(), lambda: 0.0)
while reader.read_on(int(sys.argv[3]), is_wanted):
    pass
"""


class Noted:
    """A reader that notes whose payload it reads, a step for each frame."""

    def __init__(self, read: list[tuple[str, int]], names: dict[bytes, str]) -> None:
        self._read, self._names = read, names

    def begin(self, now: int, *, is_hurried: bool) -> None:
        pass

    def finish(self) -> None:
        pass

    def read(
        self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
    ) -> Iterator[Place]:
        for number in range(sum(place), len(payload.frames)):
            self._read.append((self._names[payload.author], payload.header.objects))
            yield (number + 1,)


def take_in(node: Node, author: Node, *values: list[str], begin: int = 1) -> None:
    """Hands over an envelope with a frame for each list."""
    parts = [draft(author, one) for one in values]
    part = parts[0].__class__(
        parts[0].tlp, tuple(one.frames[0] for one in parts), sum(one.objects for one in parts)
    )
    wire = seal_unchecked(author, part, node, ahead=begin, recipient_sequence=begin)
    intake.take_in(node, [Arrival(wire, author.identity.partner_id)], NOW)


# --- what can be timed -------------------------------------------------------------------------------


def test_intake_cannot_know_whether_it_is_addressed(repository: Path) -> None:
    """It imports nothing that opens an envelope, reads a payload or stores what was read."""
    tree = ast.parse((repository / "src/p2pshare/sharing/intake.py").read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert "p2pshare.envelope.verification" in imported, "the search itself works"
    knows = ("sealing", "payload", "payload_kinds", "content", "reading", "knowledge", "quarantining")
    assert not {name for name in imported if name.split(".")[-1] in knows or ".knowledge" in name}


def test_an_envelope_is_answered_and_announced_before_anything_in_it_is_read(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, bravo, _ = three
    envelope_id = send(alpha, ["evil.example"], to=["bravo"]).envelopes[0]
    body = ReceivedBody(alpha.identity.partner_id, envelope_id, wire_of(alpha, envelope_id))
    outcome = Exchange(bravo).commit([body], NOW)
    assert [one.verdict for one in outcome.decided] == [PutVerdict.HELD]
    assert [one.item.envelope_id for one in outcome.held] == [envelope_id]
    assert (status(bravo, NOW).envelopes.unread, bravo.store.knowledge.last_observable()) == (1, 0)
    read_all(bravo, READERS, NOW)
    assert (status(bravo, NOW).envelopes.unread, bravo.store.knowledge.last_observable()) == (0, 1)


# --- turns -------------------------------------------------------------------------------------------


def test_authors_take_turns_and_small_envelopes_come_first(three: tuple[Node, Node, Node]) -> None:
    """A withdrawal does not wait behind a list, nor one author behind another's flood."""
    alpha, bravo, charlie = three
    take_in(charlie, alpha, [f"a{n}.example" for n in range(300)], begin=1)
    for number in range(2, 5):
        take_in(charlie, alpha, ["small.example"], begin=number)
    take_in(charlie, bravo, ["b.example"])
    read: list[tuple[str, int]] = []
    names = {bytes(one.identity.partner_id): one.config.name for one in three}
    reader = ContentReader(charlie, {"stix": lambda node: Noted(read, names)}, lambda: 0.0)
    while reader.read_on(NOW, lambda: True):
        pass
    assert [name for name, _ in read[:3]].count("bravo") == 1
    assert [objects for name, objects in read if name == "alpha"] == [1, 1, 1, 300]


def test_a_turn_ends_at_once_where_somebody_else_waits_for_the_writer(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo, _ = three
    monkeypatch.setattr("p2pshare.sharing.stix_reader.PIECE_ROWS", 10)
    take_in(bravo, alpha, [f"a{n}.example" for n in range(100)])
    reader, seen = ContentReader(bravo, READERS, lambda: 0.0), [0]
    while reader.read_on(NOW, lambda: True):
        seen.append(bravo.store.knowledge.last_observable())
    assert seen == sorted(seen)
    assert len(set(seen)) >= 10, "each step was committed by itself"
    reader = ContentReader(bravo, READERS, lambda: 0.0)
    take_in(bravo, alpha, [f"b{n}.example" for n in range(100)], begin=2)
    assert reader.read_on(NOW, lambda: False)
    assert bravo.store.knowledge.last_observable() == 200, "and in one transaction where nobody does"


class FailsOnce(Noted):
    """... and fails, as a bug of ours would, the first time that it meets the content of one of `authors`."""

    authors: ClassVar[set[str]]

    def read(
        self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
    ) -> Iterator[Place]:
        name = self._names[payload.author]
        if name in self.authors:
            self.authors.remove(name)
            raise RuntimeError("a bug")
        yield from super().read(source, payload, refused, place)


def test_what_a_turn_did_not_come_to_has_not_been_tried(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by sabotage: one failure would then be the second, and content that can be read was left aside for good."""
    alpha, bravo, charlie = three
    take_in(charlie, alpha, ["a.example"])
    take_in(charlie, bravo, ["b.example"])
    read: list[tuple[str, int]] = []
    names = {bytes(one.identity.partner_id): one.config.name for one in three}
    monkeypatch.setattr(FailsOnce, "authors", set(), raising=False)
    reader = ContentReader(charlie, {"stix": lambda node: FailsOnce(read, names)}, lambda: 0.0)
    assert reader.read_on(NOW, lambda: True)
    [(first, _)] = read  # somebody else waited for the writer, so the turn ended before the other author
    FailsOnce.authors |= {"alpha", "bravo"} - {first}
    while reader.read_on(NOW, lambda: True):
        pass
    assert not FailsOnce.authors, "it failed"
    assert sorted(name for name, _ in read) == ["alpha", "bravo"]


@pytest.mark.parametrize(("seconds_per_row", "rows"), [(100e-6, 150), (10e-6, 1_500), (0.1, 128)])
def test_what_is_written_at_once_takes_no_longer_than_a_slice_by_the_clock(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch, seconds_per_row: float, rows: int
) -> None:
    """A thousand rows take 15 ms in a small store and 160 in a large one on a slow disk: others waited for all of it."""
    written = rows_written_at_once(three, monkeypatch, seconds_per_row)
    steady = written[len(written) // 2 : -1]
    assert steady == pytest.approx([rows] * len(steady), rel=0.02)
    if rows > stix_reader.SLICE_ROWS_MIN:
        assert max(steady) * seconds_per_row <= SLICE_SECONDS


def test_where_writing_is_fast_more_is_written_at_once(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert max(rows_written_at_once(three, monkeypatch, 1e-6)) > 2 * stix_reader.SLICE_ROWS


def rows_written_at_once(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch, seconds_per_row: float
) -> list[int]:
    """Reads 7,000 values by a clock that runs by what is written."""
    alpha, bravo, _ = three
    now, written, real = 0.0, list[int](), bravo.store.knowledge.add

    def add(frames: Sequence[tuple[EnvelopeOrigin, NewFrame]], at: int) -> None:
        nonlocal now
        written.append(sum(len(frame.objects) for _, frame in frames))
        now += written[-1] * seconds_per_row
        real(frames, at)

    monkeypatch.setattr(bravo.store.knowledge, "add", add)
    monkeypatch.setattr(reading, "TURN_SECONDS", 1e9)
    for begin in range(1, 8):
        take_in(bravo, alpha, [f"v{begin}-{n}.example" for n in range(1_000)], begin=begin)
    read_all(bravo, READERS, NOW, lambda: now)
    assert bravo.store.log.counts().unread == 0
    assert sum(written) == 7_000
    return written


class Timed(Noted):
    """A reader whose steps take so many seconds of `clock`, by the author's name."""

    def __init__(self, read: list[tuple[str, int]], names: dict[bytes, str], clock: Clock) -> None:
        super().__init__(read, names)
        self._clock = clock

    def read(
        self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
    ) -> Iterator[Place]:
        for step in super().read(source, payload, refused, place):
            self._clock.now += self._clock.step_seconds[self._names[payload.author]]
            yield step


class Clock:
    def __init__(self, **step_seconds: float) -> None:
        self.now = 0.0
        self.step_seconds = step_seconds

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("step_seconds", [0.01, 0.03, 0.1])
def test_how_long_others_wait_for_an_authors_content_does_not_depend_on_how_long_its_steps_take(
    three: tuple[Node, Node, Node], step_seconds: float
) -> None:
    """Twice as long a step is so much rarer that who comes at a drawn moment waits no longer for it on the average."""
    alpha, _, charlie = three
    take_in(charlie, alpha, *([f"a{n}.example"] for n in range(50)))
    read: list[tuple[str, int]] = []
    clock = Clock(alpha=step_seconds)
    names = {bytes(one.identity.partner_id): one.config.name for one in three}
    reader = ContentReader(charlie, {"stix": lambda node: Timed(read, names, clock)}, clock)
    while len(read) < 50:
        if not reader.read_on(NOW, lambda: True):
            left = reader.seconds_left()
            assert left is not None
            clock.now += left
    period = (clock.now - step_seconds) / (len(read) - 1)
    waited = step_seconds * step_seconds / 2 / period  # by one who comes at a moment that is drawn evenly
    assert waited == pytest.approx(reading.WAIT_SECONDS, rel=0.01)


def test_an_author_that_rests_keeps_no_other_from_being_read(three: tuple[Node, Node, Node]) -> None:
    alpha, bravo, charlie = three
    take_in(charlie, alpha, *([f"a{n}.example"] for n in range(5)))
    for number in range(1, 31):
        take_in(charlie, bravo, [f"b{number}.example"], begin=number)
    read: list[tuple[str, int]] = []
    clock = Clock(alpha=0.2, bravo=0.0001)
    names = {bytes(one.identity.partner_id): one.config.name for one in three}
    reader = ContentReader(charlie, {"stix": lambda node: Timed(read, names, clock)}, clock)
    while reader.read_on(NOW, lambda: True):
        pass
    assert [name for name, _ in read].count("bravo") == 30
    assert [name for name, _ in read].count("alpha") == 1
    assert charlie.store.log.counts().unread == 1
    left = reader.seconds_left()
    assert left is not None
    assert left <= reading.REST_SECONDS_MAX
    clock.now += left
    assert reader.read_on(NOW, lambda: True), "it goes on once it has rested"


def test_turns_that_are_short_follow_each_other_though_others_wait(three: tuple[Node, Node, Node]) -> None:
    alpha, _, charlie = three
    for number in range(1, 6):
        take_in(charlie, alpha, [f"a{number}.example"], begin=number)
    read: list[tuple[str, int]] = []
    clock = Clock(alpha=reading.SHORT_SECONDS / 2)
    names = {bytes(one.identity.partner_id): one.config.name for one in three}
    reader = ContentReader(charlie, {"stix": lambda node: Timed(read, names, clock)}, clock)
    while reader.read_on(NOW, lambda: True):
        assert reader.seconds_left() is None
    assert len(read) == 5


def test_nobody_rests_while_nobody_waits(three: tuple[Node, Node, Node]) -> None:
    alpha, _, charlie = three
    for number in range(1, 6):
        take_in(charlie, alpha, [f"a{number}.example"], begin=number)
    read: list[tuple[str, int]] = []
    clock = Clock(alpha=10.0)
    names = {bytes(one.identity.partner_id): one.config.name for one in three}
    reader = ContentReader(charlie, {"stix": lambda node: Timed(read, names, clock)}, clock)
    while reader.read_on(NOW, lambda: False):
        assert reader.seconds_left() is None
    assert len(read) == 5


# --- crashes -----------------------------------------------------------------------------------------


def test_a_process_that_is_killed_anywhere_loses_nothing_and_reads_nothing_twice(
    world: World, three: tuple[Node, Node, Node]
) -> None:
    alpha, bravo, _ = three
    values = [f"v{n}.example" for n in range(30)]  # few lives: each is an interpreter
    take_in(bravo, alpha, values[:12], values[12:20], values[20:])
    random_, home = random.Random(10), bravo.home
    bravo.store.close()
    deaths = 0
    for _ in range(30):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(home), str(random_.randrange(4, 14)), str(NOW)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        deaths += 1
    assert done.returncode == 0
    assert deaths >= 2
    bravo = world.reopen("bravo")
    claims = bravo.store.knowledge.lookup([detect(value) for value in values])
    assert {len(rows) for rows in claims.values()} == {1}
    assert len(claims) == len(values)
    assert (bravo.store.log.counts().opened, bravo.store.log.counts().unread) == (1, 0)
    assert bravo.store.partners.refusals() == {}


def test_content_that_kills_its_reader_twice_is_left_aside_and_costs_no_other(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, bravo, _ = three
    take_in(bravo, alpha, ["deadly.example"], begin=1)
    take_in(bravo, alpha, ["good.example", "fine.example"], begin=2)
    deaths = 0

    class Deadly(Noted):
        def read(
            self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
        ) -> Iterator[Place]:
            if payload.header.objects == 1:
                raise SystemExit  # what a kill looks like from inside
            yield from super().read(source, payload, refused, place)

    names = {bytes(alpha.identity.partner_id): "alpha"}
    read: list[tuple[str, int]] = []
    for _ in range(9):
        try:
            read_all(bravo, {"stix": lambda node: Deadly(read, names)}, NOW)
            break
        except SystemExit:
            deaths += 1
    assert deaths == 2
    assert read == [("alpha", 2)]
    assert bravo.store.partners.refusals() == {"content-gave-up": 1}


# --- a disk that fills up -----------------------------------------------------------------------------


def test_reading_waits_well_above_the_floor_at_which_intake_does_and_is_told(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others need of us goes first: envelopes are taken in and carried on while their content waits."""
    alpha, bravo, _ = three
    room = free_space_bytes(bravo.store.database.path)
    if room < READING_SPACE_BYTES_MIN:
        pytest.skip("the disk of the tests is nearly full")
    monkeypatch.setattr(bravo.store.database, "free_space_bytes_min", room - READING_SPACE_BYTES_MIN // 2)
    envelope_id = send(alpha, ["evil.example"], to=["bravo"]).envelopes[0]
    body = ReceivedBody(alpha.identity.partner_id, envelope_id, wire_of(alpha, envelope_id))
    exchange, reader = Exchange(bravo), ContentReader(bravo, READERS, lambda: 0.0)
    assert [one.verdict for one in exchange.commit([body], NOW).decided] == [PutVerdict.HELD]
    for _ in range(5):
        with pytest.raises(DiskFull):
            reader.read_on(NOW, lambda: False)
    assert bravo.store.log.wire(envelope_id) is not None, "it is carried"
    told = status(seen_by_daemon(bravo), NOW)
    assert told.envelopes.unread == 1
    assert [(alarm.word, alarm.count) for alarm in told.alarms] == [("reading-waits", 1)]
    monkeypatch.setattr(bravo.store.database, "free_space_bytes_min", 1)
    assert reader.read_on(NOW, lambda: False), "no attempt was counted"
    told = status(seen_by_daemon(bravo), NOW)
    assert (told.envelopes.unread, told.envelopes.opened, told.alarms) == (0, 1, [])


def test_what_has_to_wait_lets_others_go_first(three: tuple[Node, Node, Node]) -> None:
    alpha, bravo, _ = three
    take_in(bravo, alpha, ["first.example"], begin=1)
    take_in(bravo, alpha, ["second.example"], begin=2)
    reader = ContentReader(bravo, READERS, lambda: 0.0)
    assert reader.read_on(NOW, lambda: False, without=[1])
    assert not reader.read_on(NOW, lambda: False, without=[1])
    assert bravo.store.log.counts().unread == 1
    assert bravo.store.knowledge.lookup([detect("second.example")])
    assert reader.read_on(NOW, lambda: False)
    assert bravo.store.log.counts().unread == 0


def test_what_expires_unread_is_no_longer_waited_for_and_is_an_alarm(three: tuple[Node, Node, Node]) -> None:
    alpha, bravo, _ = three
    take_in(bravo, alpha, ["late.example"])
    (entry,) = bravo.store.log.entries(0, 9)
    bravo.store.log.expire(entry.expires)
    record = bravo.store.log.record(entry.envelope_id)
    assert record is not None
    assert record.content is ContentState.UNREADABLE
    assert not ContentReader(bravo, READERS, lambda: 0.0).read_on(NOW, lambda: False)
    day = 86_400
    bravo.store.log.expire(entry.expires + day)  # nothing is left of its row
    told = [
        [alarm for alarm in status(bravo, at).alarms if alarm.word == "expired-unread"]
        for at in (entry.expires + day, entry.expires + EXPIRED_UNREAD_ALARM_SECONDS)
    ]
    assert [(alarm.partner, alarm.count) for alarm in told[0]] == [("alpha", 1)]
    assert told[1] == []


def test_what_was_read_in_time_expires_without_an_alarm(three: tuple[Node, Node, Node]) -> None:
    alpha, bravo, _ = three
    take_in(bravo, alpha, ["in-time.example"])
    read_all(bravo, READERS, NOW)
    (entry,) = bravo.store.log.entries(0, 9)
    bravo.store.log.expire(entry.expires)
    assert bravo.store.log.expired_unread() == []


# --- in the order of values --------------------------------------------------------------------------

AHEAD = """
import os, signal, sys
from pathlib import Path
from p2pshare.node.node import open_node
from p2pshare.operations.payload_readers import load_readers
from p2pshare.sharing import reading, stix_reader
stix_reader.SLICE_ROWS = stix_reader.SLICE_ROWS_MIN = stix_reader.SLICE_ROWS_MAX = 100
chunks, real = int(sys.argv[2]), stix_reader.ContentWriter.write
calls = 0

def write(self):
    global chunks
    chunks -= 1
    if chunks < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self)

def is_wanted():
    global calls
    calls += 1
    return chunks_written() > 0

def chunks_written():
    return int(sys.argv[2]) - chunks

stix_reader.ContentWriter.write = write
node = open_node(Path(sys.argv[1]))
reader = reading.ContentReader(node, load_readers(), lambda: 0.0)
while reader.read_on(int(sys.argv[3]), is_wanted):
    pass
"""


def everything(node: Node) -> dict[str, Sequence[tuple[object, ...]]]:
    """What is held of content, but for the numbers of rows."""
    ask = node.store.database.fetch
    return {
        "claims": ask(
            """SELECT o.value, hex(c.object_key), c.position, c.status, c.tlp, hex(e.envelope_id) FROM claim c
            JOIN observable o ON o.id = c.observable JOIN frame f ON f.id = c.frame JOIN envelope e ON e.lsn = f.envelope
            ORDER BY 1, 2"""
        ),
        "frames": ask("SELECT hex(bytes) FROM frame ORDER BY 1"),
        "feed": ask("SELECT op, type, value, authors, sources FROM v1_changes ORDER BY value"),
        "counts": ask("SELECT content, cost FROM envelope ORDER BY size"),
    }


@pytest.mark.parametrize("chunks", [1, 2, 5, 9])
def test_who_is_killed_amid_a_batch_in_the_order_of_values_ends_with_what_another_has(
    world: World, three: tuple[Node, Node, Node], chunks: int
) -> None:
    """Others waited, so some of the batch was committed: it is read again, and what is there changes nothing."""
    alpha, bravo, charlie = three
    lists = [[f"{(7 * n + k) % 1_000}.v.example" for n in range(250)] for k in range(3)]
    for receiver in (bravo, charlie):
        take_in(receiver, alpha, *lists)
    read_all(charlie, READERS, NOW)
    home = bravo.home
    bravo.store.close()
    done = subprocess.run(
        [sys.executable, "-c", AHEAD, str(home), str(chunks), str(NOW)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    bravo = world.reopen("bravo")
    assert bravo.store.log.counts().unread == 1
    read_all(bravo, READERS, NOW)
    mine, wanted = everything(bravo), everything(charlie)
    assert (
        len(wanted["claims"]) == len({one for each in lists for one in each}) and len(wanted["frames"]) == 3
    )
    assert [row[:5] for row in mine["claims"]] == [row[:5] for row in wanted["claims"]]
    assert [mine[name] for name in ("frames", "feed", "counts")] == [
        wanted[name] for name in ("frames", "feed", "counts")
    ]
    assert bravo.store.partners.refusals() == {}


def test_who_begins_to_wait_while_much_is_gathered_waits_for_a_chunk_of_it(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """8,192 rows written in one go make others wait for a quarter of a second."""
    alpha, bravo, _ = three
    monkeypatch.setattr(stix_reader, "SLICE_ROWS", 200)
    monkeypatch.setattr(stix_reader, "SLICE_ROWS_MAX", 200)
    take_in(bravo, alpha, *([f"{k}-{n}.example" for n in range(900)] for k in range(4)))
    written: list[int] = []
    real = stix_reader.ContentWriter.write

    def write(self: stix_reader.ContentWriter) -> int:
        written.append(real(self))
        return written[-1]

    monkeypatch.setattr(stix_reader.ContentWriter, "write", write)
    steps = 0

    def is_wanted() -> bool:
        nonlocal steps
        steps += 1
        return steps > 20  # some 2,500 rows are gathered

    reader, turns = ContentReader(bravo, READERS, lambda: 0.0), []
    while reader.read_on(NOW, is_wanted):
        turns.append(sum(written))
        written.clear()
    assert max(turns[1:]) <= 200 + stix_reader.PIECE_ROWS, "each turn writes one chunk"
    assert len(everything(bravo)["claims"]) == 3_600


def test_authors_whose_content_does_not_fit_beside_each_other_get_on_all_the_same(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is put aside half gathered begins its batch again: where each turn put the other one aside, neither came to its end."""
    alpha, bravo, charlie = three
    monkeypatch.setattr(reading, "WALKS_BYTES_MAX", 1)
    for author in (alpha, charlie):
        take_in(bravo, author, *([f"{k}-{n}.example" for n in range(900)] for k in range(2)))
    ticks = itertools.count()
    reader, turns = ContentReader(bravo, READERS, lambda: next(ticks) * 0.05), 0
    while reader.read_on(NOW, lambda: False):
        turns += 1
        assert turns < 60
    assert len({row[0] for row in everything(bravo)["claims"]}) == 1_800
    assert bravo.store.partners.refusals() == {}


def test_a_list_that_is_said_again_inflates_each_stored_frame_a_few_times(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of values each chunk would compare with all frames that are held."""
    from p2pshare.knowledge import contents

    alpha, bravo, _ = three
    lists = [[f"{k}-{n}.example" for n in range(1_000)] for k in range(6)]
    take_in(bravo, alpha, *lists, begin=1)
    read_all(bravo, READERS, NOW)
    inflated = 0
    real = contents.inflate_frame

    def inflate_frame(*arguments: object, **more: object) -> bytes:
        nonlocal inflated
        inflated += 1
        return real(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(contents, "inflate_frame", inflate_frame)
    take_in(bravo, alpha, *lists, begin=2)
    read_all(bravo, READERS, NOW)
    assert 0 < inflated <= 6 * 2 * 4


@pytest.mark.parametrize("steps", [12, 19])
def test_an_author_that_is_doubted_amid_a_batch_and_believed_again_ends_with_what_another_has(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    alpha, bravo, charlie = three
    for name in ("SLICE_ROWS", "SLICE_ROWS_MIN", "SLICE_ROWS_MAX"):
        monkeypatch.setattr(stix_reader, name, 100)
    lists = [[f"{(7 * n + k) % 1_000}.v.example" for n in range(250)] for k in range(3)]
    for receiver in (bravo, charlie):
        take_in(receiver, alpha, *lists)
    read_all(charlie, READERS, NOW)
    made = itertools.count()
    reader = ContentReader(bravo, READERS, lambda: 0.0)
    reader.read_on(NOW, lambda: next(made) >= steps)
    for _ in distrusting.steps(bravo, distrusting.distrust(bravo, "alpha", NOW), NOW):
        pass
    while reader.read_on(NOW, lambda: False):
        pass
    assert bravo.store.database.fetch("SELECT count(*) FROM v1_claims") == [(0,)]
    for _ in distrusting.steps(bravo, distrusting.trust(bravo, "alpha"), NOW):
        pass
    while reader.read_on(NOW, lambda: False):
        pass
    mine, wanted = everything(bravo), everything(charlie)
    assert [row[:5] for row in mine["claims"]] == [row[:5] for row in wanted["claims"]]
    assert [mine[name] for name in ("frames", "counts")] == [wanted[name] for name in ("frames", "counts")]
    assert bravo.store.partners.refusals() == {}
