"""Laboratory: takes envelopes in for real, and measures what each costs beside an honest one.

Each recipe is taken in by a process of its own, forked from this one, over a copy of a prepared store: it costs the other
measurements nothing, its memory is its own, and it is ended when it takes too long. Measured for each envelope:

* cpu     seconds of the process for intake and reading, and what the next honest envelope about the same values costs more
          than it would have cost without it
* disk    bytes by which the store's file has grown, after a checkpoint
* memory  bytes by which the process has grown at its peak
* later   seconds of the sweeps that evaluate again what time alone changes, in the next SWEEPS

Costs are counted for each byte on the wire, as multiples of what an honest envelope costs: a list of 1,000 random domains.
An envelope that takes away what others brought was paid for when they came: it is counted together with those before it. What
can be sent again and again, AGAIN_TIMES at least, is counted alone.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import math
import os
import pickle
import random
import resource
import shutil
import signal
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from costs.recipes import Recipe, Sealed, frames_of, shifted, values_of
from p2pshare.database.fetching import fetch
from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.keys import Identity
from p2pshare.envelope.payload import ALONE, PayloadHeader, compress_frame, encode_payload
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.envelope.sealing import Recipient, SealRequest, seal
from p2pshare.errors import ShareError
from p2pshare.identifiers import CircleId, PublicationId
from p2pshare.intel.authoring import indicator_object
from p2pshare.intel.marking import Tlp
from p2pshare.intel.marking_words import look_at
from p2pshare.intel.observable import Observable, canonical_pair
from p2pshare.intel.refusals import InvalidValue
from p2pshare.node.home import STORE_NAME, WARNING_INDEX_NAME
from p2pshare.node.init import found_home
from p2pshare.node.node import close_node, open_node
from p2pshare.node.store import open_store
from p2pshare.operations.payload_readers import load_readers
from p2pshare.queries.refresh import reevaluate_all
from p2pshare.sharing.intake import Arrival, take_in
from p2pshare.sharing.partners import add_partner
from p2pshare.sharing.reading import read_all
from p2pshare.warninglists.warning_index import open_warning_index

NOW = 1_800_000_000
HONEST_VALUES = 1_000
HONEST_RUNS = 5
SECONDS_MAX = 20.0  # of one recipe: longer is found
MEMORY_BYTES_MAX = 4 << 30
AGAIN_TIMES = 8
SETUPS_REMEMBERED_MAX = 12
SWEEPS = 20
SWEEP_SECONDS = 60
HOSTILE, HONEST, OTHER = "mallory", "alice", "carol"
MEASURES = ("cpu", "disk", "memory", "later")
DISGUISED_TLP = "\u0422LP".encode()  # with a Cyrillic letter
MEMORY_FLOOR_BYTES = 256 * 1024  # what a process grows by for reasons of its own


@dataclass
class Costs:
    """What one envelope cost."""

    wire_bytes: int
    last_wire_bytes: int = 0
    """Of the last, where several are counted together: `memory_bytes` is its alone."""
    inflated_bytes: int = 0
    objects: int = 0
    cpu_seconds: float = 0.0
    next_seconds: float = 0.0
    """More than the next honest envelope costs without it."""
    disk_bytes: int = 0
    memory_bytes: int = 0
    later_seconds: float = 0.0
    is_cut_off: bool = False
    refused: dict[str, int] = field(default_factory=dict)

    def per_byte(self, measure: str) -> float:
        if measure == "memory":
            return max(self.memory_bytes - MEMORY_FLOOR_BYTES, 0) / (self.last_wire_bytes or self.wire_bytes)
        total = {
            "cpu": self.cpu_seconds + self.next_seconds,
            "disk": self.disk_bytes,
            "later": self.later_seconds,
        }[measure]
        return total / self.wire_bytes


@dataclass(frozen=True)
class Measured:
    """The costs of each envelope of a recipe, and the highest multiple of an honest one's among them, by measure."""

    envelopes: tuple[Costs, ...]
    ratios: dict[str, float]

    def lower_of(self, other: Measured) -> Measured:
        """Returns the lower of each ratio of two measurements of the same recipe."""
        ratios = {measure: min(ratio, other.ratios[measure]) for measure, ratio in self.ratios.items()}
        return Measured(other.envelopes, ratios)


def _together(costs: Sequence[Costs]) -> Costs:
    """Returns the costs of envelopes that build on one another as those of one."""
    return Costs(
        sum(one.wire_bytes for one in costs),
        cpu_seconds=sum(one.cpu_seconds for one in costs),
        next_seconds=sum(one.next_seconds for one in costs),
        disk_bytes=sum(one.disk_bytes for one in costs),
        later_seconds=sum(one.later_seconds for one in costs),
    )


