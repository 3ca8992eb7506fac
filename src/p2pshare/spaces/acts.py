"""What the deciding entries of every space say: the content of each kind (docs/spaces.md, "Kinds of every space").

Each is one canonical map with exactly these keys, and nothing before or behind it. What does not read so decides nothing
(`bad-body`), the same for every member.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from operator import lt

from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.identifiers import EntryId, KeyId, PartnerId
from p2pshare.limits import REKEY_KEYS_MAX, SPACE_MEMBERS_MAX

RULES = 1
"""The rules of authority by which a space is folded; another number is shown read-only."""
SPACE_KIND_BYTES_MAX = 32
TITLE_BYTES_MAX = 256
ROLE_BYTES_MAX = 32
NOTHING_GOOD = EntryId(bytes(EntryId.length))
"""In a rekey: no entry of that key is the author's own."""

Names = tuple[tuple[PartnerId, str], ...]
"""Partners that are named as members, ascending, each with its role (mostly empty)."""


@dataclass(frozen=True, slots=True)
class Opening:
    """`open`: begins a space."""

    rules: int
    kind: str
    title: str
    names: Names

    def encode(self) -> bytes:
        return pack({0: self.rules, 1: self.kind, 2: self.title, 3: _listed(self.names)})


@dataclass(frozen=True, slots=True)
class Inviting:
    """`invite`: names members."""

    names: Names

    def encode(self) -> bytes:
        return pack({0: _listed(self.names)})


@dataclass(frozen=True, slots=True)
class Removal:
    """`remove`: ends the membership of these, ascending."""

    members: tuple[PartnerId, ...]

    def encode(self) -> bytes:
        return pack({0: list(self.members)})


@dataclass(frozen=True, slots=True)
class Handover:
    """`handover`: offers the lead."""

    to: PartnerId

    def encode(self) -> bytes:
        return pack({0: self.to})


@dataclass(frozen=True, slots=True)
class Takeover:
    """`takeover`: proposes its author as lead, in a round of an epoch."""

    epoch: int
    round: int

    def encode(self) -> bytes:
        return pack({0: self.epoch, 1: self.round})


@dataclass(frozen=True, slots=True)
class Ack:
    """`ack`: votes for one takeover."""

    takeover: EntryId

    def encode(self) -> bytes:
        return pack({0: self.takeover})


@dataclass(frozen=True, slots=True)
class Rekey:
    """`rekey`: disowns what was written with these keys after the entry beside each."""

    last_good: Mapping[KeyId, EntryId]

    def encode(self) -> bytes:
        return pack({0: [[key_id, entry_id] for key_id, entry_id in sorted(self.last_good.items())]})


@dataclass(frozen=True, slots=True)
class Redaction:
    """`redact`: the body of this entry counts as absent."""

    entry: EntryId

    def encode(self) -> bytes:
        return pack({0: self.entry})


@dataclass(frozen=True, slots=True)
class Plain:
    """A kind that says all by being there: `join`, `decline`, `leave`, `accept`, `merge`, and some of the space kinds."""

    def encode(self) -> bytes:
        return pack({})


PLAIN = Plain()
"""What is read: one for all, as there are tens of thousands in a large space."""

Act = Opening | Inviting | Removal | Handover | Takeover | Ack | Rekey | Redaction | Plain


Known = dict[bytes, tuple[PartnerId, str]]
"""Partners without a role that were named before, by their ids."""


def decode_plain(content: bytes) -> Plain:
    """Returns the empty act. Raises PeerError `malformed`."""
    reader = Reader(content)
    reader.map(0)
    reader.end()
    return PLAIN


def _opening(reader: Reader) -> Opening:
    reader.map(4)
    reader.key(0)
    rules = reader.integer()
    reader.key(1)
    kind = reader.text(1, SPACE_KIND_BYTES_MAX)
    reader.key(2)
    title = reader.text(1, TITLE_BYTES_MAX)
    reader.key(3)
    return Opening(rules, kind, title, _names(reader))


def _inviting(reader: Reader) -> Inviting:
    reader.map(1)
    reader.key(0)
    return Inviting(_names(reader))


def _removal(reader: Reader) -> Removal:
    reader.map(1)
    reader.key(0)
    members = tuple(_partner(reader) for _ in range(reader.array(1, SPACE_MEMBERS_MAX)))
    _ascend(members)
    return Removal(members)


def _handover(reader: Reader) -> Handover:
    reader.map(1)
    reader.key(0)
    return Handover(_partner(reader))


