"""Samples that stay in the house: whole or not at all, their owner's alone, and never what their name does not say."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from p2pshare.errors import OperatorError
from p2pshare.identifiers import EntryId
from p2pshare.node import whole_files
from p2pshare.node.own_samples import OwnSample, content_of, forget_sample, keep_sample, own_samples

LAB = EntryId(bytes(32))
RAW = b'{"Image": "evil.exe"}'
SAMPLE = OwnSample(hashlib.sha256(RAW).hexdigest(), "event-json", "positive", (), is_told=False)


def folder_of(home: Path) -> Path:
    return home / "samples" / LAB.text


def test_a_sample_is_its_owners_alone_and_leaves_whole(tmp_path: Path) -> None:
    keep_sample(tmp_path, LAB, RAW, SAMPLE)
    assert own_samples(tmp_path, LAB) == [SAMPLE] and content_of(tmp_path, LAB, SAMPLE.digest) == RAW
    modes = {path.stat().st_mode & 0o777 for path in folder_of(tmp_path).iterdir()}
    assert modes == {0o600} and folder_of(tmp_path).stat().st_mode & 0o777 == 0o700
    assert own_samples(tmp_path, EntryId(b"\1" * 32)) == [], "another lab's are others"
    assert forget_sample(tmp_path, LAB, SAMPLE.digest) and not forget_sample(tmp_path, LAB, SAMPLE.digest)
    assert list(folder_of(tmp_path).iterdir()) == []


def test_a_label_that_was_wrong_is_replaced(tmp_path: Path) -> None:
    other = OwnSample(SAMPLE.sha256, "event-json", "negative", ("ab",), is_told=True)
    for one in (SAMPLE, other):
        keep_sample(tmp_path, LAB, RAW, one)
    assert own_samples(tmp_path, LAB) == [other]


def test_what_is_damaged_or_strange_is_no_sample(tmp_path: Path) -> None:
    keep_sample(tmp_path, LAB, RAW, SAMPLE)
    folder = folder_of(tmp_path)
    (folder / SAMPLE.sha256).write_bytes(b"other bytes")
    assert content_of(tmp_path, LAB, SAMPLE.digest) is None
    (folder / f"{'0' * 64}.json").write_text("{}")
    (folder / f"{'1' * 64}.json").write_text((folder / f"{SAMPLE.sha256}.json").read_text())
    (folder / "notes.txt").write_text("mine")
    assert own_samples(tmp_path, LAB) == [SAMPLE]
    (folder / f"{SAMPLE.sha256}.json").write_bytes(b"\xff")
    assert own_samples(tmp_path, LAB) == []


def test_what_cannot_be_kept_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_files.os, "replace", refuse)
    with pytest.raises(OperatorError) as refused:
        keep_sample(tmp_path, LAB, RAW, SAMPLE)
    assert "no space left on device" in refused.value.message and list(folder_of(tmp_path).iterdir()) == []