class _Sequences:
    """Places in an author's chain, from the middle on to both ends."""

    def __init__(self) -> None:
        self._first = self._last = 1_000_000

    def next(self, is_earlier: bool) -> int:
        if is_earlier:
            self._first -= 1
            return self._first
        self._last += 1
        return self._last


class Laboratory:
    """One folder with three partners and a prepared store. `measure` may be called as often as is wanted."""

    def __init__(self, folder: Path, *, seconds_max: float = SECONDS_MAX) -> None:
        self._folder = folder
        self.seconds_max = seconds_max
        self._readers = load_readers()
        look_at(DISGUISED_TLP)  # what a process makes once, at the first such text, is no cost of an envelope
        self._identities: dict[str, Identity] = {}
        nodes = {}
        for name in ("bravo", HOSTILE, HONEST, OTHER):
            home = folder / name
            found_home(home, name=name, url="https://127.0.0.1:9", listen="", passphrase=None, now=NOW)
            nodes[name] = open_node(home)
            self._identities[name] = nodes[name].identity
        bravo = nodes["bravo"]
        for name in (HOSTILE, HONEST, OTHER):
            card = self._identities[name].card
            print_ = fingerprint(card.partner_id)
            add_partner(bravo, card.raw, confirmed_fingerprint=print_, alias="", has_link=True, now=NOW)
        take_in(bravo, [self._list(OTHER, self._domains("first", 100), 1)], NOW)
        read_all(bravo, self._readers, NOW, time.monotonic)
        bravo.store.database.checkpoint()
        for node in nodes.values():
            close_node(node)
        self._node = bravo
        self._prepared = folder / "bravo"
        self._warm_ups = [
            self._list(OTHER, self._domains(f"warm {number}", 1_000), number) for number in (3, 2)
        ]
        self._setups: dict[Sealed, tuple[Path, list[Costs]]] = {}
        self._steps = 0
        domains = self._domains("honest", HONEST_VALUES)
        self.honest = self._measure_honest(domains)

    # --- what is sealed ---

    def _domains(self, seed: str, count: int) -> list[tuple[str, str]]:
        random_ = random.Random(seed)
        letters = "abcdefghijklmnopqrstuvwxyz0123456789"
        return [("domain", "".join(random_.choices(letters, k=12)) + ".example") for _ in range(count)]

    def _seal(self, author: str, frames: Sequence[bytes], objects: int, sequence: int) -> Arrival:
        identity = self._identities[author]
        header = PayloadHeader("stix", NOW, Tlp.GREEN.label, objects, PublicationId(bytes(16)), ALONE)
        request = SealRequest(
            payload=encode_payload(header, frames),
            recipients=(Recipient(self._identities["bravo"].card, RecipientNumber(sequence)),),
            incarnation=NOW,
            sequence=sequence,
            previous=bytes(32),
            circle=CircleId.of("main"),
            mode=Mode.RELAY,
            created=NOW,
            ttl_class=4,
        )
        return Arrival(seal(identity, request).wire, identity.partner_id)

    def _list(self, author: str, values: Sequence[tuple[str, str]], sequence: int) -> Arrival:
        """A list as the product's own authoring makes it; values without a canonical form are left out."""
        objects = []
        partner_id = self._identities[author].partner_id
        for type_, text in values:
            try:
                observable = Observable(*canonical_pair(type_, text))
                objects.append(indicator_object(observable, author=partner_id, created=NOW, tlp=Tlp.GREEN))
            except (InvalidValue, ShareError):
                continue
        return self._seal(author, [compress_frame(b"[" + b",".join(objects) + b"]")], len(objects), sequence)

    # --- measuring ---

    def _measure_honest(self, domains: list[tuple[str, str]]) -> Costs:
        arrival = self._list(HOSTILE, domains, 1)
        after = self._list(HONEST, domains, 1)
        runs = [self._taken_in([[arrival]], after) for _ in range(HONEST_RUNS)]
        costs = [run[0] for run in runs]
        self._honest_next = min(one.next_seconds for one in costs)
        return Costs(
            len(arrival.wire),
            objects=len(domains),
            cpu_seconds=min(one.cpu_seconds for one in costs),
            disk_bytes=round(statistics.median(one.disk_bytes for one in costs)),
            memory_bytes=round(statistics.median(one.memory_bytes for one in costs)),
            later_seconds=min(one.later_seconds for one in costs),
        )

    def measure(self, recipe: Recipe) -> Measured:
        """Returns what each envelope of a recipe cost."""
        sequences = _Sequences()
        groups, sizes = [], []
        for sealed in recipe:
            group, objects, inflated = self._sealed(sealed, sequences)
            if group:
                groups.append(group)
                sizes.append((objects, inflated))
        if not groups:
            return Measured((), dict.fromkeys(MEASURES, 0.0))
        begun, costs = self._prepared, []
        if len(groups) > 1 and len(groups[0]) >= AGAIN_TIMES:
            begun, costs = self._begun(recipe[0], groups[0])
        values = values_of(recipe, HONEST_VALUES)
        after = self._list(HONEST, values, 1) if values else None
        if not costs or not costs[-1].is_cut_off:
            costs = costs + self._taken_in(groups[len(costs) :], after, begun=begun)
        if costs[-1].next_seconds > 2 * self._honest_next:
            clean = self._taken_in([], after)[0].next_seconds
        else:
            clean = self._honest_next
        for one, (objects, inflated) in zip(costs, sizes, strict=False):
            one.objects, one.inflated_bytes = objects, inflated
        costs[-1].next_seconds = max(0.0, costs[-1].next_seconds - clean)
        times = [len(group) for group in groups]
        return Measured(tuple(costs), {measure: self._ratio(measure, costs, times) for measure in MEASURES})

    def _sealed(self, sealed: Sealed, sequences: _Sequences) -> tuple[list[Arrival], int, int]:
        """Returns the envelopes, the number of objects in them, and the bytes that they inflate to."""
        hostile = self._identities[HOSTILE].partner_id.text
        group = []
        objects = inflated = 0
        for number in range(sealed.times):
            frames, more, size = frames_of(shifted(sealed, number), hostile)
            with suppress(ShareError):  # larger than an envelope may be
                group.append(self._seal(HOSTILE, frames, more, sequences.next(sealed.is_earlier)))
            objects, inflated = objects + more, inflated + size
        return group, objects, inflated

    def _begun(self, sealed: Sealed, group: Sequence[Arrival]) -> tuple[Path, list[Costs]]:
        """Returns the store after many envelopes with which a recipe begins, and what they cost: made once, and remembered
        for the recipes that begin in the same way."""
        if sealed not in self._setups:
            folder = self._folder / f"setup-{self._steps}"
            costs = self._taken_in([group], None, keep=folder)
            if len(self._setups) >= SETUPS_REMEMBERED_MAX:
                shutil.rmtree(self._setups.pop(next(iter(self._setups)))[0])
            self._setups[sealed] = (folder, costs)
        folder, costs = self._setups[sealed]
        return folder, [replace(one) for one in costs]

    def _ratio(self, measure: str, costs: Sequence[Costs], times: Sequence[int]) -> float:
        honest = self.honest.per_byte(measure)
        found = [
            one.per_byte(measure)
            if again >= AGAIN_TIMES or measure == "memory"  # nobody pays for memory beforehand
            else _together(costs[: number + 1]).per_byte(measure)
            for number, (one, again) in enumerate(zip(costs, times, strict=False))
        ]
        return max(found) / honest if honest else 0.0

    def _taken_in(
        self,
        groups: Sequence[Sequence[Arrival]],
        after: Arrival | None,
        *,
        begun: Path | None = None,
        keep: Path | None = None,
    ) -> list[Costs]:
        """Returns the costs of the arrivals; of the last, the seconds that `after` took. Begins with the store in the folder
        `begun`; with `keep` the store is left there as it is after the arrivals."""
        self._steps += 1
        folder = keep or self._folder / f"step-{self._steps}"
        folder.mkdir()
        for name in (STORE_NAME, WARNING_INDEX_NAME):
            shutil.copyfile((begun or self._prepared) / name, folder / name)
            (folder / name).chmod(0o600)
        reading, writing = os.pipe()
        gc.collect()
        gc.freeze()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(reading)
                signal.setitimer(signal.ITIMER_PROF, self.seconds_max)  # ends the process
                logging.disable(logging.CRITICAL)  # what is refused is counted
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
                with os.fdopen(writing, "wb") as pipe:
                    child_ = _Child(self._node, folder, self._readers, pipe)
                    warm_up = self._warm_ups[begun in (None, self._prepared)]
                    child_.run(warm_up, groups, after, is_swept=keep is None)
                status = 0
            finally:
                os._exit(status)
        os.close(writing)
        try:
            return self._gathered(child, reading, [_size(group) for group in groups])
        finally:
            gc.unfreeze()
            os.close(reading)
            if keep is None:
                shutil.rmtree(folder, ignore_errors=True)

    def _gathered(self, child: int, reading: int, sizes: Sequence[int]) -> list[Costs]:
        """Returns what the child told, and where it did not come to its end what it used up until then."""
        with os.fdopen(reading, "rb", closefd=False) as pipe:
            raw = pipe.read()
        _, status, usage = os.wait4(child, 0)
        told: dict[int, Costs] = {}
        while len(raw) > 4 and len(raw) >= 4 + (length := int.from_bytes(raw[:4], "big")):
            number, costs = pickle.loads(raw[4 : 4 + length])  # our own child's
            told[number] = costs  # the last is told again with what came after
            raw = raw[4 + length :]
        found = list(told.values())
        if status:
            is_late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF
            spent = usage.ru_utime + usage.ru_stime - sum(one.cpu_seconds for one in found)
            if len(found) < len(sizes):
                memory = 0 if is_late else MEMORY_BYTES_MAX
                found.append(Costs(sizes[len(found)], memory_bytes=memory))
                found[-1].cpu_seconds = spent
            elif found and not found[-1].next_seconds:
                found[-1].next_seconds = spent
            elif found:
                found[-1].later_seconds = spent
            found[-1].is_cut_off = True
        return found


