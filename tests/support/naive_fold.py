"""A second fold of spaces, written from docs/spaces.md alone: each rule where and as the page has it, and nothing made fast.

`past` is a written-out set for each entry. P, Q are such sets of ids. Each function of the page is a method of its name
that takes what the page gives it; what it answered is kept, because the recursion would not end in time without. Codes
are texts, and "" says that there is none.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import msgpack

INTEGER_MAX = 2**53 - 1
ZEROS = bytes(32)
MEMBERS_MAX = 256  # named by those who led, in the past of an invitation and by it
AS_MEMBER_MAX = 64  # authority entries of an author in the past of its next
AS_LEAD_MAX = 4_096  # the same, of who led
TAKEOVERS_MAX = 16  # of an author in one epoch
NOTE_BYTES_MAX = 262_128
TLP = ("TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED")

P = frozenset[bytes]  # ids, with all parents of each
Number = tuple[int, int, int]  # epoch, round, hop

Answer = TypeVar("Answer")


class PlainEntry(NamedTuple):
    """The fields of a header, the id, and the body: 16 random bytes and the content, or nothing where it is not held."""

    id: bytes
    realm: bytes
    space: bytes
    author: bytes
    key_id: bytes
    number: int
    parents: tuple[bytes, ...]
    depth: int
    created: int
    kind: str
    tlp: int
    audience: tuple[bytes, ...]
    body_digest: bytes
    body_bytes: int
    body: bytes

    @property
    def content(self) -> bytes | None:
        return self.body[16:] if self.body else None


def plain_entry(header: bytes, body: bytes) -> PlainEntry:
    """Returns the entry of a header that was taken in, with its body (empty: not held)."""
    fields = msgpack.unpackb(header, strict_map_key=False)
    realm, space, author, key_id, number, parents, depth, created, kind, tlp, audience, digest, size = (
        fields[key] for key in range(13)
    )
    own_id = hashlib.sha384(b"p2pshare/v1/entry-id\0" + header).digest()[:32]
    return PlainEntry(
        own_id, realm, space, author, key_id, number, tuple(parents), depth, created, kind, tlp, tuple(audience), digest, size, body
    )  # fmt: skip


def canonical(entries: Iterable[PlainEntry]) -> bytes | None:
    """Returns the canonical output of the fold; None where the opening gives none."""
    return NaiveFold(entries).canonical()


def effects(entries: Iterable[PlainEntry]) -> dict[bytes, str] | None:
    """Returns for each id the code why it is void, or "": it has effect. None where the opening gives no fold."""
    fold = NaiveFold(entries)
    return {x: fold.effect(x, fold.all) for x in fold.all} if fold.folds() else None


# ------------------------------------------------------------------------------------------- contents of deciding kinds


def _map(raw: bytes | None, count: int) -> list[Any] | None:
    """Returns the values of a canonical map with the keys 0 to `count` - 1; None where `raw` is anything else."""
    try:
        value = msgpack.unpackb(raw or b"", strict_map_key=False)
        if msgpack.packb(value) != raw:  # one form for each value
            return None
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException):
        return None
    if (
        type(value) is not dict
        or any(type(key) is not int for key in value)
        or list(value) != list(range(count))
    ):
        return None
    return list(value.values())


def _is_id(value: Any, length: int = 32) -> bool:
    return type(value) is bytes and len(value) == length


def _is_integer(value: Any) -> bool:
    return type(value) is int and 1 <= value <= INTEGER_MAX


def _is_text(value: Any, low: int, high: int) -> bool:
    return type(value) is str and low <= len(value.encode()) <= high


def _is_list(value: Any, high: int) -> bool:
    return type(value) is list and 1 <= len(value) <= high


def _ascend(ids: list[bytes]) -> bool:
    return all(one < other for one, other in itertools.pairwise(ids))


def _are_members(value: Any) -> bool:
    return (
        _is_list(value, 256)
        and all(
            type(row) is list and len(row) == 2 and _is_id(row[0]) and _is_text(row[1], 0, 32)
            for row in value
        )
        and _ascend([row[0] for row in value])
    )


def _nothing(raw: bytes | None, author: bytes) -> tuple[()] | None:
    return () if _map(raw, 0) is not None else None


def _open(raw: bytes | None, author: bytes) -> tuple[str, str, list[Any]] | None:
    """Returns space kind, title, members. None also where the rules are not 1: neither is folded."""
    match _map(raw, 4):
        case [int(rules), str(kind), str(title), members] if (
            type(rules) is int
            and rules == 1
            and _is_text(kind, 1, 32)
            and _is_text(title, 1, 256)
            and _are_members(members)
            and author in [row[0] for row in members]
        ):
            return kind, title, members
    return None


def _invite(raw: bytes | None, author: bytes) -> list[Any] | None:
    match _map(raw, 1):
        case [members] if _are_members(members):
            return list(members)
    return None


def _remove(raw: bytes | None, author: bytes) -> list[bytes] | None:
    match _map(raw, 1):
        case [ids] if _is_list(ids, 256) and all(map(_is_id, ids)) and _ascend(ids):
            return list(ids)
    return None


def _one_id(raw: bytes | None, author: bytes) -> bytes | None:
    match _map(raw, 1):
        case [bytes(one)] if _is_id(one):
            return one
    return None


def _takeover(raw: bytes | None, author: bytes) -> tuple[int, int] | None:
    match _map(raw, 2):
        case [epoch, round_] if _is_integer(epoch) and _is_integer(round_):
            return epoch, round_
    return None


def _rekey(raw: bytes | None, author: bytes) -> list[tuple[bytes, bytes]] | None:
    match _map(raw, 1):
        case [rows] if (
            _is_list(rows, 8)
            and all(
                type(row) is list and len(row) == 2 and _is_id(row[0], 16) and _is_id(row[1]) for row in rows
            )
            and _ascend([row[0] for row in rows])
        ):
            return [(key, entry) for key, entry in rows]
    return None


DECIDING: dict[str, Callable[[bytes | None, bytes], Any]] = {
    "open": _open,
    "invite": _invite,
    "join": _nothing,
    "decline": _nothing,
    "leave": _nothing,
    "remove": _remove,
    "handover": _one_id,
    "accept": _nothing,
    "takeover": _takeover,
    "ack": _one_id,
    "rekey": _rekey,
    "redact": _one_id,
    "merge": _nothing,
}
"""The kinds of every space. What reads a content returns None where it is not as in the table."""

AUTHORITY = frozenset(DECIDING) - {"merge"}

NOTE_DECIDING = {"close": _nothing, "reopen": _nothing}
NOTE_LEAD_ONLY = frozenset({"close"})
LEAD_ROLES = {"exercise": "white"}
"""Space kinds in which only a role may lead."""


def _kept(rule: Callable[..., Answer]) -> Callable[..., Answer]:
    """Keeps what a function of P answered: it depends on nothing else, so entries that come later do not change it."""

    @functools.wraps(rule)
    def asked(self: NaiveFold, *of: Any) -> Answer:
        key = (rule.__name__, *of)
        if key not in self.kept:
            self.kept[key] = rule(self, *of)
        return self.kept[key]  # type: ignore[no-any-return]

    return asked


class NaiveFold:
    """The rules of the page upon entries of one space that were taken in, with all parents of each, in any order."""

    def __init__(self, entries: Iterable[PlainEntry] = ()) -> None:
        self.entries: dict[bytes, PlainEntry] = {}
        self.past: dict[bytes, P] = {}
        self.said: dict[bytes, Any] = {}  # the content of a deciding kind; None: not as in the table
        self.of_kind: dict[str, list[bytes]] = defaultdict(list)
        self.kept: dict[tuple[Any, ...], Any] = {}
        self.opening = b""
        self.space_kind = ""
        self.deciding = dict(DECIDING)
        self.lead_only: frozenset[str] = frozenset()
        for entry in sorted(entries, key=lambda one: one.depth):  # parents first
            self.add(entry)

    def add(self, entry: PlainEntry) -> None:
        """Take one more entry; its parents are here."""
        x = entry.id
        if x in self.entries:
            return
        if entry.kind == "open":
            self.opening = x
            self.said[x] = _open(entry.content, entry.author)
            if self.said[x]:
                self.space_kind = self.said[x][0]
                if self.space_kind == "note":
                    self.deciding |= NOTE_DECIDING
                    self.lead_only = NOTE_LEAD_ONLY
        elif entry.kind in self.deciding:
            if entry.content is None:
                raise ValueError("an entry of a deciding kind is taken in with its body")
            self.said[x] = self.deciding[entry.kind](entry.content, entry.author)
        self.entries[x] = entry
        self.past[x] = frozenset(entry.parents).union(*(self.past[parent] for parent in entry.parents))
        self.of_kind[entry.kind].append(x)
        if self.folds():
            self.top(self.past[x])  # asked in this order, the recursion below is never deep
            self.void(x)

    def folds(self) -> bool:
        return self.said[self.opening] is not None

    @property
    def all(self) -> P:
        return frozenset(self.entries)

    def author(self, x: bytes) -> bytes:
        return self.entries[x].author

    def by_depth(self, ids: Iterable[bytes]) -> list[bytes]:
        return sorted(ids, key=lambda x: (self.entries[x].depth, x))

    def within(self, p: P, *kinds: str) -> Iterator[bytes]:
        """Yields the entries of those kinds in P, without those that are void by their own past."""
        for kind in kinds:
            for x in self.of_kind[kind]:
                if x in p and not self.void(x):
                    yield x

    def names(self, x: bytes) -> list[bytes]:
        """Returns the partner ids that an `open`, `invite` or `remove` names."""
        match self.entries[x].kind:
            case "open":
                return [row[0] for row in self.said[x][2]]
            case "invite":
                return [row[0] for row in self.said[x]]
        return list(self.said[x])

    # ------------------------------------------------------------------------------------------------------- Authority

    @_kept
    def void(self, x: bytes) -> str:
        """Void by its own past."""
        entry = self.entries[x]
        if entry.kind in self.deciding and self.said[x] is None:
            return "bad-body"
        if entry.kind in AUTHORITY:
            before = [
                y
                for y in self.past[x]
                if self.author(y) == entry.author and self.entries[y].kind in AUTHORITY
            ]
            like_it = [y for y in before if self.as_lead(y) == self.as_lead(x)]
            if len(like_it) >= (AS_LEAD_MAX if self.as_lead(x) else AS_MEMBER_MAX):
                return "too-many"
        if entry.kind == "invite" and self.as_lead(x):
            named = set(self.names(x))
            for y in self.within(self.past[x], "open", "invite"):
                if self.as_lead(y):
                    named.update(self.names(y))
            if len(named) > MEMBERS_MAX:
                return "members-full"
        return ""

    @_kept
    def as_lead(self, x: bytes) -> bool:
        return x == self.opening or self.lead(self.past[x]) == self.author(x)

    @_kept
    def number(self, term: bytes) -> Number:
        match self.entries[term].kind:
            case "open":
                return (0, 0, 0)
            case "accept":
                (before,) = self.top(self.past[term])
                epoch, round_, hop = self.number(before)
                return (epoch, round_, hop + 1)
        epoch, round_ = self.said[term]
        return (epoch, round_, 0)

    @_kept
    def terms(self, p: P) -> P:
        accepted = [a for a in self.within(p, "accept") if self.accept_ok(a)]
        taken = [
            t
            for t in self.within(p, "takeover")
            if not self.takeover_fault(t) and 2 * len(self.votes(t, p)) > len(self.voters(t))
        ]
        return frozenset([*self.within(p, "open"), *accepted, *taken])

    @_kept
    def top(self, p: P) -> P:
        terms = self.terms(p)
        greatest = max((self.number(t) for t in terms), default=None)
        return frozenset(t for t in terms if self.number(t) == greatest)

    def lead(self, p: P) -> bytes | None:
        top = self.top(p)
        return self.author(min(top)) if len(top) == 1 else None

    def top_number(self, p: P) -> Number:
        return self.number(min(self.top(p)))

    def epoch(self, p: P) -> int:
        return self.top_number(p)[0]

    @_kept
    def line(self, p: P) -> P:
        found: set[bytes] = set()
        new = set(self.top(p))
        while new:
            found |= new
            new = {t for w in new for t in self.top(self.past[w])} - found
        return frozenset(found)

    @_kept
    def lead_act(self, x: bytes, p: P) -> bool:
        return self._lead_act(x, p, self.disowned_act)

    def _lead_act(self, x: bytes, p: P, disowned: Callable[[bytes, P], bool]) -> bool:
        if not self.as_lead(x) or self.void(x):
            return False
        (t,) = self.top(self.past[x])
        if t in self.top(p) and not disowned(x, p):
            return True
        return any(
            t in self.top(self.past[w]) and x in self.past[w] and not disowned(x, self.past[w])
            for w in self.line(p)
        )

    def disowned_act(self, x: bytes, q: P) -> bool:
        return any(
            x not in self.past[rekey] and self.entries[x].key_id in [key for key, _ in self.said[rekey]]
            for rekey in self.rekeys(self.author(x), q)
        )

    @_kept
    def rekeys(self, m: bytes, p: P) -> list[bytes]:
        """Returns the valid ones of m in P."""
        return [
            rekey for rekey in self.within(p, "rekey") if self.author(rekey) == m and self.rekey_valid(rekey)
        ]

    def rekey_valid(self, rekey: bytes) -> bool:
        return not self.void(rekey) and all(
            key != self.entries[rekey].key_id
            and (g == ZEROS or (g in self.past[rekey] and self.author(g) == self.author(rekey)))
            for key, g in self.said[rekey]
        )

    @_kept
    def invites(self, m: bytes, p: P) -> P:
        found = {x for x in self.within(p, "open") if m in self.names(x)}
        found |= {i for i in self.within(p, "invite") if m in self.names(i) and self.lead_act(i, p)}
        return frozenset(found)

    @_kept
    def ends(self, m: bytes, p: P) -> P:
        found = {r for r in self.within(p, "remove") if m in self.names(r) and self.lead_act(r, p)}
        found |= {x for x in self.within(p, "leave", "decline") if self.author(x) == m}
        return frozenset(e for e in found if self.lead(self.past[e]) != m)

    @_kept
    def standing(self, m: bytes, p: P) -> P:
        return frozenset(i for i in self.invites(m, p) if self.ends(m, p) <= self.past[i])

    @_kept
    def ever_named(self, p: P) -> P:
        """Returns each m with any invites(m, P)."""
        asked = {m for x in self.within(p, "open", "invite") for m in self.names(x)}
        return frozenset(m for m in asked if self.invites(m, p))

    @_kept
    def named(self, p: P) -> P:
        return frozenset(m for m in self.ever_named(p) if self.standing(m, p))

    @_kept
    def joined(self, p: P) -> P:
        joined = {
            self.author(j) for j in self.within(p, "join") if self.standing(self.author(j), p) & self.past[j]
        }
        return frozenset({self.author(x) for x in self.within(p, "open")} | joined)

    @_kept
    def forks(self, m: bytes, p: P) -> frozenset[int]:
        by_number: dict[int, list[bytes]] = defaultdict(list)
        for x in p:
            if self.author(x) == m:
                by_number[self.entries[x].number].append(x)
        return frozenset(
            n
            for n, same in by_number.items()
            if len(same) > 1
            and any(self.entries[x].kind != "join" for x in same)
            and not any(self.past[i].issuperset(same) for i in self.invites(m, p))
        )

    @_kept
    def forked(self, p: P) -> P:
        return frozenset(m for m in {self.author(x) for x in p} if self.forks(m, p))

    # ---------------------------------------------------------------------------------------------------- Handing over

    @_kept
    def accept_ok(self, a: bytes) -> bool:
        q, m = self.past[a], self.author(a)
        top = self.top(q)
        return (
            not self.void(a)
            and len(top) == 1
            and any(
                self.said[h] == m and self.lead_act(h, q) and self.top(self.past[h]) == top
                for h in self.within(q, "handover")
            )
            and m in self.named(q)
            and m in self.joined(q)
        )

    # ---------------------------------------------------------------------------------------------- Takeover and votes

    @_kept
    def takeover_fault(self, t: bytes) -> str:
        """Returns the code of the first step of takeover_ok that fails, "": takeover_ok."""
        if self.void(t):
            return self.void(t)
        q, m = self.past[t], self.author(t)
        epoch, round_ = self.said[t]
        if m not in self.named(q) or m not in self.joined(q) or not self.may_lead(m, q):
            return "not-member"
        if m == self.lead(q):
            return "is-lead"
        if m in self.forked(q):
            return "forked"
        if epoch != self.epoch(q) + 1:
            return "wrong-round"
        same_epoch = [
            s for s in self.within(q, "takeover") if not self.takeover_fault(s) and self.said[s][0] == epoch
        ]
        if round_ != 1 + max((self.said[s][1] for s in same_epoch), default=0):
            return "wrong-round"
        if sum(self.author(s) == m for s in same_epoch) >= TAKEOVERS_MAX:
            return "too-many"
        return ""

    @_kept
    def voters(self, t: bytes) -> P:
        q = self.past[t]
        found = self.named(q) - self.forked(q)
        if self.space_kind not in LEAD_ROLES:
            return found
        leads = {self.author(term) for term in self.top(q)}
        return frozenset(m for m in found - leads if self.may_lead(m, q))

    def may_lead(self, m: bytes, q: P) -> bool:
        wanted = LEAD_ROLES.get(self.space_kind)
        return wanted is None or self.role(m, q) == wanted

    def role(self, m: bytes, q: P) -> str:
        """Returns the role of a named member."""
        standing = [i for i in self.invites(m, q) if self.past[i].issuperset(self.ends(m, q))]
        last = self.by_depth(standing)[-1]
        rows = self.said[last][2] if last == self.opening else self.said[last]
        return str(dict(map(tuple, rows))[m])

    def voted_for(self, v: bytes) -> bytes | None:
        """Returns the t for which v could be a vote: itself, or what it acknowledges in its past."""
        t = v if self.entries[v].kind == "takeover" else self.said[v]
        if t != v and (t not in self.past[v] or self.entries[t].kind != "takeover"):
            return None
        return None if self.takeover_fault(t) else t

    @_kept
    def vote_fault(self, v: bytes, t: bytes) -> str:
        """Returns the code of the first step of vote(v, t) that fails; t is voted_for(v)."""
        q, m = self.past[v], self.author(v)
        epoch, round_ = self.said[t]
        if m not in self.voters(t) or m not in self.joined(q):
            return "not-member"
        if any(self.number(term)[0] >= epoch for term in self.terms(q)):
            return "settled"
        for u in self.within(q, "takeover", "ack"):
            s = self.voted_for(u)
            if self.author(u) == m and s is not None and not self.vote_fault(u, s):
                its_epoch, its_round = self.said[s]
                if its_epoch == epoch and (s == t or its_round >= round_):
                    return "voted"
        return ""

    def votes(self, t: bytes, p: P) -> set[bytes]:
        return {
            self.author(v)
            for v in self.within(p, "takeover", "ack")
            if self.voted_for(v) == t and not self.vote_fault(v, t)
        }

    # ---------------------------------------------------------------------------------------------------------- Effect

    @_kept
    def effect(self, x: bytes, p: P) -> str:
        entry = self.entries[x]
        m, q = entry.author, self.past[x]
        if entry.kind == "open":
            return ""
        if self.void(x):
            return self.void(x)
        if entry.kind in {"invite", "remove", "handover"} | self.lead_only:
            return self.lead_fault(x, p)
        match entry.kind:
            case "decline" | "leave":
                if not self.invites(m, p):
                    return "not-member"
                return "is-lead" if self.lead(q) == m else ""
            case "join":
                return self.member_fault(x, p, is_join=True)
            case "accept":
                return "" if self.accept_ok(x) else "not-handed"
            case "takeover":
                return self.takeover_fault(x)
            case "ack":
                t = self.voted_for(x)
                return "no-proposal" if t is None else self.vote_fault(x, t)
            case "rekey":
                return "" if self.rekey_valid(x) else "bad-rekey"
            case "redact":
                z = self.said[x]
                if z not in p or self.entries[z].kind in self.deciding:
                    return "no-entry"
                if self.author(z) != m:
                    return self.lead_fault(x, p)
                return "" if self.lead_act(x, p) else self.member_fault(x, p)
        is_content = entry.kind not in self.deciding
        return (
            self.member_fault(x, p)
            or ("disowned" if self.disowned(x, p) else "")
            or ("unconfirmed" if is_content and self.unconfirmed(x, p) else "")
            or (
                "bad-body"
                if self.space_kind in ("note", *LEAD_ROLES) and entry.kind == "note" and self.note_bad(x, p)
                else ""
            )
        )

    def lead_fault(self, x: bytes, p: P) -> str:
        if not self.as_lead(x):
            return "not-lead"
        if self.lead_act(x, p):
            return ""
        return "disowned" if self._lead_act(x, p, lambda _x, _q: False) else "cut"

    def member_fault(self, x: bytes, p: P, *, is_join: bool = False) -> str:
        m, q = self.author(x), self.past[x]
        if not is_join and not any(self.author(y) == m for y in self.within(q, "open", "join")):
            return "not-member"
        invited = [i for i in self.invites(m, p) if i in q or x in self.past[i]]
        if not invited:
            return "not-member"
        stands = any(all(r in self.past[i] or x in self.past[r] for r in self.ends(m, p)) for i in invited)
        return "" if stands else "cut"

    def disowned(self, x: bytes, p: P) -> bool:
        """By "Keys", of a kind that is neither an authority kind nor lead-only."""
        return any(
            key == self.entries[x].key_id and not (g != ZEROS and (x == g or x in self.past[g]))
            for rekey in self.rekeys(self.author(x), p)
            for key, g in self.said[rekey]
        )

    def unconfirmed(self, x: bytes, p: P) -> bool:
        m = self.author(x)
        if m not in self.forked(p) or self.entries[x].number < min(self.forks(m, p)):
            return False
        return not any(x in self.past[y] for y in p if self.author(y) not in self.forked(p))

    # --------------------------------------------------------------------------------------------------------- The fold

    @_kept
    def redacted(self, p: P) -> P:
        return frozenset(self.said[x] for x in self.within(p, "redact") if not self.effect(x, p))

    def status(self, m: bytes, p: P) -> str:
        if m in self.named(p):
            if m in self.forked(p):
                return "forked"
            return "joined" if m in self.joined(p) else "invited"
        last = self.by_depth(self.ends(m, p))[-1]
        return {"remove": "removed", "leave": "left", "decline": "declined"}[self.entries[last].kind]

    def canonical(self) -> bytes | None:
        if not self.folds():
            return None
        p = self.all
        effective = self.by_depth(x for x in p if not self.effect(x, p))
        opening = self.entries[self.opening]
        lead = self.lead(p)
        result = {
            "contested": len(self.top(p)) > 1,
            "heads": [x.hex() for x in sorted(effective) if not any(x in self.past[y] for y in effective)],
            "kind": self.space_kind,
            "lead": None if lead is None else lead.hex(),
            "members": [{"id": m.hex(), "status": self.status(m, p)} for m in sorted(self.ever_named(p))],
            "realm": opening.realm.hex(),
            "rules": 1,
            "space": opening.id.hex(),
            "state": self.note_state(effective, p) if self.space_kind == "note" else None,
            "term": list(self.top_number(p)),
            "timeline": [
                {
                    "author": one.author.hex(),
                    "created": one.created,
                    "depth": one.depth,
                    "id": one.id.hex(),
                    "kind": one.kind,
                    "number": one.number,
                    "tlp": TLP[one.tlp],
                }
                for one in map(self.entries.__getitem__, effective)
            ],
            "title": self.said[self.opening][1],
            "tlp": TLP[opening.tlp],
        }
        return json.dumps(result, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    # --------------------------------------------------------------------------------------------------- The kind `note`

    def text(self, x: bytes) -> str | None:
        """Returns the text of a held body; None where it is none."""
        content = self.entries[x].content
        if content is None or not 1 <= len(content) <= NOTE_BYTES_MAX:
            return None
        try:
            return content.decode()
        except UnicodeDecodeError:
            return None

    def note_bad(self, x: bytes, p: P) -> bool:
        entry = self.entries[x]
        return (
            not entry.audience
            and x not in self.redacted(p)
            and entry.content is not None
            and self.text(x) is None
        )

    def note_state(self, effective: list[bytes], p: P) -> dict[str, Any]:
        of = {
            kind: [x for x in effective if self.entries[x].kind == kind]
            for kind in ("note", "close", "reopen")
        }
        closes = [c for c in of["close"] if self.past[c].issuperset(of["reopen"])]
        after: list[str] = []
        late: list[str] = []
        for x in of["note"]:
            if not closes or any(x in self.past[c] for c in closes):
                continue
            (after if self.past[x].intersection(closes) else late).append(x.hex())
        notes = []
        for x in of["note"]:
            redacted, sealed = x in self.redacted(p), bool(self.entries[x].audience)
            text = None if redacted or sealed else self.text(x)
            notes.append({"id": x.hex(), "redacted": redacted, "sealed": sealed, "text": text})
        return {"after": after, "closed": bool(closes), "late": late, "notes": notes}
