"""What waits to be sealed: under a token that works once, for a minute, on a disk that may be full or lie."""

from __future__ import annotations

import os
import resource
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from whole_nodes import NOW, World, befriend, draft, quiet

from p2pshare.errors import DiskFull, NotFoundError, OperatorError, RefusedError, ShareError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.assessing import Assessment, AssessmentFacts
from p2pshare.intel.extraction import ClaimFacts, ObjectFacts
from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.intel.withdrawing import Reason, WithdrawalFacts
from p2pshare.knowledge.interface import NewFrame
from p2pshare.limits import LABEL_CHARACTERS_MAX, LABELS_MAX, MIB
from p2pshare.node.node import Node
from p2pshare.sharing import spool
from p2pshare.sharing.publishing import PreparedPart, prepare, seal
from p2pshare.sharing.quarantining import Mark
from p2pshare.sharing.spool import (
    PREPARED_MAX,
    PREPARED_SECONDS_MAX,
    Spooling,
    drop,
    empty,
    spooling,
    sweep,
    taken,
)

VALUE = "evil.example"


@pytest.fixture
def alpha(world: World) -> Node:
    alpha = world.found("alpha")
    befriend(alpha, world.found("bravo"))
    return alpha


def waiting(node: Node, now: int = NOW) -> str:
    """The token of a publication that waits since `now`."""
    with spooling(node, now) as one:
        prepared = prepare(
            node, [draft(node, [VALUE])], names=[], ttl_class=4, now=now, progress=quiet, keep=one.keep
        )
        one.end_with(prepared.terms, now)
    return one.token


def sealed(node: Node, token: str, now: int = NOW) -> int:
    with taken(node.home, token, now) as (terms, parts):
        return len(seal(node, terms, parts, now, quiet))


def files(node: Node) -> list[Path]:
    return sorted((node.home / "spool").iterdir())


def test_a_token_seals_once(alpha: Node) -> None:
    token = waiting(alpha)
    assert sealed(alpha, token) == 1
    with pytest.raises(NotFoundError) as caught:
        sealed(alpha, token)
    assert caught.value.reason == "not-prepared"
    assert caught.value.hint
    assert alpha.store.log.counts().held == 1
    assert files(alpha) == []


def test_who_crashes_while_it_is_sealed_leaves_nothing_that_could_be_sealed_again(alpha: Node) -> None:
    token = waiting(alpha)
    with pytest.raises(KeyboardInterrupt), taken(alpha.home, token, NOW):
        assert files(alpha) == []
        raise KeyboardInterrupt
    with pytest.raises(NotFoundError):
        sealed(alpha, token)


def test_it_waits_a_minute_and_not_a_second_longer(alpha: Node) -> None:
    assert sealed(alpha, waiting(alpha), NOW + PREPARED_SECONDS_MAX) == 1
    late, set_back = waiting(alpha), waiting(alpha)
    for token, now in ((late, NOW + PREPARED_SECONDS_MAX + 1), (set_back, NOW - 1)):
        with pytest.raises(NotFoundError):
            sealed(alpha, token, now)
    assert files(alpha) == []


def test_what_was_never_sealed_is_swept(alpha: Node) -> None:
    waiting(alpha)
    fresh = waiting(alpha, NOW + 30)
    sweep(alpha.home, NOW + PREPARED_SECONDS_MAX + 1)
    assert [one.name for one in files(alpha)] == [fresh]
    empty(alpha.home)
    assert files(alpha) == []


def test_nothing_to_sweep_is_no_error(alpha: Node) -> None:
    sweep(alpha.home, NOW)
    empty(alpha.home)
    drop(alpha.home, "0" * 32)


@pytest.mark.parametrize(
    "token", ["", "../store.sqlite", "/etc/passwd", "0" * 31, "0" * 32, "A" * 32, "0" * 32 + "\n"]
)
def test_a_token_that_was_never_given_names_no_file(alpha: Node, token: str) -> None:
    waiting(alpha)
    before = sorted(alpha.home.rglob("*"))
    drop(alpha.home, token)
    with pytest.raises(NotFoundError):
        sealed(alpha, token)
    assert sorted(alpha.home.rglob("*")) == before


def test_nobody_else_can_read_what_waits_whatever_the_umask(alpha: Node) -> None:
    before = os.umask(0)
    try:
        waiting(alpha)
    finally:
        os.umask(before)
    [file] = files(alpha)
    assert [stat.S_IMODE(one.stat().st_mode) for one in (file.parent, file)] == [0o700, 0o600]


def test_a_folder_that_others_could_look_into_is_closed(alpha: Node) -> None:
    (alpha.home / "spool").mkdir(mode=0o777)
    waiting(alpha)
    assert stat.S_IMODE((alpha.home / "spool").stat().st_mode) == 0o700


