"""A space in a file: the vectors, and what becomes of files that are cut, flipped, or made to harm."""

from __future__ import annotations

import base64
import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from p2pshare.spaces.space_file import SpaceFileReport, examine

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "space-file.json").read_text(encoding="utf-8")
)["cases"]


@pytest.fixture(scope="module")
def vector() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (Path(__file__).parent.parent / "vectors" / "space-file.json").read_text(encoding="utf-8")
    )
    return found


def report_of(raw: bytes) -> SpaceFileReport:
    return examine(io.BytesIO(raw), lambda done, of: None)


def raw_of(case: dict[str, Any], whole: bytes) -> bytes:
    if "file" in case:
        return base64.b64decode(case["file"])
    raw = whole[: case.get("cut", len(whole))]
    if "replace" in case:
        offset, text = case["replace"]
        new = base64.b64decode(text)
        raw = raw[:offset] + new + raw[offset + len(new) :]
    return raw + base64.b64decode(case.get("append", ""))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_each_vector_has_its_verdict_fault_and_reasons(case: dict[str, Any], vector: dict[str, Any]) -> None:
    report = report_of(raw_of(case, base64.b64decode(vector["file"])))
    refused = Counter(one.reason for one in report.problems)
    assert (report.verdict, report.fault, refused) == (case["verdict"], case["fault"], case["refused"])
    if report.verdict == "good":
        assert report.output.decode() == vector["canonical"]
        assert report.space is not None and report.space.text == vector["space"]
        assert report.without_body == 1


@pytest.mark.parametrize("seed", range(40))
def test_a_file_with_a_flip_or_a_cut_is_never_good_and_never_crashes(
    seed: int, vector: dict[str, Any]
) -> None:
    raw = base64.b64decode(vector["file"])
    draw = random.Random(seed)
    place = draw.randrange(len(raw))
    flipped = raw[:place] + bytes([raw[place] ^ (1 << draw.randrange(8))]) + raw[place + 1 :]
    assert report_of(flipped).verdict != "good"
    assert report_of(raw[:place]).verdict == "bad"
    assert report_of(raw[:place] + raw[place + 1 :]).verdict == "bad"


def test_a_frame_that_says_it_is_large_takes_no_memory(vector: dict[str, Any]) -> None:
    """The length is refused before it is read; a reader that asked for 4 GiB would be ended by the machine."""

    class Asked(io.BytesIO):
        most = 0

        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            self.most = max(self.most, size)
            return super().read(size)

    stream = Asked(b"\xff\xff\xff\xff" + b"x" * 100)
    assert examine(stream, lambda done, of: None).fault == "oversized"
    assert stream.most < 1_000
