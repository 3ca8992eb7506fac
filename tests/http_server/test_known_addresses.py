"""Which addresses are known, for how long and how many; what counts as one address and as one network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.http_server.known_addresses import (
    ADMITTED_ADDRESSES_PER_CALLER_MAX,
    ADMITTED_CALLERS_MAX,
    ADMITTED_SECONDS,
    KnownAddresses,
    Origin,
    origin_of,
)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("192.0.2.7", Origin("192.0.2.7", "192.0.2.0/24")),
        ("2001:db8:1:2:3:4:5:6", Origin("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("2001:db8:1:2::9", Origin("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("fe80::1%eth0", Origin("fe80::/64", "fe80::/48")),
        ("::ffff:192.0.2.7", Origin("192.0.2.7", "192.0.2.0/24")),
    ],
)
def test_an_ipv6_network_counts_as_one_address_and_a_site_as_one_prefix(host: str, origin: Origin) -> None:
    assert origin_of(host) == origin


@pytest.mark.parametrize("host", ["partner.example", "", "192.0.2.300", "192.0.2.1/24"])
def test_a_name_is_no_address(host: str) -> None:
    with pytest.raises(ValueError, match="address"):
        origin_of(host)


def test_an_address_is_known_until_it_was_not_used_for_a_week() -> None:
    known: KnownAddresses[str] = KnownAddresses()
    known.note_admitted("alpha", "192.0.2.1", 100.0)
    assert known.is_known("192.0.2.1", 100.0 + ADMITTED_SECONDS)
    assert not known.is_known("192.0.2.1", 101.0 + ADMITTED_SECONDS)
    assert not known.is_known("192.0.2.2", 100.0)


def test_one_partner_cannot_make_a_network_known_by_coming_from_all_of_it() -> None:
    known: KnownAddresses[str] = KnownAddresses()
    for number in range(200):
        known.note_admitted("alpha", f"192.0.2.{number}", 0.0)
    newest = range(200 - ADMITTED_ADDRESSES_PER_CALLER_MAX, 200)
    assert [number for number in range(256) if known.is_known(f"192.0.2.{number}", 0.0)] == list(newest)


def test_callers_without_end_take_no_memory_without_end() -> None:
    known: KnownAddresses[int] = KnownAddresses()
    for caller in range(ADMITTED_CALLERS_MAX + 10):
        known.note_admitted(caller, f"10.{caller // 65536}.{caller // 256 % 256}.{caller % 256}", 0.0)
    assert len(known._admitted) == len(known._callers) == ADMITTED_CALLERS_MAX
    assert not known.is_known("10.0.0.9", 0.0)
    assert known.is_known("10.0.0.10", 0.0)


def test_a_partner_that_leaves_takes_its_addresses_along_but_not_its_neighbours() -> None:
    known: KnownAddresses[str] = KnownAddresses()
    known.tell("alpha", ["192.0.2.1", "192.0.2.2"])
    known.note_admitted("bravo", "192.0.2.1", 0.0)
    known.forget("alpha")
    assert known.is_known("192.0.2.1", 0.0)
    assert not known.is_known("192.0.2.2", 0.0)
    known.forget("bravo")
    assert not known._callers


CALLERS, HOSTS = st.integers(0, 3), st.integers(0, 11).map(lambda number: f"192.0.2.{number}")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tell"), CALLERS, st.lists(HOSTS, max_size=4)),
        st.tuples(st.just("admit"), CALLERS, HOSTS),
        st.tuples(st.just("forget"), CALLERS, st.none()),
        st.tuples(st.just("wait"), st.integers(0, ADMITTED_SECONDS), st.none()),
    ),
    max_size=60,
)


@given(steps=STEPS)
def test_it_knows_what_a_list_of_all_that_happened_knows(steps: list[tuple[str, int, object]]) -> None:
    known: KnownAddresses[int] = KnownAddresses()
    told: dict[int, set[object]] = {}
    admitted: list[tuple[int, object, float]] = []  # newest last, one line for a caller's address
    now = 0.0
    for word, caller, what in steps:
        match word, what:
            case "tell", list():
                known.tell(caller, what)
                told[caller] = set(what)
            case "admit", str():
                known.note_admitted(caller, what, now)
                admitted = [line for line in admitted if line[:2] != (caller, what)]
                admitted.append((caller, what, now))
                own = [line for line in admitted if line[0] == caller]
                if len(own) > ADMITTED_ADDRESSES_PER_CALLER_MAX:
                    admitted.remove(own[0])
            case "forget", _:
                known.forget(caller)
                told.pop(caller, None)
                admitted = [line for line in admitted if line[0] != caller]
            case _:
                now += caller
        lately = {host for _, host, at in admitted if now - at <= ADMITTED_SECONDS}
        expected = lately.union(*told.values())
        assert {f"192.0.2.{n}" for n in range(12) if known.is_known(f"192.0.2.{n}", now)} == expected
        assert set(known._callers) == {host for _, host, _ in admitted}.union(*told.values())
