"""The change feed's id: a store that was put back is another feed, and an ordinary start is none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from store_rows import named_rows
from stored_envelopes import store_envelopes

from p2pshare.knowledge.feed import MARK_NAME


@pytest.fixture
def feed(store_path: Path) -> Any:
    return lambda: named_rows(store_path, "SELECT * FROM v1_feed")[0]


def test_an_ordinary_start_and_a_crash_begin_no_other_feed(
    store: Any, store_path: Path, open_at: Any, feed: Any, make: Any
) -> None:
    first = feed()
    assert len(first["feed_id"]) == 16
    assert first["last_seq"] == 0
    store_envelopes(store, [make.envelope(make.indicator("198.51.100.7"))])
    store.close()
    mark = store_path.with_name(MARK_NAME)
    behind = mark.read_text()
    again = open_at()
    store_envelopes(again, [make.envelope(make.indicator("198.51.100.8"), sequence=2)])
    again.close()
    mark.write_text(behind)  # as where the process ended before it wrote the last one
    open_at().close()
    assert (feed()["feed_id"], feed()["last_seq"]) == (first["feed_id"], 2)


def test_a_store_that_was_put_back_begins_another_feed(
    store: Any, store_path: Path, open_at: Any, feed: Any, make: Any
) -> None:
    """Its numbers are given again: who reads on from 2 would miss what is new and keep what is gone."""
    first = feed()["feed_id"]
    store.close()
    shutil.copyfile(store_path, store_path.with_name("backup"))
    later = open_at()
    store_envelopes(later, [make.envelope(make.indicator("198.51.100.7"))])
    later.close()
    shutil.copyfile(store_path.with_name("backup"), store_path)
    open_at().close()
    second = feed()["feed_id"]
    assert second != first
    open_at().close()
    assert feed()["feed_id"] == second
    shutil.copyfile(
        store_path.with_name("backup"), store_path
    )  # of the first feed, under the mark of the second
    open_at().close()
    assert feed()["feed_id"] not in (first, second)


@pytest.mark.parametrize(
    "mark", [b"", b"\xff", b"0123456789abcdef", b"0123456789abcdef-1", b"-0", b"x" * 100_000]
)
def test_a_mark_that_tells_nothing_begins_another_feed(
    store: Any, store_path: Path, open_at: Any, feed: Any, mark: bytes
) -> None:
    first = feed()["feed_id"]
    store.close()
    store_path.with_name(MARK_NAME).write_bytes(mark)
    open_at().close()
    assert feed()["feed_id"] != first


def test_without_a_mark_the_feed_goes_on(store: Any, store_path: Path, open_at: Any, feed: Any) -> None:
    first = feed()["feed_id"]
    store.close()
    store_path.with_name(MARK_NAME).unlink()
    open_at().close()
    assert feed()["feed_id"] == first


def test_what_comes_home_begins_another_feed_once_a_life(store: Any, open_at: Any, feed: Any) -> None:
    first = feed()["feed_id"]
    store.knowledge.renew_feed(1)
    second = feed()["feed_id"]
    store.knowledge.renew_feed(1)
    assert first != second == feed()["feed_id"]
    store.close()
    again = open_at()
    assert feed()["feed_id"] == second
    again.knowledge.renew_feed(1)
    assert feed()["feed_id"] != second