# --- bounded ---


def test_only_so_many_wait_at_once_and_those_that_are_over_make_room(alpha: Node) -> None:
    for _ in range(PREPARED_MAX):
        waiting(alpha)
    with pytest.raises(RefusedError) as caught:
        waiting(alpha)
    assert caught.value.reason == "spool-full"
    assert len(files(alpha)) == PREPARED_MAX
    waiting(alpha, NOW + PREPARED_SECONDS_MAX + 1)
    assert len(files(alpha)) == 1


def test_only_so_many_bytes_wait_at_once(alpha: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting(alpha)
    [file] = files(alpha)
    size = file.stat().st_size
    monkeypatch.setattr(spool, "SPOOL_BYTES_MAX", 2 * size)
    waiting(alpha)
    assert len(files(alpha)) == 2
    empty(alpha.home)
    waiting(alpha)
    monkeypatch.setattr(spool, "SPOOL_BYTES_MAX", 2 * size - 1)
    with pytest.raises(RefusedError) as caught:
        waiting(alpha)
    assert caught.value.reason == "spool-full"
    assert len(files(alpha)) == 1


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes: what a disk does that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 16, 300])
def test_a_disk_that_fills_up_is_told_and_leaves_nothing_behind(alpha: Node, size: int) -> None:
    with largest_file(size), pytest.raises(DiskFull) as caught:
        waiting(alpha)
    assert caught.value.hint
    assert files(alpha) == []
    assert sealed(alpha, waiting(alpha)) == 1


def test_below_the_free_space_floor_nothing_is_written(alpha: Node) -> None:
    floor = replace(alpha.config.store, free_space_mib_min=1 << 40)
    poor = replace(alpha, config=replace(alpha.config, store=floor))
    with pytest.raises(DiskFull):
        waiting(poor)
    assert files(alpha) == []


def test_a_folder_that_cannot_be_written_is_told_with_its_place(alpha: Node) -> None:
    (alpha.home / "spool").write_text("no folder")
    with pytest.raises(OperatorError) as caught:
        waiting(alpha)
    assert str(alpha.home / "spool") in caught.value.message


def test_a_preparation_that_fails_leaves_no_file(alpha: Node) -> None:
    with pytest.raises(ZeroDivisionError), spooling(alpha, NOW):
        raise ZeroDivisionError
    assert files(alpha) == []


# --- damaged ---


