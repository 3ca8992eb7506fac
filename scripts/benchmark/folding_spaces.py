"""Folds spaces of the sizes that docs/spaces.md allows: notebooks, graphs made to be slow, votes of everybody.

Entries are told without signatures: a fold reads verified ones. Every history is the same in each run. One space is read out of a
store besides, as a node does after a restart.
"""

from __future__ import annotations

import gc
import hashlib
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from measuring import Report, percentile

from p2pshare.envelope.entry import (
    NO_SPACE,
    REAL,
    DecodedEntry,
    EntryHeader,
    VerifiedEntry,
    encode_header,
    entry_id_of,
)
from p2pshare.identifiers import EntryId, KeyId, PartnerId
from p2pshare.node.store import Store, open_store
from p2pshare.spaces.acts import Ack, Handover, Inviting, Opening, Plain, Removal, Takeover, decode_act
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold, fold
from p2pshare.spaces.lab_entries import (
    FieldFigure,
    LabBody,
    LabReview,
    LabRun,
    RulePromotion,
    RuleVersion,
    encode_lab,
)
from p2pshare.spaces.space_store import SpaceStore
from p2pshare.spaces.spaces import FREEZE_ENTRIES, Spaces
from p2pshare.spaces.vertex import SpaceEntry

PARENTS_MAX = 16
KEY = KeyId(bytes(16))


class Written:
    """A history that grows at the speed of its reader: numbers and depths are kept, not looked for."""

    def __init__(self, members: int, kind: str = "note") -> None:
        self.members = sorted(
            PartnerId(hashlib.sha256(b"member %d" % number).digest()) for number in range(members)
        )
        self.entries: list[SpaceEntry] = []
        self._numbers: dict[PartnerId, int] = {}
        self._depths: dict[EntryId, int] = {}
        self._authors: dict[EntryId, int] = {}
        names = tuple((member, "") for member in self.members)
        self.space = NO_SPACE
        self.space = self.write(0, "open", Opening(1, kind, "a benchmark", names).encode(), ())
        self.joins = [self.write(one, "join", Plain().encode(), [self.space]) for one in range(1, members)]

    def write(
        self, member: int, kind: str, content: bytes, parents: Iterable[EntryId], number: int | None = None
    ) -> EntryId:
        author = self.members[member]
        cited = tuple(sorted(set(parents)))
        depth = 1 + max((self._depths[one] for one in cited), default=0)
        if number is None:
            number = self._numbers.get(author, 0) + 1
        self._numbers[author] = number
        digest, size = hashlib.sha384(bytes(16) + content).digest(), 16 + len(content)
        created = 1 + len(self.entries)  # so that no two are one
        header = EntryHeader(
            REAL, self.space, author, KEY, number, cited, depth, created, kind, 1, (), digest, size
        )
        entry_id = entry_id_of(encode_header(header))
        self.entries.append(SpaceEntry(entry_id, header, content))
        self._depths[entry_id], self._authors[entry_id] = depth, member
        return entry_id

    def joined(self, heads: list[EntryId]) -> list[EntryId]:
        """At most 16 entries that have all of `heads` in their past: where there are more, merges by who wrote one of them."""
        while len(heads) > PARENTS_MAX:
            parts = [heads[at : at + PARENTS_MAX] for at in range(0, len(heads), PARENTS_MAX)]
            heads = [self.write(self._authors[part[0]], "merge", Plain().encode(), part) for part in parts]
        return heads


def notebook(entries: int, members: int, parents: int) -> Written:
    """Notes of all members, each citing the newest few: `parents` 1 is a chain, 16 the widest graph there may be.

    Authors follow each other in a circle, so that nobody's chain is broken: an own note is always among the last ones.
    """
    written = Written(members)
    newest = [written.write(0, "merge", Plain().encode(), written.joined(written.joins))]
    own: dict[int, EntryId] = {}
    for number in range(entries - len(written.entries)):
        author = number % members
        cited = [*newest[-parents:], *([own[author]] if author in own else [])][-PARENTS_MAX:]
        own[author] = written.write(author, "note", b"note %d" % number, cited)
        newest = [*newest[-PARENTS_MAX:], own[author]]
    return written


