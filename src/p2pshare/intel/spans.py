"""Spans: addresses and networks as ranges of numbers, and an index that finds which of many overlap one.

A claim about a network that covers a listed address is as wrong as one about the address itself, so overlap is looked
for both ways. Two networks either contain one another or have nothing in common (RFC 4632 section 5.1): sorted by
where they begin, the spans inside another are one slice, and those that contain it are that place's parents.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import NamedTuple

from p2pshare.intel.observable import canonical_pair

SPAN_TYPES = frozenset({"ipv4", "ipv4-net", "ipv6", "ipv6-net"})
ADDRESS_BITS = {4: 32, 6: 128}

# IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), and multicast (RFC 5771, RFC 4291 section 2.7).
# Not here: 64:ff9b::/96 and ::ffff:0:0/96, whose addresses are IPv4 addresses in other clothes.
SPECIAL_PURPOSE = (
    "0.0.0.0/8",  # this network, RFC 791
    "10.0.0.0/8",  # private use, RFC 1918
    "100.64.0.0/10",  # shared address space of providers, RFC 6598
    "127.0.0.0/8",  # loopback, RFC 1122
    "169.254.0.0/16",  # link local, RFC 3927
    "172.16.0.0/12",  # private use, RFC 1918
    "192.0.0.0/24",  # protocol assignments, RFC 6890
    "192.88.99.0/24",  # 6to4 relay anycast, RFC 7526
    "192.168.0.0/16",  # private use, RFC 1918
    "224.0.0.0/4",  # multicast, RFC 5771
    "240.0.0.0/4",  # reserved, RFC 1112; holds the broadcast address
    "::/128",  # unspecified, RFC 4291
    "::1/128",  # loopback, RFC 4291
    "64:ff9b:1::/48",  # local translation, RFC 8215
    "100::/64",  # discard only, RFC 6666
    "2001::/23",  # protocol assignments, RFC 2928; holds Teredo
    "2002::/16",  # 6to4, RFC 3056
    "5f00::/16",  # segment routing, RFC 9602
    "fc00::/7",  # unique local, RFC 4193
    "fe80::/10",  # link local, RFC 4291
    "fec0::/10",  # site local, deprecated by RFC 3879
    "ff00::/8",  # multicast, RFC 4291
)


class Span(NamedTuple):
    """All addresses of a family (4 or 6) from `first` to `last`, both included."""

    family: int
    first: int
    last: int

    def overlaps(self, other: Span) -> bool:
        return self.family == other.family and self.first <= other.last and other.first <= self.last

    @property
    def text(self) -> str:
        """Returns the span as an address or a network in canonical form; a span comes from one, so it is one."""
        length = ADDRESS_BITS[self.family] - (self.last - self.first).bit_length()
        if self.family == 4:
            network: IPv4Network | IPv6Network = IPv4Network((self.first, length))
        else:
            network = IPv6Network((self.first, length))
        return str(network.network_address) if self.first == self.last else network.compressed


def span_of(type_: str, value: str) -> Span:
    """Returns the span of a canonical address or network, whose type is one of SPAN_TYPES."""
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
    """Spans with an owner's number each; a search costs a bisection, and a few steps for each owner found."""

    def __init__(self, entries: Iterable[tuple[Span, int]]) -> None:
        by_family: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}
        for span, owner in entries:
            # sorted by beginning, the wider first: a parent stands before what it contains
            by_family[span.family].append((span.first, -span.last, owner))
        self._families = {family: _Family(family, sorted(rows)) for family, rows in by_family.items()}

    def overlapping(self, span: Span) -> dict[int, Span]:
        """Returns each owner of a span that `span` contains, or that contains `span`, with one such span."""
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


# --- the parts of an observable that are compared ---


def parts(type_: str, value: str) -> tuple[tuple[str, str], ...]:
    """Returns the canonical (type, value) pairs that a canonical observable is compared as: itself, and its host."""
    if type_ == "url":
        return (type_, value), _host_of_url(value)
    if type_ == "email":
        return (type_, value), ("domain", value.rpartition("@")[2])
    return ((type_, value),)


def _host_of_url(url: str) -> tuple[str, str]:
    """Returns the host of a canonical URL (WHATWG URL, section 4.5): behind user and password, before the port."""
    host = url.split("/", 3)[2]
    if "?" in host or "#" in host:  # a URL without a path, of a scheme that browsers do not know
        host = host.partition("#")[0].partition("?")[0]
    if "@" in host:
        host = host.rpartition("@")[2]
    if host.startswith("["):
        return canonical_pair("ipv6", host[1:].partition("]")[0])
    host = host.partition(":")[0]
    return ("ipv4" if host[-1:].isdigit() and host.rpartition(".")[2].isdigit() else "domain"), host


def with_parents(host: str) -> list[str]:
    """Returns a domain and those above it, down to two labels."""
    names = [host]
    parent = host.partition(".")[2]
    while "." in parent:
        names.append(parent)
        parent = parent.partition(".")[2]
    return names
