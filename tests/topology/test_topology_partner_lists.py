"""Partner lists: what is written is what is read, and a list that is not exactly one is refused with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.limits import CARD_NAME_BYTES_MAX, PARTNER_LIST_ENTRIES_MAX
from p2pshare.topology import partner_lists
from p2pshare.topology.circles import ListedPartner, PartnerList
from p2pshare.topology.partner_lists import decode_list, encode_list, newest_of_each
from p2pshare.topology.report import examine_lists

circles = st.lists(st.text(min_size=1, max_size=9), max_size=3, unique=True).map(
    lambda names: tuple(sorted(names))
)
names = st.text(min_size=1, max_size=60).filter(lambda text: text.encode("utf-8", "ignore").decode() == text)
ids = st.integers(1, 9).map(lambda number: PartnerId(bytes([number]) * 32))


@st.composite
def lists(draw: st.DrawFn) -> PartnerList:
    owner, *others = draw(st.lists(ids, min_size=1, max_size=6, unique=True))
    partners = [ListedPartner(other, draw(names), draw(st.booleans()), draw(circles)) for other in others]
    return PartnerList(
        owner, draw(names), draw(st.booleans()), draw(circles), draw(st.integers(0, 2**33)), tuple(partners)
    )


@given(lists())
def test_what_is_written_is_read(one: PartnerList) -> None:
    assert decode_list(encode_list(one)) == one


@given(lists(), st.data())
def test_a_changed_byte_is_another_list_or_a_refusal_and_never_a_crash(
    one: PartnerList, data: st.DataObject
) -> None:
    raw = bytearray(encode_list(one))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = decode_list(bytes(raw))
    except AuthorError as error:
        assert error.hint
        return
    assert decode_list(encode_list(read)) == read


PLAIN = {
    "format": "p2pshare-partner-list",
    "version": 1,
    "made_at": "2026-01-31T12:00:00Z",
    "partner_id": "aa" * 32,
    "name": "Alpha",
    "has_address": True,
    "circles": ["main"],
    "partners": [{"partner_id": "bb" * 32, "name": "Bravo", "has_link": True, "circles": ["main"]}],
}


def changed(**changes: Any) -> bytes:
    return json.dumps(PLAIN | changes).encode()


def partner(**changes: Any) -> list[dict[str, Any]]:
    return [PLAIN["partners"][0] | changes]  # type: ignore[index]


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"", "the file"),
        (b"[]", "the file"),
        (b"[" * 100_000, "the file"),
        (b'{"format": 1, "format": 1}', "the file"),
        (changed(format="p2pshare-partner-lists"), "format"),
        (changed(version=2), "version"),
        (changed(version=True), "version"),
        (changed(version=1.0), "version"),
        (changed(more=1), "the list"),
        (json.dumps({key: PLAIN[key] for key in PLAIN if key != "name"}).encode(), "the list"),
        (changed(made_at="yesterday"), "made_at"),
        (changed(partner_id="AA" * 32), "partner_id"),
        (changed(partner_id="aa" * 31), "partner_id"),
        (changed(partner_id="zz" * 32), "partner_id"),
        (changed(name=""), "name"),
        (changed(has_address=1), "has_address"),
        (changed(circles=["b", "a"]), "circles"),
        (changed(circles=["a", "a"]), "circles"),
        (changed(circles=[1]), "circles"),
        (changed(circles="main"), "circles"),
        (changed(partners={}), "partners"),
        (changed(partners=[1]), "partners/0"),
        (changed(partners=partner(more=1)), "partners/0"),
        (changed(partners=partner(has_link="yes")), "partners/0/has_link"),
        (changed(partners=partner() * 2), "partners"),
        (changed(partners=partner(partner_id="aa" * 32)), "partners"),
    ],
)
def test_what_is_not_exactly_a_list_is_refused_with_its_place(raw: bytes, where: str) -> None:
    with pytest.raises(AuthorError) as caught:
        decode_list(raw)
    assert caught.value.message.startswith(f"{where}: ")
    assert caught.value.reason == "not-a-partner-list"
    assert "partner export" in caught.value.hint


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_names_and_entries_at_their_limits(more: int) -> None:
    def outcome(raw: bytes) -> bool:
        try:
            decode_list(raw)
        except AuthorError:
            return False
        return True

    assert outcome(changed(name="x" * (CARD_NAME_BYTES_MAX + more))) == (more < 1)
    many = [
        PLAIN["partners"][0] | {"partner_id": f"{number:064x}"}  # type: ignore[index]
        for number in range(PARTNER_LIST_ENTRIES_MAX + more)
    ]
    assert outcome(changed(partners=many)) == (more < 1)


def listed(owner: int, made_at: int, name: str = "x", peers: int = 0) -> PartnerList:
    partners = [ListedPartner(PartnerId(bytes([99, n]) * 16), "p", True, ()) for n in range(peers)]
    return PartnerList(PartnerId(bytes([owner]) * 32), name, True, (), made_at, tuple(partners))


def test_of_several_lists_of_one_partner_the_newest_counts_and_contradictions_are_refused() -> None:
    old, new = listed(1, 10), listed(1, 20, "y")
    for order in ([old, new, old], [new, old, old]):
        kept, replaced = newest_of_each(order)
        assert (kept, replaced) == ([new], [old] * 2)
    assert newest_of_each([old, old]) == ([old], [])
    with pytest.raises(AuthorError) as caught:
        newest_of_each([old, listed(1, 10, "y")])
    assert caught.value.reason == "contradictory-lists"


@pytest.mark.parametrize(
    ("limit", "lists_of"),
    [
        ("PARTNER_LISTS_MAX", lambda count: [listed(number, 0) for number in range(count)]),
        ("TOPOLOGY_LINKS_MAX", lambda count: [listed(0, 0, peers=count)]),
    ],
)
def test_lists_and_links_at_their_limits(
    monkeypatch: pytest.MonkeyPatch, limit: str, lists_of: Callable[[int], list[PartnerList]]
) -> None:
    monkeypatch.setattr(partner_lists, limit, 3)
    for count in (2, 3):
        newest_of_each(lists_of(count))
    with pytest.raises(AuthorError) as caught:
        newest_of_each(lists_of(4))
    assert caught.value.reason == "oversized"


def test_two_partners_of_one_name_are_told_apart() -> None:
    answer = examine_lists([listed(1, 0, "Bank"), listed(2, 0, "bank"), listed(3, 0, "Hospital")], [])
    assert set(answer["partner_ids"]) == {"Bank (0101010101)", "bank (0202020202)", "Hospital"}
