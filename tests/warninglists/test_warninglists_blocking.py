"""Asking only the lists that block says what asking all of them and keeping the blocking ones says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pshare.warninglists.warning_index import WarningIndex, open_warning_index
from p2pshare.warninglists.warning_lists import ListAction, MatchKind, allowed_of, compile_list

KINDS = [
    (MatchKind.STRING, ["evil.example", "www.good.example", "192.0.2.7", "d41d8cd98f00b204e9800998ecf8427e"]),
    (MatchKind.HOSTNAME, ["good.example", "a.b.example"]),
    (MatchKind.CIDR, ["192.0.2.0/24", "2001:db8::/32", "192.0.2.128/25"]),
    (MatchKind.REGEX, ["/evil/", "good"]),
    (MatchKind.SUBSTRING, ["b.example"]),
    (MatchKind.STRING, ["http://evil.example/a"]),
]
PAIRS = [
    ("domain", "evil.example"),
    ("domain", "www.good.example"),
    ("domain", "x.a.b.example"),
    ("domain", "b.example"),
    ("url", "http://evil.example/a"),
    ("url", "http://192.0.2.200/"),
    ("url", "https://www.good.example/?q"),
    ("email", "me@GOOD.example"),
    ("email", "me@good.example"),
    ("ipv4", "192.0.2.7"),
    ("ipv4", "198.51.100.7"),
    ("ipv4-net", "192.0.0.0/16"),
    ("ipv6", "2001:db8::1"),
    ("md5", "d41d8cd98f00b204e9800998ecf8427e"),
    ("mutex", "evil"),
]


@pytest.fixture
def index(tmp_path: Path) -> WarningIndex:
    made = open_warning_index(tmp_path / "warninglists.sqlite")
    for number, (kind, entries) in enumerate(KINDS):
        made.replace(
            compile_list(
                name=f"list {number}",
                version=1,
                description="",
                kind=kind,
                attributes=["domain", "url", "email"] if number == 5 else [],
                entries=entries,
            ),
            None,
            0,
        )
    made.allow(allowed_of("*.a.b.example"), "ours", 0)
    return made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    actions=st.lists(st.sampled_from(ListAction), min_size=len(KINDS), max_size=len(KINDS)),
    enabled=st.lists(st.booleans(), min_size=len(KINDS), max_size=len(KINDS)),
    pairs=st.lists(st.sampled_from(PAIRS), max_size=20),
)
def test_only_what_blocks_is_found_and_all_of_it(
    index: WarningIndex, actions: list[ListAction], enabled: list[bool], pairs: list[tuple[str, str]]
) -> None:
    for number, (action, is_enabled) in enumerate(zip(actions, enabled, strict=True)):
        index.set_list(f"list {number}", action=action, is_enabled=is_enabled)
    every = index.hits(pairs)
    blocking = {pair: [hit for hit in hits if hit.action is ListAction.BLOCK] for pair, hits in every.items()}
    assert index.hits(pairs, is_blocking_only=True) == {pair: hits for pair, hits in blocking.items() if hits}
    alone = {pair: index.hits([pair]).get(pair) for pair in pairs}
    assert every == {pair: hits for pair, hits in alone.items() if hits is not None}
