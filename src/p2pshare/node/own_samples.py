"""Samples of labs that stay here: files of the home's folder `samples`, one folder a lab, which nothing that sends ever opens.

Only the command `lab` reads and writes them. Each is a file named by its SHA-256, and `SHA256.json` beside it says what it is a sample of. Whose
content was shared is in the lab as well; what was never shared is nowhere else.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from p2pshare.errors import OperatorError
from p2pshare.identifiers import EntryId
from p2pshare.limits import MIB
from p2pshare.node.whole_files import make_folder, put_whole

FOLDER = "samples"
OWN_SAMPLE_BYTES_MAX = 96 * MIB  # one that stays here: what the child of a run can hold; it is read whole
OWN_SAMPLES_MAX = 10_000  # of one lab
FACTS_BYTES_MAX = 16_384
_NAME = re.compile(r"([0-9a-f]{64})\.json")


class OwnSample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a sample is: its kind, its label, the ids of the rules that it is for (none: all), and whether the lab was told of it."""

    sha256: str
    kind: str
    label: str
    rules: tuple[str, ...]
    is_told: bool

    @property
    def digest(self) -> bytes:
        return bytes.fromhex(self.sha256)


def keep_sample(home: Path, lab: EntryId, raw: bytes, sample: OwnSample) -> None:
    """Keep a sample of a lab; one that is kept already is from now on what `sample` says. Raises OperatorError."""
    folder = home / FOLDER / lab.text
    try:
        make_folder(folder.parent)
        make_folder(folder)
        put_whole(folder / sample.sha256, raw)
        put_whole(folder / f"{sample.sha256}.json", msgspec.json.encode(sample))
    except OSError as error:
        raise OperatorError(
            f"cannot keep the sample in {folder}: {(error.strerror or 'unknown').lower()}",
            hint="run as the daemon's user",
            reason="output",
        ) from None


def forget_sample(home: Path, lab: EntryId, digest: bytes) -> bool:
    """Remove a sample of a lab from the home; returns whether there was one."""
    folder = home / FOLDER / lab.text
    was_there = (folder / digest.hex()).exists()
    for name in (f"{digest.hex()}.json", digest.hex()):
        (folder / name).unlink(missing_ok=True)
    return was_there


def own_samples(home: Path, lab: EntryId) -> list[OwnSample]:
    """Returns the samples of a lab that are kept here, by their SHA-256. What does not read as one is none."""
    return list(_found(home / FOLDER / lab.text))


def _found(folder: Path) -> Iterator[OwnSample]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    found = [match[1] for name in names if (match := _NAME.fullmatch(name)) is not None]
    for digits in found[:OWN_SAMPLES_MAX]:
        with suppress(OSError, msgspec.MsgspecError):
            with (folder / f"{digits}.json").open("rb") as stream:
                sample = msgspec.json.decode(stream.read(FACTS_BYTES_MAX), type=OwnSample)
            if sample.sha256 == digits and sample.label in ("positive", "negative"):
                yield sample


def content_of(home: Path, lab: EntryId, digest: bytes) -> bytes | None:
    """Returns the content of a sample that is kept here; None for one that is not, or is not what its name says."""
    try:
        with (home / FOLDER / lab.text / digest.hex()).open("rb") as stream:
            raw = stream.read(OWN_SAMPLE_BYTES_MAX + 1)
    except OSError:
        return None
    return raw if hashlib.sha256(raw).digest() == digest else None
