"""What fails in a round of spaces is told by its place in the program, never by what anybody wrote."""

from __future__ import annotations

import logging

import pytest

from p2pshare.daemon.space_rounds import log_failure
from p2pshare.errors import StoreError


def test_a_bug_is_told_by_its_lines_and_never_by_a_value(caplog: pytest.LogCaptureFixture) -> None:
    def round_of(values: dict[str, str]) -> str:
        return values["the name of a patient"]

    with caplog.at_level(logging.ERROR):
        try:
            round_of({})
        except KeyError as error:
            log_failure("entries of spaces wait", error)
        log_failure("entries of spaces wait", StoreError("the name of a patient", reason="store-failed"))
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("entries of spaces wait: KeyError\n") and "round_of" in first
    assert second == "entries of spaces wait: store-failed"