def laboratory(entries: int, members: int, said: Callable[[int], tuple[str, LabBody]]) -> Written:
    """A lab in which all members write in turn, each citing the last entry and its own; `said` gives what the entry of a number says."""
    written = Written(members, "lab")
    last = written.write(0, "merge", Plain().encode(), written.joined(written.joins))
    own: dict[int, EntryId] = {}
    for number in range(entries - len(written.entries)):
        author = number % members
        kind, body = said(number)
        cited = {last, *([own[author]] if author in own else [])}
        own[author] = last = written.write(author, kind, encode_lab(body), cited)
    return written


def honest_work(number: int) -> tuple[str, LabBody]:
    """A rule in twenty entries, and what members say of the newest ones."""
    text = hashlib.sha256(b"rule %d" % (number // 20 - number % 7)).digest()
    match number % 20:
        case 0:
            text = hashlib.sha256(b"rule %d" % (number // 20)).digest()
            return "rule", RuleVersion(
                b"", "sigma", text, 2_000, f"rule {number}", "Ada", "DRL-1.1", "high", ("t1059",), ""
            )
        case 1 | 2 | 3 | 4 | 5 | 6:
            return "run", LabRun(text, bytes(32), "an engine 1.0", 5, 0, 0, 5, 9, 0, 10, 5)
        case 7 | 8 | 9:
            return "field", FieldFigure(text, 1, 86_401, 100, 50, 1)
        case 10:
            return "promote", RulePromotion(text, "")
        case _:
            return "review", LabReview(text, "agree", "")


def one_text(number: int) -> tuple[str, LabBody]:
    """All of one text: a run with samples of its own each, and once in a while everybody agrees and promotes it."""
    text = hashlib.sha256(b"a rule").digest()
    if not number:
        return "rule", RuleVersion(b"", "sigma", text, 9, "a rule", "Ada", "DRL-1.1", "", (), "")
    match number // 256 % 13:
        case 0:
            return "review", LabReview(text, "agree", "")
        case 1:
            return "promote", RulePromotion(text, "")
        case _:
            samples = hashlib.sha256(b"set %d" % number).digest()
            return "run", LabRun(text, samples, "an engine 1.0", 5, 0, 0, 5, 9, 0, 10, 5)


def ballot(members: int, acks: int, *, is_chain: bool) -> Written:
    """Rounds of two proposals that halve the votes of all: so many acks of each member, and never a majority.

    A chain: each vote has all before it in its past. Else those of a round stand beside each other, and are merged.
    """
    written = Written(members)
    heads = written.joined(written.joins)
    for number in range(acks):
        one, other = 1 + 2 * (number // 15), 2 + 2 * (number // 15)  # who has proposals left
        proposals = [
            written.write(one, "takeover", Takeover(1, number + 1).encode(), heads),
            written.write(other, "takeover", Takeover(1, number + 1).encode(), heads),
        ]
        votes, last = list(proposals), proposals
        for member in range(members):
            if member not in (one, other):
                ack = written.write(member, "ack", Ack(proposals[member % 2]).encode(), last)
                votes.append(ack)
                last = [ack] if is_chain else proposals
        heads = last if is_chain else written.joined(votes)
    return written


def restless_lead(acts: int, entries: int, members: int) -> Written:
    """A lead that removes everybody and invites them again, all the time, and notes of them in between."""
    written = Written(members)
    heads = written.joined(written.joins)
    everybody = tuple(written.members[1:])
    names = tuple((member, "") for member in everybody)
    for number in range(acts // 2):
        removal = written.write(0, "remove", Removal(everybody).encode(), heads)
        notes = [
            written.write(1 + (number + one) % (members - 1), "note", b"a note", heads)
            for one in range(max(1, min(members - 1, 2 * entries // acts)))
        ]
        heads = [written.write(0, "invite", Inviting(names).encode(), written.joined([removal, *notes]))]
    return written


def two_branches(entries: int) -> Written:
    """A member that tells two stories for as long as it may, each cited by others on their own branch."""
    written = Written(4)
    heads = written.joined(written.joins)
    begin = written.write(0, "merge", Plain().encode(), heads)
    branches = [[begin, begin], [begin, begin]]
    for step in range(entries // 4):
        for branch, witness in zip(branches, (2, 3), strict=True):
            branch[0] = written.write(1, "note", b"a story", branch, number=2 + step)
            branch[1] = written.write(witness, "note", b"heard", branch)
    written.write(
        0, "invite", Inviting(((written.members[1], ""),)).encode(), [branches[0][1], branches[1][1]]
    )
    return written


def far_and_wide(entries: int, members: int) -> Written:
    """Each entry has 16 parents drawn from everywhere; its author's last is one of them."""
    written, draw = Written(members), random.Random(1)
    everything = [written.write(0, "merge", Plain().encode(), written.joined(written.joins))]
    own: dict[int, EntryId] = {}
    for _ in range(entries - len(written.entries)):
        author = draw.randrange(members)
        cited = [draw.choice(everything) for _ in range(PARENTS_MAX - 1)]
        own[author] = written.write(author, "note", b"a note", [*cited, own.get(author, everything[0])])
        everything.append(own[author])
    return written


def back_and_forth(times: int) -> Written:
    """Two members that hand the lead to each other, all the time."""
    written = Written(2)
    last = written.joins[0]
    for number in range(times):
        giver = number % 2
        last = written.write(giver, "handover", Handover(written.members[1 - giver]).encode(), [last])
        last = written.write(1 - giver, "accept", Plain().encode(), [last])
    return written


def candidates(members: int) -> Written:
    """Everybody proposes itself sixteen times, and nobody votes."""
    written = Written(members)
    heads = [written.write(0, "merge", Plain().encode(), written.joined(written.joins))]
    for number in range(16 * (members - 1)):
        heads = [
            written.write(1 + number % (members - 1), "takeover", Takeover(1, number + 1).encode(), heads)
        ]
    return written


def comings_and_goings(members: int, times: int, entries: int) -> Written:
    """All leave as often as they may, and write notes between."""
    written = Written(members)
    begin = written.write(0, "merge", Plain().encode(), written.joined(written.joins))
    last = dict.fromkeys(range(1, members), begin)
    for _ in range(times):
        for member in last:
            last[member] = written.write(member, "leave", Plain().encode(), [last[member]])
            for _ in range(entries // (members * times)):
                last[member] = written.write(member, "note", b"a note", [last[member]])
    return written


def open_and_shut(times: int, members: int) -> Written:
    """A lead that closes and members that open again, beside each other, all the time."""
    written = Written(members)
    heads = [written.write(0, "merge", Plain().encode(), written.joined(written.joins))]
    for number in range(times):
        close = written.write(0, "close", Plain().encode(), heads)
        reopen = written.write(1 + number % (members - 1), "reopen", Plain().encode(), heads)
        heads = [close, reopen]
    return written


def forked_openings(times: int) -> Written:
    """A member that opens again under each number twice, and a lead that closes all that and pardons in the end."""
    written = Written(3)
    heads = [written.write(0, "merge", Plain().encode(), written.joined(written.joins))]
    for number in range(times):
        reopenings = [
            written.write(1, "reopen", Plain().encode(), heads[: 2 if number == 0 else 3], number=2 + number)
            for _ in range(2)
        ]
        heads = [written.write(0, "close", Plain().encode(), reopenings)]
        heads = [*heads, *reopenings]
    names = ((written.members[1], ""),)
    written.write(0, "close", Plain().encode(), [written.write(0, "invite", Inviting(names).encode(), heads)])
    return written


def pardoned_forks(forks: int, members: int, liars: int) -> Written:
    """Liars fork each of their numbers; all are pardoned but for the last of each, and then everybody proposes, leaves and joins."""
    written = Written(members)
    heads = [written.write(0, "merge", Plain().encode(), written.joined(written.joins))]
    for liar in range(1, 1 + liars):
        for number in range(forks // liars):
            twins = [
                written.write(liar, "merge", Plain().encode(), heads, number=2 + number) for _ in range(2)
            ]
            heads = twins
        names = ((written.members[liar], ""),)
        heads = [written.write(0, "invite", Inviting(names).encode(), heads)]
        number = 2 + forks // liars
        heads = [written.write(liar, "note", b"again", heads, number=number) for _ in range(2)]
    honest = range(1 + liars, members)
    for number in range(16 * len(honest)):
        member = honest[number % len(honest)]
        heads = [written.write(member, "takeover", Takeover(1, number + 1).encode(), heads)]
        if number % 16 == 15:
            heads = [written.write(member, "decline", Plain().encode(), heads)]
    return written


def void_by_a_removal(entries: int, members: int) -> Written:
    """All write for as long as they may beside a removal of everybody: nothing of it counts."""
    written = Written(members)
    begin = written.write(0, "merge", Plain().encode(), written.joined(written.joins))
    written.write(0, "remove", Removal(tuple(written.members[1:])).encode(), [begin])
    newest, own = [begin], dict.fromkeys(range(1, members), begin)
    for number in range(entries):
        member = 1 + number % (members - 1)
        own[member] = written.write(member, "note", b"late", {*newest[-PARENTS_MAX + 1 :], own[member]})
        newest = [*newest[-PARENTS_MAX:], own[member]]
    return written


SLOW = {
    "two stories of 10,000 entries each": lambda: two_branches(40_000),
    "50,000 entries, 16 parents from anywhere": lambda: far_and_wide(50_000, 256),
    "the lead back and forth 2,000 times": lambda: back_and_forth(2_000),
    "4,080 proposals of 255 members": lambda: candidates(256),
    "63 leaves of each of 255 members, 30,000 notes": lambda: comings_and_goings(256, 63, 30_000),
    "9,000 closes, 9,000 reopenings beside them": lambda: open_and_shut(9_000, 8),
    "9,000 reopenings of one member's fork, a close behind each pair": lambda: forked_openings(4_500),
    "4,900 forks of one liar, pardoned, then 4,000 proposals": lambda: pardoned_forks(4_900, 252, 1),
    "19,600 forks of four liars, pardoned, then 4,000 proposals": lambda: pardoned_forks(19_600, 255, 4),
    "49,000 notes beside the removal of all": lambda: void_by_a_removal(49_000, 256),
}
"""Graphs made to be slow, within all limits."""


def measure(report: Report, *, rounds: int, has_slow_graphs: bool) -> None:
    small, large = notebook(10_000, 8, 2), notebook(50_000, 256, 16)
    _whole(report, "fold of 10,000 entries, 8 members", small, rounds, must=1.0)
    steps = _whole(report, "fold of 50,000 entries, 256 members, 16 parents each", large, rounds, must=5.0)
    report.add("longest step of that fold", "ms", [max(one) * 1e3 for one in steps])
    report.gate(
        "longest step of a fold of 50,000 (ms)", max(max(one) for one in steps) * 1e3, 20, is_at_least=False
    )
    _appended(report, large)
    for is_chain in (False, True):
        shape = "each after the other" if is_chain else "beside each other"
        _whole(
            report, f"256 members x 62 acks, {shape}", ballot(256, 62, is_chain=is_chain), rounds, must=1.0
        )
    _whole(
        report,
        "4,000 acts of a lead over 256 members, 20,000 notes",
        restless_lead(4_000, 20_000, 256),
        rounds,
    )
    for name, lab in (
        ("a lab of 10,000 entries, 8 members", laboratory(10_000, 8, honest_work)),
        ("a lab of 10,000 entries, 256 members, of one text", laboratory(10_000, 256, one_text)),
    ):
        _whole(report, name, lab, rounds, must=1.0)
        state = fold(lab.entries)
        output = [
            _seconds(lambda state=state: canonical(state)) for _ in range(1)
        ]  # what follows is found out here
        report.add(f"{name}: its output", "s", output)
        report.gate(f"{name}: its output (s)", output[0], 1.0, is_at_least=False)
    longest = 0.0
    for name, write in SLOW.items() if has_slow_graphs else ():
        steps = _whole(report, name, write(), 1, must=5.0, may_be_void=True)
        longest = max(longest, *steps[0])
        report.add(f"{name}: longest step", "ms", [max(steps[0]) * 1e3])
    if has_slow_graphs:
        report.gate("longest step of all graphs made to be slow (ms)", longest * 1e3, 20, is_at_least=False)
    _taken(report, "10,000 entries, 8 members", small)
    _taken(report, "50,000 entries, 256 members, 16 parents each", large)
    _taken(report, "two stories of 10,000 entries each", two_branches(40_000))
    _read(report, "50,000 entries, 256 members, 16 parents each", large)
    state = fold(large.entries)
    report.add("canonical output of 50,000 entries", "s", [_seconds(lambda: canonical(state))])


def _whole(
    report: Report,
    name: str,
    written: Written,
    rounds: int,
    must: float | None = None,
    *,
    may_be_void: bool = False,
) -> list[list[float]]:
    """Returns the seconds of each step, of each round."""
    figures, all_steps = [], []
    for number in range(rounds):
        random.Random(number).shuffle(entries := list(written.entries))
        gc.collect()
        start = time.process_time()
        space = SpaceFold()
        for entry in sorted(entries, key=lambda entry: entry.header.depth):
            space.add(entry)
        gc.freeze()  # as a node does with what it has read; this process holds other histories besides
        steps, before = [], time.thread_time()
        for _ in space.steps():
            now = time.thread_time()
            steps.append(now - before)
            before = now
        steps.append(time.thread_time() - before)
        figures.append(time.process_time() - start)
        gc.unfreeze()
        all_steps.append(steps)
        void = sum(1 for entry in entries if space.effect_of(entry.entry_id))
        assert void == 0 or must is None or may_be_void, f"{void} entries of {name} are void"
    report.add(name, "s", figures)
    if must is not None:
        report.gate(f"{name} (s)", sorted(figures)[len(figures) // 2], must, is_at_least=False)
    return all_steps


def _appended(report: Report, written: Written) -> None:
    """One more note after another, each with the state of then: as a member sees them come in."""
    space = SpaceFold()
    for entry in written.entries:
        space.add(entry)
    space.state()
    begun, last = len(written.entries), written.entries[-1].entry_id
    for number in range(300):
        last = written.write(number % 256, "note", b"one more", [last])
    figures = []
    for entry in written.entries[begun:]:
        start = time.thread_time()
        space.add(entry)
        space.state()
        figures.append(time.thread_time() - start)
    del written.entries[begun:]
    report.add("one more entry after 50,000, p50", "ms", [percentile(figures, 0.5) * 1e3])
    report.add("one more entry after 50,000, p99", "ms", [percentile(figures, 0.99) * 1e3])
    report.gate(
        "one more entry after 50,000, p99 (ms)", percentile(figures, 0.99) * 1e3, 5, is_at_least=False
    )


def _taken(report: Report, name: str, written: Written) -> None:
    """What rules 13 to 16 and the graph cost, entry by entry, as a member takes them in (signatures are not here)."""
    space, figures = SpaceFold(), []
    for number, entry in enumerate(written.entries):
        if number % FREEZE_ENTRIES == 0:
            gc.freeze()  # as a node does
        start = time.thread_time()
        reason = space.graph.refusal_of(entry.header) if len(space) else ""
        space.add(entry)
        figures.append(time.thread_time() - start)
        assert reason in ("", "broken-chain"), f"an entry of {name} would be refused: {reason}"
    gc.unfreeze()
    report.add(f"taken in, {name}: all", "s", [sum(figures)])
    report.add(f"taken in, {name}: longest", "ms", [max(figures) * 1e3])


def _read(report: Report, name: str, written: Written) -> None:
    """A node reads a space out of its store after a restart and folds it once, slice by slice; and the memory that takes."""
    with tempfile.TemporaryDirectory(prefix="p2pshare-spaces-") as folder:
        store = open_store(Path(folder) / "store.sqlite", free_space_bytes_min=0)
        try:
            space = _stored(store, written)
            gc.collect()
            before = _resident()
            spaces = Spaces(store.database, store.partners, lambda: None)  # type: ignore[arg-type,return-value]
            steps, start = [], time.thread_time()
            while not spaces.ready(space, 1_900_000_000):
                now = time.thread_time()
                steps.append(now - start)
                start = now
            state = spaces.newest(space)
            assert state is not None and len(state.timeline) == len(written.entries)
            report.add(f"read and folded, {name}", "s", [sum(steps)])
            report.add(f"read and folded, {name}: longest slice", "ms", [max(steps) * 1e3])
            report.add(f"read and folded, {name}: memory", "MiB", [(_resident() - before) / 2**20])
            report.gate(f"read and folded, {name} (s)", sum(steps), 5, is_at_least=False)
            report.gate("its longest slice (ms)", max(steps) * 1e3, 20, is_at_least=False)
        finally:
            store.close()


def _stored(store: Store, written: Written) -> EntryId:
    """Put a history into a store as if it had been taken in."""
    tables, row = SpaceStore(store.database), None
    with store.database.transaction():
        for entry in written.entries:
            body = bytes(16) + (entry.content or b"")
            header, raw = entry.header, encode_header(entry.header)
            held = VerifiedEntry(DecodedEntry(header, raw, body, bytes(4_691), entry.entry_id))
            if row is None:
                act = decode_act("open", entry.content or b"")
                assert isinstance(act, Opening)
                row = tables.put_space(held, act, header.author, 1)
            else:
                tables.put_entry(row, held, 1)
    assert row is not None
    return row.space


def _resident() -> int:
    """Returns the bytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _seconds(work: object) -> float:
    start = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - start
