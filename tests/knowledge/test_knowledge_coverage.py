"""Coverage: what a listed network, domain or host says something about."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.intel.observable import Observable, canonical, detect
from p2pshare.knowledge.coverage import covers_of, host_of

EVERY = {"ipv4-net": tuple(range(31, -1, -1)), "ipv6-net": tuple(range(127, -1, -1))}


def told(text: str, lengths: dict[str, tuple[int, ...]] = EVERY) -> list[tuple[str, str]]:
    return [(cover.match, cover.observable.value) for cover in covers_of(detect(text), lengths)]


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_the_networks_asked_for_are_exactly_those_that_hold_the_address(address: object) -> None:
    asked = detect(str(address))
    covers = covers_of(asked, EVERY)
    assert covers[0] == ("exact", asked)
    found = [cover.observable for cover in covers[1:]]
    real = ip_address(asked.value)
    assert len(found) == real.max_prefixlen
    for one in found:
        assert real in ip_network(one.value)
        assert one == canonical(one.type, one.value)  # asked for as it is stored


@given(st.integers(0, 2**32 - 1), st.integers(0, 31), st.sets(st.integers(0, 31)))
def test_a_network_is_inside_every_wider_one_and_only_lengths_that_occur_are_asked_for(
    number: int, length: int, occurring: set[int]
) -> None:
    network = detect(f"{ip_address(number)}/{length}")
    lengths = {"ipv4-net": tuple(sorted(occurring, reverse=True))}
    found = [ip_network(cover.observable.value) for cover in covers_of(network, lengths)[1:]]
    assert {one.prefixlen for one in found} == {one for one in occurring if one < length}
    assert all(ip_network(network.value).subnet_of(one) for one in found)


def test_a_host_is_below_its_domains_closest_first_and_never_below_a_top_level_domain() -> None:
    assert told("a.b.evil.example") == [
        ("exact", "a.b.evil.example"),
        ("domain", "b.evil.example"),
        ("domain", "evil.example"),
    ]
    assert told("evil.example") == [("exact", "evil.example")]
    assert ("domain", "evil.example") not in told("notevil.example")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("hxxps://www.evil[.]example:8443/a?b@c.example/#d", ("domain", "www.evil.example")),
        ("http://user:pass@evil.example/", ("domain", "evil.example")),
        ("http://192.0.2.7:8080/x", ("ipv4", "192.0.2.7")),
        ("http://[2001:db8::7]:80/x", ("ipv6", "2001:db8::7")),
        ("http://evil.example?q=@other.example", ("domain", "evil.example")),
        ("phish@evil.example", ("domain", "evil.example")),
        ("tcp://evil.example:4444", ("domain", "evil.example")),
    ],
)
def test_the_host_of_a_url_is_not_what_its_path_or_login_says(text: str, host: tuple[str, str]) -> None:
    asked = detect(text)
    assert host_of(asked) == Observable(*host)
    assert covers_of(asked, {})[1] == ("host", Observable(*host))


def test_a_url_is_covered_by_the_network_around_its_address_and_the_domain_above_its_host() -> None:
    lengths = {"ipv4-net": (24,)}
    assert told("http://192.0.2.7/x", lengths)[1:] == [("host", "192.0.2.7"), ("network", "192.0.2.0/24")]
    assert told("http://a.evil.example/", lengths)[2:] == [("domain", "evil.example")]


def test_a_hash_has_nothing_around_it() -> None:
    assert told("d41d8cd98f00b204e9800998ecf8427e") == [("exact", "d41d8cd98f00b204e9800998ecf8427e")]
