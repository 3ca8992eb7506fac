"""The numbers that an author gives what it seals for us: over restarts, restored backups, relays that withhold, and any order
of arrival, exactly what is missing and can be proven is a gap."""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from copies import memory_folder
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stored_envelopes import store_envelopes

from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.node.store import Store, open_store


@dataclass
class Author:
    """An author's real store that seals for one reader, is started, backed up and put back; `sealed` for it, in order."""

    folder: Path
    make: Any
    sealed: list[tuple[int, RecipientNumber]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = self._opened()
        self.store.partners.put_own(self.make.ourselves, "Ourselves")
        self.now = self.make.now
        self.back_up()

    def _opened(self) -> Store:
        return open_store(self.folder / "store.sqlite", free_space_bytes_min=0)

    def publish(self, *, is_for_reader: bool = True) -> None:
        state = self.store.log.author_state(self.now)
        recipient = self.make.alpha if is_for_reader else self.make.charlie
        number = self.store.log.recipient_numbers([recipient], state.incarnation)[recipient]
        own = self.make.envelope(
            author=self.make.ourselves,
            received_from=None,
            incarnation=state.incarnation,
            sequence=state.sequence + 1,
            salt=f"{len(self.sealed)} {self.now}",
            recipient_sequences={recipient: number.sequence},
        )
        store_envelopes(self.store, [own])
        if is_for_reader:
            self.sealed.append((state.incarnation, number))

    def start(self) -> None:
        self.now += 60
        self.store.close()
        self.store = self._opened()

    def back_up(self) -> None:
        self.store.database.checkpoint()
        shutil.copyfile(self.folder / "store.sqlite", self.folder / "backup.sqlite")

    def put_back(self) -> None:
        self.store.close()
        for suffix in ("-wal", "-shm"):
            (self.folder / f"store.sqlite{suffix}").unlink(missing_ok=True)
        shutil.copyfile(self.folder / "backup.sqlite", self.folder / "store.sqlite")
        self.store = self._opened()
        self.start()

    def act(self, what: str) -> None:
        match what:
            case "publish":
                self.publish()
            case "publish for another":
                self.publish(is_for_reader=False)
            case "start":
                self.start()
            case "back up":
                self.back_up()
            case "put back":
                self.put_back()


def provably_missing(sealed: list[tuple[int, RecipientNumber]], arrived: set[int]) -> set[tuple[int, int]]:
    """What a reader can know: all numbers up to the highest that arrived, or that an arrived first one names, less those
    that arrived. The incarnations of the numbers of one history differ, so (incarnation, sequence) names each."""
    came = {(incarnation, number.sequence) for n, (incarnation, number) in enumerate(sealed) if n in arrived}
    known = set(came)
    for n in arrived:
        known.add((sealed[n][1].incarnation_before, sealed[n][1].last_before))
    return {(incarnation, one) for incarnation, last in known for one in range(1, last + 1)} - came


def gaps_of(store: Store, author: Any) -> set[tuple[int, int]]:
    rows = store.log.sequence_gaps(author)
    numbers = [(incarnation, one) for incarnation, first, last in rows for one in range(first, last + 1)]
    assert len(numbers) == len(set(numbers)) == sum(total.numbers for total in store.log.gap_totals())
    return set(numbers)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["publish", "publish", "publish", "publish for another", "start", "back up", "put back"]
        ),
        min_size=1,
        max_size=24,
    ),
    st.randoms(use_true_random=False),
)
@example(["publish", "start", "publish", "back up", "publish", "put back", "publish"], random.Random(1))
def test_exactly_what_was_withheld_and_can_be_proven_is_missing(
    make: Any, actions: list[str], chance: random.Random
) -> None:
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        author = Author(Path(folder), make)
        for what in actions:
            author.act(what)
        author.store.close()
        sealed = author.sealed
        order = [n for n in range(len(sealed)) if chance.random() < 0.6]
        chance.shuffle(order)
        reader = open_store(Path(folder) / "reader.sqlite", free_space_bytes_min=0)
        reader.partners.put_own(make.bravo, "Bravo")
        arrived: set[int] = set()
        for n in [*order, *order[:2]]:  # some come twice
            incarnation, number = sealed[n]
            envelope = make.envelope(
                incarnation=incarnation, opened=False, recipient_sequence=number, salt=f"{n}"
            )
            store_envelopes(reader, [envelope])
            arrived.add(n)
            missing = gaps_of(reader, make.alpha)
            assert missing == provably_missing(sealed, arrived)
            withheld = {(one, its.sequence) for m, (one, its) in enumerate(sealed) if m not in arrived}
            assert missing <= withheld, "what was never sealed is missing"
        for n in range(len(sealed)):
            incarnation, number = sealed[n]
            envelope = make.envelope(
                incarnation=incarnation, opened=False, recipient_sequence=number, salt=f"{n}"
            )
            store_envelopes(reader, [envelope])
        assert gaps_of(reader, make.alpha) == set()
        reader.close()


def receive(store: Store, make: Any, incarnation: int, *number: int) -> None:
    envelope = make.envelope(
        incarnation=incarnation, sequence=number[0], recipient_sequence=RecipientNumber(*number), opened=False
    )
    store_envelopes(store, [envelope])


def test_after_a_restore_what_a_relay_withholds_is_noticed(store: Store, make: Any) -> None:
    """The author was put back to number 3 of 5 and numbers on: numbers that went on from 3 would have hidden the next two."""
    for number in range(1, 6):
        receive(store, make, 100, number)
    receive(store, make, 200, 1, 100, 3)
    assert store.log.sequence_gaps(make.alpha) == []
    receive(store, make, 200, 3)
    assert store.log.sequence_gaps(make.alpha) == [(200, 2, 2)]


def test_the_last_of_an_incarnation_that_was_withheld_is_named_by_the_first_of_the_next(
    store: Store, make: Any
) -> None:
    receive(store, make, 100, 1)
    receive(store, make, 200, 1, 100, 4)
    assert store.log.sequence_gaps(make.alpha) == [(100, 2, 4)]
    receive(store, make, 100, 3)
    assert store.log.sequence_gaps(make.alpha) == [(100, 2, 2), (100, 4, 4)]


def test_an_incarnation_that_was_withheld_as_a_whole_is_missing(store: Store, make: Any) -> None:
    receive(store, make, 300, 1, 200, 2)
    assert store.log.sequence_gaps(make.alpha) == [(200, 1, 2)]
