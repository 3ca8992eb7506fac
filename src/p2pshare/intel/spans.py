"""Spans: addresses and networks as ranges of numbers, and an index that finds which of many overlap one.

A claim about a network that covers a listed address is as wrong as one about the address itself, so overlap is
looked for both ways. Two networks either contain one another or have nothing in common (RFC 4632 section 5.1):
sorted by where they begin, what lies inside a span is one slice, and what contains it are that place's parents.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import NamedTuple

SPAN_TYPES = frozenset({"ipv4", "ipv4-net", "ipv6", "ipv6-net"})
ADDRESS_BITS = {4: 32, 6: 128}


class Span(NamedTuple):
    """All addresses of a family (4 or 6) from `first` to `last`, both included."""

    family: int
    first: int
    last: int

    def overlaps(self, other: Span) -> bool:
        return self.family == other.family and self.first <= other.last and other.first <= self.last

    @property
    def text(self) -> str:
        """As an address or a network in canonical form; a span comes from one, so it is one."""
        length = ADDRESS_BITS[self.family] - (self.last - self.first).bit_length()
        if self.family == 4:
            network: IPv4Network | IPv6Network = IPv4Network((self.first, length))
        else:
            network = IPv6Network((self.first, length))
        return str(network.network_address) if self.first == self.last else network.compressed


def span_of(type_: str, value: str) -> Span:
    """The span of a canonical address or network, whose type is one of SPAN_TYPES."""
    if type_ == "ipv4":
        number = int.from_bytes(bytes(map(int, value.split("."))), "big")
        return Span(4, number, number)
    if type_ == "ipv6":
        number = int(IPv6Address(value))
        return Span(6, number, number)
    network = ip_network(value)
    family = network.version
    return Span(family, int(network.network_address), int(network.broadcast_address))


class SpanIndex:
    """Spans with an owner's number each; a question costs a bisection, and a few steps for each owner found."""

    def __init__(self, entries: Iterable[tuple[Span, int]]) -> None:
        by_family: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}
        for span, owner in entries:
            # sorted by beginning, the wider first: a parent stands before what it contains
            by_family[span.family].append((span.first, -span.last, owner))
        self._families = {family: _Family(family, sorted(rows)) for family, rows in by_family.items()}

    def overlapping(self, span: Span) -> dict[int, Span]:
        """Each owner of a span that `span` contains, or that contains `span`, with one such span."""
        return self._families[span.family].overlapping(span.first, span.last)


class _Family:
    """The spans of one family: parallel columns, and for each row the nearest row before it that contains it."""

    def __init__(self, family: int, rows: list[tuple[int, int, int]]) -> None:
        self._family = family
        firsts, lasts = [first for first, _, _ in rows], [-negative for _, negative, _ in rows]
        # IPv4 fits machine words, which lie side by side: that halves the time of the bisection
        self._firsts: Sequence[int] = array("L", firsts) if family == 4 else firsts
        self._lasts: Sequence[int] = array("L", lasts) if family == 4 else lasts
        self._owners = array("q", (owner for _, _, owner in rows))
        self._parents = array("q")
        open_rows: list[int] = []
        for row, first in enumerate(self._firsts):
            while open_rows and self._lasts[open_rows[-1]] < first:
                open_rows.pop()
            self._parents.append(open_rows[-1] if open_rows else -1)
            open_rows.append(row)

    def overlapping(self, first: int, last: int) -> dict[int, Span]:
        begin = bisect_left(self._firsts, first)
        found: dict[int, Span] = {}
        if begin < len(self._firsts) and self._firsts[begin] <= last:  # what begins inside overlaps
            end = bisect_right(self._firsts, last, begin)
            for owner in set(self._owners[begin:end]):
                found[owner] = self._span(self._owners.index(owner, begin))
        row = begin - 1  # the last that begins before; whatever contains `first` is it, or one of its parents
        while row >= 0:
            if self._lasts[row] >= first:
                found.setdefault(self._owners[row], self._span(row))
            row = self._parents[row]
        return found

    def _span(self, row: int) -> Span:
        return Span(self._family, self._firsts[row], self._lasts[row])
