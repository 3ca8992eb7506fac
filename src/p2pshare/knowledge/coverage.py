"""Coverage: the observables that, if listed, say something about another one. Pure: names them, and knows no list.

A network covers the addresses and networks inside it, a domain the hosts below it, a host its URLs and
mailboxes. Public suffixes are no special case: a claim about `co.uk` covers all below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv6Address
from typing import NamedTuple

from p2pshare.intel.addresses import canonical_address, is_ipv4
from p2pshare.intel.observable import Observable
from p2pshare.intel.refusals import InvalidValue

EXACT, HOST, DOMAIN, NETWORK = "exact", "host", "domain", "network"
NETWORK_TYPES = ("ipv4-net", "ipv6-net")

_HOSTED = frozenset({"url", "email"})
_BITS = {"ipv4": 32, "ipv6": 128}
_MASKS = tuple((0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF for length in range(33))


class Cover(NamedTuple):
    """An observable that, if it is listed, says something about the one asked for; `match` is the way it does."""

    match: str
    observable: Observable


def covers_of(observable: Observable, lengths: Mapping[str, Sequence[int]]) -> list[Cover]:
    """Returns the observables to look for, closest first: the observable itself, its host, then ever wider
    domains or networks.

    `lengths` are the prefix lengths that occur among listed networks, for each of NETWORK_TYPES, longest first.
    """
    covers = [Cover(EXACT, observable)]
    if observable.type in _HOSTED:
        host = host_of(observable)
        if host is None:
            return covers
        covers.append(Cover(HOST, host))
        observable = host
    if observable.type == "domain":
        covers += _domains_above(observable.value)
    else:
        covers += _networks_around(observable, lengths)
    return covers


def host_of(observable: Observable) -> Observable | None:
    """Returns the host of a canonical URL or e-mail address; None for a host that is neither address nor domain."""
    if observable.type == "email":
        return Observable("domain", observable.value.rpartition("@")[2])
    authority = observable.value.partition("://")[2]
    for end in "/?#":  # RFC 3986 section 3.2
        authority = authority.partition(end)[0]
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        try:
            return Observable(*canonical_address(host[1:].partition("]")[0]))
        except InvalidValue:
            return None
    host = host.partition(":")[0]
    return Observable("ipv4" if is_ipv4(host) else "domain", host) if host else None


def _domains_above(domain: str) -> Iterator[Cover]:
    """Yields each domain that this one is below; a canonical domain has two labels or more."""
    _, dot, parent = domain.partition(".")
    while dot and "." in parent:
        yield Cover(DOMAIN, Observable("domain", parent))
        _, dot, parent = parent.partition(".")


def _networks_around(observable: Observable, lengths: Mapping[str, Sequence[int]]) -> Iterator[Cover]:
    """Yields each network of these lengths that holds an address or network; by value, so that a look-up is a few probes."""
    family, _, is_network = observable.type.partition("-")
    type_ = f"{family}-net"
    wanted = lengths.get(type_, ())
    if family not in _BITS or not wanted:
        return
    text, _, digits = observable.value.partition("/")
    own_length = int(digits) if is_network else _BITS[family]
    wider = [length for length in wanted if length < own_length]
    for value in _ipv4_networks(text, wider) if family == "ipv4" else _ipv6_networks(text, wider):
        yield Cover(NETWORK, Observable(type_, value))


def _ipv4_networks(address: str, lengths: Sequence[int]) -> Iterator[str]:
    first, second, third, fourth = map(int, address.split("."))
    number = first << 24 | second << 16 | third << 8 | fourth
    for length in lengths:
        bits = number & _MASKS[length]
        yield f"{bits >> 24}.{bits >> 16 & 255}.{bits >> 8 & 255}.{bits & 255}/{length}"


def _ipv6_networks(address: str, lengths: Sequence[int]) -> Iterator[str]:
    number = int(IPv6Address(address))
    for length in lengths:
        yield f"{IPv6Address(number >> (128 - length) << (128 - length)).compressed}/{length}"
