"""The topology doctor against brute force: what it says splits a circle does, and nothing else; its mends mend."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.identifiers import PartnerId
from p2pshare.limits import TOPOLOGY_EXACT_PARTNERS_MAX, TOPOLOGY_MENDS_MAX
from p2pshare.topology.circles import CircleReport, ListedPartner, PartnerList, examine
from p2pshare.topology.graph import blocks, components, cut_links, cut_nodes, longest_way
from p2pshare.topology.suggested_links import Aim, Ground, find_mends, lonely

Links = set[tuple[int, int]]


def neighbours_of(count: int, links: Links) -> list[set[int]]:
    neighbours: list[set[int]] = [set() for _ in range(count)]
    for one, other in links:
        neighbours[one].add(other)
        neighbours[other].add(one)
    return neighbours


def pieces_without(count: int, links: Links, lost: int | None = None) -> int:
    """How many pieces, by merging names until nothing changes: slow, and of another kind than what it checks."""
    name = {node: node for node in range(count) if node != lost}
    for _ in range(count):
        for one, other in links:
            if one in name and other in name:
                name[one] = name[other] = min(name[one], name[other])
    return len(set(name.values()))


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Links]:
    count = draw(st.integers(1, 9))
    possible = list(combinations(range(count), 2))
    return count, set(draw(st.lists(st.sampled_from(possible), max_size=14))) if possible else set()


@given(graphs())
def test_what_splits_a_circle_is_what_brute_force_removal_finds(graph: tuple[int, Links]) -> None:
    count, links = graph
    neighbours = neighbours_of(count, links)
    whole = pieces_without(count, links)
    found = blocks(neighbours)
    assert len(components(neighbours)) == whole
    splitters = [node for node in range(count) if pieces_without(count, links, node) > whole]
    assert cut_nodes(found) == splitters
    bridges = [link for link in sorted(links) if pieces_without(count, links - {link}) > whole]
    assert cut_links(found) == bridges


@given(graphs())
def test_the_longest_way_is_that_of_all_pairs_and_the_bound_never_longer(graph: tuple[int, Links]) -> None:
    count, links = graph
    neighbours = neighbours_of(count, links)
    far = [[0 if one == other else count for other in range(count)] for one in range(count)]
    for one, other in links:
        far[one][other] = far[other][one] = 1
    for via in range(count):
        for one in range(count):
            for other in range(count):
                far[one][other] = min(far[one][other], far[one][via] + far[via][other])
    for piece in components(neighbours):
        longest = max(far[one][other] for one in piece for other in piece)
        assert longest_way(neighbours, piece, exact_max=len(piece)) == longest
        assert longest_way(neighbours, piece, exact_max=len(piece) - 1) <= longest


@given(graphs(), st.data())
def test_mends_reach_what_they_say_and_never_join_two_who_only_dial_out(
    graph: tuple[int, Links], data: st.DataObject
) -> None:
    count, links = graph
    has_address = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    owners = data.draw(st.lists(st.sampled_from("xyz"), min_size=count, max_size=count))
    ground = Ground(neighbours_of(count, links), has_address, owners)
    before = [set(others) for others in ground.neighbours]
    grown = set(links)
    for mend in find_mends(ground):
        one, other = mend.between
        assert has_address[one] or has_address[other]
        assert mend.between not in grown
        grown.add(mend.between)
        after = Ground(neighbours_of(count, grown), has_address, owners)
        is_whole = pieces_without(count, grown) == 1
        is_robust = not any(pieces_without(count, grown, lost) > 1 for lost in range(count))
        reached = {
            Aim.ONE_PIECE: is_whole,
            Aim.NO_SINGLE_PARTNER: is_whole and (count < 3 or is_robust),
            Aim.ENOUGH_PEERS: not lonely(after),
        }
        assert mend.is_enough == reached[mend.aim]
    assert ground.neighbours == before, "the graph that was handed in is as it was"
    if sum(has_address) > 1:  # two who can be dialled suffice: everything can be mended
        assert pieces_without(count, grown) == 1
        assert not any(pieces_without(count, grown, lost) > 1 for lost in range(count))


@pytest.mark.parametrize("is_ring", [False, True])
def test_ten_thousand_partners_in_a_chain_or_a_ring_need_no_recursion(is_ring: bool) -> None:
    count = 10_000
    neighbours = [[other for other in (node - 1, node + 1) if 0 <= other < count] for node in range(count)]
    if is_ring:
        neighbours[0].append(count - 1)
        neighbours[-1].append(0)
    found = blocks(neighbours)
    assert len(cut_nodes(found)) == (0 if is_ring else count - 2)
    assert len(cut_links(found)) == (0 if is_ring else count - 1)
    assert longest_way(neighbours, range(count), exact_max=10) == (count // 2 if is_ring else count - 1)
    mends = find_mends(Ground(list(map(set, neighbours)), [True] * count, list(map(str, range(count)))))
    assert len(mends) == TOPOLOGY_MENDS_MAX
    assert mends[0].is_enough != is_ring  # one link closes a chain; a ring lacks only third peers


@pytest.mark.parametrize(
    ("peers", "owners", "is_lonely"),
    [
        (2, "abcd", True),
        (3, "abcd", False),
        (4, "abcd", False),
        (3, "aaaa", True),
        (3, "aab", False),
    ],
)
def test_three_peers_of_two_organisations_are_enough(peers: int, owners: str, is_lonely: bool) -> None:
    """Partner 0 of a circle of ten, with this many peers."""
    organisations = ["own", *owners[:peers], *"uvwxyz"][:10]
    links = {(0, other) for other in range(1, peers + 1)}
    count = len(organisations)
    assert (0 in lonely(Ground(neighbours_of(count, links), [True] * count, organisations))) == is_lonely


def test_in_a_small_circle_all_the_others_are_enough() -> None:
    triangle = Ground(neighbours_of(3, {(0, 1), (0, 2), (1, 2)}), [True] * 3, ["a", "b", "c"])
    assert lonely(triangle) == []
    hidden = Ground(neighbours_of(3, {(0, 1), (0, 2)}), [True, False, False], ["a", "b", "c"])
    assert lonely(hidden) == [], "two who only dial out have one partner whom they can dial"
    assert find_mends(hidden) == [], "and nothing that could be added would help"


def test_a_chain_whose_ends_only_dial_out_is_mended_by_those_between() -> None:
    """Each end can only be joined with a partner whose own loss splits the chain."""
    chain = Ground(neighbours_of(4, {(0, 1), (1, 2), (2, 3)}), [False, True, True, False], list("abcd"))
    links = [mend.between for mend in find_mends(chain)]
    assert sorted(links) == [(0, 2), (1, 3)]
    assert cut_nodes(blocks(neighbours_of(4, {(0, 1), (1, 2), (2, 3), *links}))) == []


# --- lists -----------------------------------------------------------------------------------------


def partner_id(name: str) -> PartnerId:
    return PartnerId(name.encode().ljust(32, b"\0"))


def listed(owner: str, peers: str, circles: tuple[str, ...] = ("main",), **changes: object) -> PartnerList:
    """`owner` with a link to each letter of `peers`; a letter in capitals is trusted without a link."""
    partners = tuple(
        ListedPartner(partner_id(peer.lower()), peer.lower(), peer.islower(), circles) for peer in peers
    )
    fields = {"has_address": True, "circles": circles, "made_at": 0} | changes
    return PartnerList(owner=partner_id(owner), name=owner, partners=partners, **fields)  # type: ignore[arg-type]


def only(reports: list[CircleReport]) -> CircleReport:
    (report,) = reports
    return report


def test_a_chain_is_told_with_the_link_that_mends_it() -> None:
    report = only(examine([listed("a", "b"), listed("b", "ac"), listed("c", "bd"), listed("d", "c")]))
    assert (report.links, report.pieces, report.diameters) == (3, ((0, 1, 2, 3),), (3,))
    assert (report.cut_partners, report.cut_links) == ((1, 2), ((0, 1), (1, 2), (2, 3)))
    first = report.mends[0]
    assert (first.between, first.aim, first.is_enough) == ((0, 3), Aim.NO_SINGLE_PARTNER, True)
    assert not report.is_well


def test_a_full_mesh_is_well() -> None:
    report = only(examine([listed(one, "abcde".replace(one, "")) for one in "abcde"]))
    assert report.is_well
    assert (report.mends, report.cut_links, report.lonely) == ((), (), ())


@pytest.mark.parametrize(
    ("other", "lacks"),
    [
        (listed("b", "c"), "not-a-partner"),
        (listed("b", "Ac"), "no-link"),
        (
            PartnerList(
                partner_id("b"),
                "b",
                True,
                ("main", "lab"),
                0,
                (ListedPartner(partner_id("a"), "a", True, ("lab",)),),
            ),
            "other-circles",
        ),
    ],
)
def test_an_end_that_stands_alone_is_no_link_and_is_told(other: PartnerList, lacks: str) -> None:
    report = next(one for one in examine([listed("a", "b"), other, listed("c", "b")]) if one.name == "main")
    told = [(one.owner, one.lacks) for one in report.one_sided if one.other == partner_id("b")]
    assert (partner_id("a"), lacks) in told
    a, b = report.partners.index(partner_id("a")), report.partners.index(partner_id("b"))
    assert not any({a, b} <= set(piece) for piece in report.pieces)
    assert not report.is_well


def test_who_is_in_no_such_circle_is_not_blamed_for_it() -> None:
    both = listed("a", "b", circles=("lab", "main"))
    reports = {report.name: report for report in examine([both, listed("b", "a")])}
    assert reports["main"].links == 1
    assert (reports["lab"].partners, reports["lab"].one_sided) == ((partner_id("a"),), ())
    assert not reports["lab"].is_well, "a circle of one: a name that nobody else spelt that way"


def test_two_who_only_dial_out_are_no_link() -> None:
    lists = [listed(one, "abc".replace(one, ""), has_address=one == "c") for one in "abc"]
    report = only(examine(lists))
    assert [(one.owner, one.other, one.lacks) for one in report.one_sided] == [
        (partner_id("a"), partner_id("b"), "no-address")
    ]
    assert (report.links, report.dial_out_only, report.cut_partners) == (2, (0, 1), (2,))


def test_a_partner_without_a_list_is_named_and_makes_no_link() -> None:
    report = only(examine([listed("a", "bx"), listed("b", "ax")]))
    assert (report.links, report.missing, report.partners) == (
        1,
        (partner_id("x"),),
        (partner_id("a"), partner_id("b")),
    )


def test_nodes_of_one_name_are_one_organisation() -> None:
    lists = [listed(one, "abcde".replace(one, "")) for one in "abcde"]
    renamed = [PartnerList(**(vars(one) | {"name": "Bank"})) if one.name in "bcd" else one for one in lists]
    assert only(examine(renamed)).is_well
    alone = [listed("a", "bcd")] + [listed(one, "abcde".replace(one, "")) for one in "bcd"]
    lists = [PartnerList(**(vars(one) | {"name": "Bank"})) if one.name in "bcd" else one for one in alone]
    report = only(examine([*lists, listed("e", "bcd")]))
    a = report.partners.index(partner_id("a"))
    assert a in report.lonely


@pytest.mark.parametrize("count", [TOPOLOGY_EXACT_PARTNERS_MAX, TOPOLOGY_EXACT_PARTNERS_MAX + 1])
def test_the_diameter_of_a_tree_is_exact_below_and_above_the_limit(count: int) -> None:
    neighbours = [[other for other in (node - 1, node + 1) if 0 <= other < count] for node in range(count)]
    assert longest_way(neighbours, range(count), exact_max=TOPOLOGY_EXACT_PARTNERS_MAX) == count - 1
