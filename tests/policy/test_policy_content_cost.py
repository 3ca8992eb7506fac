"""What an envelope costs its author: whichever is the most of its wire, what it inflates to and its rows, and never less."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pshare.policy.content_cost import INFLATION, ROW_COST_BYTES, cost_bytes

sizes = st.integers(0, 1 << 40)


@given(sizes, sizes, st.integers(0, 1 << 30))
def test_no_part_of_the_cost_hides_behind_another(wire: int, inflated: int, rows: int) -> None:
    cost = cost_bytes(wire, inflated_bytes=inflated, rows=rows)
    parts = (wire, inflated // INFLATION, rows * ROW_COST_BYTES)
    assert all(cost >= part for part in parts) and cost in parts


@given(sizes)
def test_each_part_alone_is_charged(size: int) -> None:
    assert cost_bytes(size, inflated_bytes=0, rows=0) == size
    assert cost_bytes(0, inflated_bytes=size * INFLATION, rows=0) == size
    assert cost_bytes(0, inflated_bytes=0, rows=size) == size * ROW_COST_BYTES