class _Child:
    """Takes in, in the process that was forked for it, and writes the costs into `pipe`, each once it is known."""

    def __init__(self, node: Any, folder: Path, readers: Any, pipe: Any) -> None:
        self._store = open_store(folder / STORE_NAME, free_space_bytes_min=0)
        self._node = replace(
            node, store=self._store, warning_index=open_warning_index(folder / WARNING_INDEX_NAME)
        )
        self._path = folder / STORE_NAME
        self._readers, self._pipe = readers, pipe

    def run(
        self,
        warm_up: Arrival,
        groups: Sequence[Sequence[Arrival]],
        after: Arrival | None,
        *,
        is_swept: bool,
    ) -> None:
        with self._store.transaction() as writer:
            fetch(writer, "PRAGMA quick_check")  # a daemon's cache holds what was written lately
        self._seconds([warm_up])  # modules and statements are paid for
        costs, number = Costs(1), 0
        for number, group in enumerate(groups):
            costs = Costs(_size(group))
            before, refused = self._size(), self._store.partners.refusals()
            costs.last_wire_bytes = len(group[-1].wire)
            costs.cpu_seconds = self._seconds(group[:-1])
            _forget_peak()
            base = _resident("VmRSS")
            costs.cpu_seconds += self._seconds(group[-1:])
            costs.memory_bytes = max(0, _resident("VmHWM") - base)
            costs.disk_bytes = self._size() - before
            now = self._store.partners.refusals()
            costs.refused = {reason: now[reason] - refused.get(reason, 0) for reason in now}
            self._tell(number, costs)
        if after is not None:
            costs.next_seconds = self._seconds([after])
            self._tell(number, costs)
        if is_swept:
            costs.later_seconds = self._swept()
            self._tell(number, costs)

    def _seconds(self, arrivals: Sequence[Arrival]) -> float:
        if not arrivals:
            return 0.0
        began = time.process_time()
        take_in(self._node, arrivals, NOW)
        read_all(self._node, self._readers, NOW, time.monotonic)
        return time.process_time() - began

    def _swept(self) -> float:
        """Returns seconds of sweeps: each a minute after the next observable is due."""
        began = time.process_time()
        now = NOW
        for _ in range(SWEEPS):
            with self._store.transaction() as writer:
                ((due,),) = fetch(writer, "SELECT min(due) FROM effective_state")
            if due is None:
                break
            now = max(now, due) + SWEEP_SECONDS
            reevaluate_all(self._node, now)
        return time.process_time() - began

    def _size(self) -> int:
        self._store.database.checkpoint()
        return self._path.stat().st_size

    def _tell(self, number: int, costs: Costs) -> None:
        raw = pickle.dumps((number, costs))
        self._pipe.write(len(raw).to_bytes(4, "big") + raw)
        self._pipe.flush()


def _size(arrivals: Sequence[Arrival]) -> int:
    return sum(len(arrival.wire) for arrival in arrivals)


def _forget_peak() -> None:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here


def _resident(name: str) -> int:
    """Bytes, from /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return math.floor(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
