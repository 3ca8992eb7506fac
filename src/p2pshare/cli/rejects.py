"""`--rejects FILE`: every refusal as a line of JSON, for the person who mends the input.

`{reason, where, text, count}`: `where` is the place as the reader tells it, `text` the text that stood there, safe to
print and clipped. The counts add up to those of the answer. The file holds text that was not shared, so it is its owner's
alone (0600), and it appears whole; a file that was there before keeps its mode (`open_output`).
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from p2pshare.cli import console
from p2pshare.cli.options import STANDARD_STREAM, UsageProblem
from p2pshare.cli.output import OWN_MODE, open_output
from p2pshare.errors import ShareError

if TYPE_CHECKING:
    from p2pshare.intel.refusals import Refusal


class Rejects:
    """A writer of refusals, where a file was asked for."""

    def __init__(self, stream: BinaryIO | None, name: str = "") -> None:
        self._stream, self._name = stream, name

    def add(self, refusal: Refusal) -> None:
        """Write one refusal of a reader."""
        self._write(refusal.reason, refusal.where, refusal.example, 1)

    def add_counted(self, refused: Iterable[Mapping[str, Any]]) -> None:
        """Write refusals of the sealer, which gives their number and some examples."""
        for one in refused:
            self._write(one["reason"], "", "; ".join(one["examples"]), one["count"])

    @contextmanager
    def what_ends_it(self) -> Iterator[None]:
        """Write the error down that ends the reading of a file: one refusal of all that is left of it."""
        try:
            yield
        except ShareError as error:
            self._write(error.reason, "", error.message, 1)
            raise

    def _write(self, reason: str, where: str, text: str, count: int) -> None:
        if self._stream is not None:
            from p2pshare.intel.display import clip
            from p2pshare.limits import REJECT_CHARACTERS_MAX

            line = {
                "reason": reason,
                "where": clip(where),
                "text": clip(text, REJECT_CHARACTERS_MAX),
                "count": count,
            }
            try:
                self._stream.write(json.dumps(line).encode() + b"\n")
            except OSError as error:
                raise console.unwritable(self._name, error) from None


@contextmanager
def rejects_file(name: str | None, source: str) -> Iterator[Rejects]:
    """Yields the file for refusals, or none when `name` is None. It appears whole, also when an error ends the block.
    `source` is the file that is read, which refusals must not replace.

    Raises UsageProblem for `-` and for `source`, OperatorError when the file cannot be written.
    """
    if name is None:
        yield Rejects(None)
        return
    if name == STANDARD_STREAM:
        raise UsageProblem("refusals go to a file", hint="stdout holds the result: give --rejects a name")
    if _is_same_file(name, source):
        raise UsageProblem("refusals would replace the input", hint="give --rejects another name")
    ended: ShareError | OSError | None = None
    with open_output(name, mode=OWN_MODE) as stream:
        try:
            yield Rejects(stream, name)
        except (ShareError, OSError) as error:
            ended = error  # no fault of this file: the refusals that led to it are kept
    if ended is not None:
        raise ended


def _is_same_file(name: str, source: str) -> bool:
    """Returns whether both are one file, through links or as stdin; a terminal may well be both."""
    with suppress(OSError):
        if source != STANDARD_STREAM:
            return os.path.samefile(name, source)
        read = os.fstat(sys.stdin.fileno())
        return stat.S_ISREG(read.st_mode) and os.path.samestat(read, os.stat(name))
    return False
