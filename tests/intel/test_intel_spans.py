"""Spans: overlap is symmetric, both ways, and the index says what a plain loop with `ipaddress` says."""

from __future__ import annotations

import ipaddress

from hypothesis import example, given
from hypothesis import strategies as st

from p2pshare.intel.addresses import canonical_address
from p2pshare.intel.spans import Span, SpanIndex, span_of

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Few addresses and all prefix lengths, so that many networks contain one another.
NETWORKS4 = st.tuples(
    st.sampled_from([0, 0x0A000001, 0x0A00FF00, 0xC0A80101, 2**32 - 1]), st.integers(0, 32)
).map(lambda pair: ipaddress.IPv4Network(pair, strict=False))
NETWORKS6 = st.tuples(st.sampled_from([0, 1, 0x20014860 << 96, 2**128 - 1]), st.integers(0, 128)).map(
    lambda pair: ipaddress.IPv6Network(pair, strict=False)
)
NETWORKS: st.SearchStrategy[Network] = NETWORKS4 | NETWORKS6


def span(network: Network) -> Span:
    return span_of(*canonical_address(str(network)))


def overlap(one: Network, other: Network) -> bool:
    """As the standard library sees it; a network of mapped addresses is an IPv4 network to us, so by our span's family."""
    ours, theirs = ipaddress.ip_network(span(one).text), ipaddress.ip_network(span(other).text)
    return ours.version == theirs.version and ours.overlaps(theirs)  # type: ignore[arg-type]


@given(NETWORKS)
def test_a_span_reads_as_the_canonical_value_it_was_made_of(network: Network) -> None:
    assert span(network).text == canonical_address(str(network))[1]


@given(st.lists(st.tuples(NETWORKS, st.integers(1, 4)), max_size=12), NETWORKS)
def test_the_index_finds_every_owner_that_a_plain_loop_finds(
    entries: list[tuple[Network, int]], asked: Network
) -> None:
    found = SpanIndex((span(network), owner) for network, owner in entries).overlapping(span(asked))
    assert set(found) == {owner for network, owner in entries if overlap(network, asked)}
    assert all(one.overlaps(span(asked)) for one in found.values())
    assert all((one.text, owner) in {(span(n).text, o) for n, o in entries} for owner, one in found.items())


@given(NETWORKS, NETWORKS)
@example(ipaddress.IPv4Network("10.0.0.1/32"), ipaddress.IPv4Network("10.0.0.1/32"))
@example(ipaddress.IPv4Network("10.0.0.0/24"), ipaddress.IPv4Network("10.0.0.255/32"))
@example(ipaddress.IPv6Network("::/0"), ipaddress.IPv6Network("::1/128"))
def test_a_listed_network_catches_a_value_exactly_when_the_value_listed_would_catch_the_network(
    one: Network, other: Network
) -> None:
    there = SpanIndex([(span(one), 1)]).overlapping(span(other))
    back = SpanIndex([(span(other), 1)]).overlapping(span(one))
    assert bool(there) == bool(back) == span(one).overlaps(span(other)) == overlap(one, other)