@given(st.data())
def test_whatever_stands_in_the_file_it_is_read_or_told_and_gone(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    home = tmp_path_factory.mktemp("home")
    raw = data.draw(st.binary(max_size=64)) if data.draw(st.booleans()) else damaged(data, some_file(home))
    (home / "spool").mkdir(exist_ok=True)
    (home / "spool" / ("0" * 32)).write_bytes(raw)
    os.utime(home / "spool" / ("0" * 32), (NOW, NOW))
    try:
        with taken(home, "0" * 32, NOW) as (_, parts):
            for part in parts:
                assert isinstance(part, PreparedPart)
    except ShareError as error:
        assert error.reason == "spool-damaged"
    assert not list((home / "spool").iterdir())


def some_file(home: Path) -> bytes:
    """Two parts and no terms: what stands behind them is theirs to damage."""
    path = home / "file"
    number = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    one = Spooling(path, number, MIB, 0)
    for _ in range(2):
        one.keep(PART)
    os.close(number)
    return path.read_bytes()


def damaged(data: st.DataObject, raw: bytes) -> bytes:
    place = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        return raw[:place]
    return raw[:place] + bytes([raw[place] ^ data.draw(st.integers(1, 255))]) + raw[place + 1 :]


def test_a_file_with_a_hole_in_it_seals_nothing(alpha: Node) -> None:
    token = waiting(alpha)
    [file] = files(alpha)
    raw = file.read_bytes()
    (terms,) = struct.unpack(">Q", raw[-8:])
    file.write_bytes(
        raw[: terms // 2] + bytes(terms - terms // 2) + raw[terms:]
    )  # a block that was never written
    os.utime(file, (NOW, NOW))
    with pytest.raises(OperatorError) as caught:
        sealed(alpha, token)
    assert caught.value.reason == "spool-damaged"
    assert alpha.store.log.counts().held == 0


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_file_with_more_or_fewer_parts_than_its_terms_say_seals_nothing(alpha: Node, kept: int) -> None:
    parts: list[PreparedPart] = []
    drafts = [draft(alpha, [f"{number}.{VALUE}"]) for number in range(2)]
    made = prepare(alpha, drafts, names=[], ttl_class=4, now=NOW, progress=quiet, keep=parts.append)
    with spooling(alpha, NOW) as one:
        for part in (parts * 2)[:kept]:
            one.keep(part)
        one.end_with(made.terms, NOW)
    with pytest.raises(OperatorError) as caught:
        sealed(alpha, one.token)
    assert caught.value.reason == "spool-damaged"
    assert alpha.store.log.counts().held == 0


# --- what comes back is what was put in ---

TEXT = st.text(max_size=8)
INSTANT = st.none() | st.integers(-(2**62), 2**62)


def claims(more: list[tuple[str, str]], shared: tuple[object, ...]) -> tuple[ClaimFacts, ...]:
    confidence, first, until, labels, revoked, tlp, pap = shared
    return tuple(ClaimFacts(*pair, confidence, first, until, labels, revoked, tlp, pap) for pair in more)


CLAIMS = st.builds(
    claims,
    st.lists(st.tuples(TEXT, TEXT), max_size=4),
    st.tuples(
        st.none() | st.integers(0, 100),
        INSTANT,
        INSTANT,
        st.lists(TEXT, max_size=2).map(tuple),
        st.booleans(),
        st.sampled_from(Tlp),
        st.none() | st.sampled_from(Pap),
    ),
)
OBJECTS = st.builds(
    ObjectFacts,
    st.integers(0, 1_023),
    TEXT,
    TEXT,
    INSTANT,
    st.none() | TEXT,
    st.sampled_from(Tlp),
    st.booleans(),
    CLAIMS,
    st.none()
    | st.builds(
        AssessmentFacts,
        st.sampled_from(Assessment),
        TEXT,
        st.none() | st.binary(min_size=32, max_size=32).map(PartnerId),
        st.none() | st.builds(Observable, TEXT, TEXT),
        st.integers(0, 9),
        st.integers(0, 2**62),
    ),
    st.none()
    | st.builds(
        WithdrawalFacts,
        TEXT,
        st.integers(1, 9),
        st.integers(1, 9),
        INSTANT,
        st.sampled_from(Reason),
        st.none() | TEXT,
    ),
)
PARTS = st.builds(
    PreparedPart,
    st.sampled_from(Tlp),
    st.lists(st.builds(NewFrame, st.binary(max_size=8), st.lists(OBJECTS, max_size=4)), max_size=3),
    st.lists(
        st.builds(Mark, TEXT, TEXT, st.lists(st.builds(Observable, TEXT, TEXT), max_size=2)), max_size=2
    ),
    st.dictionaries(TEXT, st.integers(-(2**62), 2**62), max_size=2),
)
PART = PreparedPart(
    Tlp.GREEN,
    [NewFrame(b"frame", [ObjectFacts(0, "x--1", "x", 1, None, Tlp.GREEN, False, claims([("a", "b")] * 2, (None, 1, None, ("l",), False, Tlp.GREEN, None)))])],
)  # fmt: skip


@given(PARTS)
def test_what_was_read_comes_back_as_it_was(part: PreparedPart) -> None:
    back = spool._unpack(spool._pack(part))
    assert back == part
    types = [type(one.author) for frame in back.frames for fact in frame.objects if (one := fact.assessment)]
    assert set(types) <= {PartnerId, type(None)}


def test_a_pattern_of_a_thousand_values_does_not_repeat_its_labels_a_thousand_times() -> None:
    """Otherwise 400 objects of 50 KB would become 6 GB here, in the daemon's memory first."""
    labels = tuple(f"{number:0{LABEL_CHARACTERS_MAX}}" for number in range(LABELS_MAX))
    shared = (None, 1, None, labels, False, Tlp.GREEN, None)
    fact = ObjectFacts(
        0, "x--1", "x", 1, None, Tlp.GREEN, False, claims([("domain", "a.example")] * 1_000, shared)
    )
    part = PreparedPart(Tlp.GREEN, [NewFrame(b"frame", [fact])], [])
    assert len(spool._pack(part)) < 64 * 1_024
    assert spool._unpack(spool._pack(part)) == part
    assert len(msgspec.msgpack.encode(fact)) > 16_000_000


def test_what_somebody_else_put_there_is_neither_swept_nor_in_the_way(alpha: Node) -> None:
    token = waiting(alpha)
    folder = alpha.home / "spool"
    (folder / "precious").write_text("an operator's")
    (folder / "folder").mkdir()
    sweep(alpha.home, NOW + PREPARED_SECONDS_MAX + 1)
    assert not (folder / token).exists()
    waiting(alpha)
    empty(alpha.home)
    assert sorted(one.name for one in files(alpha)) == ["folder", "precious"]


def test_a_publication_that_would_go_below_the_floor_of_free_space_is_not_kept(
    alpha: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(spool, "require_free_space", lambda path, least: asked.append(least))
    waiting(alpha)
    floor = alpha.config.free_space_bytes_min + spool.SPOOL_SPACE_BYTES_MIN
    assert asked[0] == floor and all(one > floor for one in asked[1:]) and len(asked) > 2
