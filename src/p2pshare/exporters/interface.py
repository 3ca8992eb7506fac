"""The contract of a format: a function from knowledge to pieces of bytes, or to the files of a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from p2pshare.identifiers import PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.knowledge.interface import ClaimRow
from p2pshare.knowledge.knowledge import KnowledgeReading


@dataclass(frozen=True)
class Selection:
    """The observables of an export: active ones of `type` (None: all) that the gate lets pass."""

    now_us: int
    tlp_max: Tlp
    type: str | None = None
    names: Mapping[PartnerId, str] = field(default_factory=dict)
    """Of authors, for formats that name the author of a claim."""

    def takes(self, claim: ClaimRow) -> bool:
        """Returns whether a claim counts now and may leave, beside others for the same value that may not."""
        begin, end = claim.valid_from_us, claim.valid_until_us
        return (
            not claim.is_out
            and claim.tlp <= self.tlp_max
            and (begin is None or begin <= self.now_us)
            and (end is None or self.now_us < end)
        )


@dataclass(frozen=True)
class Format:
    """A format of one file. `render` yields pieces of the output in order; joined they are the file."""

    render: Callable[[KnowledgeReading, Selection], Iterator[bytes]]
    is_for_blocking: bool = False
    """True where machines block by the lines of the file: it does not take the place of a longer one unasked."""


@dataclass(frozen=True)
class FolderFormat:
    """A format of several files. `render` yields each file's name and bytes, the one that names the others last."""

    render: Callable[[KnowledgeReading, Selection], Iterator[tuple[str, bytes]]]
    stale: re.Pattern[str]
    """Names of files that an earlier export may have left, and that are removed where this one has no such file."""