def _takeover(reader: Reader) -> Takeover:
    reader.map(2)
    reader.key(0)
    epoch = reader.integer()
    reader.key(1)
    takeover = Takeover(epoch, reader.integer())
    if takeover.epoch < 1 or takeover.round < 1:
        raise refusal("malformed", "epochs and rounds of takeovers begin at 1")
    return takeover


def _ack(reader: Reader) -> Ack:
    reader.map(1)
    reader.key(0)
    return Ack(EntryId(reader.blob(32, 32)))


def _rekey(reader: Reader) -> Rekey:
    reader.map(1)
    reader.key(0)
    pairs = []
    for _ in range(reader.array(1, REKEY_KEYS_MAX)):
        reader.array(2, 2)
        pairs.append((KeyId(reader.blob(16, 16)), EntryId(reader.blob(32, 32))))
    _ascend([key_id for key_id, _ in pairs])
    return Rekey(dict(pairs))


def _redaction(reader: Reader) -> Redaction:
    reader.map(1)
    reader.key(0)
    return Redaction(EntryId(reader.blob(32, 32)))


_READERS: Mapping[str, Callable[[Reader], Act]] = {
    "open": _opening,
    "invite": _inviting,
    "remove": _removal,
    "handover": _handover,
    "takeover": _takeover,
    "ack": _ack,
    "rekey": _rekey,
    "redact": _redaction,
}


def decode_act(kind: str, content: bytes, known: Known | None = None) -> Act:
    """Returns what an entry says whose kind is a deciding one of every space.

    Who is named again in `known` is the same object, however often that is. Raises PeerError `malformed` or `not-canonical`.
    """
    known = {} if known is None else known
    if kind == "invite" and (listed := _quick_ids(content, b"\x92\xc4\x20", b"\xa0", known)) is not None:
        return Inviting(tuple(listed))
    if kind == "remove" and (listed := _quick_ids(content, b"\xc4\x20", b"", known)) is not None:
        return Removal(tuple(member for member, _ in listed))
    return read_act(kind, content)


def read_act(kind: str, content: bytes) -> Act:
    """As `decode_act`, value by value."""
    read = _READERS.get(kind)
    if read is None:
        return decode_plain(content)
    reader = Reader(content)
    act = read(reader)
    reader.end()
    return act


def _quick_ids(
    content: bytes, before: bytes, after: bytes, known: Known
) -> list[tuple[PartnerId, str]] | None:
    """Returns the names in `{0: [before || id || after, ...]}` where content is nothing else; None: it is read value by value.

    A lead may write 4,096 lists of 256 names, which one by one would take as long as all the rest of a fold.
    """
    if content[:2] != b"\x81\x00":
        return None
    if content[2:3] == b"\xdc":
        count, block = int.from_bytes(content[3:5], "big"), content[5:]
        is_shortest = count > 15
    else:
        count, block = content[2] & 15 if len(content) > 2 else 0, content[3:]
        is_shortest = content[2:3] == bytes([0x90 | count])
    size = len(before) + PartnerId.length + len(after)
    if not (is_shortest and 1 <= count <= SPACE_MEMBERS_MAX and len(block) == size * count):
        return None
    for place, value in [*enumerate(before), *enumerate(after, len(before) + PartnerId.length)]:
        if block[place::size] != bytes([value]) * count:
            return None
    starts = range(len(before), len(block), size)
    raws = [block[start : start + PartnerId.length] for start in starts]
    if not all(map(lt, raws, raws[1:])):
        return None
    return [known.get(raw) or known.setdefault(raw, (PartnerId(raw), "")) for raw in raws]


def _listed(names: Names) -> list[list[PartnerId | str]]:
    return [[member, role] for member, role in names]


def _names(reader: Reader) -> Names:
    names = []
    for _ in range(reader.array(1, SPACE_MEMBERS_MAX)):
        reader.array(2, 2)
        names.append((_partner(reader), reader.text(0, ROLE_BYTES_MAX)))
    _ascend([member for member, _ in names])
    return tuple(names)


def _partner(reader: Reader) -> PartnerId:
    return PartnerId(reader.blob(PartnerId.length, PartnerId.length))


def _ascend(ids: list[PartnerId] | list[KeyId] | tuple[PartnerId, ...]) -> None:
    if any(one >= other for one, other in pairwise(ids)):
        raise refusal("malformed", "ids do not ascend")
